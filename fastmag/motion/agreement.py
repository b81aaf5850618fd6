"""Where the body follows the breath, and how far: radians of phase per unit of the wave, element by element.

Over a window that slides along the clip, the phase velocity of an element is regressed on y. The slope is kept where
both agree (the squared correlation), where the network looks (its L1-normalised gradient), where the element moves in
the passband rather than elsewhere, and where nothing moves fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import phase
from fastmag.ops import Ops
from fastmag.temporal import butterworth

KNOTS_PER_SECOND = 2.0  # maps a second: they are smooth in time, the wave is not part of them
WINDOW_SECONDS, SPEED_SECONDS = 5.0, 0.5  # sigma of the Gaussians over time: of the regression, of the speed
SMOOTH_X, SMOOTH_SHARE, SMOOTH_MAP = 1.5, 2.0, 2.0  # sigma in samples of the subband
LARGEST_X, LARGEST_STEP = 1.0, 0.5  # radians from frame to frame, before and after smoothing
AGREES, LOOKS, IN_BAND = (0.5, 0.8), (0.4, 0.8), (0.1, 0.25)  # of rho^2, of |J|, of in-band power: from 0 to 1
BREATHES = (0.06, 0.14)  # pixels (root mean square) that trusted elements move with the wave: from no breath to one
RADIAN = 2.0 * phase.SIDE / phase.SMALL / np.pi  # pixels of the network's square: a wavelength of 4 samples is 2 pi
FAST = 0.35  # radians per 0.1 s at which a map has faded to 1/e


@dataclass(frozen=True)
class Motion:
    """What a section of a clip shows: X (T, 4, h, w), its energy A^2 (T, 4, h, w), and the network's L1-normalised
    |dy/dX| (S, 4, h, w) at the rows `marked` (S,)."""

    x: np.ndarray
    power: np.ndarray
    share: np.ndarray
    marked: np.ndarray


def maps_at(
    knots: np.ndarray, motion: Motion, y: np.ndarray, wave: np.ndarray, fps: float, passband, ops: Ops
) -> tuple[np.ndarray, float]:
    """Radians per pixel of the wave, (K, 4, h, w) float32, at the rows `knots` (K,), and how surely there is a breath.

    y (T,) and its integral, the wave (T,), are in the passband. Where no breath is found, the maps are 0.
    """
    count, sections = len(motion.x), butterworth(passband, fps)
    wide, brief = (window(knots, np.arange(count), seconds * fps) for seconds in (WINDOW_SECONDS, SPEED_SECONDS))
    sparse = window(knots, motion.marked, WINDOW_SECONDS * fps)
    steady = y.astype(np.float32)
    maps = np.empty((len(knots), *motion.x.shape[1:]), np.float32)
    moved = seen = np.float64(1e-12)
    for k in range(motion.x.shape[1]):
        x, power = (np.ascontiguousarray(part[:, k]) for part in (motion.x, motion.power))
        share = over_time(sparse, ops.smooth_space(np.ascontiguousarray(motion.share[:, k]), SMOOTH_SHARE))
        slope, trust = regress(x, power, steady, sections, wide, ops)
        here = over_time(brief, power)
        trust *= ramp(share, LOOKS) * still(x, power, here, brief, fps, ops)
        maps[:, k] = ops.smooth_amplitude_weighted(slope * trust, here, SMOOTH_MAP)
        weight = trust * here
        moved = moved + (weight * slope * slope).sum(axis=(1, 2), dtype=np.float64)
        seen = seen + weight.sum(axis=(1, 2), dtype=np.float64)
    pixels = np.sqrt(moved / seen * (wide.astype(np.float64) @ wave**2)) * RADIAN
    presence = ramp(pixels, BREATHES)
    return maps * presence.astype(np.float32)[:, None, None, None], float(presence.mean())


def window(knots: np.ndarray, rows: np.ndarray, sigma: float) -> np.ndarray:
    """Weights (K, T) of a Gaussian around every knot over the rows there are; each row of them sums to 1."""
    weights = np.exp(-0.5 * ((rows - knots[:, None]) / sigma) ** 2) + 1e-30
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def over_time(weights: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Weighted means (K, h, w) of a series (T, h, w)."""
    return (weights @ series.reshape(len(series), -1)).reshape(len(weights), *series.shape[1:])


def regress(x, power, y, sections, wide, ops: Ops) -> tuple[np.ndarray, np.ndarray]:
    """The slope of x on y around every knot, and how far it is to be trusted: both (K, h, w)."""
    raw = ops.smooth_amplitude_weighted(np.clip(x, -LARGEST_X, LARGEST_X), power, SMOOTH_X)
    total = over_time(wide, raw * raw)
    band = ops.bandpass(np.clip(raw, -LARGEST_STEP, LARGEST_STEP), sections)
    inside = over_time(wide, band * band)
    y_power = (wide @ (y * y))[:, None, None] + np.float32(1e-20)
    common = over_time(wide * y, band)
    agreement = common * common / (y_power * inside + np.float32(1e-20))
    return common / y_power, ramp(agreement, AGREES) * ramp(inside / (total + np.float32(1e-7)), IN_BAND)


def still(x, power, here, brief, fps: float, ops: Ops) -> np.ndarray:
    """1 where nothing moves fast around a knot, fading with the speed whichever way it goes: (K, h, w)."""
    moved = over_time(brief, np.minimum(np.abs(x), np.float32(LARGEST_X)) * power)
    speed = ops.smooth_amplitude_weighted(moved / (here + np.float32(1e-3)), here, SMOOTH_MAP)
    return np.exp(-((speed * np.float32(fps / 10 / FAST)) ** 2))


def ramp(x: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """0 below the limits, 1 above."""
    low, high = limits
    return np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
