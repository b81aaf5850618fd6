"""Frames to small maps and back on the CPU.

Both do most of their arithmetic along rows, which are contiguous for any number of channels, and keep what they add to
in the nearest cache: `downsample_bicubic` adds tiles of 4 rows to 4 results, `upsample_add` adds 4 rows of the enlarged
change to each row of the frame. The tables depend on sizes alone and are cached.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import aligned, apart, levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar

_LANES = 16  # float32 in the widest vector: tables are padded to whole vectors
_ROWS = 4  # frame rows a tile reads
_RESULTS = 4  # result rows a tile adds to: as many as antialiased Keys gives each row of the frame
_COLUMNS = 688  # columns a tile covers; not a power of two, so that its lines do not share cache sets
_SPAN = 1024  # columns of the frame that upsample_add finishes before it moves on

_add_rounded = scalar(scalars.add_rounded)

Plan = tuple[NDArray, ...]


def _whole(n: int, unit: int) -> int:
    return -(-n // unit) * unit


def tiles(n: int, first: NDArray, weights: NDArray) -> Plan:
    """A vertical pass from n rows as tiles: (row (k,), result (k,), weights (k, _RESULTS, _ROWS)), in order of rows.

    A tile with one result alone has that result's complement (~j), so that it can be told apart.
    """
    m = len(first)
    table = np.zeros((m + _RESULTS, n + _ROWS), np.float32)
    for j in range(m):
        table[j, first[j] : first[j] + weights.shape[1]] = weights[j]
    rows, results, parts = [], [], []
    for row in range(0, n, _ROWS):
        touched = np.flatnonzero(table[:, row : row + _ROWS].any(axis=1))
        for j in range(touched[0], touched[-1] + 1, _RESULTS):
            rows.append(row)
            results.append(~j if j == touched[-1] else j)
            parts.append(table[j : j + _RESULTS, row : row + _ROWS])
    return np.array(rows), np.array(results), np.array(parts)


def dots(first: NDArray, weights: NDArray) -> Plan:
    """A horizontal pass: (first (m,), weights (m, taps)), taps padded to whole vectors."""
    table = np.zeros((len(first), _whole(weights.shape[1], _LANES)), np.float32)
    table[:, : weights.shape[1]] = weights
    return np.array(first), table


@lru_cache(maxsize=32)
def _runs(n: int, m: int, spacing: int | None) -> Plan:
    """Points of a line between the same four cells: (starts (k + 1,), cells (k, 4), weights (4, m + _LANES))."""
    index, weights = plans.interpolating(n, m, spacing)
    starts = np.flatnonzero(np.r_[True, (np.diff(index, axis=0) != 0).any(axis=1), True])
    table = np.zeros((4, m + _LANES), np.float32)
    table[:, :m] = weights.T
    return starts, index[starts[:-1]], table


@kernel
def _add_tile(sums, f0, f1, f2, f3, w):
    """Add _ROWS lines of the frame, weighted by w (_RESULTS, _ROWS), to _RESULTS lines of sums."""
    a0, a1, a2, a3 = w[0, 0], w[0, 1], w[0, 2], w[0, 3]
    b0, b1, b2, b3 = w[1, 0], w[1, 1], w[1, 2], w[1, 3]
    c0, c1, c2, c3 = w[2, 0], w[2, 1], w[2, 2], w[2, 3]
    d0, d1, d2, d3 = w[3, 0], w[3, 1], w[3, 2], w[3, 3]
    for i in range(f0.shape[0]):
        p, q, r, s = np.float32(f0[i]), np.float32(f1[i]), np.float32(f2[i]), np.float32(f3[i])
        sums[i] += a0 * p + a1 * q + a2 * r + a3 * s
        sums[_COLUMNS + i] += b0 * p + b1 * q + b2 * r + b3 * s
        sums[2 * _COLUMNS + i] += c0 * p + c1 * q + c2 * r + c3 * s
        sums[3 * _COLUMNS + i] += d0 * p + d1 * q + d2 * r + d3 * s


@kernel
def _add_line(sums, f0, f1, f2, f3, w):
    """The same for one line of sums: four rows often touch five results."""
    for i in range(f0.shape[0]):
        sums[i] += (
            w[0] * np.float32(f0[i]) + w[1] * np.float32(f1[i]) + w[2] * np.float32(f2[i]) + w[3] * np.float32(f3[i])
        )


@kernel
def _unweave(line, n, planes):
    """planes (C, >= n) = the channels of a line of n pixels."""
    channels = planes.shape[0]
    if channels == 3:
        a, b, c = planes[0], planes[1], planes[2]
        for x in range(n):
            a[x] = line[3 * x]
            b[x] = line[3 * x + 1]
            c[x] = line[3 * x + 2]
    else:
        for k in range(channels):
            plane = planes[k]
            for x in range(n):
                plane[x] = line[channels * x + k]


@kernel
def _shrink_rows(frame, rows, results, weights, work, acc):
    """acc (C, h, W + padding) = weighted rows of the frame (H, W * C), channels apart; work holds columns of it."""
    height, n_all = frame.shape
    channels = acc.shape[0]
    unit = _LANES * channels
    blocks = (n_all + _COLUMNS // unit * unit - 1) // (_COLUMNS // unit * unit)
    width = ((n_all + blocks - 1) // blocks + unit - 1) // unit * unit
    last = height - 1  # below the frame the weights are 0
    for low in range(0, n_all, width):
        high = min(low + width, n_all)
        work[:] = np.float32(0.0)
        for k in range(rows.shape[0]):
            y, j, w = rows[k], results[k], weights[k]
            f0, f1 = frame[y, low:high], frame[min(y + 1, last), low:high]
            f2, f3 = frame[min(y + 2, last), low:high], frame[min(y + 3, last), low:high]
            if j < 0:
                _add_line(work[~j * _COLUMNS :], f0, f1, f2, f3, w[0])
            else:
                _add_tile(work[j * _COLUMNS :], f0, f1, f2, f3, w)
        for j in range(acc.shape[1]):
            _unweave(work[j * _COLUMNS :], (high - low) // channels, acc[:, j, low // channels :])
    acc[:, :, n_all // channels :] = np.float32(0.0)


@kernel
def _shrink_columns(acc, first, weights, out):
    """out (h, w, C) = weighted columns of acc (C, h, W + padding)."""
    taps = weights.shape[1]
    for c in range(acc.shape[0]):
        for j in range(acc.shape[1]):
            for i in range(first.shape[0]):
                w = weights[i]
                x = acc[c, j, first[i] : first[i] + taps]
                total = np.float32(0.0)
                for t in range(taps):
                    total += w[t] * x[t]
                out[j, i, c] = total


@kernel
def _weave(lines, row):
    """row (>= n * C) = the lines (C, n + _LANES), pixel by pixel."""
    channels = lines.shape[0]
    n = lines.shape[1] - _LANES
    if channels == 3:
        a, b, c = lines[0], lines[1], lines[2]
        for x in range(n):
            row[3 * x] = a[x]
            row[3 * x + 1] = b[x]
            row[3 * x + 2] = c[x]
    else:
        for k in range(channels):
            line = lines[k]
            for x in range(n):
                row[channels * x + k] = line[x]


@kernel
def _enlarge_columns(change, starts, cells, weights, lines, rows):
    """rows (h, >= W * C) = the change (h, w, C) at every column; lines (C, W + _LANES) holds one, channels apart."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for j in range(change.shape[0]):
        for c in range(change.shape[2]):
            line = lines[c]
            for k in range(cells.shape[0]):
                p, q = change[j, cells[k, 0], c], change[j, cells[k, 1], c]
                r, s = change[j, cells[k, 2], c], change[j, cells[k, 3], c]
                low = starts[k]
                # Whole vectors: what they write beyond the run is written again by the next run, or is padding.
                high = low + (starts[k + 1] - low + _LANES - 1) // _LANES * _LANES
                x, a, b, d, e = line[low:high], w0[low:high], w1[low:high], w2[low:high], w3[low:high]
                for i in range(high - low):
                    x[i] = p * a[i] + q * b[i] + r * d[i] + s * e[i]
        _weave(lines, rows[j])


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
                target[i] = _add_rounded(np.int32(source[i]), change, low, high)


