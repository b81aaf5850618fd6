"""A head that sways, with the heartbeat too, shifts its shading over the cells: find that translation and take it out.

Every frame is fitted by the map, per channel, and by one common translation of the log image.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fastmag.coherent.regression import QUANTISATION, box
from fastmag.ops import Ops
from fastmag.processes import cores

BLOCK = 32  # frames
LOUDEST = 30.0  # times the usual weight


@dataclass(frozen=True)
class Fit:
    """Per frame: `signal` (T, 3) per unit of the map, `shift` (T, 2) in cells along x and y, `weight` (T,)."""

    signal: np.ndarray
    shift: np.ndarray
    weight: np.ndarray


def weights(cells: np.ndarray, skin: np.ndarray, residual: np.ndarray, fps: float, ops: Ops) -> np.ndarray:
    """1 / residual in-band power of green on the skin (T, h, w), zero off it; the total power would halve the gain.

    No cell speaks far louder than is usual where the map is strong: a bright shirt has hardly any noise.
    """
    power = ops.smooth_space(box(residual**2, 2.0, fps, ops), 1.0)
    quiet = 1 / (power + (QUANTISATION / (cells[..., 1] + 4)) ** 2 + np.float32(1e-7))
    strong = quiet[skin > 0.5]
    if strong.size:
        quiet = np.minimum(quiet, LOUDEST * np.median(strong))
    return np.where(skin > 0.15, skin, 0) * quiet


def slopes_of(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log image's slopes along x and y, per cell: two (T, h, w, 3)."""
    log_cells = np.log(cells + np.float32(4))
    return np.gradient(log_cells, axis=2), np.gradient(log_cells, axis=1)


def fit(cells: np.ndarray, skin: np.ndarray, log_band: np.ndarray, weight: np.ndarray) -> Fit:
    """Least squares over the cells of each frame: log_band = skin * signal + shift . slopes."""
    with ThreadPoolExecutor(cores()) as pool:
        parts = list(pool.map(lambda t: _fit(cells[t], skin[t], log_band[t], weight[t]), blocks(len(cells))))
    return Fit(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def blocks(count: int) -> list[slice]:
    """Frames in blocks: their intermediate arrays stay in the cache and out of the peak of memory."""
    return [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def _fit(cells: np.ndarray, skin: np.ndarray, log_band: np.ndarray, weight: np.ndarray):
    """Signal, shift and weight of a block of frames, by the normal equations with the map eliminated."""
    slopes = slopes_of(cells)
    ws = weight * skin
    total = np.maximum(np.einsum("thw,thw->t", ws, skin).astype(np.float64), 1e-9)
    on_map = np.einsum("thw,thwc->tc", ws, log_band)
    cross = np.stack([np.einsum("thw,thwc->tc", ws, s) for s in slopes], 2).astype(np.float64)
    heavy = [weight[..., None] * s for s in slopes]
    on_slopes = np.stack([np.einsum("thwc,thwc->t", s, log_band) for s in heavy], 1)
    power = np.array([[np.einsum("thwc,thwc->t", a, b) for b in slopes] for a in heavy], np.float64).transpose(2, 0, 1)
    ridge = 1e-3 * np.trace(power, axis1=1, axis2=2) + 1e-9
    normal = power - np.einsum("tci,tcj->tij", cross, cross) / total[:, None, None] + ridge[:, None, None] * np.eye(2)
    target = on_slopes - np.einsum("tci,tc->ti", cross, on_map) / total[:, None]
    shift = np.linalg.solve(normal, target[..., None])[..., 0]
    return (on_map - np.einsum("tci,ti->tc", cross, shift)) / total[:, None], shift, total


def steady(cells: np.ndarray, near: np.ndarray, log_band: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The in-band log signal without the translation, where `near` (T, h, w) says that the head is."""
    out = np.empty_like(log_band)

    def fill(t: slice) -> None:
        moved = sum(
            shift[t, i].astype(np.float32)[:, None, None, None] * slope for i, slope in enumerate(slopes_of(cells[t]))
        )
        np.subtract(log_band[t], moved * near[t][..., None], out=out[t])

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(fill, blocks(len(cells))))
    return out
