"""Local phase and direction of Riesz pyramids on the GPU (Wadhwa et al. 2014)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cuda._door import door, reading, same, writing
from fastmag.kernels.cuda._jit import crossed, kernel, scalar
from fastmag.kernels.cuda.phase import parts

_arctangent = scalar(scalars.arctangent)
_sine_cosine = scalar(scalars.sine_cosine)

_PAIRS = "float32[:,:,::1]"


@kernel(f"void({_PAIRS}, {_PAIRS}, {_PAIRS})")
def _difference(now, before, out):
    """Pairs (B, 2, 2 n) of real and imaginary parts in turn to (B, 2, n)."""
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    for b in range(top, out.shape[0], down):
        for n in range(left, out.shape[2], across):
            i, j = now[b, 0, 2 * n], before[b, 0, 2 * n]
            p, q = now[b, 0, 2 * n + 1], now[b, 1, 2 * n + 1]
            s, t = before[b, 0, 2 * n + 1], before[b, 1, 2 * n + 1]
            x, y = crossed(p, j, i, s), crossed(q, j, i, t)
            sine = math.sqrt(x * x + y * y)
            angle = _arctangent(sine, i * j + p * s + q * t)
            scale = angle / sine if sine > scalars.ZERO else scalars.ZERO
            out[b, 0, n], out[b, 1, n] = scale * x, scale * y


@kernel(f"void({_PAIRS}, {_PAIRS}, float32, float32[:,::1])")
def _shift(subbands, delta, factor, out):
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    for b in range(top, out.shape[0], down):
        for n in range(left, delta.shape[2], across):
            x, y = factor * delta[b, 0, n], factor * delta[b, 1, n]
            angle, band = math.sqrt(x * x + y * y), subbands[b, 0, 2 * n]
            along = x * subbands[b, 0, 2 * n + 1] + y * subbands[b, 1, 2 * n + 1]
            along = along / angle if angle > scalars.ZERO else scalars.ZERO
            sine, cosine = _sine_cosine(scalars.HALF * angle)
            out[b, 2 * n] = -(sine + sine) * (sine * band + cosine * along)
            out[b, 2 * n + 1] = scalars.ZERO


@kernel(f"void({_PAIRS}, {_PAIRS})")
def _amplitude(subbands, out):
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    for b in range(top, out.shape[0], down):
        for n in range(left, out.shape[2], across):
            i, p, q = subbands[b, 0, 2 * n], subbands[b, 0, 2 * n + 1], subbands[b, 1, 2 * n + 1]
            size = math.sqrt(i * i + p * p + q * q)
            out[b, 0, n], out[b, 1, n] = size, size


def _pairs(subbands: Any) -> Any:
    """Subbands (B, 2, h, w) as (B, 2, 2 n) float32, real and imaginary parts in turn."""
    if subbands.ndim != 4 or subbands.shape[1] != 2:
        raise InputError(f"subbands must be (B, 2, h, w); got {subbands.shape}: analyse with fastmag.pyramids.riesz")
    return parts(subbands).reshape(len(subbands), 2, -1)


@door(batch=("subbands", "before"))
def riesz_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.riesz_difference`, float32; exactly 0 where both are equal."""
    same("before", before, subbands.shape)
    now, then, out = _pairs(subbands), _pairs(before), writing(out, subbands.shape)
    angle = out.reshape(len(out), 2, -1)
    _difference.plane(len(angle), angle.shape[2], now, then, angle)
    return out


@door(batch=("subbands", "delta"))
def riesz_shift(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.riesz_shift`, complex64."""
    same("delta", delta, subbands.shape)
    source, turn = _pairs(subbands), reading(delta).reshape(len(delta), 2, -1)
    out = writing(out, (len(subbands), 1, *subbands.shape[2:]), np.complex64)
    target = out.view(np.float32).reshape(len(out), -1)
    _shift.plane(len(turn), turn.shape[2], source, turn, np.float32(factor), target)
    return out


@door(batch=("subbands",))
def riesz_amplitude(subbands: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.riesz_amplitude`, float32."""
    source, out = _pairs(subbands), writing(out, subbands.shape)
    target = out.reshape(len(out), 2, -1)
    _amplitude.plane(len(target), target.shape[2], source, target)
    return out
