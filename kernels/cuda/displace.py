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
def _between(field, b, c, i, share, j, portion):
    """Component c of field b, so far beyond its node (i, j), linear."""
    below, right = min(i + 1, field.shape[2] - 1), min(j + 1, field.shape[3] - 1)
    before = field[b, c, i, j] + share * (field[b, c, below, j] - field[b, c, i, j])
    after = field[b, c, i, right] + share * (field[b, c, below, right] - field[b, c, i, right])
    return before + portion * (after - before)


@scalar
def _across(frame, b, y, left, c, s):
    """A row of frame b at a place s beyond the column `left`."""
    width, r = frame.shape[2], scalars.ONE - s
    total = _far(s) * np.float32(frame[b, y, _inside(left - 1, width), c])
    total += _near(s) * np.float32(frame[b, y, _inside(left, width), c])
    total += _near(r) * np.float32(frame[b, y, _inside(left + 1, width), c])
    return total + _far(r) * np.float32(frame[b, y, _inside(left + 2, width), c])


_TABLES = "Tuple((int32[::1], float32[::1], int32[::1], float32[::1]))"


@kernel(*(f"void({t}[:,:,:,::1], float32[:,:,:,::1], {_TABLES}, float32, {t}[:,:,:,::1])" for t in ("uint8", "uint16")))
def _displace(frame, field, plan, high, out):
    """Frames (B, H, W, C); the plan: the field's node before each row, the share of the next, and so for columns."""
    rows, shares, columns, portions = plan
    first, top = cuda.grid(2)
    wide, tall = cuda.gridsize(2)
    count, height, width, channels = frame.shape
    for n in range(cuda.blockIdx.z, count, cuda.gridDim.z):
        for y in range(top, height, tall):
            for x in range(first, width, wide):
                u = _between(field, n, 0, rows[y], shares[y], columns[x], portions[x])
                v = _between(field, n, 1, rows[y], shares[y], columns[x], portions[x])
                up, left = _floor(-v), _floor(-u)
                t, s = -v - np.float32(up), -u - np.float32(left)
                r, i, j = scalars.ONE - t, y + up, x + left
                a, b, d, e = _inside(i - 1, height), _inside(i, height), _inside(i + 1, height), _inside(i + 2, height)
                for c in range(channels):
                    total = _far(t) * _across(frame, n, a, j, c, s) + _near(t) * _across(frame, n, b, j, c, s)
                    total += _near(r) * _across(frame, n, d, j, c, s) + _far(r) * _across(frame, n, e, j, c, s)
                    held = np.int32(min(max(total + scalars.HALF, scalars.ZERO), high))
                    still = u == scalars.ZERO and v == scalars.ZERO
                    out[n, y, x, c] = np.int32(frame[n, y, x, c]) if still else held


@door()
def displace(
    frame: NDArray, field: NDArray, offset: tuple[float, float], step: tuple[float, float], high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """As `fastmag.kernels.reference.displace`, of uint8 or uint16; also of a batch (B, H, W, C) and as many fields."""
    frame, field = _frames.levels(frame), reading(field)
    lead = frame.shape[:1] if frame.ndim == 4 else ()
    if field.shape[:-2] != (*lead, 2) or min(step) <= 0:
        wanted = (*lead, 2, "h", "w")
        raise InputError(f"field must be {wanted} with steps above 0; got {field.shape}, {step}: across, then down")
    out, (height, width) = writing(out, frame.shape, frame.dtype), _frames.size(frame)
    plan: list[Any] = []
    for n, m, o, s in zip((height, width), field.shape[-2:], offset, step, strict=True):
        plan += device.constants(plans.linear, n, m, float(o), float(s))
    shape = (lead[0] if lead else 1, height, width, -1)
    source, target = (x.reshape(shape) for x in (apart(frame, out), out))
    fields = field.reshape(len(source), 2, *field.shape[-2:])
    _displace.plane(height, width, source, fields, tuple(plan), np.float32(high), target, depth=len(source))
    return out