def downsample_bicubic(frame: NDArray, size: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """Antialiased bicubic resampling (Keys, a = -0.5), as Pillow on mode F: levels in, levels out, not clipped.

    frame (H, W) or (H, W, C), uint8 or uint16; size (h, w), smaller or larger than the frame.
    Returns (h, w[, C]) float32.
    """
    frame = levels(frame)
    out = writing(out, (*size, *frame.shape[2:]))
    return shrink(frame, _bicubic_tiles(frame.shape[0], size[0]), _bicubic_dots(frame.shape[1], size[1]), out)


def shrink(frame: NDArray, down: Plan, across: Plan, out: NDArray) -> NDArray:
    """out (h, w[, C]) = the frame through a vertical pass of tiles and a horizontal one of dots."""
    height, width = frame.shape[:2]
    channels = frame.shape[2] if frame.ndim == 3 else 1
    acc = np.empty((channels, out.shape[0], width + across[1].shape[1]), np.float32)
    work = aligned((1, (out.shape[0] + _RESULTS) * _COLUMNS))[0]
    _shrink_rows(frame.reshape(height, -1), *down, work, acc)
    _shrink_columns(acc, *across, out.reshape(*out.shape[:2], channels))
    return out


@lru_cache(maxsize=32)
def _bicubic_tiles(n: int, m: int) -> Plan:
    return tiles(n, *plans.antialiased(n, m))


@lru_cache(maxsize=32)
def _bicubic_dots(n: int, m: int) -> Plan:
    return dots(*plans.antialiased(n, m))


@lru_cache(maxsize=32)
def _lines(n: int, m: int, spacing: int | None) -> Plan:
    index, weights = plans.interpolating(n, m, spacing)
    return np.array(index), weights.astype(np.float32)


def upsample_add(
    frame: NDArray,
    change: NDArray,
    low: float = 0,
    high: float = 255,
    spacing: tuple[int, int] | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """frame + the bicubic enlargement of change, rounded half up and held in [low, high] (Eq. 18).

    frame (H, W[, C]) uint8 or uint16; change (h, w[, C]) in levels, edge cells repeated. Cell (i, j) lies at pixel
    (i, j) * spacing, as in a Gaussian pyramid; without a spacing, cells share the frame evenly (half-pixel centres).
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
    frame = apart(frame, out)
    rows = aligned((len(change), width * channels))
    lines = np.empty((channels, width + _LANES), np.float32)
    down, across = spacing or (None, None)
    _enlarge_columns(change.reshape(*change.shape[:2], channels), *_runs(change.shape[1], width, across), lines, rows)
    _add_rows(
        frame.reshape(height, -1), rows, *_lines(len(change), height, down),
        np.int32(low), np.int32(high), out.reshape(height, -1),
    )  # fmt: skip
    return out
