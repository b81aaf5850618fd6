"""The data set of the pulse network: rendered people, reduced to cells at once, one small file a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag.coherent.estimate import DELTA
from fastmag.processes import pool
from fastmag.synthetic import Recording, recordings

SIZE = (144, 192)  # rows and columns that are rendered: 21 pixels a cell, whose noise is that of a poor camera
FINE, FINE_SHARE = 5 / 3, 0.25  # times these rows and columns, in so many clips: what a better camera sees
HELD_OUT = 10  # one person in ten judges and is never trained on
KNOWN = 0.8  # of the time of a recording of the cast is trained on; the rest judges
TASKS = "ATTTBCCDDD"  # the more the head moves, the more there is to learn
HARD = ("moving", "flicker", "wild")


@dataclass(frozen=True)
class ClipFile:
    """One rendered clip: X (T - 1, 3, 36, 36) float32, y (T - 1,) float32 with unit standard deviation, its task."""

    x: np.ndarray
    y: np.ndarray
    task: str
    held_out: bool


def settings(seed: int, index: int, heads: Sequence[str]) -> dict:
    """What clip `index` shows; everything not said here is drawn by the renderer from the same seed."""
    rng = np.random.default_rng([seed, index, 11])
    task = TASKS[index % len(TASKS)]
    options: dict = {"task": task, "framing": "any" if rng.random() < 0.6 else "portrait"}
    options["lively"] = bool(rng.random() < 0.5)
    options["repeat"] = bool(rng.random() < 0.15)
    if rng.random() < 0.4:
        options["background"] = str(rng.choice(HARD))
    elif task in "AT" and rng.random() < 0.3:
        options["background"] = "plain"
    options["crf"] = int(rng.integers(8, 22)) if rng.random() < 0.3 else 0
    scale = FINE if rng.random() < FINE_SHARE else 1.0
    options["size"] = tuple(round(side * scale) // 2 * 2 for side in SIZE)
    if heads and rng.random() < 0.55:
        options["head"] = str(rng.choice(list(heads)))
    return options


def render(folder: Path, seed: int, index: int, seconds: float, heads: Sequence[str]) -> Path:
    """Render clip `index` into the folder, unless it is there. The same arguments give the same numbers."""
    options = settings(seed, index, heads)
    return _render(folder / f"clip-{index:05d}.npz", 1000 * seed + index, seconds, options)


def render_recording(folder: Path, what: Recording, seconds: float) -> Path:
    """Render a recording of a cast into the folder, unless it is there: the person as filmed, nothing made harder."""
    return _render(
        folder / f"{what.name}.npz", what.seed, seconds, {"task": what.task, "person": what.member, "size": SIZE}
    )


def _render(path: Path, seed: int, seconds: float, options: dict) -> Path:
    from fastmag.synthetic import render_cells

    if not path.exists():
        clip = render_cells(seed, seconds=seconds, fps=30, texture_rows=256, antialias=3, **options)
        part = path.with_suffix(".part.npz")
        np.savez(part, cells=clip.cells, p=clip.p, task=options["task"])
        os.replace(part, path)
    return path


def render_all(
    folder: Path,
    seed: int,
    clips: int,
    seconds: float,
    heads: Sequence[str],
    jobs: int | None,
    step: Callable[[], None],
) -> list[Path]:
    """All clips, by `jobs` processes; `step` is called after each."""
    return in_parallel(folder, [(render, seed, i, seconds, heads) for i in range(clips)], jobs, step)


def render_cast(
    folder: Path, seed: int, people: int, tasks: str, seconds: float, jobs: int | None, step: Callable[[], None]
) -> list[Path]:
    """Every recording of a cast (fastmag.synthetic.recordings, in that order), by `jobs` processes."""
    work = [(render_recording, what, seconds) for what in recordings(seed, people, tasks)]
    return in_parallel(folder, work, jobs, step)


def in_parallel(folder: Path, work: list[tuple], jobs: int | None, step: Callable[[], None]) -> list[Path]:
    """Call function(folder, *arguments) for every item of work, by `jobs` processes; `step` is called after each."""
    folder.mkdir(parents=True, exist_ok=True)
    with pool(jobs) as workers:
        futures = [workers.submit(function, folder, *arguments) for function, *arguments in work]
        paths = []
        for future in futures:
            paths.append(future.result())
            step()
    return paths


def held_out(index: int) -> bool:
    """Whether clip `index` judges: one in ten, of every task in turn (the tasks repeat every ten clips, too)."""
    return (7 * index + index // HELD_OUT) % HELD_OUT == HELD_OUT - 1


def load(path: Path, index: int) -> ClipFile:
    """Read one clip and form its X (Eq. 15) and y, the standardised derivative of the pulse."""
    cells, p, task = _read(path)
    return _clip(cells, p, task, held_out(index))


def load_recording(path: Path) -> tuple[ClipFile, ClipFile]:
    """Read a recording of a cast: the first 80 % of its time, to train on, and the rest, which is held out."""
    cells, p, task = _read(path)
    cut = known_frames(len(p))
    return _clip(cells[:cut], p[:cut], task, False), _clip(cells[cut:], p[cut:], task, True)


def known_frames(n: int) -> int:
    """How many of a recording's n frames are trained on, from its first; the others judge."""
    return round(KNOWN * n)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    data = np.load(path)
    return np.maximum(data["cells"], 0), data["p"].astype(np.float64), str(data["task"])


def _clip(cells: np.ndarray, p: np.ndarray, task: str, judges: bool) -> ClipFile:
    x = (cells[1:] - cells[:-1]) / (cells[1:] + cells[:-1] + 2 * np.float32(DELTA))
    y = np.diff(p)
    y = (y - y.mean()) / max(y.std(), 1e-9)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)
    return ClipFile(x, y.astype(np.float32), task, judges)
