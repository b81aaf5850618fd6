"""Numba kernels for the CPU: the names and signatures of `fastmag.kernels.reference`, float32, on several threads."""

from fastmag.kernels.cpu._threads import set_threads, threads
from fastmag.kernels.cpu.ascent import ascend_step
from fastmag.kernels.cpu.changes import add_change, luma
from fastmag.kernels.cpu.color import normalized_difference, undo_normalized_difference
from fastmag.kernels.cpu.displace import displace
from fastmag.kernels.cpu.levels import downsample_gaussian, pyramid_down, pyramid_up_add
from fastmag.kernels.cpu.light import local_light, upsample_scaled_add
from fastmag.kernels.cpu.phase import (
    accumulate_phase,
    amplitude,
    phase_difference,
    shift_phase,
    smooth_amplitude_weighted,
)
from fastmag.kernels.cpu.resample import downsample_bicubic, upsample_add
from fastmag.kernels.cpu.riesz import riesz_amplitude, riesz_difference, riesz_shift
from fastmag.kernels.cpu.smooth import smooth_space, smooth_time
from fastmag.kernels.cpu.steerable import steerable_analysis, steerable_synthesis
from fastmag.kernels.cpu.temporal import bandpass, bandpass_backward, bandpass_forward

__all__ = [
    "accumulate_phase",
    "add_change",
    "amplitude",
    "ascend_step",
    "bandpass",
    "bandpass_backward",
    "bandpass_forward",
    "displace",
    "downsample_bicubic",
    "downsample_gaussian",
    "local_light",
    "luma",
    "normalized_difference",
    "phase_difference",
    "pyramid_down",
    "pyramid_up_add",
    "riesz_amplitude",
    "riesz_difference",
    "riesz_shift",
    "set_threads",
    "shift_phase",
    "smooth_amplitude_weighted",
    "smooth_space",
    "smooth_time",
    "steerable_analysis",
    "steerable_synthesis",
    "threads",
    "undo_normalized_difference",
    "upsample_add",
    "upsample_scaled_add",
]
