"""The complex steerable pyramid on the CPU: one real transform a frame, one complex transform a subband.

Per level, one loop multiplies the one-sided filters into boxes of fast size, and inverse transforms in place, of the
lines that are not empty, make the subbands. The way back mirrors it and folds both halves of the spectrum together.
Residuals stay in the spectrum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from fastmag.errors import InputError
from fastmag.kernels.cpu import fourier
from fastmag.kernels.cpu._arrays import writing
from fastmag.kernels.cpu._spectra import fold, gather, weigh
from fastmag.kernels.cpu._threads import spread, threads
from fastmag.kernels.subbands import COMPLEX, check_subbands, chosen_levels
from fastmag.pyramids import Steerable

_EFFORT = 8
"""A pixel's work, as so many elements of other kernels."""


class _Filters(NamedTuple):
    """What one level needs, in the precision of the frames; lines is None where SciPy transforms (float64, tiny)."""

    masks: NDArray
    reach: tuple[int, int]
    lines: fourier.Lines | None


@lru_cache(maxsize=64)
def _filters(plan: Steerable, level: int, dtype: np.dtype) -> _Filters:
    masks = plan.masks(level)
    ours = dtype == np.float32 and all(map(fourier.length, plan.sizes[level]))
    return _Filters(masks.astype(dtype), plan.reach(level), fourier.filled(masks) if ours else None)


@lru_cache(maxsize=2)
def _residual(plan: Steerable, dtype: np.dtype) -> NDArray:
    return plan.residual().astype(dtype)


class _Transforms:
    """The transforms of one thread: ours where they can, SciPy's elsewhere; none is scaled."""

    def __init__(self, plan: Steerable, filters: Sequence[_Filters], whole: bool) -> None:
        self.shape = plan.shape
        reach = max((one.reach[1] for one in filters), default=0)
        self.columns = plan.shape[1] // 2 + 1 if whole else reach + 1  # coarse levels leave most of them empty
        lengths = [plan.shape[0], *(n for one in filters for n in one.masks.shape[1:])]
        self.work = fourier.room(max(lengths))

    def _down(self, spectrum: NDArray, forward: bool) -> None:
        if spectrum.dtype == np.complex64 and fourier.length(len(spectrum)):
            fourier.columns(spectrum, self.columns, int(forward), self.work)
            return
        part, transform = spectrum[:, : self.columns], fft.fft if forward else fft.ifft
        transform(part, axis=0, norm="backward" if forward else "forward", overwrite_x=True, workers=1)

    def spectrum(self, frame: NDArray) -> NDArray:
        """The half spectrum of a frame, the columns that are needed."""
        half = fft.rfft(frame, axis=1, workers=1)
        self._down(half, True)
        return half

    def frame(self, spectrum: NDArray) -> NDArray:
        """The frame of a half spectrum, which is spoilt."""
        self._down(spectrum, False)
        return fft.irfft(spectrum, self.shape[1], axis=1, norm="forward", overwrite_x=True, workers=1)

    def inverse(self, box: NDArray, lines: fourier.Lines | None, chosen: slice) -> None:
        """Spectra (K, h, w) of the chosen orientations to subbands, in place."""
        if lines is None:
            fft.ifft2(box, norm="forward", overwrite_x=True, workers=1)
        else:
            fourier.inverse(box, lines.of(chosen), self.work)

    def forward(self, box: NDArray, lines: fourier.Lines | None, chosen: slice) -> None:
        """Subbands (K, h, w) of the chosen orientations to spectra, in place, where a filter is not 0."""
        if lines is None:
            fft.fft2(box, overwrite_x=True, workers=1)
        else:
            fourier.forward(box, lines.of(chosen), self.work)


def _pieces(plan: Steerable, levels: int, frames: int) -> tuple[bool, list[tuple[int, slice]]]:
    """Levels and orientations as they are worked on; orientation by orientation, with several threads, for few frames.

    Orientations take turns outside, so that every thread gets some of the finest level.
    """
    if frames >= threads():
        return False, [(i, slice(None)) for i in range(levels)]
    return True, [(i, slice(k, k + 1)) for k in range(plan.orientations) for i in range(levels)]


