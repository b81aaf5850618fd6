"""What is read from a clip: by the network, by the judge without one, or taken from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fastmag import models, passes, phase, respiration
from fastmag.backends import get
from fastmag.coherent.wave import filtered, mean_rate
from fastmag.evaluation.breathing.cases import BreathCase
from fastmag.gradients import InputGradient
from fastmag.motion.lower_half import lower_half
from fastmag.motion.view import View
from fastmag.motion.wave import breath as breath_of
from fastmag.params import Respiration
from fastmag.sources import ArraySink, ArraySource

NAN = float("nan")


@dataclass(frozen=True)
class BreathReading:
    """What was read: wave_correlation with the true breath within the passband, up to sign; rate and rate_error in
    breaths a minute, the error NaN with the breath held; quality in [0, 1], 0 for none found, NaN where none is told.
    """

    wave_correlation: float
    rate: float
    rate_error: float
    quality: float


NOTHING_READ = BreathReading(NAN, NAN, NAN, NAN)


@lru_cache(maxsize=4)
def network_of(model: str | None) -> InputGradient:
    """A network of one's own, or the shipped one, on one thread; loaded once in each process."""
    return InputGradient(model or models.path("respiration_gradient"), threads=1, expect=phase.SHAPE)


class Reader:
    """Reads a case; model: a network of one's own, or None."""

    def __init__(self, case: BreathCase, model: str | None = None):
        self.case, self.ops, self.params = case, get("cpu"), Respiration()
        self.source, self._model = ArraySource(case.frames, case.fps), model

    @property
    def network(self) -> InputGradient:
        """The network."""
        return network_of(self._model)

    def magnified(self, truly: bool = False) -> tuple[np.ndarray, BreathReading]:
        """The judged frames by the coherent form, and what it read; truly: as if y were the true one."""
        sink, y = ArraySink(self.source), self._true_velocity() if truly else None
        _, sections, fps = respiration.magnify_respiration(self.source, sink, self.params, self.network, self.ops, y=y)
        wave = np.zeros(sections[-1].stop)
        for section in sections:
            wave[section.start : section.stop] = section.wave
        lengths = np.array([section.stop - section.start for section in sections])
        quality = float(lengths @ [section.presence for section in sections] / lengths.sum())
        return np.ascontiguousarray(sink.array[self.case.judged]), self._compare(
            wave, 60 * sections[0].rate_hz, fps, quality
        )

    def read(self, by_network: bool) -> BreathReading:
        """The wave by the network's y, or by the lower half of the picture, without magnifying."""
        spool, _, fps = respiration.represent(self.source, View(self.source.picture, self.ops), self.params,
                                              passes.silent)  # fmt: skip
        with spool:
            y = (
                respiration.velocity(spool, fps, self.params.passband, self.network, self.ops)
                if by_network
                else self._lower(spool)
            )
        found = breath_of(y, fps, self.params.passband, self.ops)
        return self._compare(found.wave, 60 * found.rate_hz, fps, NAN)

    def _lower(self, spool) -> np.ndarray:
        parts = []
        for start, stop in respiration.batches(len(spool) - 1):
            subbands = phase.analyse(spool.read(start, stop + 1), self.ops)
            parts.append(lower_half(subbands, self.ops))
        return np.concatenate(parts)

    def _true_velocity(self) -> np.ndarray:
        """Of the shoulders, pixels of the network's square per 0.1 s, between the frames that are analysed."""
        height = self.case.breath[:: respiration.stride_of(self.case.fps)] * self.case.rise
        seconds = respiration.stride_of(self.case.fps) / self.case.fps
        return (np.diff(height) / (seconds * phase.ANALYSIS_FPS)).astype(np.float32)

    def _compare(self, wave: np.ndarray, rate: float, fps: float, quality: float) -> BreathReading:
        case, passband = self.case, self.params.passband
        if not case.breathing:
            return BreathReading(NAN, rate, NAN, quality)
        times = np.arange(len(case.breath)) / case.fps
        breath = np.interp(np.arange(len(wave)) / fps, times, case.breath)
        truth = filtered(breath - breath.mean(), passband, fps, self.ops.bandpass)
        correlation = abs(float(np.corrcoef(wave, truth)[0, 1])) if wave.any() else 0.0
        return BreathReading(correlation, rate, abs(rate - 60 * mean_rate(breath, fps, passband)), quality)
