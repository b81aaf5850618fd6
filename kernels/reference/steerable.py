"""The complex steerable pyramid: frames to subbands and back, through the whole two-sided spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels.reference._out import into
from fastmag.pyramids import Steerable


def _places(plan: Steerable, level: int) -> tuple[NDArray, NDArray]:
    """Where the frequencies of a level's box are in the frame's spectrum."""
    rows, columns = (np.rint(np.fft.fftfreq(n, 1 / n)).astype(int) for n in plan.sizes[level])
    return rows[:, None] % plan.shape[0], columns % plan.shape[1]


def steerable_analysis(
    frames: NDArray,
    plan: Steerable,
    levels: Sequence[int] | None = None,
    out: Sequence[NDArray] | None = None,
    residual: NDArray | None = None,
) -> tuple[NDArray, ...]:
    """The complex subbands of frames: one array (B, K, h, w) a level, (h, w) = plan.sizes[level], in the frames' units.

    frames (B, H, W); plan of `fastmag.pyramids.steerable`; levels to compute, all by default; out: an array a level;
    residual (B, H, W // 2 + 1) complex: receives the part of the spectrum that no level carries, for a full rebuild.
    A subband is the frame filtered by plan.masks(level), sampled every plan.spacing(level) pixels.
    """
    spectrum = np.fft.fft2(frames.astype(np.float64), norm="forward")
    if residual is not None:
        into(residual, spectrum[..., : plan.shape[1] // 2 + 1] * plan.residual())
    subbands = []
    for level in range(plan.depth) if levels is None else levels:
        rows, columns = _places(plan, level)
        box = spectrum[:, None, rows, columns] * plan.masks(level)
        subbands.append(np.fft.ifft2(box, norm="forward"))
    return tuple(subbands if out is None else map(into, out, subbands))


def steerable_synthesis(
    subbands: Sequence[NDArray],
    plan: Steerable,
    levels: Sequence[int] | None = None,
    residual: NDArray | None = None,
    out: NDArray | None = None,
    overwrite: bool = False,
) -> NDArray:
    """The frames (B, H, W) whose subbands these are; of differences of subbands, the difference of the frames.

    subbands: one array (B, K, h, w) a level; levels they belong to, all by default (levels left out count as 0);
    residual as `steerable_analysis` gave it, 0 by default; overwrite: the subbands may be spoilt, which saves memory.
    """
    (H, W), batch = plan.shape, len(subbands[0])
    spectrum = np.zeros((batch, H, W), complex)
    for level, subband in zip(range(plan.depth) if levels is None else levels, subbands, strict=True):
        box = (np.fft.fft2(subband.astype(complex), norm="forward") * plan.masks(level)).sum(axis=1)
        at: Any = (slice(None), *_places(plan, level))
        np.add.at(spectrum, at, 0.5 * box)
    frames = np.fft.ifft2(spectrum, norm="forward").real
    return into(out, frames if residual is None else frames + np.fft.irfft2(residual, s=(H, W), norm="forward"))