def _parts(x: NDArray) -> NDArray:
    """A complex array as rows of real and imaginary parts in turn: pairs in one row vectorise."""
    return x.view(x.real.dtype)


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
    (H, W), batch, chosen = plan.shape, len(frames), chosen_levels(plan, levels)
    if frames.shape[1:] != plan.shape:
        raise InputError(f"frames must be (B, {H}, {W}) for this plan; got {frames.shape}: make a plan of their size")
    rooms = [None] * len(chosen) if out is None else out
    shapes = [(batch, plan.orientations, *plan.sizes[level]) for level in chosen]
    subbands = tuple(writing(r, s, COMPLEX[real]) for r, s in zip(rooms, shapes, strict=True))
    kept = None if residual is None else _parts(writing(residual, (batch, H, W // 2 + 1), COMPLEX[real]))
    filters, scale = [_filters(plan, level, real) for level in chosen], real.type(1 / (H * W))

    whole, (split, pieces) = kept is not None, _pieces(plan, len(chosen), batch)

    def fill(b: int, spectrum: NDArray, start: int, stop: int, transforms: _Transforms | None = None) -> None:
        transforms = transforms or _Transforms(plan, filters, whole)
        for i, k in pieces[start:stop]:
            one, box = filters[i], subbands[i][b, k]
            gather(spectrum, one.masks[k], H, one.reach, scale, _parts(box))
            transforms.inverse(box, one.lines, k)

    def analyse(start: int, stop: int) -> None:
        transforms = _Transforms(plan, filters, whole)
        for b in range(start, stop):
            spectrum = _parts(transforms.spectrum(np.asarray(frames[b], real)))
            if kept is not None:
                weigh(spectrum, _residual(plan, real), scale, kept[b])
            if split:
                spread(partial(fill, b, spectrum), len(pieces), 1, _EFFORT * frames[0].size)
            else:
                fill(b, spectrum, 0, len(pieces), transforms)

    _over_frames(analyse, batch, frames.size, split)
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
    (H, W), batch, chosen = plan.shape, len(subbands[0]), chosen_levels(plan, levels)
    precision = subbands[0].dtype
    real = np.dtype(np.float64 if precision == np.complex128 else np.float32)
    for level, subband in zip(chosen, subbands, strict=True):
        check_subbands(subband, plan, level, batch, COMPLEX[real])
    frames = writing(out, (batch, H, W), real)
    filters = [_filters(plan, level, real) for level in chosen]

    whole, (split, pieces) = residual is not None, _pieces(plan, len(chosen), batch)

    def spectra(b: int, boxes: list[NDArray], start: int, stop: int, transforms: _Transforms | None = None) -> None:
        transforms = transforms or _Transforms(plan, filters, whole)
        for i, k in pieces[start:stop]:
            if not overwrite:
                boxes[i][k] = subbands[i][b, k]
            transforms.forward(boxes[i][k], filters[i].lines, k)

    def synthesise(start: int, stop: int) -> None:
        transforms = _Transforms(plan, filters, whole)
        spectrum = np.empty((H, W // 2 + 1), COMPLEX[real])
        boxes = [] if overwrite else [np.empty_like(subband[0]) for subband in subbands]
        for b in range(start, stop):
            spectrum[...] = 0 if residual is None else residual[b]
            boxes = [subband[b] for subband in subbands] if overwrite else boxes
            if split:
                spread(partial(spectra, b, boxes), len(pieces), 1, _EFFORT * frames[0].size)
            else:
                spectra(b, boxes, 0, len(pieces), transforms)
            for box, one in zip(boxes, filters, strict=True):
                given = _parts(box), one.masks, H, one.reach, real.type(0.25 / box[0].size), _parts(spectrum)
                if split:
                    spread(partial(fold, *given), one.reach[0] + 1, 16, box.size)
                else:
                    fold(*given, 0, one.reach[0] + 1)
            frames[b] = transforms.frame(spectrum)

    _over_frames(synthesise, batch, frames.size, split)
    return frames


def _over_frames(task: Callable[[int, int], None], batch: int, pixels: int, split: bool) -> None:
    if split:
        task(0, batch)
    else:
        spread(task, batch, 1, _EFFORT * pixels)
