"""Local phase and direction of Riesz pyramids (Wadhwa et al. 2014, and their report on quaternionic pyramids).

Subbands are (B, 2, h, w) complex, I + i R1 and I + i R2 of a band I and its Riesz transform: `fastmag.pyramids.riesz`.
I = A cos(phase), (R1, R2) = A sin(phase) (cos, sin of the direction), which a turn by half and a change of the phase's
sign leave as they are; phase times direction is the same for both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels.reference._out import into


def _parts(subbands: NDArray) -> tuple[NDArray, NDArray]:
    """The band (B, h, w) and its Riesz transform (B, 2, h, w)."""
    return subbands[:, 0].real.astype(np.float64), subbands.imag.astype(np.float64)


def riesz_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """The phase since `before`, times its direction: the logarithm of one quaternion over the other, k left out.

    Both (B, 2, h, w) complex. Returns (B, 2, h, w) in radians, across and down, of length 0 to pi; 0 where it has no
    direction.
    """
    (i, r), (j, s) = _parts(subbands), _parts(before)
    turn = r * j[:, None] - i[:, None] * s
    sine = np.hypot(turn[:, 0], turn[:, 1])
    angle = np.arctan2(sine, i * j + (r * s).sum(axis=1))
    return into(out, turn * (angle / np.where(sine > 0, sine, 1))[:, None])


def riesz_shift(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """What a shift of the phase by factor * delta adds to the band, exactly 0 where delta is.

    subbands (B, 2, h, w) complex; delta (B, 2, h, w) in radians times direction, |factor delta| <= 16384.
    Returns (B, 1, h, w) complex without an imaginary part, for `steerable_synthesis` with the plan's `bands()`.
    """
    band, transform = _parts(subbands)
    turn = factor * delta.astype(np.float64)
    angle = np.hypot(turn[:, 0], turn[:, 1])
    along = (turn * transform).sum(axis=1) / np.where(angle > 0, angle, 1)
    half = np.sin(0.5 * angle)
    return into(out, (-2 * half * (half * band + np.cos(0.5 * angle) * along))[:, None].astype(complex))


def riesz_amplitude(subbands: NDArray, out: NDArray | None = None) -> NDArray:
    """The local amplitude, twice, to weigh both parts of a phase with: (B, 2, h, w) of subbands (B, 2, h, w)."""
    band, transform = _parts(subbands)
    amplitude = np.sqrt(band**2 + (transform**2).sum(axis=1))
    return into(out, np.repeat(amplitude[:, None], 2, axis=1))
