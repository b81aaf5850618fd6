"""Levels of Gaussian and Laplacian pyramids (Burt and Adelson 1983)."""

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


def pyramid_down(x: NDArray, out: NDArray | None = None) -> NDArray:
    """The next coarser level of a Gaussian pyramid.

    x (H, W). Returns (ceil(H / 2), ceil(W / 2)); its pixel (i, j) lies at (2 i, 2 j).
    """
    return into(out, _halve(_halve(x.astype(np.float64), 0), 1))


def _double(x: NDArray, axis: int, size: int) -> NDArray:
    """Zeros between the samples, mirrored about the first and the last of `size`, blurred by (1 4 6 4 1) / 8."""
    shape = list(x.shape)
    shape[axis] = size
    stuffed = np.zeros(shape)
    stuffed[tuple(slice(None, None, 2) if k == axis else slice(None) for k in range(x.ndim))] = x
    wide = stuffed.take(plans.reflected(size, 2), axis)
    doubled = np.lib.stride_tricks.sliding_window_view(wide, 5, axis) @ (2 * np.array(plans.BINOMIAL))
    return doubled if size > 1 else x


def pyramid_up_add(x: NDArray, coarse: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
    """gain * x + the next coarser level, enlarged to x's size.

    x (H, W), coarse (ceil(H / 2), ceil(W / 2)). Returns (H, W). A level of the Laplacian pyramid is gain 1 with
    coarse = -pyramid_down(x).
    """
    wide = _double(_double(coarse.astype(np.float64), 0, x.shape[0]), 1, x.shape[1])
    return into(out, gain * x.astype(np.float64) + wide)
