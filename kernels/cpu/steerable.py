"""The complex steerable pyramid on the CPU: one real transform a frame, one complex transform a subband.

Per level, one loop multiplies the one-sided filters into a box of fast size, and one inverse transform in place makes
the subband. The way back mirrors it and folds both halves of the spectrum together. Residuals stay in the spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

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


_Passes = tuple[int, tuple[slice, ...]]
"""An axis, and the parts of the other axis along which a subband's spectrum is not empty."""


class _Filters(NamedTuple):
    """What one level needs, in the precision of the frames."""

    masks: NDArray
    reach: tuple[int, int]
    passes: tuple[_Passes, ...]


_WHOLE = 1 << 14
"""Samples of a subband from which on it is worth two calls more to leave out empty parts of its spectrum."""


@lru_cache(maxsize=32)
def _filters(plan: Steerable, level: int, dtype: DTypeLike) -> _Filters:
    masks = plan.masks(level)
    passes = tuple(map(_passes, masks)) if masks[0].size >= _WHOLE else ()
    return _Filters(masks.astype(dtype), plan.reach(level), passes)


def _passes(mask: NDArray) -> _Passes:
    """The axis to transform first, and where: the one that has more empty lines across."""
    filled = [np.flatnonzero(mask.any(axis)) for axis in (0, 1)]
    axis = 0 if len(filled[0]) * mask.shape[0] <= len(filled[1]) * mask.shape[1] else 1
    n, found = mask.shape[1 - axis], filled[axis]
    right, left = found[2 * found < n], found[2 * found >= n]
    parts = [slice(int(part[0]), int(part[-1]) + 1) for part in (right, left) if len(part)]
    return axis, tuple(parts)


@lru_cache(maxsize=2)
def _residual(plan: Steerable, dtype: DTypeLike) -> NDArray:
    return plan.residual().astype(dtype)


@kernel
def _gather(spectrum, masks, height, reach, line, box):
    """box (K, h, 2 w) = the frame's half spectrum and its mirror image (line: one row of both) times the masks."""
    orientations, h, w = masks.shape
    for k in range(orientations):
        box[k, reach[0] + 1 : h - reach[0]] = 0
    for x in range(line.shape[0]):
        line[x] = 0
    for ky in range(-reach[0], reach[0] + 1):
        row = spectrum[ky if ky >= 0 else ky + height]
        mirrored = spectrum[-ky if ky <= 0 else height - ky]
        for x in range(2 * reach[1] + 2):
            line[x] = row[x]
        for x in range(1, reach[1] + 1):
            line[2 * (w - x)] = mirrored[2 * x]
            line[2 * (w - x) + 1] = -mirrored[2 * x + 1]
        for k in range(orientations):
            mask, into = masks[k, ky], box[k, ky]
            for x in range(w):
                into[2 * x] = line[2 * x] * mask[x]
                into[2 * x + 1] = line[2 * x + 1] * mask[x]


@kernel
def _sum(box, masks, y, line):
    """line (2 w) = the masked row y of all orientations."""
    for k in range(masks.shape[0]):
        row, mask = box[k, y], masks[k, y]
        if k == 0:
            for x in range(mask.shape[0]):
                line[2 * x] = row[2 * x] * mask[x]
                line[2 * x + 1] = row[2 * x + 1] * mask[x]
        else:
            for x in range(mask.shape[0]):
                line[2 * x] += row[2 * x] * mask[x]
                line[2 * x + 1] += row[2 * x + 1] * mask[x]


@kernel
def _add_folded(line, opposite, reach, scale, into):
    """into += scale * (line + the conjugate of the opposite row, mirrored)."""
    w = line.shape[0] // 2
    into[0] += scale * (line[0] + opposite[0])
    into[1] += scale * (line[1] - opposite[1])
    for x in range(1, reach + 1):
        into[2 * x] += scale * (line[2 * x] + opposite[2 * (w - x)])
        into[2 * x + 1] += scale * (line[2 * x + 1] - opposite[2 * (w - x) + 1])


