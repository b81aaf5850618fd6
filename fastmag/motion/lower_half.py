"""The judge without a network: how fast the lower half of the picture moves up or down."""

from __future__ import annotations

import numpy as np

from fastmag import phase
from fastmag.ops import Ops

UPRIGHT = 2  # the subband that sees what varies from top to bottom


def lower_half(subbands: np.ndarray, ops: Ops) -> np.ndarray:
    """The mean vertical phase velocity of the picture's lower half, weighed by A^2: (T - 1,) float64, radians a frame,
    of subbands (T, 4, h, w). Positive where the picture moves up.

    A network has to be better than this to be worth its while.
    """
    lower = np.ascontiguousarray(subbands[:, UPRIGHT, subbands.shape[2] // 2 :])
    angle, weight = ops.phase_difference(lower[1:], lower[:-1]), phase.energy(lower, ops)
    angle, weight = angle.astype(np.float64), weight.astype(np.float64)
    return (angle * weight).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1e-12)
