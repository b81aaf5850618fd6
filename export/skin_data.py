"""The data set of the skin network: rendered people with the truth of where they beat, one small file a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fastmag import deepmag, models
from fastmag.backends import get
from fastmag.coherent.clues import STRIDE, clues
from fastmag.coherent.estimate import gather
from fastmag.coherent.regression import V
from fastmag.export.pulse_data import HARD, held_out, in_parallel
from fastmag.gradients import InputGradient
from fastmag.params import Pulse

SIZE = (200, 268)  # rows and columns that are rendered: 41 pixels a cell
SHORT = 0.4  # of the clips are half as long
NOISE = (0.12, 0.8)  # grey levels of the camera, drawn log-uniformly: a cell of 658x492 averages 6 times as many pixels
TASKS = "ADBCDTABCD"  # jerks are hardest, so there are more of them
FPS = 30
MOST = 3.0  # times the usual skin, of what a cell may beat


@dataclass(frozen=True)
class Lesson:
    """One clip at every third frame: clues (N, 18, 36, 36), how strongly each cell beats, 1 the usual skin, and how
    bright it is in the colour of the pulse (N, 36, 36), float16 all; its task; whether it judges."""

    clues: np.ndarray
    beating: np.ndarray
    bright: np.ndarray
    task: str
    held_out: bool


def settings(seed: int, index: int, seconds: float, heads: Sequence[str]) -> dict:
    """What clip `index` shows; everything not said here is drawn by the renderer from the same seed."""
    rng = np.random.default_rng([seed, index, 17])
    options: dict = {"task": TASKS[index % len(TASKS)], "framing": "any" if rng.random() < 0.4 else "portrait"}
    options["lively"] = bool(rng.random() < 0.3)
    options["repeat"] = bool(rng.random() < 0.1)
    if rng.random() < 0.25:
        options["background"] = str(rng.choice(HARD))
    options["crf"] = int(rng.integers(8, 22)) if rng.random() < 0.2 else 0
    options["noise"] = float(np.exp(rng.uniform(*np.log(NOISE))))
    options["seconds"] = seconds if rng.random() < 1 - SHORT else seconds / 2
    if heads and rng.random() < 0.45:
        options["head"] = str(rng.choice(list(heads)))
    return options


def make(folder: Path, seed: int, index: int, seconds: float, heads: Sequence[str]) -> Path:
    """Render clip `index` and gather its clues into the folder, unless it is there. The same arguments give the same
    numbers."""
    from fastmag.synthetic import render_cells

    path, options = folder / f"clip-{index:05d}.npz", settings(seed, index, seconds, heads)
    if not path.exists():
        clip = render_cells(1000 * seed + index, fps=FPS, size=SIZE, texture_rows=256, **options)
        beating, bright = truth(clip.cells[::STRIDE], clip.pulsation_cells[::STRIDE])
        part = path.with_suffix(".part.npz")
        parts = [a.astype(np.float16) for a in (seen(clip.cells), beating, bright)]
        np.savez(part, clues=parts[0], beating=parts[1], bright=parts[2], task=options["task"])
        os.replace(part, path)
    return path


def seen(cells: np.ndarray) -> np.ndarray:
    """The clues of cells (T, 36, 36, 3), told as the coherent form tells them, with the shipped pulse network."""
    cells, ops, passband = np.maximum(cells, 0), get("cpu"), Pulse().passband
    y, share = deepmag.read_pulse(cells, FPS, _network(), ops)
    known = gather(cells, y, share, FPS, passband, ops)
    return clues(cells, known.near, known.prior, known.evidence, known.p_band, FPS, ops)


@lru_cache(maxsize=1)
def _network() -> InputGradient:
    return InputGradient(models.path("pulse_gradient"), threads=1, expect=(3, 36, 36))


def truth(cells: np.ndarray, pulsation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How strongly cells (N, h, w, 3) beat along V, of their pulsation, over the usual skin; how bright they are."""
    light = np.maximum(cells, 0) * V
    power = (light**2).sum(-1)
    beating = (light * pulsation).sum(-1) / (power + 1)
    usual = float((power * beating**2).sum() / max(float((power * beating).sum()), 1e-9))
    return np.clip(beating / max(usual, 1e-9), 0, MOST), np.sqrt(power)


def make_all(
    folder: Path,
    seed: int,
    clips: int,
    seconds: float,
    heads: Sequence[str],
    jobs: int | None,
    step: Callable[[], None],
) -> list[Path]:
    """All clips, by `jobs` processes; `step` is called after each."""
    return in_parallel(folder, [(make, seed, i, seconds, heads) for i in range(clips)], jobs, step)


def load(path: Path, index: int) -> Lesson:
    """Read one clip; one in ten is held out."""
    data = np.load(path)
    return Lesson(data["clues"], data["beating"], data["bright"], str(data["task"]), held_out(index))
