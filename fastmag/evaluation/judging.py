"""Judge every method on one clip, in one pass over its judged frames: a row for each method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from fastmag.evaluation.cases import ALPHA, SIMILAR_HZ, Case
from fastmag.evaluation.figures import Figures, Likeness, figures_of, matched_factor
from fastmag.evaluation.methods import USES_Y, Player, Reading, Scene
from fastmag.evaluation.metrics import Similar, luma
from fastmag.evaluation.rows import Flat
from fastmag.evaluation.sums import Sums

NOTHING_READ = Reading(*(float("nan"),) * len(fields(Reading)))


@dataclass(frozen=True)
class Row(Flat):
    """One method on one clip: see Figures, and Reading for the methods that use it (NaN for the others)."""

    MAIN: ClassVar = "deepmag"
    PARTS: ClassVar = {"figures": Figures, "reading": Reading}

    clip: str
    task: str
    seed: int
    pulse: bool
    method: str
    figures: Figures
    reading: Reading

    @property
    def present(self) -> bool:
        """Whether there is anything to magnify."""
        return self.pulse

    def said(self) -> str:
        """A few words while a run goes on."""
        figures, reading = self.figures, self.reading
        text = f"added {figures.added:.2f}"
        if self.pulse:
            text = f"{figures.above_nothing:+.1f} dB, gain {figures.gain:.1f}, {text}"
        if self.pulse and reading.rate_error == reading.rate_error:
            alike = f"r {reading.y_correlation:.3f}, {reading.wave_correlation:.3f}"
            text = f"{alike}, rate off by {reading.rate_error:.2f}, {text}"
        return text


def judge_case(case: Case, methods: Sequence[str], network) -> dict[str, tuple[Figures, Reading]]:
    """Figures and reading of every method on a case; `network` as InputGradient."""
    scene = Scene(case, network)
    players = {name: scene.player(name) for name in methods}
    reading = scene.reading() if set(methods) & set(USES_Y) else NOTHING_READ
    judged = compare(case, players)
    return {name: (judged[name], reading if name in USES_Y else NOTHING_READ) for name in methods}


def compare(case: Case, players: dict[str, Player]) -> dict[str, Figures]:
    """Figures of every player, each shown every judged frame once, and a few of them twice."""
    gathered = {name: Sums(case.frames.shape[1:3]) for name in players}
    for i, t in enumerate(case.judged):
        frame = case.frames[t]
        true, zones = case.magnified(i)
        for name, show in players.items():
            gathered[name].add(frame, show(i), true, zones)
    likeness = {name: Likeness() for name in players}
    for i in structure_frames(case.judged_fps, len(case.judged)):
        source = Similar(luma(case.frames[case.judged[i]]))
        true_plane = Similar(luma(case.magnified(i)[0]))
        for name, show in players.items():
            likeness[name].add(source, true_plane, show(i), matched_factor(gathered[name]))
    return {
        name: figures_of(gathered[name], likeness[name].means(), case.judged_fps, case.bpm / 60, ALPHA)
        for name in players
    }


def structure_frames(fps: float, count: int) -> range:
    """Which of `count` judged frames, fps a second, are compared by structure: about one a second, not the first, which
    some methods leave alone."""
    step = max(1, round(fps / SIMILAR_HZ))
    return range(min(step // 2, count - 1), count, step)
