"""Kernels for NVIDIA GPUs: the names and signatures of `fastmag.kernels.reference`, float32.

Numba compiles the loops around the scalars that the CPU uses, too; CuPy holds the memory, the stream and cuFFT. Arrays
on the device (CuPy, or anything with DLPack) stay there; arrays of the host are copied there and back. Kernels of
frames take batches (B, H, W, C) of them as well.
"""

from fastmag.kernels.cuda._lanes import Lanes as Lanes
from fastmag.kernels.cuda.ascent import ascend_step
from fastmag.kernels.cuda.changes import add_change, luma
from fastmag.kernels.cuda.color import normalized_difference, undo_normalized_difference
from fastmag.kernels.cuda.displace import displace
from fastmag.kernels.cuda.levels import downsample_gaussian, pyramid_down, pyramid_up_add
from fastmag.kernels.cuda.light import local_light
from fastmag.kernels.cuda.phase import accumulate_phase, amplitude, phase_difference, shift_phase
from fastmag.kernels.cuda.resample import downsample_bicubic, upsample_add, upsample_scaled_add
from fastmag.kernels.cuda.riesz import riesz_amplitude, riesz_difference, riesz_shift
from fastmag.kernels.cuda.smooth import smooth_amplitude_weighted, smooth_space, smooth_time
from fastmag.kernels.cuda.steerable import steerable_analysis, steerable_synthesis
from fastmag.kernels.cuda.temporal import bandpass, bandpass_backward, bandpass_forward

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
