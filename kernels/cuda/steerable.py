"""The complex steerable pyramid on the GPU: cuFFT around a kernel that fills the boxes, and one that folds them back.

One real transform a frame and one complex transform a subband, whole batches at a time; residuals stay in the spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import door, writing
from fastmag.kernels.cuda._jit import kernel
from fastmag.kernels.subbands import COMPLEX, check_subbands, chosen_levels
from fastmag.pyramids import Steerable

_KINDS = ("float32", "float64")


@kernel(*(f"void({t}[:,:,::1], {t}[:,:,::1], int64, int64, {t}, {t}[:,:,:,::1])" for t in _KINDS))
def _gather(spectrum, masks, down, across, scale, boxes):
    """boxes (B, K, h, 2 w) = the frames' half spectra and their mirror images times masks (K, h, w) and scale.

    Real and imaginary parts in turn; frequencies up to `down` and `across` are passed.
    """
    left, top = cuda.grid(2)
    columns, rows = cuda.gridsize(2)
    orientations, h, w = masks.shape
    height = spectrum.shape[1]
    for b in range(cuda.blockIdx.z, boxes.shape[0], cuda.gridDim.z):
        for y in range(top, h, rows):
            ky = y if 2 * y < h else y - h
            for x in range(left, w, columns):
                kx = x if 2 * x < w else x - w
                re = im = scale - scale
                if abs(ky) <= down and abs(kx) <= across:
                    # What the half spectrum does not hold is the conjugate of the opposite frequency.
                    row, sign = (ky, scale) if kx >= 0 else (-ky, -scale)
                    row = row if row >= 0 else row + height
                    re = scale * spectrum[b, row, 2 * abs(kx)]
                    im = sign * spectrum[b, row, 2 * abs(kx) + 1]
                for k in range(orientations):
                    boxes[b, k, y, 2 * x] = re * masks[k, y, x]
                    boxes[b, k, y, 2 * x + 1] = im * masks[k, y, x]


@kernel(*(f"void({t}[:,:,:,::1], {t}[:,:,::1], int64, int64, {t}, {t}[:,:,::1])" for t in _KINDS))
def _fold(boxes, masks, down, across, scale, spectrum):
    """Add what the boxes hold, masked, and its conjugate mirror image to the frames' half spectra (B, H, 2 (W/2+1))."""
    left, top = cuda.grid(2)
    columns, rows = cuda.gridsize(2)
    orientations, h, w = masks.shape
    height = spectrum.shape[1]
    for b in range(cuda.blockIdx.z, boxes.shape[0], cuda.gridDim.z):
        for line in range(top, 2 * down + 1, rows):
            ky = line - down
            y, opposite = (ky if ky >= 0 else ky + h), (-ky if ky <= 0 else h - ky)
            for x in range(left, across + 1, columns):
                mirrored = w - x if x > 0 else 0
                re = im = scale - scale
                for k in range(orientations):
                    here, there = masks[k, y, x], masks[k, opposite, mirrored]
                    re += boxes[b, k, y, 2 * x] * here + boxes[b, k, opposite, 2 * mirrored] * there
                    im += boxes[b, k, y, 2 * x + 1] * here - boxes[b, k, opposite, 2 * mirrored + 1] * there
                row = ky if ky >= 0 else ky + height
                spectrum[b, row, 2 * x] += scale * re
                spectrum[b, row, 2 * x + 1] += scale * im


@lru_cache(maxsize=32)
def _masks(plan: Steerable, level: int, dtype: np.dtype) -> Any:
    return device.lasting(plan.masks(level).astype(dtype))


@lru_cache(maxsize=2)
def _residual(plan: Steerable, dtype: np.dtype) -> Any:
    return device.lasting(plan.residual().astype(dtype))


def _parts(x: Any) -> Any:
    """A complex array as rows of real and imaginary parts in turn."""
    return x.view(np.float32 if x.dtype == np.complex64 else np.float64)


@door(updates=("residual",), batch=("frames", "residual"))
def steerable_analysis(
    frames: NDArray,
    plan: Steerable,
    levels: Sequence[int] | None = None,
    out: Sequence[NDArray] | None = None,
    residual: NDArray | None = None,
) -> tuple[NDArray, ...]:
    """As `fastmag.kernels.reference.steerable_analysis`: complex128 of float64 frames, complex64 of any others."""
    real = np.dtype(np.float64 if frames.dtype == np.float64 else np.float32)
    (H, W), batch, chosen = plan.shape, len(frames), chosen_levels(plan, levels)
    if frames.shape[1:] != plan.shape:
        raise InputError(f"frames must be (B, {H}, {W}) for this plan; got {frames.shape}: make a plan of their size")
    spectrum = device.spectrum(frames.astype(real))
    scale = real.type(1 / (H * W))
    if residual is not None:
        kept = writing(residual, (batch, H, W // 2 + 1), COMPLEX[real])
        device.xp.multiply(spectrum, scale * _residual(plan, real), out=kept)
    subbands = []
    rooms = [None] * len(chosen) if out is None else out
    for level, room in zip(chosen, rooms, strict=True):
        h, w = plan.sizes[level]
        boxes = writing(room, (batch, plan.orientations, h, w), COMPLEX[real])
        masks = _masks(plan, level, real)
        _gather.plane(h, w, _parts(spectrum), masks, *plan.reach(level), scale, _parts(boxes), depth=batch)
        transformed = device.inverse(boxes)
        if not device.overlap(transformed, boxes):
            boxes[...] = transformed
        subbands.append(boxes)
    return tuple(subbands)


@door(batch=("subbands", "residual"))
def steerable_synthesis(
    subbands: Sequence[NDArray],
    plan: Steerable,
    levels: Sequence[int] | None = None,
    residual: NDArray | None = None,
    out: NDArray | None = None,
    overwrite: bool = False,
) -> NDArray:
    """As `fastmag.kernels.reference.steerable_synthesis`: float64 of complex128 subbands, float32 of complex64."""
    (H, W), batch, chosen = plan.shape, len(subbands[0]), chosen_levels(plan, levels)
    real = np.dtype(np.float64 if subbands[0].dtype == np.complex128 else np.float32)
    frames = writing(out, (batch, H, W), real)
    spectrum = device.empty((batch, H, W // 2 + 1), COMPLEX[real])
    spectrum[...] = 0 if residual is None else residual
    for level, subband in zip(chosen, subbands, strict=True):
        check_subbands(subband, plan, level, batch, COMPLEX[real])
        boxes, (down, across) = device.forward(subband if overwrite else subband.copy()), plan.reach(level)
        scale, masks = real.type(0.25 / subband[0, 0].size), _masks(plan, level, real)
        _fold.plane(2 * down + 1, across + 1, _parts(boxes), masks, down, across, scale, _parts(spectrum), depth=batch)
    frames[...] = device.frames(spectrum, (H, W))
    return frames
