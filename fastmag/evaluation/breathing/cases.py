"""A clip of a breathing person with its truth: every frame, and of the judged ones the true magnified frame too."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import maximum_filter

from fastmag.evaluation.shifts import REACH, grid
from fastmag.synthetic.parts import BACKGROUND, BETWEEN, HEAD, TORSO
from fastmag.synthetic.person import HEAD_RISE, RISE

ALPHA = 4.0  # the true magnified clips breathe five times as deep
JUDGED_HZ = 5.0  # frames a second that are judged
PAPER_ROWS = 492  # distances are in pixels of a picture of so many rows, whatever the clip's
BESIDE = 4  # a kind of its own: background, within a patch's side of the body
SHARE = 0.9  # of a patch's pixels that show one part of the body, for the patch to belong to it


@dataclass(frozen=True)
class BreathAsk:
    """What to render: a task with its letter, a seed, breathing or with the breath held, other fields of Settings."""

    task: str
    seed: int
    breathing: bool = True
    render: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What tells clips of one run apart."""
        return f"{self.task} {self.seed}" + ("" if self.breathing else " held")

    @property
    def present(self) -> bool:
        """Whether there is anything to read and magnify."""
        return self.breathing

    def case(self) -> BreathCase:
        """Render it. Memory: about 5 bytes a pixel and frame. Raises InputError as synthetic.Shot does."""
        from fastmag.synthetic import Settings, Shot

        depth = 1.0 if self.breathing else 0.0
        settings = Settings(task=self.task, breath_factor=depth, **self.render)
        shot, deep = Shot(self.seed, settings), Shot(self.seed, replace(settings, breath_factor=depth * (1 + ALPHA)))
        judged = judged_frames(shot.n, settings.fps)
        frames = np.stack([frame for frame, *_ in shot.frames(1)])
        kinds = np.stack([_both(shot, deep, int(t)) for t in judged])
        if not self.breathing:
            true = frames[judged]
        elif settings.crf:  # the encoder needs all frames before one
            wanted = set(judged.tolist())
            true = np.stack([frame for t, (frame, *_) in enumerate(deep.frames(1)) if t in wanted])
        else:
            true = np.stack([deep.frame(int(t))[0] for t in judged])
        rise = depth * (RISE + HEAD_RISE) * shot.camera.scale * PAPER_ROWS
        return BreathCase(self.name, frames, settings.fps, shot.breath, rise, judged, true, kinds, self.breathing)


@dataclass
class BreathCase:
    """frames (T, H, W, 3) uint8 RGB at fps; breath (T,), its true wave, and rise, how far 1 of it lifts the shoulders,
    in pixels of PAPER_ROWS rows; judged (J,) frame numbers; true (J, H, W, 3) uint8, those frames (1 + ALPHA) times as
    deep; kinds (J, H, W) uint8 of synthetic.parts, in both of them alike, or BESIDE; breathing: False with the breath
    held."""

    name: str
    frames: np.ndarray
    fps: float
    breath: np.ndarray
    rise: float
    judged: np.ndarray
    true: np.ndarray
    kinds: np.ndarray
    breathing: bool = True

    @property
    def judged_fps(self) -> float:
        """Judged frames a second."""
        return self.fps / float(self.judged[1] - self.judged[0])

    @property
    def pixel(self) -> float:
        """What a pixel of this clip counts in one of PAPER_ROWS rows."""
        return PAPER_ROWS / self.frames.shape[1]

    def patches(self, i: int) -> np.ndarray:
        """What each patch of shifts.grid shows in judged frame i, (n,) uint8: BETWEEN for several parts."""
        side, corners = grid(self.kinds.shape[1:])
        found = np.full(len(corners), BETWEEN, np.uint8)
        for k, (y, x) in enumerate(corners):
            counts = np.bincount(self.kinds[i, y : y + side, x : x + side].ravel(), minlength=BESIDE + 1)
            kind = int(counts[:BETWEEN].argmax())
            if kind != BACKGROUND and counts[kind] >= SHARE * side * side:
                found[k] = kind
            elif counts[BACKGROUND] + counts[BESIDE] == side * side:
                found[k] = BESIDE if counts[BESIDE] else BACKGROUND
        return found


def judged_frames(count: int, fps: float) -> np.ndarray:
    """The numbers of the frames that are judged, of `count` at fps."""
    return np.arange(0, count, max(1, round(fps / JUDGED_HZ)))


def _both(shot, deep, t: int) -> np.ndarray:
    """The parts in frame t: background where it is that in the deeper clip too, out of the body's reach, and BESIDE
    within a patch's side of it; torso and head as the clip has them."""
    from fastmag.synthetic.parts import parts

    here = parts(shot, t)
    body = (here != BACKGROUND) | (parts(deep, t) != BACKGROUND)
    near = maximum_filter(body, 2 * (REACH + grid(body.shape)[0]) + 1)
    outside = np.where(near, np.uint8(BESIDE), np.uint8(BACKGROUND))
    outside[maximum_filter(body, 2 * REACH + 1)] = BETWEEN
    return np.where(here == BACKGROUND, outside, here)


__all__ = ["ALPHA", "BACKGROUND", "BESIDE", "BETWEEN", "HEAD", "TORSO", "BreathAsk", "BreathCase", "judged_frames"]
