"""What speaks for a cell being skin that beats, as the skin network takes it: colour, |dy/dX|, what follows p."""

from __future__ import annotations

import numpy as np

from fastmag.coherent.regression import FAINTEST, INDEPENDENT, Evidence, box
from fastmag.ops import Ops

STRIDE = 3  # frames from one map to the next
WINDOWS = (6.0, 2.0)  # seconds over which a cell that the head passes may follow p; and the whole section
DOUBT = 0.3  # of a slope whose error is as large as itself, against what is known beforehand
COUNT, PRIOR = 18, 9  # clues of a cell, and which of them is the map so far


def clues(
    cells: np.ndarray, nearness: np.ndarray, prior: np.ndarray, evidence: Evidence, p_band: np.ndarray, fps: float,
    ops: Ops,
) -> np.ndarray:  # fmt: skip
    """The clues (N, 18, h, w) float32 at every third frame, about within -3..3.

    cells (T, h, w, 3); nearness (T, h, w): seed.nearness; prior (T, h, w): the map so far; p_band (T,).
    """
    at = slice(None, None, STRIDE)
    marked, near, map_ = cells[at], nearness[at], prior[at]
    light = np.log(np.maximum(marked, 0) + np.float32(4))
    tint = np.stack([light[..., 0] - light[..., 1], light[..., 2] - light[..., 1], light[..., 1]], -1)
    weight = np.minimum(near, 1) * map_ + np.float32(1e-6)
    weight /= weight.sum()
    apart = tint - np.tensordot(weight, tint, 3)
    own = apart / (np.sqrt(np.tensordot(weight, apart**2, 3)) + np.float32(0.05))
    steps = np.abs(np.diff(np.log(cells[..., 1] + np.float32(4)), axis=0, prepend=np.nan))
    steps[0] = steps[1]
    moving = ops.smooth_space(ops.smooth_time(steps, 5)[at], 1.0)
    noise = ops.smooth_space(ops.smooth_time(evidence.residual**2, 2 * int(fps) + 1)[at], 1.0)
    rows = [
        *np.moveaxis(2 * apart, -1, 0),
        *np.moveaxis(np.clip(own, -4, 4) / 2, -1, 0),
        tint[..., 2] - np.float32(np.log(128)),
        np.minimum(near, 2),
        np.log(near + np.float32(0.03)) / 2,
        map_,
        np.log10(moving + np.float32(1e-4)) + 2,
        np.log10(noise + np.float32(1e-8)) / 2 + 3,
        *followed(prior, evidence, p_band, fps, ops),
    ]
    return np.stack(rows, 1).astype(np.float32)


def followed(prior: np.ndarray, evidence: Evidence, p_band: np.ndarray, fps: float, ops: Ops) -> list[np.ndarray]:
    """How well cells follow p, in units of the usual skin's, over the section and over windows: for each a slope shrunk
    to the prior's, and how sure it is, at every third frame."""
    p = p_band.astype(np.float32)[:, None, None]
    q, pi = evidence.combined * p, evidence.precision * p * p
    usual = float((q * prior).sum(dtype=np.float64) / ((pi * prior * prior).sum(dtype=np.float64) + 1e-12))
    usual = max(usual, FAINTEST)
    likely = np.maximum(prior, np.float32(0.05))
    whole = [part.mean(0, keepdims=True) * (INDEPENDENT * len(p)) for part in (q * likely, pi * likely * likely)]
    n, d = (ops.smooth_space(part.astype(np.float32), 1.2) for part in whole)
    count = len(prior[::STRIDE])
    out = [np.repeat(part, count, 0) for part in shrunk(n / np.float32(usual) - d, d, usual)]
    for seconds in WINDOWS:
        frames = INDEPENDENT * seconds * fps
        n, d = (ops.smooth_space(box(part, seconds, fps, ops)[::STRIDE], 1.2) * np.float32(frames) for part in (q, pi))
        out += shrunk(n / np.float32(usual), d, usual)
    return out


def shrunk(over: np.ndarray, d: np.ndarray, usual: float) -> list[np.ndarray]:
    """A slope over / d held back by its doubt, in -2..3, and its certainty in 0..1."""
    doubt = np.float32(DOUBT / usual**2)
    return [np.clip(over / (d + doubt), -2, 3), d / (d + doubt)]
