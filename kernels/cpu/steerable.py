"""The complex steerable pyramid on the CPU: one real transform a frame, one complex transform a subband.

Per level, one loop multiplies the one-sided filters into a box of fast size, and one inverse transform in place makes
the subband. The way back mirrors it and folds both halves of the spectrum together. Residuals stay in the spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import fft

from fastmag.errors import InputError
from fastmag.kernels.cpu._arrays import writing
from fastmag.kernels.cpu._jit import kernel
from fastmag.kernels.cpu._threads import spread
from fastmag.pyramids import Steerable

_COMPLEX: dict[np.dtype, np.dtype] = {
    np.dtype(np.float32): np.dtype(np.complex64),
    np.dtype(np.float64): np.dtype(np.complex128),
}


@lru_cache(maxsize=8)
def _masks(plan: Steerable, level: int, dtype: DTypeLike) -> NDArray:
    return plan.masks(level).astype(dtype)


@lru_cache(maxsize=2)
def _residual(plan: Steerable, dtype: DTypeLike) -> NDArray:
    return plan.residual().astype(dtype)


@kernel
def _gather(spectrum, masks, height, reach, box):
    """box (K, h, w) = the frame's half spectrum, the other half by symmetry, times the masks; last axis (re, im)."""
    orientations, h, w = masks.shape
    for k in range(orientations):
        box[k, reach[0] + 1 : h - reach[0]] = 0
    for ky in range(-reach[0], reach[0] + 1):
        row = spectrum[ky if ky >= 0 else ky + height]
        mirrored = spectrum[-ky if ky <= 0 else height - ky]
        for k in range(orientations):
            mask, into = masks[k, ky], box[k, ky]
            for x in range(reach[1] + 1):
                into[x, 0] = row[x, 0] * mask[x]
                into[x, 1] = row[x, 1] * mask[x]
            into[reach[1] + 1 : w - reach[1]] = 0
            for x in range(w - reach[1], w):
                into[x, 0] = mirrored[w - x, 0] * mask[x]
                into[x, 1] = -mirrored[w - x, 1] * mask[x]


@kernel
def _fold(box, masks, height, reach, scale, spectrum):
    """Add what the masked box (K, h, w) and its conjugate mirror image hold to the half spectrum of the frame."""
    orientations, w = masks.shape[0], masks.shape[2]
    for ky in range(-reach[0], reach[0] + 1):
        into = spectrum[ky if ky >= 0 else ky + height]
        for k in range(orientations):
            mask, row = masks[k, ky], box[k, ky]
            opposite, mirrored = masks[k, -ky], box[k, -ky]
            into[0, 0] += scale * (row[0, 0] * mask[0] + mirrored[0, 0] * opposite[0])
            into[0, 1] += scale * (row[0, 1] * mask[0] - mirrored[0, 1] * opposite[0])
            for x in range(1, reach[1] + 1):
                into[x, 0] += scale * (row[x, 0] * mask[x] + mirrored[w - x, 0] * opposite[w - x])
                into[x, 1] += scale * (row[x, 1] * mask[x] - mirrored[w - x, 1] * opposite[w - x])


@kernel
def _weigh(spectrum, weights, result):
    for y in range(weights.shape[0]):
        for x in range(weights.shape[1]):
            result[y, x, 0] = spectrum[y, x, 0] * weights[y, x]
            result[y, x, 1] = spectrum[y, x, 1] * weights[y, x]


def _parts(x: NDArray) -> NDArray:
    """A complex array as real ones: a last axis of (re, im)."""
    return x.view(x.real.dtype).reshape(*x.shape, 2)


def _levels(plan: Steerable, levels: Sequence[int] | None) -> Sequence[int]:
    chosen = range(plan.depth) if levels is None else levels
    if not all(0 <= level < plan.depth for level in chosen):
        raise InputError(f"levels must be 0 to {plan.depth - 1}; got {list(chosen)}: choose among them")
    return chosen


def steerable_analysis(
    frames: NDArray,
    plan: Steerable,
    levels: Sequence[int] | None = None,
    out: Sequence[NDArray] | None = None,
    residual: NDArray | None = None,
) -> tuple[NDArray, ...]:
    """The complex subbands of frames: one array (B, K, h, w) a level, (h, w) = plan.sizes[level], in the frames' units.

    frames (B, H, W), float64 for complex128 subbands, anything else for complex64; plan of
    `fastmag.pyramids.steerable`; levels to compute, all by default; out: an array a level;
    residual (B, H, W // 2 + 1) complex: receives the part of the spectrum that no level carries, for a full rebuild.
    A subband is the frame filtered by plan.masks(level), sampled every plan.spacing(level) pixels.
    """
    frames = np.asarray(frames)
    real = np.dtype(np.float64 if frames.dtype == np.float64 else np.float32)
    (H, W), batch, chosen = plan.shape, len(frames), _levels(plan, levels)
    if frames.shape[1:] != plan.shape:
        raise InputError(f"frames must be (B, {H}, {W}) for this plan; got {frames.shape}: make a plan of their size")
    rooms = [None] * len(chosen) if out is None else out
    shapes = [(batch, plan.orientations, *plan.sizes[level]) for level in chosen]
    subbands = tuple(writing(r, s, _COMPLEX[real]) for r, s in zip(rooms, shapes, strict=True))
    kept = None if residual is None else _parts(writing(residual, (batch, H, W // 2 + 1), _COMPLEX[real]))
    masks = [_masks(plan, level, real) for level in chosen]

    def analyse(start: int, stop: int) -> None:
        for b in range(start, stop):
            spectrum = _parts(fft.rfft2(np.asarray(frames[b], real), norm="forward", workers=1))
            if kept is not None:
                _weigh(spectrum, _residual(plan, real), kept[b])
            for level, mask, subband in zip(chosen, masks, subbands, strict=True):
                _gather(spectrum, mask, H, plan.reach(level), _parts(subband[b]))
                fft.ifft2(subband[b], norm="forward", overwrite_x=True, workers=1)

    spread(analyse, batch, 1, frames.size)
    return subbands


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
    (H, W), batch, chosen = plan.shape, len(subbands[0]), _levels(plan, levels)
    precision = subbands[0].dtype
    real = np.dtype(np.float64 if precision == np.complex128 else np.float32)
    for level, subband in zip(chosen, subbands, strict=True):
        expected = (batch, plan.orientations, *plan.sizes[level])
        if subband.shape != expected or subband.dtype != _COMPLEX[real] or not subband.flags.c_contiguous:
            raise InputError(
                f"subbands of level {level} must be contiguous {expected} {_COMPLEX[real]}; got {subband.shape} "
                f"{subband.dtype}: take them from steerable_analysis"
            )
    frames = writing(out, (batch, H, W), real)
    masks = [_masks(plan, level, real) for level in chosen]

    def synthesise(start: int, stop: int) -> None:
        spectrum = np.empty((H, W // 2 + 1), _COMPLEX[real])
        for b in range(start, stop):
            spectrum[...] = 0 if residual is None else residual[b]
            for level, mask, subband in zip(chosen, masks, subbands, strict=True):
                box = fft.fft2(subband[b], overwrite_x=overwrite, workers=1)
                scale = real.type(0.25 / (box.shape[1] * box.shape[2]))
                _fold(_parts(box), mask, H, plan.reach(level), scale, _parts(spectrum))
            frames[b] = fft.irfft2(spectrum, s=(H, W), norm="forward", overwrite_x=True, workers=1)

    spread(synthesise, batch, 1, frames.size)
    return frames
