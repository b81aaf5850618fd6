"""Levels of a Gaussian pyramid on the CPU: all halvings at once, by the passes that also shrink frames bicubically."""

from __future__ import annotations

from functools import lru_cache

from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.kernels.cpu._arrays import levels as frame_levels
from fastmag.kernels.cpu._arrays import writing
from fastmag.kernels.cpu.resample import Plan, dots, shrink, tiles


@lru_cache(maxsize=32)
def _down(n: int, level: int) -> Plan:
    return tiles(n, *plans.gaussian_level(n, level))


@lru_cache(maxsize=32)
def _across(n: int, level: int) -> Plan:
    return dots(*plans.gaussian_level(n, level))


def downsample_gaussian(frame: NDArray, levels: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """A level of the frame's Gaussian pyramid (Burt and Adelson 1983), counted apart for rows and columns.

    frame (H, W[, C]) uint8 or uint16; levels (down, across), 0 for the frame itself.
    Returns (ceil(H / 2**down), ceil(W / 2**across)[, C]) float32 in levels; its pixel (i, j) lies at
    (i * 2**down, j * 2**across).
    """
    frame = frame_levels(frame)
    if min(levels) < 0:
        raise InputError(f"levels must be 0 or more; got {levels}: count halvings from the frame on")
    size = (-(-frame.shape[0] // (1 << levels[0])), -(-frame.shape[1] // (1 << levels[1])))
    out = writing(out, (*size, *frame.shape[2:]))
    return shrink(frame, _down(frame.shape[0], levels[0]), _across(frame.shape[1], levels[1]), out)
