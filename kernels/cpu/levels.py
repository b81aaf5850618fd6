"""Levels of Gaussian and Laplacian pyramids on the CPU (Burt and Adelson 1983).

A level of a frame is made in one go, all halvings at once, by the passes that also shrink frames bicubically.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.kernels.cpu._arrays import levels as frame_levels
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import kernel
from fastmag.kernels.cpu.resample import Plan, dots, shrink, tiles

_EDGE, _NEAR, _MIDDLE = (np.float32(w) for w in plans.BINOMIAL[:3])
_EIGHTH, _QUARTERS, _HALF = np.float32(0.125), np.float32(0.75), np.float32(0.5)


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


@kernel
def _shrink(x, rows, columns, line, out):
    """Blur and halve: line holds one row blurred downwards, two mirrored pixels at either end."""
    w = x.shape[1]
    for i in range(out.shape[0]):
        a, b, c = x[rows[2 * i]], x[rows[2 * i + 1]], x[rows[2 * i + 2]]
        d, e = x[rows[2 * i + 3]], x[rows[2 * i + 4]]
        middle = line[2:]
        for j in range(w):
            middle[j] = _EDGE * (a[j] + e[j]) + _NEAR * (b[j] + d[j]) + _MIDDLE * c[j]
        for j in range(2):
            line[j] = middle[columns[j]]
            line[2 + w + j] = middle[columns[2 + w + j]]
        target = out[i]
        for j in range(out.shape[1]):
            k = 2 * j
            target[j] = _EDGE * (line[k] + line[k + 4]) + _NEAR * (line[k + 1] + line[k + 3]) + _MIDDLE * line[k + 2]


@kernel
def _enlarge(x, coarse, gain, line, out):
    """out = gain * x + coarse enlarged; line holds one row of it at half width, one mirrored pixel at either end."""
    h, w = out.shape
    m, n = coarse.shape
    for y in range(h):
        k = y // 2
        after = coarse[min(k + 1, m - 1)] if k + 1 < m or h % 2 == 0 else coarse[max(k - 1, 0)]
        here, before = coarse[k], coarse[k - 1] if k > 0 else coarse[min(1, m - 1)]
        middle = line[1:]
        if y % 2 == 0:
            for j in range(n):
                middle[j] = _EIGHTH * (before[j] + after[j]) + _QUARTERS * here[j]
        else:
            for j in range(n):
                middle[j] = _HALF * (here[j] + after[j])
        line[0] = middle[min(1, n - 1)]
        middle[n] = middle[n - 1] if w % 2 == 0 else middle[max(n - 2, 0)]
        source, target = x[y], out[y]
        for j in range(w // 2):
            p, q, r = line[j], line[j + 1], line[j + 2]
            target[2 * j] = gain * source[2 * j] + _EIGHTH * (p + r) + _QUARTERS * q
            target[2 * j + 1] = gain * source[2 * j + 1] + _HALF * (q + r)
        if w % 2 == 1:
            target[w - 1] = gain * source[w - 1] + _EIGHTH * (line[n - 1] + line[n + 1]) + _QUARTERS * line[n]


def pyramid_down(x: NDArray, out: NDArray | None = None) -> NDArray:
    """The next coarser level of a Gaussian pyramid.

    x (H, W). Returns (ceil(H / 2), ceil(W / 2)) float32; its pixel (i, j) lies at (2 i, 2 j).
    """
    x = reading(x)
    h, w = x.shape
    out = writing(out, (-(-h // 2), -(-w // 2)))
    _shrink(x, plans.reflected(h, 2), plans.reflected(w, 2), np.empty(w + 4, np.float32), out)
    return out


def pyramid_up_add(x: NDArray, coarse: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
    """gain * x + the next coarser level, enlarged to x's size.

    x (H, W), coarse (ceil(H / 2), ceil(W / 2)). Returns (H, W) float32. A level of the Laplacian pyramid is gain 1 with
    coarse = -pyramid_down(x).
    """
    x, coarse = reading(x), reading(coarse)
    if coarse.shape != (-(-x.shape[0] // 2), -(-x.shape[1] // 2)):
        raise InputError(f"coarse must be half of x {x.shape}, rounded up; got {coarse.shape}: use pyramid_down")
    out = writing(out, x.shape)
    _enlarge(x, coarse, np.float32(gain), np.empty(coarse.shape[1] + 2, np.float32), out)
    return out
