"""How the picture moves from frame to frame, from the local phases at the network's scale (Fleet and Jepson 1990).

Lines of constant phase move with the picture: the change of a phase is minus its slope in space times the displacement.
The four orientations of a place, and its neighbours, each give one such equation; their least squares, weighted by
energy, give the displacement, and in pixels, because the slopes are measured and not taken from the filter's centre.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fastmag import phase
from fastmag.ops import Ops

SMOOTHING = 1.5  # samples: sigma of the neighbourhood that moves together
RIDGE = np.float32(0.15)  # an amplitude of one grey level: where there is less to see, nothing is said to move
LARGEST = np.float32(1.0)  # radians from frame to frame that a phase may change
STEP = np.float32(phase.SIDE / phase.SHAPE[1])  # pixels of the network's square from sample to sample


def flow(subbands: np.ndarray, ops: Ops) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (T - 1, 2, h, w), across and down in pixels of the network's square, and the energy (T - 1, h, w)
    that they were read from, of subbands (T, 4, h, w)."""
    count, size = len(subbands) - 1, subbands.shape[2:]
    moved, power = np.empty((count, 2, *size), np.float32), np.empty((count, *size), np.float32)
    for t, (before, now) in enumerate(pairwise(subbands)):
        weight = ops.amplitude(before) * ops.amplitude(now)
        across, down = (slope(before, axis, ops) for axis in (2, 1))
        change = np.clip(ops.phase_difference(now, before), -LARGEST, LARGEST)
        products = across * across, across * down, down * down, -across * change, -down * change
        sums = np.stack([np.einsum("khw,khw->hw", weight, product) for product in products])
        xx, xy, yy, x, y = ops.smooth_space(sums, SMOOTHING)
        power[t] = xx + yy
        xx, yy = xx + RIDGE, yy + RIDGE
        moved[t] = np.stack([yy * x - xy * y, xx * y - xy * x]) / (xx * yy - xy * xy)
    return moved, power


def slope(subbands: np.ndarray, axis: int, ops: Ops) -> np.ndarray:
    """The slope of the phase in space, radians a pixel, of subbands (4, h, w): the mean of both neighbours'."""
    after = ops.phase_difference(np.roll(subbands, -1, axis), subbands)
    return (after + np.roll(after, 1, axis)) * (np.float32(0.5) / STEP)
