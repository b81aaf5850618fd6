"""Pixels moved by a coarse field of displacements, on the CPU."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

_EFFORT = 4
"""A pixel's work, as so many elements of other kernels."""

_EDGE = 4
"""Pixels by which a frame's edge is repeated: further out four taps see nothing else."""

_near, _far = scalar(scalars.keys_near), scalar(scalars.keys_far)


@lru_cache(maxsize=64)
def _table(n: int, m: int, offset: float, step: float) -> tuple[NDArray, NDArray]:
    first, share = plans.linear(n, m, offset, step)
    return first, share.astype(np.float32)


@kernel
def _repeat_edge(frame, out, start, stop):
    """frame (H, W, C) to planes (C, H + 8, W + 8)."""
    height, width, channels = frame.shape
    for y in range(start, stop):
        row = frame[min(max(y - _EDGE, 0), height - 1)]
        for c in range(channels):
            plane = out[c, y]
            for x in range(width):
                plane[_EDGE + x] = row[x, c]
            plane[:_EDGE] = row[0, c]
            plane[_EDGE + width :] = row[width - 1, c]


@kernel
def _line(field, i, share, columns, shares, nodes, line):
    """The displacements (2, W) of a row of pixels, that lies `share` beyond the field's row i."""
    below, right = min(i + 1, field.shape[1] - 1), field.shape[2] - 1
    for c in range(2):
        for j in range(right + 1):
            nodes[j] = field[c, i, j] + share * (field[c, below, j] - field[c, i, j])
        for x in range(line.shape[1]):
            before, after = nodes[columns[x]], nodes[min(columns[x] + 1, right)]
            line[c, x] = before + shares[x] * (after - before)


@scalar
def _inside(i, n):
    return min(max(i, -_EDGE), n)


@scalar
def _tap(word, k, bits):
    """Sample k of the four in a word, the first in its lowest bits; 32 bits where they do, for twice the lanes."""
    if bits == 8:
        return np.float32(np.int32(np.int32(word) >> np.int32(8 * k)) & np.int32(0xFF))
    return np.float32(np.int32(word >> (16 * k)) & np.int32(0xFFFF))


@scalar
def _across(word, bits, s):
    """Four neighbours in a row at a place s beyond the second."""
    r = scalars.ONE - s
    return (
        _far(s) * _tap(word, 0, bits) + _near(s) * _tap(word, 1, bits)
        + _near(r) * _tap(word, 2, bits) + _far(r) * _tap(word, 3, bits)
    )  # fmt: skip


@kernel
def _displace(words, field, rows, columns, high, out, start, stop):
    """words: at each sample of the planes of _repeat_edge, it and the next three; rows and columns: the field's node
    before each pixel, and the share of the next. Loops are apart so that all but the one that fetches are vectors."""
    (height, width, channels), bits = out.shape, 8 * out.itemsize
    across, plane = width + 2 * _EDGE, (height + 2 * _EDGE) * (width + 2 * _EDGE)
    line, nodes = np.empty((2, width), np.float32), np.empty(field.shape[2], np.float32)
    at, between = np.empty(width, np.int64), np.empty((2, width), np.float32)
    taps, row = np.empty((4, width), words.dtype), np.empty(width, out.dtype)
    for y in range(start, stop):
        _line(field, rows[0][y], rows[1][y], columns[0], columns[1], nodes, line)
        for x in range(width):
            up, left = np.floor(-line[1, x]), np.floor(-line[0, x])
            between[0, x], between[1, x] = -line[1, x] - up, -line[0, x] - left
            i, j = _inside(y - 1 + np.int64(up), height), _inside(x - 1 + np.int64(left), width)
            at[x] = (i + _EDGE) * across + j + _EDGE
        for c in range(channels):
            for x in range(width):
                first = c * plane + at[x]
                for k in range(4):
                    taps[k, x] = words[first + k * across]
            for x in range(width):
                t, s = between[0, x], between[1, x]
                r = scalars.ONE - t
                total = _far(t) * _across(taps[0, x], bits, s) + _near(t) * _across(taps[1, x], bits, s)
                total += _near(r) * _across(taps[2, x], bits, s) + _far(r) * _across(taps[3, x], bits, s)
                row[x] = np.int32(min(max(total + scalars.HALF, scalars.ZERO), high))
            for x in range(width):
                out[y, x, c] = row[x]


def displace(
    frame: NDArray, field: NDArray, offset: tuple[float, float], step: tuple[float, float], high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """Every pixel taken from where the field says: frame at (y - v, x - u), between pixels by Keys' kernel.

    frame (H, W[, C]) uint8 or uint16; field (2, h, w), u across and v down in pixels; its node (i, j) lies at pixel
    offset + (i, j) * step, both (down, across); linear in between, held beyond the last node. Pixels beyond the frame
    repeat its edge. Where u and v are 0 the frame is untouched. Returns the frame's shape and dtype, within 0 ... high.
    """
    frame, field = levels(frame), reading(field)
    if field.ndim != 3 or len(field) != 2 or min(step) <= 0:
        raise InputError(f"field must be (2, h, w) with steps above 0; got {field.shape}, {step}: across, then down")
    out = writing(out, frame.shape, frame.dtype)
    height, width = frame.shape[:2]
    source, target = (x.reshape(height, width, -1) for x in (frame, out))
    rows, columns = (
        _table(n, m, float(o), float(s))
        for n, m, o, s in zip((height, width), field.shape[1:], offset, step, strict=True)
    )
    planes = np.empty((source.shape[2], height + 2 * _EDGE, width + 2 * _EDGE), frame.dtype)
    spread(lambda start, stop: _repeat_edge(source, planes, start, stop), planes.shape[1], 8, frame.size)
    words, limit = _words(planes), np.float32(high)
    spread(
        lambda start, stop: _displace(words, field, rows, columns, limit, target, start, stop),
        height, 8, _EFFORT * frame.size,
    )  # fmt: skip
    return out


def _words(planes: NDArray) -> NDArray:
    """At every sample the word that holds it and the next three; they overlap."""
    count, size = planes.size - 3, planes.itemsize
    return np.ndarray((count,), np.dtype(f"<u{4 * size}"), planes.data, strides=(size,))
