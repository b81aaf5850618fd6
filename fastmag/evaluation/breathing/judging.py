"""Judge every method on one breathing person, in one pass over the judged frames: a row for each method."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastmag.evaluation.breathing.cases import BACKGROUND, BESIDE, BETWEEN, BreathCase
from fastmag.evaluation.breathing.figures import BreathFigures, Gathered, figures_of
from fastmag.evaluation.breathing.methods import OURS, Player, Scene
from fastmag.evaluation.breathing.reading import NOTHING_READ, BreathReading
from fastmag.evaluation.judging import structure_frames
from fastmag.evaluation.metrics import Similar, luma
from fastmag.evaluation.rows import Flat
from fastmag.evaluation.shifts import Patches

NOTHING_SHOWN = BreathFigures(*(float("nan"),) * 14)


@dataclass(frozen=True)
class BreathRow(Flat):
    """One method on one clip, and the processor seconds that it took; rendering and judging count as those of
    "nothing"."""

    MAIN: ClassVar = OURS
    PARTS: ClassVar = {"figures": BreathFigures, "reading": BreathReading}

    clip: str
    task: str
    seed: int
    breathing: bool
    method: str
    figures: BreathFigures
    reading: BreathReading
    seconds: float

    @property
    def present(self) -> bool:
        """Whether there is anything to magnify."""
        return self.breathing

    def said(self) -> str:
        """A few words while a run goes on."""
        of = self.figures
        text = f"{self.method}: torso moved {of.torso:.2f} px"
        if self.breathing:
            text += f", {of.above_nothing:+.1f} dB, gain {of.gain:.1f}, correlation {of.correlation:.3f}"
        if self.breathing and self.reading.rate_error == self.reading.rate_error:
            text += f", r {self.reading.wave_correlation:.3f}, rate off by {self.reading.rate_error:.2f}"
        return text


def judge_clip(job: tuple[Any, tuple[str, ...], str | None]) -> list[BreathRow]:
    """Make one clip (a BreathAsk) and judge every method on it; with a network of one's own, or None."""
    ask, methods, model = job
    began = time.process_time()
    case = ask.case()
    scene = Scene(case, model)
    spent: dict[str, float] = {}
    players: dict[str, Player] = {}
    for name in sorted(methods, key=lambda name: name != OURS):
        since = time.process_time()
        if (player := scene.player(name)) is not None:
            players[name] = player
        spent[name] = time.process_time() - since
    judged = compare(case, players)
    spent[methods[0]] += time.process_time() - began - sum(spent.values())
    return [BreathRow(ask.name, ask.task, ask.seed, ask.breathing, name, judged.get(name, NOTHING_SHOWN),
                      scene.readings.get(name, NOTHING_READ), round(spent[name], 2)) for name in methods]  # fmt: skip


def compare(case: BreathCase, players: dict[str, Player]) -> dict[str, BreathFigures]:
    """Figures of every player, each shown every judged frame once, and a few of them twice."""
    own, true = {name: Gathered() for name in players}, Gathered()
    kinds, still = [], 0
    for i, t in enumerate(case.judged):
        frame, background = case.frames[t], np.isin(case.kinds[i], (BACKGROUND, BESIDE))
        patches = Patches(luma(frame))
        kinds.append(np.where(patches.clear, case.patches(i), np.uint8(BETWEEN)))
        on = kinds[-1] != BETWEEN
        still += 3 * int(background.sum())
        for new, gathered in ((case.true[i], true), *((show(i), own[name]) for name, show in players.items())):
            gathered.add(frame, new, case.true[i], background, _shifts(patches, frame, new, on))
    for i in structure_frames(case.judged_fps, len(case.judged)):
        source, true_plane = (Similar(luma(picture)) for picture in (case.frames[case.judged[i]], case.true[i]))
        for name, show in players.items():
            shown = Similar(luma(show(i)))
            own[name].alike.append((source(shown), true_plane(shown)))
    return {name: figures_of(case, own[name], true, np.array(kinds), still) for name in players}


def _shifts(patches: Patches, frame: np.ndarray, new: np.ndarray, on: np.ndarray) -> np.ndarray:
    if np.array_equal(frame, new):
        return np.zeros((len(on), 2))
    return patches.shifts(luma(new), on)
