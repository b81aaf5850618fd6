"""Local phase of complex subbands on the GPU: differences, sums and shifts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cuda._door import door, reading, same, writing
from fastmag.kernels.cuda._jit import kernel, scalar

_arctangent = scalar(scalars.arctangent)
_sine_cosine = scalar(scalars.sine_cosine)
_turned = scalar(scalars.turned)

_LINE, _ROWS = "float32[::1]", "float32[:,::1]"


@kernel(f"void({_ROWS}, {_ROWS}, {_ROWS})")
def _difference(now, before, out):
    """Rows (B, 2 n) of real and imaginary parts in turn, against as many rows or one."""
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    for b in range(top, out.shape[0], down):
        then = b if before.shape[0] > 1 else 0
        for i in range(left, out.shape[1], across):
            p, q, r, s = now[b, 2 * i], now[b, 2 * i + 1], before[then, 2 * i], before[then, 2 * i + 1]
            out[b, i] = _arctangent(q * r - p * s, p * r + q * s)


@kernel(f"void({_ROWS}, float64[::1], {_ROWS})", doubles=True)
def _accumulate(differences, state, out):
    for p in range(cuda.grid(1), out.shape[1], cuda.gridsize(1)):
        total = state[p]
        for t in range(out.shape[0]):
            total += differences[t, p]
            out[t, p] = total
        state[p] = total


@kernel(f"void({_LINE}, {_LINE}, float32, {_LINE})")
def _shift(subbands, delta, half, out):
    for i in range(cuda.grid(1), delta.shape[0], cuda.gridsize(1)):
        sine, cosine = _sine_cosine(half * delta[i])
        out[2 * i], out[2 * i + 1] = _turned(subbands[2 * i], subbands[2 * i + 1], sine, cosine)


@kernel(f"void({_LINE}, int64, {_LINE})")
def _magnitude(subbands, squared, out):
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        power = subbands[2 * i] * subbands[2 * i] + subbands[2 * i + 1] * subbands[2 * i + 1]
        out[i] = power if squared else math.sqrt(power)


def parts(x: Any) -> Any:
    """Complex coefficients as real and imaginary parts in turn, float32."""
    return reading(x, np.complex64).reshape(-1).view(np.float32)


@door(batch=("subbands", "before"))
def phase_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.phase_difference`, float32."""
    if before.shape not in (subbands.shape, subbands.shape[1:]):
        raise InputError(f"before must be {subbands.shape} or one frame of it; got {before.shape}: take either")
    out = writing(out, subbands.shape)
    angle = out.reshape(len(out), -1)
    now, then = (parts(x).reshape(-1, 2 * angle.shape[1]) for x in (subbands, before))
    _difference.plane(*angle.shape, now, then, angle)
    return out


@door(updates=("state",))
def accumulate_phase(differences: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.accumulate_phase`, float32 with a float64 state."""
    x = reading(differences)
    if state.shape != x.shape[1:] or state.dtype != np.float64 or not state.flags.c_contiguous:
        raise InputError(f"state must be {x.shape[1:]} float64; got {state.shape} {state.dtype}: start with zeros")
    out, total = writing(out, x.shape), state.reshape(-1)
    _accumulate.over(total.size, x.reshape(-1, total.size), total, out.reshape(-1, total.size))
    return out


@door(batch=("subbands", "delta"))
def shift_phase(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.shift_phase`, complex64."""
    same("delta", delta, subbands.shape)
    out = writing(out, subbands.shape, np.complex64)
    angle, half = reading(delta).reshape(-1), np.float32(0.5 * factor)
    _shift.over(angle.size, parts(subbands), angle, half, out.reshape(-1).view(np.float32))
    return out


@door(batch=("subbands",))
def amplitude(subbands: NDArray, squared: bool = False, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.amplitude`, float32."""
    out = writing(out, subbands.shape)
    _magnitude.over(out.size, parts(subbands), int(squared), out.reshape(-1))
    return out
