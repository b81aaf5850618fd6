"""The meaning of every kernel: float64 NumPy, short and slow, the judge of all other backends."""

from fastmag.kernels.reference.ascent import ascend_step
from fastmag.kernels.reference.changes import add_change, luma
from fastmag.kernels.reference.color import normalized_difference, undo_normalized_difference
from fastmag.kernels.reference.displace import displace
from fastmag.kernels.reference.levels import downsample_gaussian, pyramid_down, pyramid_up_add
from fastmag.kernels.reference.phase import (
    accumulate_phase,
    amplitude,
    phase_difference,
    shift_phase,
    smooth_amplitude_weighted,
)
from fastmag.kernels.reference.resample import downsample_bicubic, local_light, upsample_add, upsample_scaled_add
from fastmag.kernels.reference.riesz import riesz_amplitude, riesz_difference, riesz_shift
from fastmag.kernels.reference.smooth import smooth_space, smooth_time
from fastmag.kernels.reference.steerable import steerable_analysis, steerable_synthesis
from fastmag.kernels.reference.temporal import bandpass, bandpass_backward, bandpass_forward

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
    "shift_phase",
    "smooth_amplitude_weighted",
    "smooth_space",
    "smooth_time",
    "steerable_analysis",
    "steerable_synthesis",
    "undo_normalized_difference",
    "upsample_add",
    "upsample_scaled_add",
]
