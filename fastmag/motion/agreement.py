"""Where the body follows the breath, and how far: pixels of displacement per pixel of the wave, place by place.

Over a window that slides along the clip, the motion of a place is regressed on y. Both components together: a shoulder
that rises with the breath while the body turns agrees along the one direction. The slope is kept where both agree (the
squared correlation), where the network looks (its L1-normalised gradient), where a share of the motion lies in the
passband, and where nothing else moves fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.motion.wave import Breath, rhythm
from fastmag.ops import Ops
from fastmag.temporal import butterworth

KNOTS_PER_SECOND = 2.0  # fields a second: they are smooth in time, the wave is not part of them
WINDOW_SECONDS, SPEED_SECONDS = 5.0, 0.5  # sigma of the Gaussians over time: of the regression, of the speed
SMOOTH_SHARE, SMOOTH_FIELD = 2.0, 2.0  # sigma in samples
LOST = np.float32(1.25)  # what the noise of y, and smoothing, take from the slope
BORDER = 5  # samples that a filter reaches
LARGEST_STEP = np.float32(1.3)  # pixels from frame to frame that breathing may take
AGREES, LOOKS, IN_BAND = (0.3, 0.6), (0.5, 0.9), (0.03, 0.1)  # of rho^2, of |J|, of in-band power: from 0 to 1
STARES = (0.8, 1.4)  # of |J|: the core of what the network looks at, by which the gate judges
FAST = 2.5  # pixels per 0.1 s of other motion at which a field has faded to 1/e
BREATHES = (0.006, 0.0067)  # share of the motion times root of pixels times rhythm: from no breath to one


@dataclass(frozen=True)
class Motion:
    """What a section of a clip shows: the flow (T, 2, h, w), its energy (T, h, w), and the network's L1-normalised
    |dy/dX| (S, h, w), the mean of the orientations, at the rows `marked` (S,)."""

    flow: np.ndarray
    power: np.ndarray
    share: np.ndarray
    marked: np.ndarray


def fields_at(
    knots: np.ndarray, motion: Motion, breath: Breath, rows: slice, passband, fps: float, sure: bool, ops: Ops
) -> tuple[np.ndarray, float]:
    """Pixels per pixel of the wave, (K, 2, h, w) float32, at the knots (K,), and how surely there is a breath.

    rows: the differences of the breath that the motion shows; knots are counted from the first of them. Where no breath
    is found, the fields are 0, unless the user is sure of one.
    """
    count, y, wave = len(motion.flow), breath.velocity[rows].astype(np.float32), breath.wave[1:][rows]
    wide, brief = (window(knots, np.arange(count), seconds * fps) for seconds in (WINDOW_SECONDS, SPEED_SECONDS))
    found = regress(motion, y, butterworth(passband, fps), wide, brief, ops)
    slope, trust, other, seen = map(held, (*found, over_time(brief, motion.power)))
    speed = ops.smooth_amplitude_weighted(other / (seen + np.float32(1e-3)), seen, SMOOTH_FIELD)
    trust *= np.exp(-((speed * np.float32(fps / 10 / FAST)) ** 2))
    sparse = window(knots, motion.marked, WINDOW_SECONDS * fps)
    looks = held(over_time(sparse, ops.smooth_space(motion.share, SMOOTH_SHARE)))
    trust *= ramp(looks, LOOKS)
    fields = [ops.smooth_amplitude_weighted(slope[:, i] * trust, seen, SMOOTH_FIELD) for i in (0, 1)]
    steady = rhythm(wave, fps, passband)
    likely = breathes(motion.flow, ramp(looks, STARES) * seen, y, wave, wide).mean() * steady
    presence = 1.0 if sure else float(ramp(likely, BREATHES))
    return np.stack(fields, axis=1) * np.float32(LOST * presence), presence


def breathes(flow: np.ndarray, weight: np.ndarray, y: np.ndarray, wave: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """How much of a breath y is, around every knot (K,): the share that it makes up of all motion where the network
    looks, times the root of its size in pixels. A held breath leaves a small y beside the body's sway."""
    moved = over_time(wide, np.einsum("tchw,tchw->thw", flow, flow))
    power = (moved * weight).sum(axis=(1, 2), dtype=np.float64) / (weight.sum(axis=(1, 2), dtype=np.float64) + 1e-9)
    size = wide.astype(np.float64) @ wave**2
    return np.sqrt((wide @ (y * y)) / (power + 1e-9)) * size**0.25


def held(x: np.ndarray) -> np.ndarray:
    """Maps (..., h, w) whose outermost samples repeat those further in: there filters see the opposite border, too."""
    inner = x[..., BORDER:-BORDER, BORDER:-BORDER]
    return np.pad(inner, [(0, 0)] * (x.ndim - 2) + [(BORDER, BORDER)] * 2, mode="edge")


def window(knots: np.ndarray, rows: np.ndarray, sigma: float) -> np.ndarray:
    """Weights (K, T) of a Gaussian around every knot over the rows there are; each row of them sums to 1."""
    weights = np.exp(-0.5 * ((rows - knots[:, None]) / sigma) ** 2) + 1e-30
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def over_time(weights: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Weighted means (K, ...) of a series (T, ...)."""
    return (weights @ series.reshape(len(series), -1)).reshape(len(weights), *series.shape[1:])


def regress(motion: Motion, y: np.ndarray, sections, wide, brief, ops: Ops) -> tuple[np.ndarray, ...]:
    """The slope (K, 2, h, w) of the flow on y around every knot, how far it is to be trusted (K, h, w), and the speed
    of all motion outside the passband, times energy (K, h, w)."""
    band = ops.bandpass(np.clip(motion.flow, -LARGEST_STEP, LARGEST_STEP), sections)
    y_power = (wide @ (y * y))[:, None, None] + np.float32(1e-20)
    common = over_time(wide * y, band)
    strength = np.sqrt((common * common).sum(axis=1))
    direction = common / (strength[:, None] + np.float32(1e-20))
    inside, total = (along(direction, series, wide) for series in (band, motion.flow))
    agreement = strength * strength / (y_power * inside + np.float32(1e-20))
    trust = ramp(agreement, AGREES) * ramp(inside / (total + np.float32(1e-6)), IN_BAND)
    band -= motion.flow
    other = over_time(brief, np.sqrt(np.einsum("tchw,tchw->thw", band, band)) * motion.power)
    return common / y_power[:, None], trust, other


def along(direction: np.ndarray, series: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean squares (K, h, w), over a window, of a series (T, 2, h, w) along a direction (K, 2, h, w) of length 1."""
    x, y = direction[:, 0], direction[:, 1]
    xx, xy, yy = (over_time(weights, series[:, i] * series[:, j]) for i, j in ((0, 0), (0, 1), (1, 1)))
    return x * x * xx + 2 * x * y * xy + y * y * yy


def ramp(x: np.ndarray | np.floating, limits: tuple[float, float]) -> np.ndarray:
    """0 below the limits, 1 above."""
    low, high = limits
    return np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)
