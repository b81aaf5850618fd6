"""A clip with its truth, as the judges want it: every frame, and the pulsation of those frames that are judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fastmag.evaluation.sums import show

ALPHA = 10.0  # the factor of the true magnified clips
JUDGED_HZ = 10.0  # frames a second that are judged
SIMILAR_HZ = 1.0  # frames a second whose structure is compared
STRONG = 90  # percentile of the pulsation of skin


@dataclass(frozen=True)
class Ask:
    """What to render: a task with its letter, a seed, with or without a pulse, and other fields of Settings.

    start: the first of the recording's frames that is judged; those before it are not rendered.
    """

    task: str
    seed: int
    pulse: bool = True
    render: dict = field(default_factory=dict)
    start: int = 0

    @property
    def name(self) -> str:
        """What tells clips of one run apart."""
        return f"{self.task} {self.seed}" + ("" if self.pulse else " without")

    @property
    def present(self) -> bool:
        """Whether there is anything to read and magnify."""
        return self.pulse

    def case(self, threads: int | None = 1) -> Case:
        """Render it. Memory: 5 bytes a pixel and frame (20 s at 658x492 and 30 fps: 1 GB). Raises InputError as
        synthetic.render.Shot does."""
        from fastmag.synthetic import Settings, Shot

        shot = Shot(self.seed, Settings(task=self.task, pulse=self.pulse, **self.render))
        at = shot.span(self.start)
        pairs = shot.frames(threads, at.start, at.stop)
        truth = (shot.p[at.start : at.stop], shot.bpm, self.pulse)
        return gathered(self.name, pairs, (len(at), *shot.settings.size), shot.settings.fps, truth)


@dataclass
class Case:
    """frames (T, H, W, 3) uint8 RGB at fps; p (T,) the true pulse; judged (J,) frame numbers; pulsation (J, H, W, 3)
    float16, grey levels per unit of p, of these frames alone; bpm the true mean rate; pulse: whether there is one."""

    name: str
    frames: np.ndarray
    fps: float
    p: np.ndarray
    bpm: float
    judged: np.ndarray
    pulsation: np.ndarray
    pulse: bool = True
    _full: tuple | None = field(default=None, init=False, repr=False)
    _shown: tuple | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        some = self.pulsation[:: max(1, len(self.pulsation) // 20), ..., 1].astype(np.float32)
        self.reference = float(np.percentile(some[some > 0], STRONG)) if (some > 0).any() else 1.0

    @property
    def judged_fps(self) -> float:
        """Judged frames a second."""
        return self.fps / float(self.judged[1] - self.judged[0])

    def truth(self, i: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Judged frame i with `scale` times its pulsation added, in 8 bits (H, W, 3), and its zones: see
        sums.show."""
        frame = self.frames[self.judged[i]]
        true, zones = np.empty_like(frame), np.empty_like(frame)
        if self._full is None or self._full[0] != i:
            self._full = (i, self.pulsation[i].astype(np.float32))
        show(frame, self._full[1], np.float32(scale), np.float32(self.reference), true, zones)
        return true, zones

    def magnified(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Judged frame i of the true magnified clip, and its zones. The last one is kept: several judges ask for it."""
        if self._shown is None or self._shown[0] != i:
            self._shown = (i, self.truth(i, ALPHA * float(self.p[self.judged[i]])))
        return self._shown[1]


def stride(fps: float) -> int:
    """Every how many frames one is judged."""
    return max(1, round(fps / JUDGED_HZ))


def gathered(
    name: str, pairs: Iterable[Sequence[np.ndarray]], shape: tuple[int, int, int], fps: float,
    truth: tuple[np.ndarray, float, bool],
) -> Case:  # fmt: skip
    """A case from (frame, pulsation, ...) in order; shape (T, H, W); truth: p (T,), bpm, whether there is a pulse."""
    step = stride(fps)
    judged = np.arange(0, shape[0], step)
    frames = np.empty((*shape, 3), np.uint8)
    pulsation = np.empty((len(judged), *shape[1:], 3), np.float16)
    for t, pair in enumerate(pairs):
        frames[t] = pair[0]
        if t % step == 0:
            pulsation[t // step] = pair[1]
    p, bpm, pulse = truth
    return Case(name, frames, fps, np.asarray(p, np.float64), float(bpm), judged, pulsation, pulse)
