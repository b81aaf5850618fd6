"""Waves and rates: what the network reads from a video, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import deepmag, passes, respiration
from fastmag.coherent.estimate import estimate
from fastmag.coherent.wave import mean_rate
from fastmag.color import Cells
from fastmag.motion.view import View
from fastmag.motion.wave import breath
from fastmag.ops import Ops
from fastmag.params import Pulse, Respiration

STEP_SECONDS = 1.0  # from one rate to the next
WINDOW_SECONDS = {"pulse": 10.0, "respiration": 30.0}
WORDS = {"pulse": ("pulse", "beats a minute"), "respiration": ("breathing", "breaths a minute")}


@dataclass(frozen=True)
class Measurement:
    """A pulse, or breathing, read from a video.

    times (T,) seconds; wave (T,) without unit, standard deviation about 1, of breathing up to its sign; rate_bpm beats
    or breaths a minute over the whole clip (mean frequency, by phase); quality in [0, 1], 0 meaning that none was
    found: then rate_bpm is only the likeliest guess; rate_times (K,) and rates_bpm (K,) in windows of 10 s (breathing:
    30 s); fps of the analysis; signal "pulse" or "respiration".
    """

    times: np.ndarray
    wave: np.ndarray
    rate_bpm: float
    quality: float
    rate_times: np.ndarray
    rates_bpm: np.ndarray
    fps: float
    signal: str = "pulse"

    @property
    def present(self) -> bool:
        """Whether there is a signal to speak of."""
        return self.quality > 0


def measure_pulse(source, params: Pulse, network, ops: Ops, progress=passes.silent) -> Measurement:
    """Read the pulse wave of a source; `network` as for deepmag.magnify_pulse. Raises InputError as that does."""
    deepmag.check_rate(source, params)
    spool, grid, fps = deepmag.represent(source, Cells(source.picture, ops), params, progress)
    wave, quality, total = np.zeros(len(spool)), 0.0, 0
    with spool:
        end = 0
        for start, stop in deepmag.sections_of(len(spool), fps):
            cells = spool.read(start, stop)
            found = estimate(cells, *deepmag.read_pulse(cells, fps, network, ops), fps, params.passband, ops)
            ramp = np.ones(stop - start)
            ramp[: end - start] = np.linspace(0, 1, end - start)
            wave[start:stop] = wave[start:stop] * (1 - ramp) + found.wave.p * ramp
            quality, total, end = quality + found.presence * (stop - start), total + stop - start, stop
            progress("measure", stop, len(grid))
    rate = mean_rate(wave, fps, params.passband)
    return measurement(grid, wave, fps, quality / total, params.passband, "pulse", rate)


def measure_respiration(source, params: Respiration, network, ops: Ops, progress=passes.silent) -> Measurement:
    """Read the wave of breathing; `network` as for respiration.magnify_respiration. Raises InputError as that does."""
    spool, grid, fps = respiration.represent(source, View(source.picture, ops), params, progress)
    with spool:
        y = respiration.velocity(spool, fps, params.passband, network, ops, progress)
        found = breath(y, fps, params.passband, ops)
        sections: list[respiration.Section] = []
        for _ in respiration.coherent_pieces(spool, grid, fps, y, found, params, network, ops, sections):
            progress("measure", sections[-1].stop, len(grid))
    lengths = np.array([section.stop - section.start for section in sections])
    quality = float(lengths @ [section.presence for section in sections] / lengths.sum())
    wave = found.whole / max(float(found.whole.std()), 1e-12)
    return measurement(grid, wave, fps, quality, params.passband, "respiration", found.rate_hz)


def measurement(
    grid, wave: np.ndarray, fps: float, quality: float, passband, signal: str, rate_hz: float
) -> Measurement:
    """A wave (T,) at the times `grid`, with its rate and its rates over time."""
    at, rates = windowed_rates(wave, fps, passband, WINDOW_SECONDS[signal])
    return Measurement(grid, wave, 60 * rate_hz, quality, grid[0] + at, 60 * rates, fps, signal)


def windowed_rates(
    wave: np.ndarray, fps: float, passband, seconds: float = WINDOW_SECONDS["pulse"]
) -> tuple[np.ndarray, np.ndarray]:
    """Rates in hertz in windows, every second: (centres in seconds (K,), rates (K,)). One window if shorter."""
    n, step = min(len(wave), int(seconds * fps)), max(1, int(STEP_SECONDS * fps))
    starts = np.arange(0, len(wave) - n + 1, step)
    rates = np.array([mean_rate(wave[s : s + n], fps, passband) for s in starts])
    return (starts + n / 2) / fps, rates
