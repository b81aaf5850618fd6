"""Pixels moved by a coarse field of displacements, on the CPU."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import apart, levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

_EFFORT = 16
"""A pixel's work, as so many elements of other kernels."""

_near, _far = scalar(scalars.keys_near), scalar(scalars.keys_far)


@lru_cache(maxsize=64)
def _table(n: int, m: int, offset: float, step: float) -> tuple[NDArray, NDArray]:
    first, share = plans.linear(n, m, offset, step)
    return first, share.astype(np.float32)


@kernel
def _line(field, i, share, columns, shares, line):
    """The displacements (2, W) of a row of pixels, that lies `share` beyond the field's row i."""
    below, right = min(i + 1, field.shape[1] - 1), field.shape[2] - 1
    for c in range(2):
        a, b = field[c, i], field[c, below]
        for x in range(line.shape[1]):
            j, k, s = columns[x], min(columns[x] + 1, right), shares[x]
            before, after = a[j] + share * (b[j] - a[j]), a[k] + share * (b[k] - a[k])
            line[c, x] = before + s * (after - before)


@scalar
def _inside(i, n):
    return min(max(i, 0), n - 1)


@scalar
def _across(line, columns, c, s):
    """A row at a place s beyond the second of its four columns."""
    r = scalars.ONE - s
    return (
        _far(s) * np.float32(line[columns[0], c]) + _near(s) * np.float32(line[columns[1], c])
        + _near(r) * np.float32(line[columns[2], c]) + _far(r) * np.float32(line[columns[3], c])
    )  # fmt: skip


@kernel
def _displace(frame, field, rows, columns, high, out, start, stop):
    """frame (H, W, C); rows and columns: the field's node before each pixel, and the share of the next."""
    height, width, channels = frame.shape
    line = np.empty((2, width), np.float32)
    for y in range(start, stop):
        _line(field, rows[0][y], rows[1][y], columns[0], columns[1], line)
        for x in range(width):
            u, v = line[0, x], line[1, x]
            if u == scalars.ZERO and v == scalars.ZERO:
                for c in range(channels):
                    out[y, x, c] = frame[y, x, c]
                continue
            up, left = np.floor(-v), np.floor(-u)
            t, s = -v - up, -u - left
            r = scalars.ONE - t
            i, j = y + np.int64(up), x + np.int64(left)
            at = (_inside(j - 1, width), _inside(j, width), _inside(j + 1, width), _inside(j + 2, width))
            a, b = frame[_inside(i - 1, height)], frame[_inside(i, height)]
            d, e = frame[_inside(i + 1, height)], frame[_inside(i + 2, height)]
            for c in range(channels):
                total = _far(t) * _across(a, at, c, s) + _near(t) * _across(b, at, c, s)
                total += _near(r) * _across(d, at, c, s) + _far(r) * _across(e, at, c, s)
                out[y, x, c] = np.int32(min(max(total + scalars.HALF, scalars.ZERO), high))


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
    source, target = (x.reshape(height, width, -1) for x in (apart(frame, out), out))
    rows, columns = (
        _table(n, m, float(o), float(s))
        for n, m, o, s in zip((height, width), field.shape[1:], offset, step, strict=True)
    )
    limit = np.float32(high)
    spread(
        lambda start, stop: _displace(source, field, rows, columns, limit, target, start, stop),
        height, 8, _EFFORT * frame.size,
    )  # fmt: skip
    return out
