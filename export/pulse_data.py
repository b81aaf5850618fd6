"""The data set of the pulse network: rendered people, reduced to cells at once, one small file a clip."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag.coherent.estimate import DELTA
from fastmag.processes import pool

SIZE = (144, 192)  # rows and columns that are rendered: 21 pixels a cell, whose noise is that of a poor camera
HELD_OUT = 10  # one person in ten judges and is never trained on
TASKS = "AATTTBCCDD"
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
    if heads and rng.random() < 0.55:
        options["head"] = str(rng.choice(list(heads)))
    return options


def render(folder: Path, seed: int, index: int, seconds: float, heads: Sequence[str]) -> Path:
    """Render clip `index` into the folder, unless it is there. The same arguments give the same numbers."""
    from fastmag.synthetic import render_cells

    path = folder / f"clip-{index:05d}.npz"
    if not path.exists():
        options = settings(seed, index, heads)
        clip = render_cells(1000 * seed + index, seconds=seconds, fps=30, size=SIZE, texture_rows=256, **options)
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
    folder.mkdir(parents=True, exist_ok=True)
    with pool(jobs) as workers:
        futures = [workers.submit(render, folder, seed, i, seconds, heads) for i in range(clips)]
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
    data = np.load(path)
    cells, p = np.maximum(data["cells"], 0), data["p"].astype(np.float64)
    x = (cells[1:] - cells[:-1]) / (cells[1:] + cells[:-1] + 2 * np.float32(DELTA))
    y = np.diff(p)
    y = (y - y.mean()) / max(y.std(), 1e-9)
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)
    return ClipFile(x, y.astype(np.float32), str(data["task"]), held_out(index))
