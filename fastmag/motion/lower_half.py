"""The judge without a network: how fast the lower half of the picture moves up or down."""

from __future__ import annotations

import numpy as np

UPRIGHT = 2  # the subband that sees what varies from top to bottom


def lower_half(x: np.ndarray, power: np.ndarray) -> np.ndarray:
    """The mean vertical phase velocity of the picture's lower half, weighed by power: (T,) float64, radians a frame.

    x (T, 4, h, w): phase differences; power (T, 4, h, w): A^2, see phase.energy. Positive where the picture moves up.
    A network has to be better than this to be worth its while.
    """
    half = x.shape[2] // 2
    angle, weight = x[:, UPRIGHT, half:].astype(np.float64), power[:, UPRIGHT, half:].astype(np.float64)
    return (angle * weight).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1e-12)
