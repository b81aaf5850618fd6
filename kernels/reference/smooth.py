"""Smoothing of maps over time and over space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels import plans
from fastmag.kernels.reference._out import into


def smooth_time(x: NDArray, width: int, out: NDArray | None = None) -> NDArray:
    """Centred mean over `width` frames (odd), the first and last frame repeated beyond the ends.

    x (T, ...). Returns (T, ...). Equals scipy.ndimage.uniform_filter1d(x, width, axis=0, mode="nearest").
    """
    at = np.arange(len(x))[:, None] + np.arange(width) - width // 2
    return into(out, x.astype(np.float64)[np.clip(at, 0, len(x) - 1)].mean(axis=1))


def smooth_space(x: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """Gaussian of `sigma` cells over the last two axes, edges mirrored, cut at 4 sigma.

    x (T, h, w). Returns (T, h, w). Equals scipy.ndimage.gaussian_filter(x, (0, sigma, sigma)).
    """
    taps = plans.gaussian(float(sigma))
    reach = len(taps) // 2
    x = x.astype(np.float64)
    for axis in (1, 2):
        wide = x.take(plans.mirrored(x.shape[axis], reach), axis)
        windows = np.lib.stride_tricks.sliding_window_view(wide, len(taps), axis)
        x = windows @ taps
    return into(out, x)