@kernel
def _fold(box, masks, height, reach, scale, lines, spectrum):
    """Add what the box (K, h, 2 w) holds, masked, and its conjugate mirror image to the frame's half spectrum."""
    _sum(box, masks, 0, lines[0])
    _add_folded(lines[0], lines[0], reach[1], scale, spectrum[0])
    for ky in range(1, reach[0] + 1):
        _sum(box, masks, ky, lines[0])
        _sum(box, masks, -ky, lines[1])
        _add_folded(lines[0], lines[1], reach[1], scale, spectrum[ky])
        _add_folded(lines[1], lines[0], reach[1], scale, spectrum[height - ky])


@kernel
def _weigh(spectrum, weights, result):
    for y in range(weights.shape[0]):
        row, weight, into = spectrum[y], weights[y], result[y]
        for x in range(weight.shape[0]):
            into[2 * x] = row[2 * x] * weight[x]
            into[2 * x + 1] = row[2 * x + 1] * weight[x]


def _inverse(box: NDArray, passes: tuple[_Passes, ...]) -> None:
    """box (K, h, w) to subbands in place: first along the lines that are not empty, then along all."""
    if not passes:
        fft.ifft2(box, norm="forward", overwrite_x=True, workers=1)
    for one, (axis, parts) in zip(box, passes, strict=False):
        for part in parts:
            fft.ifft(_across(one, axis, part), axis=axis, norm="forward", overwrite_x=True, workers=1)
        fft.ifft(one, axis=1 - axis, norm="forward", overwrite_x=True, workers=1)


def _forward(box: NDArray, passes: tuple[_Passes, ...]) -> None:
    """Subbands (K, h, w) to their spectra in place, where a filter is not 0: the way of `_inverse` back."""
    if not passes:
        fft.fft2(box, overwrite_x=True, workers=1)
    for one, (axis, parts) in zip(box, passes, strict=False):
        fft.fft(one, axis=1 - axis, overwrite_x=True, workers=1)
        for part in parts:
            fft.fft(_across(one, axis, part), axis=axis, overwrite_x=True, workers=1)


def _across(one: NDArray, axis: int, part: slice) -> NDArray:
    return one[:, part] if axis == 0 else one[part]


def _columns(filters: Sequence[_Filters]) -> int:
    """Columns of the frame's half spectrum that any of the levels fills: coarse levels leave most of them alone."""
    return max((one.reach[1] for one in filters), default=0) + 1


def _parts(x: NDArray) -> NDArray:
    """A complex array as rows of real and imaginary parts in turn: pairs in one row vectorise."""
    return x.view(x.real.dtype)


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
    filters = [_filters(plan, level, real) for level in chosen]
    columns = W // 2 + 1 if kept is not None else _columns(filters)

    def analyse(start: int, stop: int) -> None:
        lines = [np.empty(2 * one.masks.shape[2], real) for one in filters]
        for b in range(start, stop):
            half = fft.rfft(np.asarray(frames[b], real), axis=1, norm="forward", workers=1)
            fft.fft(half[:, :columns], axis=0, norm="forward", overwrite_x=True, workers=1)
            spectrum = _parts(half)
            if kept is not None:
                _weigh(spectrum, _residual(plan, real), kept[b])
            for (masks, reach, passes), line, subband in zip(filters, lines, subbands, strict=True):
                _gather(spectrum, masks, H, reach, line, _parts(subband[b]))
                _inverse(subband[b], passes)

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
    filters = [_filters(plan, level, real) for level in chosen]
    columns = W // 2 + 1 if residual is not None else _columns(filters)

    def synthesise(start: int, stop: int) -> None:
        spectrum = np.empty((H, W // 2 + 1), _COMPLEX[real])
        lines = [np.empty((2, 2 * one.masks.shape[2]), real) for one in filters]
        spare = [None if overwrite else np.empty_like(subband[0]) for subband in subbands]
        for b in range(start, stop):
            spectrum[...] = 0 if residual is None else residual[b]
            for (masks, reach, passes), line, subband, box in zip(filters, lines, subbands, spare, strict=True):
                if box is None:
                    box = subband[b]
                else:
                    box[...] = subband[b]
                _forward(box, passes)
                scale = real.type(0.25 / masks[0].size)
                _fold(_parts(box), masks, H, reach, scale, line, _parts(spectrum))
            fft.ifft(spectrum[:, :columns], axis=0, norm="forward", overwrite_x=True, workers=1)
            frames[b] = fft.irfft(spectrum, W, axis=1, norm="forward", overwrite_x=True, workers=1)

    spread(synthesise, batch, 1, frames.size)
    return frames
