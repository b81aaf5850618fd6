"""Frames to small maps and back on the CPU.

Both do most of their arithmetic along rows, which are contiguous for any number of channels, and keep what they add to
in the nearest cache: `downsample_bicubic` adds tiles of 4 rows to 5 results, `upsample_add` adds 4 rows of the enlarged
change to each row of the frame. The tables depend on sizes alone and are cached.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar

_LANES = 16  # float32 in the widest vector: tables are padded to whole vectors
_ROWS = 4  # frame rows a tile reads
_RESULTS = 5  # result rows a tile adds to: antialiased Keys never needs more for four neighbouring rows
_COLUMNS = 512  # columns a tile covers
_SPAN = 1024  # columns of the frame that upsample_add finishes before it moves on

_add_rounded = scalar(scalars.add_rounded)

Plan = tuple[NDArray, ...]


def _whole(n: int, unit: int) -> int:
    return -(-n // unit) * unit


@lru_cache(maxsize=32)
def _tiles(n: int, m: int) -> Plan:
    """The vertical pass n -> m as tiles: (row (k,), result (k,), weights (k, _RESULTS, _ROWS)), in order of rows."""
    first, weights = plans.antialiased(n, m)
    taps = weights.shape[1]
    found = []
    for row in range(0, n, _ROWS):
        touched = np.flatnonzero((first < row + _ROWS) & (first + taps > row))
        for result in range(touched[0], touched[-1] + 1, _RESULTS) if len(touched) else ():
            tile = np.zeros((_RESULTS, _ROWS), np.float32)
            for j in range(result, min(result + _RESULTS, touched[-1] + 1)):
                for r in range(_ROWS):
                    if 0 <= row + r - first[j] < taps:
                        tile[j - result, r] = weights[j, row + r - first[j]]
            found.append((row, result, tile))
    rows, results, tiles = zip(*found, strict=True)
    return np.array(rows), np.array(results), np.array(tiles)


@lru_cache(maxsize=32)
def _dots(n: int, m: int) -> Plan:
    """The horizontal pass n -> m: (first (m,), weights (m, taps)), taps padded to whole vectors."""
    first, weights = plans.antialiased(n, m)
    table = np.zeros((m, _whole(weights.shape[1], _LANES)), np.float32)
    table[:, : weights.shape[1]] = weights
    return np.array(first), table


@lru_cache(maxsize=32)
def _runs(n: int, m: int) -> Plan:
    """Points that lie between the same cells: (start (k + 1,), cells (k, 4), weights (4, m padded by a vector))."""
    index, weights = plans.interpolating(n, m)
    start = np.flatnonzero(np.r_[True, (np.diff(index, axis=0) != 0).any(axis=1)])
    table = np.zeros((4, m + _LANES), np.float32)
    table[:, :m] = weights.T
    return np.r_[start, m], index[start], table


@kernel
def _shrink_rows(frame, rows, results, weights, work, acc):
    """acc (h, N + padding) = weighted rows of the frame (H, N); work holds a block of acc, then the rows of a tile."""
    height, n_all = frame.shape
    n_results = acc.shape[0]
    blocks = (n_all + _COLUMNS - 1) // _COLUMNS
    width = (n_all + blocks - 1) // blocks
    lines = (n_results + _RESULTS) * _COLUMNS
    for low in range(0, n_all, width):
        n = min(width, n_all - low)
        wide = (n + _LANES - 1) // _LANES * _LANES
        work[:lines] = np.float32(0.0)
        previous = -1
        for k in range(rows.shape[0]):
            if rows[k] != previous:
                previous = rows[k]
                for r in range(_ROWS):
                    source = frame[min(previous + r, height - 1)]  # below the frame the weights are 0
                    line = lines + r * _COLUMNS
                    for i in range(n):
                        work[line + i] = np.float32(source[low + i])
            _add_tile(work, results[k] * _COLUMNS, lines, wide, weights[k])
        for j in range(n_results):
            for i in range(n):
                acc[j, low + i] = work[j * _COLUMNS + i]
    for j in range(n_results):
        acc[j, n_all:] = np.float32(0.0)


@kernel
def _add_tile(work, at, lines, n, w):
    a0, a1, a2, a3 = w[0, 0], w[0, 1], w[0, 2], w[0, 3]
    b0, b1, b2, b3 = w[1, 0], w[1, 1], w[1, 2], w[1, 3]
    c0, c1, c2, c3 = w[2, 0], w[2, 1], w[2, 2], w[2, 3]
    d0, d1, d2, d3 = w[3, 0], w[3, 1], w[3, 2], w[3, 3]
    e0, e1, e2, e3 = w[4, 0], w[4, 1], w[4, 2], w[4, 3]
    for i in range(n):
        p = work[lines + i]
        q = work[lines + _COLUMNS + i]
        r = work[lines + 2 * _COLUMNS + i]
        s = work[lines + 3 * _COLUMNS + i]
        work[at + i] += a0 * p + a1 * q + a2 * r + a3 * s
        work[at + _COLUMNS + i] += b0 * p + b1 * q + b2 * r + b3 * s
        work[at + 2 * _COLUMNS + i] += c0 * p + c1 * q + c2 * r + c3 * s
        work[at + 3 * _COLUMNS + i] += d0 * p + d1 * q + d2 * r + d3 * s
        work[at + 4 * _COLUMNS + i] += e0 * p + e1 * q + e2 * r + e3 * s


@kernel
def _shrink_columns(acc, first, weights, planes, out):
    """out (h, w, C) = weighted columns of acc (h, W * C + padding); planes (C, W + padding) holds one row, unwoven."""
    channels, width = out.shape[2], planes.shape[1]
    n = acc.shape[1] // channels
    taps = weights.shape[1]
    for j in range(out.shape[0]):
        row = acc[j]
        if channels == 1:
            planes[0, : min(n, width)] = row[: min(n, width)]
        elif channels == 3:
            for x in range(min(n, width)):
                planes[0, x] = row[3 * x]
                planes[1, x] = row[3 * x + 1]
                planes[2, x] = row[3 * x + 2]
        else:
            for c in range(channels):
                for x in range(min(n, width)):
                    planes[c, x] = row[x * channels + c]
        for i in range(first.shape[0]):
            for c in range(channels):
                total = np.float32(0.0)
                for t in range(taps):
                    total += weights[i, t] * planes[c, first[i] + t]
                out[j, i, c] = total


@kernel
def _enlarge_columns(change, starts, cells, weights, line, rows):
    """rows (h, W * C) = the change (h, w, C) at every column; line (C, W + padding) holds one row, unwoven."""
    channels = change.shape[2]
    width = rows.shape[1] // channels
    for j in range(change.shape[0]):
        for c in range(channels):
            for k in range(cells.shape[0]):
                p, q = change[j, cells[k, 0], c], change[j, cells[k, 1], c]
                r, s = change[j, cells[k, 2], c], change[j, cells[k, 3], c]
                # whole vectors: what runs over the end is written again by the next run, or is padding
                for low in range(starts[k], starts[k + 1], _LANES):
                    for i in range(low, low + _LANES):
                        line[c, i] = p * weights[0, i] + q * weights[1, i] + r * weights[2, i] + s * weights[3, i]
        if channels == 1:
            rows[j, :width] = line[0, :width]
        elif channels == 3:
            for x in range(width):
                rows[j, 3 * x] = line[0, x]
                rows[j, 3 * x + 1] = line[1, x]
                rows[j, 3 * x + 2] = line[2, x]
        else:
            for c in range(channels):
                for x in range(width):
                    rows[j, x * channels + c] = line[c, x]


@kernel
def _add_rows(frame, rows, cells, weights, low, high, out):
    """out = frame (H, N) + the rows (h, N) of the change at every line of the frame, in spans that stay in cache."""
    n_all = frame.shape[1]
    for left in range(0, n_all, _SPAN):
        n = min(_SPAN, n_all - left)
        for y in range(frame.shape[0]):
            a = rows[cells[y, 0], left : left + n]
            b = rows[cells[y, 1], left : left + n]
            c = rows[cells[y, 2], left : left + n]
            d = rows[cells[y, 3], left : left + n]
            wa, wb, wc, wd = weights[y, 0], weights[y, 1], weights[y, 2], weights[y, 3]
            source = frame[y, left : left + n]
            target = out[y, left : left + n]
            for i in range(n):
                change = wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i]
                target[i] = np.int32(_add_rounded(np.float32(source[i]), change, low, high))


def downsample_bicubic(frame: NDArray, size: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """Antialiased bicubic resampling (Keys, a = -0.5), as Pillow on mode F: levels in, levels out, not clipped.

    frame (H, W) or (H, W, C), uint8 or uint16; size (h, w), smaller or larger than the frame.
    Returns (h, w[, C]) float32.
    """
    frame = levels(frame)
    height, width = frame.shape[:2]
    channels = frame.shape[2] if frame.ndim == 3 else 1
    out = writing(out, (*size, *frame.shape[2:]))
    first, weights = _dots(width, size[1])
    room = width + weights.shape[1]
    acc = np.empty((size[0], room * channels), np.float32)
    work = np.zeros((size[0] + _RESULTS + _ROWS) * _COLUMNS, np.float32)
    _shrink_rows(frame.reshape(height, -1), *_tiles(height, size[0]), work, acc)
    planes = np.empty((channels, room), np.float32)
    _shrink_columns(acc, first, weights, planes, out.reshape(*size, channels))
    return out


@lru_cache(maxsize=32)
def _lines(n: int, m: int) -> Plan:
    index, weights = plans.interpolating(n, m)
    return np.array(index), weights.astype(np.float32)


def upsample_add(
    frame: NDArray, change: NDArray, low: float = 0, high: float = 255, out: NDArray | None = None
) -> NDArray:
    """frame + the bicubic enlargement of change, rounded half up and held in [low, high] (Eq. 18).

    frame (H, W[, C]) uint8 or uint16; change (h, w[, C]) in levels, cells at half-pixel centres, edge cells repeated.
    A pixel outside [low, high] to begin with is not moved by the limits, and by the change only inwards.
    Returns the frame's shape and dtype.
    """
    frame, change = levels(frame), reading(change)
    if change.ndim != frame.ndim or change.shape[2:] != frame.shape[2:]:
        raise InputError(f"change must have the frame's channels {frame.shape[2:]}; got {change.shape}: reshape it")
    out = writing(out, frame.shape, frame.dtype)
    if not change.any():
        np.copyto(out, frame)
        return out
    height, width = frame.shape[:2]
    channels = frame.shape[2] if frame.ndim == 3 else 1
    rows = np.empty((len(change), width * channels), np.float32)
    line = np.empty((channels, width + _LANES), np.float32)
    starts, cells, weights = _runs(change.shape[1], width)
    _enlarge_columns(change.reshape(*change.shape[:2], channels), starts, cells, weights, line, rows)
    _add_rows(
        frame.reshape(height, -1), rows, *_lines(len(change), height),
        np.float32(low), np.float32(high), out.reshape(height, -1),
    )  # fmt: skip
    return out
