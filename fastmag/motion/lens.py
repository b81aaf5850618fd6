"""What the respiration network is shown of phase differences: how far each place moved, and where there is texture.

A phase difference in radians does not say how fine the texture was that moved, so those of two places cannot be
compared. Divided by the slope of the phase in space they can: lines of constant phase move with the picture, so the
change of a phase is minus its slope times the displacement (Fleet and Jepson 1990). The four orientations of a place,
and its neighbours, each give one such equation; their least squares, weighted by energy, give the displacement in
pixels. It is linear in the phase differences, so that its transpose leads from the slope of y back to dy/dX.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import phase
from fastmag.ops import Ops

SMOOTHING = 1.5  # samples: sigma of the neighbourhood that moves together
RIDGE = np.float32(0.15)  # an amplitude of one grey level: where there is less to see, nothing is said to move
STEP = np.float32(phase.SIDE / phase.SHAPE[1])  # pixels of the network's square from sample to sample
LIMIT = np.float32(1.0)  # radians per 0.1 s at which a phase difference is cut
UNIT = np.float32(0.3)  # pixels per 0.1 s in which velocities are given: about a breath's
FASTEST, LEAST_TEXTURE = 8.0, 1 / 64  # UNITs at which a velocity is cut; weight of a place without texture


@dataclass(frozen=True)
class Lens:
    """Constants of B phase differences as far as the gradient is concerned: across, down (B, 4, h, w), the slopes of
    the phase, radians a pixel, times energy; inverse (B, 3, h, w), of the matrix of the least squares (xx, xy, yy);
    energy (B, 2, h, w), of what varies across, and down."""

    across: np.ndarray
    down: np.ndarray
    inverse: np.ndarray
    energy: np.ndarray


def lens(subbands: np.ndarray, ops: Ops) -> Lens:
    """Through which the T - 1 differences of consecutive subbands (T, 4, h, w), in grey levels, are seen."""
    before, weight = subbands[:-1], phase.energy(subbands, ops)
    flat = before.reshape(-1, *before.shape[2:])
    across, down = (slope(flat, axis, ops).reshape(before.shape) for axis in (2, 1))
    by_across, by_down = weight * across, weight * down
    pairs = ((by_across, across), (by_across, down), (by_down, down))
    xx, xy, yy = (ops.smooth_space(np.einsum("tkhw,tkhw->thw", *pair), SMOOTHING) for pair in pairs)
    energies = np.stack([xx, yy], axis=1)
    xx, yy = xx + RIDGE, yy + RIDGE
    inverse = np.stack([yy, -xy, xx], axis=1) / (xx * yy - xy * xy)[:, None]
    return Lens(by_across, by_down, inverse, energies)


def look(subbands: np.ndarray, ops: Ops) -> tuple[np.ndarray, Lens]:
    """X (T - 1, 4, h, w), the wrapped phase differences of consecutive subbands (T, 4, h, w), radians (Eq. 20), and the
    lens that they are seen through."""
    return ops.phase_difference(subbands[1:], subbands[:-1]), lens(subbands, ops)


def slope(subbands: np.ndarray, axis: int, ops: Ops) -> np.ndarray:
    """The slope of the phase in space, radians a pixel, of subbands (n, h, w): the mean of both neighbours'."""
    after = ops.phase_difference(np.roll(subbands, -1, axis), subbands)
    return (after + np.roll(after, 1, axis)) * (np.float32(0.5) / STEP)


def moved(x: np.ndarray, through: Lens, ops: Ops) -> np.ndarray:
    """Displacements (B, 2, h, w), across and down in pixels of the working square, of X (B, 4, h, w) in radians."""
    cut = np.clip(x, -LIMIT, LIMIT)
    sums = (np.einsum("tkhw,tkhw->thw", by, cut) for by in (through.across, through.down))
    across, down = (-ops.smooth_space(s, SMOOTHING) for s in sums)
    xx, xy, yy = (through.inverse[:, i] for i in range(3))
    return np.stack([xx * across + xy * down, xy * across + yy * down], axis=1)


def flow(subbands: np.ndarray, ops: Ops) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (T - 1, 2, h, w) between consecutive subbands (T, 4, h, w), as `moved`, and the energy
    (T - 1, h, w) that they were read from."""
    x, through = look(subbands, ops)
    return moved(x, through, ops), through.energy.sum(axis=1)


def seen(x: np.ndarray, through: Lens, ops: Ops) -> np.ndarray:
    """What the network takes (B, 4, h, w) of X (B, 4, h, w) in radians per 0.1 s: the velocity across and down, in UNIT
    pixels of the working square per 0.1 s, and the texture that it was read from, log(1 + energy / RIDGE)."""
    return np.concatenate([moved(x, through, ops) / UNIT, np.log1p(through.energy / RIDGE)], axis=1)


def back(slope_of_y: np.ndarray, x: np.ndarray, through: Lens, ops: Ops) -> np.ndarray:
    """dy/dX (B, 4, h, w) from the slope of y (B, 4, h, w) with respect to what the network takes: the transpose of
    `seen`, with the texture held; 0 where X is cut."""
    across, down = slope_of_y[:, 0] / UNIT, slope_of_y[:, 1] / UNIT
    xx, xy, yy = (through.inverse[:, i] for i in range(3))
    sums = (xx * across + xy * down, xy * across + yy * down)
    across, down = (ops.smooth_space(s, SMOOTHING)[:, None] for s in sums)
    return np.where(np.abs(x) < LIMIT, -(through.across * across + through.down * down), np.float32(0))
