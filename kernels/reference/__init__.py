"""The meaning of every kernel: float64 NumPy, short and slow, the judge of all other backends."""

from fastmag.kernels.reference.ascent import ascend_step
from fastmag.kernels.reference.color import normalized_difference, undo_normalized_difference
from fastmag.kernels.reference.levels import downsample_gaussian
from fastmag.kernels.reference.resample import downsample_bicubic, upsample_add
from fastmag.kernels.reference.smooth import smooth_space, smooth_time
from fastmag.kernels.reference.temporal import bandpass, bandpass_backward, bandpass_forward

__all__ = [
    "ascend_step",
    "bandpass",
    "bandpass_backward",
    "bandpass_forward",
    "downsample_bicubic",
    "downsample_gaussian",
    "normalized_difference",
    "smooth_space",
    "smooth_time",
    "undo_normalized_difference",
    "upsample_add",
]
