"""Waves and rates: what the network reads from a video, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import deepmag, passes
from fastmag.coherent.estimate import estimate
from fastmag.coherent.wave import mean_rate
from fastmag.color import Cells
from fastmag.ops import Ops
from fastmag.params import Pulse

WINDOW_SECONDS, STEP_SECONDS = 10.0, 1.0  # of the rates over time


@dataclass(frozen=True)
class Measurement:
    """A pulse read from a video.

    times (T,) seconds; wave (T,) without unit, standard deviation 1 over a section; rate_bpm beats a minute over the
    whole clip (mean frequency, by phase); quality in [0, 1], 0 meaning that no pulse was found: then rate_bpm is only
    the likeliest guess; rate_times (K,) and rates_bpm (K,) in windows of 10 s; fps of the analysis.
    """

    times: np.ndarray
    wave: np.ndarray
    rate_bpm: float
    quality: float
    rate_times: np.ndarray
    rates_bpm: np.ndarray
    fps: float

    @property
    def present(self) -> bool:
        """Whether there is a pulse to speak of."""
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
    at, rates = windowed_rates(wave, fps, params.passband)
    return Measurement(
        grid, wave, 60 * mean_rate(wave, fps, params.passband), quality / total, grid[0] + at, 60 * rates, fps
    )


def windowed_rates(wave: np.ndarray, fps: float, passband) -> tuple[np.ndarray, np.ndarray]:
    """Rates in hertz in windows of 10 s, every second: (centres in seconds (K,), rates (K,)). One window if shorter."""
    n, step = min(len(wave), int(WINDOW_SECONDS * fps)), max(1, int(STEP_SECONDS * fps))
    starts = np.arange(0, len(wave) - n + 1, step)
    rates = np.array([mean_rate(wave[s : s + n], fps, passband) for s in starts])
    return (starts + n / 2) / fps, rates
