"""Local phase at the network's scale: a square of the luma as the subbands of one level, and their phase differences.

The paper's third scale is 123 x 123 of a 492 x 492 picture (section 3.3). Bicubic resampling to 492 x 492 and what that
level keeps of it, the frequencies below an eighth of a cycle a pixel, are both linear and separable. So a square of any
size is brought to 123 x 123 by one small matrix from either side, and level 0 of a pyramid of that size is level 2 of
one of 492 x 492.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.ops import Ops
from fastmag.places import near
from fastmag.pyramids import Steerable, steerable

ANALYSIS_FPS = 10.0  # of the network: at 30 frames a second the motion of a breath drowns in noise
SIDE, SMALL = 492, 123  # pixels of the working square, and of its third scale
SMALLEST_SIDE = 96  # pixels of a square that can be brought to SIDE: below, nothing of the third scale is left

PLAN: Steerable = steerable((SMALL, SMALL), depth=1)
SHAPE: tuple[int, int, int] = (PLAN.orientations, *PLAN.sizes[0])


def working_square(height: int, width: int, roi: tuple[int, int, int, int] | None = None) -> tuple[int, int, int]:
    """(top, left, side) of the centred square of the frame's shorter side, or of that of a region x, y, w, h.

    Raises InputError where it is too small to see the third scale.
    """
    x, y, w, h = roi or (0, 0, width, height)
    side = min(w, h)
    if side < SMALLEST_SIDE:
        what = "the region" if roi else "the frame"
        raise InputError(
            f"{what} must be at least {SMALLEST_SIDE} pixels high and wide to see breathing; got {w} x {h}: "
            "use a larger one"
        )
    return y + (h - side) // 2, x + (w - side) // 2, side


def shrink(luma: np.ndarray) -> np.ndarray:
    """Squares (B, side, side), any real type, at the third scale: (B, 123, 123) float32, in the same units."""
    matrix = near(_shrinking(luma.shape[-1]), luma)
    return matrix @ luma.astype(np.float32, copy=False) @ matrix.T


def analyse(small: np.ndarray, ops: Ops) -> np.ndarray:
    """Subbands (B, 4, 128, 128) complex64 of squares at the third scale (B, 123, 123)."""
    return ops.steerable_analysis(small, PLAN)[0]


def represent(luma: np.ndarray, ops: Ops) -> np.ndarray:
    """Subbands (B, 4, 128, 128) complex64, in the luma's units, of squares of luma (B, side, side), u8 or float.

    Level 2 of `steerable((492, 492))` of the squares resampled to 492 x 492 (antialiased bicubic).
    """
    return analyse(shrink(luma), ops)


def energy(subbands: np.ndarray, ops: Ops) -> np.ndarray:
    """A^2 (T - 1, ...) of each phase difference, |s(t)| |s(t + 1)|, of subbands (T, ...)."""
    amplitude = ops.amplitude(subbands)
    return amplitude[1:] * amplitude[:-1]


@lru_cache(maxsize=8)
def _shrinking(side: int) -> np.ndarray:
    """(123, side): to 492 by Keys' kernel, and of those the lowest 123 frequencies, sampled 123 times."""
    first, weights = plans.antialiased(side, SIDE)
    resize = np.zeros((SIDE, side))
    np.add.at(resize, (np.arange(SIDE)[:, None], first[:, None] + np.arange(weights.shape[1])), weights)
    spectrum = np.fft.rfft(resize, axis=0)[: SMALL // 2 + 1]
    matrix = (np.fft.irfft(spectrum, SMALL, axis=0) * (SMALL / SIDE)).astype(np.float32)
    matrix.flags.writeable = False
    return matrix
