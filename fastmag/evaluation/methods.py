"""Methods by name, as players: functions that show judged frame i of the magnified clip.

"nothing": the source; "true": the true magnified clip; "oracle": the true map with the p that was read, the ceiling of
any map; "deepmag": the coherent form; "deepmag-paper": the paper's form, "deepmag-paper@2" with strength 2; any other
name goes through fastmag.magnify. They share the cells, y and |dy/dX| of a clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastmag import deepmag, passes, presets
from fastmag.backends import get
from fastmag.coherent.local import SkinCells
from fastmag.coherent.wave import mean_rate
from fastmag.color import Cells
from fastmag.errors import InputError
from fastmag.evaluation.cases import ALPHA, Case
from fastmag.params import Pulse
from fastmag.sources import ArraySource
from fastmag.temporal import resample

Player = Callable[[int], np.ndarray]
OWN = ("nothing", "true", "oracle", "deepmag", "deepmag-paper")
USES_Y = ("oracle", "deepmag")


@dataclass(frozen=True)
class Reading:
    """What was read: y_correlation of the network's y, frame by frame, with the true dp/dt; wave_correlation, with the
    same, of the derivative of the wave that is magnified, in which y is one of three witnesses; rate_bpm and rate_error
    in beats a minute, the error NaN without a pulse; presence and confidence in [0, 1]; z: see coherent.amplitude."""

    y_correlation: float
    wave_correlation: float
    rate_bpm: float
    rate_error: float
    presence: float
    confidence: float
    z: float


class Scene:
    """A case and what its methods share; `network` as InputGradient."""

    def __init__(self, case: Case, network: Any):
        self.case, self.network, self.ops = case, network, get("cpu")
        self.source = ArraySource(case.frames, case.fps)
        self.cells, self.lit = Cells(self.source.picture, self.ops), SkinCells(self.source.picture, self.ops)
        self.params = Pulse(alpha=ALPHA)

    @cached_property
    def series(self):
        """(spool of cells, their times, frames a second)."""
        return deepmag.represent(self.source, self.cells, self.params, passes.silent)

    @cached_property
    def coherent(self):
        """(spool of changes, sections)."""
        spool, _, fps = self.series
        return deepmag.coherent_change(spool, fps, self.params, self.network, self.lit)

    @cached_property
    def p(self) -> np.ndarray:
        """The pulse that was read, (n,) with unit standard deviation; sections fade into each other."""
        sections = self.coherent[1]
        wave, end = np.zeros(len(self.series[0])), 0
        for section in sections:
            ramp = np.ones(section.stop - section.start)
            ramp[: end - section.start] = np.linspace(0, 1, max(end - section.start, 0))
            at = slice(section.start, section.stop)
            wave[at] = wave[at] * (1 - ramp) + section.found.wave.p * ramp
            end = section.stop
        return wave

    def y(self) -> np.ndarray:
        """y (n - 1,) of the first section."""
        return self.coherent[1][0].y

    def reading(self) -> Reading:
        """What the network read, against the truth."""
        case, fps, passband = self.case, self.series[2], self.params.passband
        first = self.coherent[1][0].found
        nan = float("nan")
        rate, error, alike = 60 * mean_rate(self.p, fps, passband), nan, (nan, nan)
        if case.pulse:
            truth = resample(case.p, np.arange(len(case.p)) / case.fps, self.series[1])
            error = abs(rate - 60 * mean_rate(truth, fps, passband))
            y, slope = self.y(), np.diff(truth)
            alike = alike_of(y, slope[: len(y)]), alike_of(np.diff(self.p), slope)
        return Reading(*alike, rate, error, float(first.presence), float(first.wave.confidence), float(first.z))

    def player(self, method: str) -> Player:
        """Judged frames by a method's name. Raises InputError for a name that does not exist."""
        case = self.case
        if method == "nothing":
            return lambda i: case.frames[case.judged[i]]
        if method == "true":
            return lambda i: case.magnified(i)[0]
        if method == "oracle":
            read = self._at_judged(self.p) * float(case.p.std())
            return lambda i: case.truth(i, ALPHA * float(read[i]))[0]
        if method == "deepmag":
            return self._cell_player(self.coherent[0], self.lit)
        if method.startswith("deepmag-paper"):
            params = Pulse(form="paper", strength=strength_of(method))
            spool, _, fps = self.series
            return self._cell_player(deepmag.paper_change(spool, fps, params, self.network, self.ops), self.cells)
        from fastmag.api import magnify

        kept = np.ascontiguousarray(magnify(case.frames, method=method, fps=case.fps)[case.judged])
        return kept.__getitem__

    def _at_judged(self, series: np.ndarray) -> np.ndarray:
        """A series over the analysed frames, at the judged ones."""
        return resample(series, self.series[1], self.case.judged / self.case.fps)

    def _cell_player(self, change, cells: Cells) -> Player:
        changes = self._at_judged(change.read(0, len(change)))
        frames, judged = self.case.frames, self.case.judged
        return lambda i: cells.reconstruct((frames[judged[i]],), changes[i])[0]


def alike_of(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two series (T,)."""
    return float(np.corrcoef(a, b)[0, 1])


def strength_of(method: str) -> float:
    """The strength in "deepmag-paper@2", 1 without one. Raises InputError for anything else."""
    name, _, strength = method.partition("@")
    try:
        value = float(strength or 1)
    except ValueError:
        value = -1.0
    if name != "deepmag-paper" or value < 0:
        raise InputError(f"unknown method {method!r}: {expected()}")
    return value


def rivals() -> tuple[str, ...]:
    """Names of the other methods that magnify colour."""
    return tuple(name for name in presets.METHODS if name.endswith("color"))


def expected() -> str:
    """Which names there are, for messages."""
    return f"choose among {', '.join((*OWN, *rivals()))}, or deepmag-paper@STRENGTH"


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once each, in order; all that exist for none. Raises InputError for one that does not exist."""
    for name in names:
        if name.startswith("deepmag-paper@"):
            strength_of(name)
        elif name not in OWN and (name not in presets.METHODS or name == "pulse"):
            raise InputError(f"unknown method {name!r}: {expected()}")
    return tuple(dict.fromkeys(names)) or (*OWN, *rivals())
