"""Rendered clips reduced to 36x36 cells: small, and what a network is trained and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fastmag.kernels import plans
from fastmag.synthetic.render import Shot
from fastmag.synthetic.settings import Settings

CELLS = 36


@dataclass(frozen=True)
class CellClip:
    """A clip reduced to 36x36 cells: cells, pulsation_cells (T, 36, 36, 3) float32 in grey levels; the rest as in
    Clip."""

    cells: np.ndarray
    pulsation_cells: np.ndarray
    p: np.ndarray
    bpm: float
    fps: float
    yaw: np.ndarray
    amplitude: float
    task: str
    seed: int


@lru_cache(maxsize=16)
def _weights(n: int, m: int) -> np.ndarray:
    """(m, n) float32: the kernels' antialiased bicubic from n samples to m."""
    first, weights = plans.antialiased(n, m)
    dense = np.zeros((m, n), np.float32)
    np.put_along_axis(dense, first[:, None] + np.arange(weights.shape[1]), weights.astype(np.float32), 1)
    return dense


def reduce_to_cells(image: np.ndarray, cells: int = CELLS) -> np.ndarray:
    """(H, W, 3) uint8, or a change of any type, to (cells, cells, 3) float32, antialiased bicubic."""
    if image.dtype == np.uint8:
        from fastmag.kernels import cpu

        return cpu.downsample_bicubic(image, (cells, cells))
    h, w, c = image.shape
    rows = _weights(h, cells) @ image.astype(np.float32).reshape(h, -1)
    rows = rows.reshape(cells, w, c).transpose(1, 0, 2).reshape(w, -1)
    return (_weights(w, cells) @ rows).reshape(cells, cells, c).transpose(1, 0, 2).copy()


def render_cells(
    seed: int,
    task: str = "A",
    seconds: float = 20.0,
    fps: float = 30.0,
    threads: int | None = 1,
    start: int = 0,
    stop: int | None = None,
    **options,
) -> CellClip:
    """As render_clip, reduced to 36x36 cells frame by frame: small, and what a network is trained and judged on."""
    shot = Shot(seed, Settings(task=task, seconds=seconds, fps=fps, **options))
    at = shot.span(start, stop)
    cells = np.empty((len(at), CELLS, CELLS, 3), np.float32)
    pulsation = np.empty_like(cells)
    for t, (frame, change) in enumerate(shot.frames(threads, start, stop)):
        cells[t], pulsation[t] = reduce_to_cells(frame), reduce_to_cells(change)
    part = slice(at.start, at.stop)
    return CellClip(cells, pulsation, shot.p[part], shot.bpm, fps, shot.yaw[part], shot.amplitude, task, seed)
