"""What the respiration network is shown of phase differences: how far each place moved, and where there is texture.

A phase difference in radians does not say how fine the texture was that moved, so those of two places cannot be
compared. Divided by the slope of the phase in space they can: this is the least squares of motion/flow.py, which is
linear in the phase differences, so that its transpose leads from the slope of y back to dy/dX.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import phase
from fastmag.motion.flow import RIDGE, SMOOTHING, slope
from fastmag.ops import Ops

LIMIT = np.float32(1.0)  # radians per 0.1 s at which a phase difference is cut
UNIT = np.float32(0.3)  # pixels per 0.1 s in which velocities are given: about a breath's
FASTEST, LEAST_TEXTURE = 8.0, 1 / 64  # UNITs at which a velocity is cut; weight of a place without texture


@dataclass(frozen=True)
class Lens:
    """Constants of B phase differences as far as the gradient is concerned: across, down (B, 4, h, w), the slopes of
    the phase, radians a pixel, times energy; inverse (B, 3, h, w), of the matrix of the least squares (xx, xy, yy);
    texture (B, 2, h, w), log(1 + e / RIDGE) of the energy e of what varies across, or down."""

    across: np.ndarray
    down: np.ndarray
    inverse: np.ndarray
    texture: np.ndarray


def lens(subbands: np.ndarray, ops: Ops) -> Lens:
    """Through which the T - 1 differences of consecutive subbands (T, 4, h, w), in grey levels, are seen."""
    before, weight = subbands[:-1], phase.energy(subbands, ops)
    flat = before.reshape(-1, *before.shape[2:])
    across, down = (slope(flat, axis, ops).reshape(before.shape) for axis in (2, 1))
    by_across, by_down = weight * across, weight * down
    pairs = ((by_across, across), (by_across, down), (by_down, down))
    xx, xy, yy = (ops.smooth_space(np.einsum("tkhw,tkhw->thw", *pair), SMOOTHING) for pair in pairs)
    texture = np.log1p(np.stack([xx, yy], axis=1) / RIDGE)
    xx, yy = xx + RIDGE, yy + RIDGE
    inverse = np.stack([yy, -xy, xx], axis=1) / (xx * yy - xy * xy)[:, None]
    return Lens(by_across, by_down, inverse, texture)


def look(subbands: np.ndarray, ops: Ops) -> tuple[np.ndarray, Lens]:
    """X (T - 1, 4, h, w), the wrapped phase differences of consecutive subbands (T, 4, h, w), radians (Eq. 20), and the
    lens that they are seen through."""
    return ops.phase_difference(subbands[1:], subbands[:-1]), lens(subbands, ops)


def seen(x: np.ndarray, through: Lens, ops: Ops) -> np.ndarray:
    """What the network takes (B, 4, h, w) of X (B, 4, h, w) in radians per 0.1 s: the velocity across and down, in UNIT
    pixels of the working square per 0.1 s, and the texture that it was read from."""
    cut = np.clip(x, -LIMIT, LIMIT)
    sums = (np.einsum("tkhw,tkhw->thw", by, cut) for by in (through.across, through.down))
    across, down = (-ops.smooth_space(s, SMOOTHING) for s in sums)
    xx, xy, yy = (through.inverse[:, i] for i in range(3))
    moved = np.stack([xx * across + xy * down, xy * across + yy * down], axis=1) / UNIT
    return np.concatenate([moved, through.texture], axis=1)


def back(slope_of_y: np.ndarray, x: np.ndarray, through: Lens, ops: Ops) -> np.ndarray:
    """dy/dX (B, 4, h, w) from the slope of y (B, 4, h, w) with respect to what the network takes: the transpose of
    `seen`, with the texture held; 0 where X is cut."""
    across, down = slope_of_y[:, 0] / UNIT, slope_of_y[:, 1] / UNIT
    xx, xy, yy = (through.inverse[:, i] for i in range(3))
    sums = (xx * across + xy * down, xy * across + yy * down)
    across, down = (ops.smooth_space(s, SMOOTHING)[:, None] for s in sums)
    return np.where(np.abs(x) < LIMIT, -(through.across * across + through.down * down), np.float32(0))
