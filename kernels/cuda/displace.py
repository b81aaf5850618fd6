"""Pixels moved by a coarse field of displacements, on the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda import _frames
from fastmag.kernels.cuda._door import apart, door, reading, writing
from fastmag.kernels.cuda._jit import kernel, scalar

_near, _far = scalar(scalars.keys_near), scalar(scalars.keys_far)


@scalar
def _floor(x):
    whole = np.int32(x)
    return whole - 1 if np.float32(whole) > x else whole


@scalar
def _inside(i, n):
    return min(max(i, 0), n - 1)


@scalar
def _between(field, i, below, share, j, portion):
    """The field between its rows i and `below`, so far beyond the column j, linear."""
    right = min(j + 1, field.shape[1] - 1)
    before = field[i, j] + share * (field[below, j] - field[i, j])
    after = field[i, right] + share * (field[below, right] - field[i, right])
    return before + portion * (after - before)


@scalar
def _across(frame, y, left, c, s):
    """A row of the frame at a place s beyond the column `left`."""
    width, r = frame.shape[1], scalars.ONE - s
    total = _far(s) * np.float32(frame[y, _inside(left - 1, width), c])
    total += _near(s) * np.float32(frame[y, _inside(left, width), c])
    total += _near(r) * np.float32(frame[y, _inside(left + 1, width), c])
    return total + _far(r) * np.float32(frame[y, _inside(left + 2, width), c])


_TABLES = "Tuple((int32[::1], float32[::1], int32[::1], float32[::1]))"


@kernel(*(f"void({t}[:,:,::1], float32[:,::1], {_TABLES}, int64, float32, {t}[:,:,::1])" for t in ("uint8", "uint16")))
def _displace(frame, field, plan, nodes, high, out):
    """Frames one above the other (B H, W, C), their fields, across and down, likewise (B 2 nodes, w).

    The plan: the field's node before each row of a frame, the share of the next, and so for columns.
    """
    rows, shares, columns, portions = plan
    first, top = cuda.grid(2)
    wide, tall = cuda.gridsize(2)
    height = rows.shape[0]
    for line in range(top, frame.shape[0], tall):
        y = line % height
        ground = line - y
        node = line // height * 2 * nodes + rows[y]
        below = node + (1 if rows[y] + 1 < nodes else 0)
        for x in range(first, frame.shape[1], wide):
            u = _between(field, node, below, shares[y], columns[x], portions[x])
            v = _between(field, node + nodes, below + nodes, shares[y], columns[x], portions[x])
            up, left = _floor(-v), _floor(-u)
            t, s = -v - np.float32(up), -u - np.float32(left)
            r, i, j = scalars.ONE - t, y + up, x + left
            a, b = ground + _inside(i - 1, height), ground + _inside(i, height)
            d, e = ground + _inside(i + 1, height), ground + _inside(i + 2, height)
            for c in range(frame.shape[2]):
                total = _far(t) * _across(frame, a, j, c, s) + _near(t) * _across(frame, b, j, c, s)
                total += _near(r) * _across(frame, d, j, c, s) + _far(r) * _across(frame, e, j, c, s)
                held = np.int32(min(max(total + scalars.HALF, scalars.ZERO), high))
                still = u == scalars.ZERO and v == scalars.ZERO
                out[line, x, c] = np.int32(frame[line, x, c]) if still else held


@door()
def displace(
    frame: NDArray, field: NDArray, offset: tuple[float, float], step: tuple[float, float], high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """As `fastmag.kernels.reference.displace`, of uint8 or uint16; also of a batch (B, H, W, C) and as many fields."""
    frame, field = _frames.levels(frame), reading(field)
    lead = frame.shape[:1] if frame.ndim == 4 else ()
    if field.shape[:-2] != (*lead, 2) or min(step) <= 0:
        wanted = f"({'B, ' if lead else ''}2, h, w)"
        raise InputError(f"field must be {wanted} with steps above 0; got {field.shape}, {step}: across, then down")
    out, (height, width) = writing(out, frame.shape, frame.dtype), _frames.size(frame)
    plan: list[Any] = []
    for n, m, o, s in zip((height, width), field.shape[-2:], offset, step, strict=True):
        plan += device.constants(plans.linear, n, m, float(o), float(s))
    channels = frame.shape[-1] if frame.ndim > 2 else 1
    source, target = (x.reshape(-1, width, channels) for x in (apart(frame, out), out))
    nodes, wide = field.shape[-2:]
    _displace.plane(*target.shape[:2], source, field.reshape(-1, wide), tuple(plan), nodes, np.float32(high), target)
    return out
