"""Levels of a Gaussian pyramid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels import plans
from fastmag.kernels.reference._out import into


def _halve(x: NDArray, axis: int) -> NDArray:
    """Blur by (1 4 6 4 1) / 16, samples mirrored about the first and the last, and keep every second one."""
    wide = x.take(plans.reflected(x.shape[axis], 2), axis)
    blurred = np.lib.stride_tricks.sliding_window_view(wide, 5, axis) @ plans.BINOMIAL
    return blurred.take(np.arange(0, x.shape[axis], 2), axis)


def downsample_gaussian(frame: NDArray, levels: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """A level of the frame's Gaussian pyramid (Burt and Adelson 1983), counted apart for rows and columns.

    frame (H, W[, C]) uint8 or uint16; levels (down, across), 0 for the frame itself.
    Returns (ceil(H / 2**down), ceil(W / 2**across)[, C]) in levels; its pixel (i, j) lies at
    (i * 2**down, j * 2**across).
    """
    x = frame.astype(np.float64)
    for axis, count in enumerate(levels):
        for _ in range(count):
            x = _halve(x, axis)
    return into(out, x)
