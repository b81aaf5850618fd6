"""Where to start: the smoothed, saturated |dy/dX| of the network."""

from __future__ import annotations

import numpy as np

from fastmag.ops import Ops


def nearness(share: np.ndarray, ops: Ops) -> np.ndarray:
    """M / p95, M the share (T, h, w) smoothed over 5 frames and 1 cell, p95 of each frame."""
    smooth = ops.smooth_space(ops.smooth_time(share, 5), 1.0)
    return smooth / (high(smooth, 95) + 1e-12)


def saturate(near: np.ndarray) -> np.ndarray:
    """clip((nearness - 0.08) / 0.3, 0, 1): (T, h, w) in [0, 1]."""
    return np.clip((near - 0.08) / 0.3, 0, 1)


def gate(seed: np.ndarray, ops: Ops) -> np.ndarray:
    """1 where the seed is anywhere near, fading to 0 far from it: keeps skin-coloured walls out."""
    return np.clip(ops.smooth_space(ops.smooth_time(seed, 15), 4.0) / 0.25, 0, 1)


def high(cells: np.ndarray, percent: float) -> np.ndarray:
    """The percentile of each frame, (T, 1, 1)."""
    flat = cells.reshape(len(cells), -1)
    rank = min(flat.shape[1] - 1, round(percent / 100 * (flat.shape[1] - 1)))
    return np.partition(flat, rank, axis=1)[:, rank][:, None, None]
