"""The breath's wave from the network's y, its velocity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import phase
from fastmag.coherent.ends import foretold
from fastmag.coherent.wave import dominant_rate, filtered, mean_rate
from fastmag.ops import Ops

STEADY_HZ = 0.06  # how far a steady rhythm strays
NEAR = (0.85, 1.15)  # of a rate: where its exact value is looked for
AROUND = (0.75, 2.0)  # of the passband's ends: what a breath in it also holds, slow breaths and overtones
PAST_SECONDS, END_SECONDS = 5.0, 30.0  # that foretell a sample, and that tell how a clip goes on
BEYOND_PERIODS = 2.0  # of the passband's low end, by which a clip is continued


@dataclass(frozen=True)
class Breath:
    """Of T frames, in pixels of the network's square of 492, up to a sign that is the network's: `velocity` (T - 1,),
    from frame to frame, and `wave` (T,), both in the passband, which bends their ends; `position` (T,), the wave before
    the band-pass; `whole` (T,), what is magnified: the wave with all that belongs to it, see `whole_of`; rate_hz, the
    mean rate in hertz."""

    velocity: np.ndarray
    wave: np.ndarray
    position: np.ndarray
    whole: np.ndarray
    rate_hz: float


def breath(y: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> Breath:
    """The breath in y (T - 1,), pixels per 0.1 s read at `fps`, band-passed with zero phase over the whole clip."""
    velocity = (y - y.mean(dtype=np.float64)) * (phase.ANALYSIS_FPS / fps)
    position = np.concatenate([[0.0], np.cumsum(velocity)])
    wave, steady = (filtered(series, passband, fps, ops.bandpass) for series in (position, velocity))
    whole = whole_of(position, fps, passband, ops)
    return Breath(steady, wave, position, whole, rate(wave, position, fps, passband))


def whole_of(position: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> np.ndarray:
    """The wave (T,) as deep and as steep as it is, from the integral of y (T,).

    A narrow filter takes a part of each slow breath, and most of one at the end of a clip, where it sees a wave that
    breaks off. So the clip is continued at both ends by what it foretells, and what surrounds the passband is kept.
    """
    count = int(np.ceil(BEYOND_PERIODS * fps / passband[0]))
    longer = np.concatenate([beyond(position[::-1], count, fps)[::-1], position, beyond(position, count, fps)])
    around = AROUND[0] * passband[0], min(AROUND[1] * passband[1], 0.45 * fps)
    return filtered(longer, around, fps, ops.bandpass)[count : count + len(position)]


def beyond(position: np.ndarray, count: int, fps: float) -> np.ndarray:
    """The `count` samples after a position (T,), which may drift."""
    end = position[-round(END_SECONDS * fps) :]
    at = np.arange(len(end) + count)
    line = np.polyval(np.polyfit(at[: len(end)], end, 1), at)
    order = min(round(PAST_SECONDS * fps), (len(end) - 1) // 2)
    return line[len(end) :] + foretold(end - line[: len(end)], count, order)


def rhythm(wave: np.ndarray, fps: float, passband: tuple[float, float]) -> float:
    """The share of the power in the passband within 0.06 Hz of its strongest frequency."""
    n = max(1 << 13, 1 << int(np.ceil(np.log2(len(wave)))))
    power = np.abs(np.fft.rfft((wave - wave.mean()) * np.hanning(len(wave)), n)) ** 2
    frequency = np.fft.rfftfreq(n, 1 / fps)
    inside = np.where((frequency > passband[0]) & (frequency < passband[1]), power, 0)
    near = np.abs(frequency - frequency[inside.argmax()]) < STEADY_HZ
    return float(inside[near].sum() / max(inside.sum(), 1e-30))


def rate(wave: np.ndarray, position: np.ndarray, fps: float, passband: tuple[float, float]) -> float:
    """The mean rate in hertz: near the strongest of the wave in the passband, and from the position, whose ends are not
    bent."""
    strongest = dominant_rate(wave, fps, passband)
    return mean_rate(position, fps, (NEAR[0] * strongest, NEAR[1] * strongest))
