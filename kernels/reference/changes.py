"""Full-size luma, and full-size changes added to frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels.reference._out import into


def luma(frame: NDArray, weights: tuple[float, float, float], out: NDArray | None = None) -> NDArray:
    """The weighted sum of three interleaved channels: frame (H, W, 3) uint8 or uint16. Returns (H, W) in levels."""
    return into(out, frame.astype(np.float64) @ np.array(weights))


def add_change(
    frame: NDArray, change: NDArray, low: float = 0, high: float = 255, out: NDArray | None = None
) -> NDArray:
    """frame + change, rounded half up and held in [low, high].

    frame (H, W[, C]) uint8 or uint16; change in levels, of the frame's shape, or (H, W) for all channels alike.
    A pixel outside [low, high] to begin with is not moved by the limits, and by the change only inwards.
    Returns the frame's shape and dtype.
    """
    change = change.astype(np.float64)
    total = np.floor(frame + (change[..., None] if change.ndim < frame.ndim else change) + 0.5)
    held = np.clip(total, np.minimum(frame, low), np.maximum(frame, high))
    return into(out, held.astype(frame.dtype))
