"""Numba kernels for the CPU: the names and signatures of `fastmag.kernels.reference`, float32, on several threads."""

from fastmag.kernels.cpu._threads import set_threads, threads
from fastmag.kernels.cpu.ascent import ascend_step
from fastmag.kernels.cpu.color import normalized_difference, undo_normalized_difference
from fastmag.kernels.cpu.levels import downsample_gaussian
from fastmag.kernels.cpu.resample import downsample_bicubic, upsample_add
from fastmag.kernels.cpu.smooth import smooth_space, smooth_time
from fastmag.kernels.cpu.temporal import bandpass, bandpass_backward, bandpass_forward

__all__ = [
    "ascend_step",
    "bandpass",
    "bandpass_backward",
    "bandpass_forward",
    "downsample_bicubic",
    "downsample_gaussian",
    "normalized_difference",
    "set_threads",
    "smooth_space",
    "smooth_time",
    "threads",
    "undo_normalized_difference",
    "upsample_add",
]
