"""Local phase and direction of Riesz pyramids on the CPU (Wadhwa et al. 2014)."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import exact_scalar, kernel, scalar, uncontracted_scalar
from fastmag.kernels.cpu._threads import spread

_BLOCK = 2048

_arctangent = scalar(scalars.arctangent)
_sine_cosine = exact_scalar(scalars.sine_cosine)
_crossed = uncontracted_scalar(scalars.crossed)


@kernel
def _difference(now, before, out, start, stop):
    """Pairs (2, 2 n) of real and imaginary parts in turn to (2, n)."""
    a, b = now[0, 2 * start : 2 * stop], now[1, 2 * start : 2 * stop]
    c, d = before[0, 2 * start : 2 * stop], before[1, 2 * start : 2 * stop]
    across, down = out[0, start:stop], out[1, start:stop]
    for n in range(stop - start):
        i, j = a[2 * n], c[2 * n]
        p, q, s, t = a[2 * n + 1], b[2 * n + 1], c[2 * n + 1], d[2 * n + 1]
        x, y = _crossed(p, j, i, s), _crossed(q, j, i, t)
        sine = np.sqrt(x * x + y * y)
        angle = _arctangent(sine, i * j + p * s + q * t)
        scale = angle / sine if sine > scalars.ZERO else scalars.ZERO
        across[n], down[n] = scale * x, scale * y


@kernel
def _shift(subbands, delta, factor, out, start, stop):
    a, b = subbands[0, 2 * start : 2 * stop], subbands[1, 2 * start : 2 * stop]
    across, down, result = delta[0, start:stop], delta[1, start:stop], out[2 * start : 2 * stop]
    for n in range(stop - start):
        x, y = factor * across[n], factor * down[n]
        angle = np.sqrt(x * x + y * y)
        along = (x * a[2 * n + 1] + y * b[2 * n + 1]) / angle if angle > scalars.ZERO else scalars.ZERO
        sine, cosine = _sine_cosine(scalars.HALF * angle)
        result[2 * n] = -(sine + sine) * (sine * a[2 * n] + cosine * along)
        result[2 * n + 1] = scalars.ZERO


@kernel
def _amplitude(subbands, out, start, stop):
    a, b = subbands[0, 2 * start : 2 * stop], subbands[1, 2 * start : 2 * stop]
    first, second = out[0, start:stop], out[1, start:stop]
    for n in range(stop - start):
        first[n] = np.sqrt(a[2 * n] * a[2 * n] + a[2 * n + 1] * a[2 * n + 1] + b[2 * n + 1] * b[2 * n + 1])
        second[n] = first[n]


def _rows(subbands: NDArray) -> NDArray:
    """Subbands (B, 2, h, w) as (B, 2, 2 n) float32, real and imaginary parts in turn, read only."""
    if subbands.ndim != 4 or subbands.shape[1] != 2:
        raise InputError(f"subbands must be (B, 2, h, w); got {subbands.shape}: analyse with fastmag.pyramids.riesz")
    return reading(reading(subbands, np.complex64).view(np.float32).reshape(len(subbands), 2, -1))


def _check(name: str, x: NDArray, subbands: NDArray) -> None:
    if x.shape != subbands.shape:
        raise InputError(f"{name} must be {subbands.shape} as the subbands; got {x.shape}: take them of one plan")


def riesz_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """The phase since `before`, times its direction: the logarithm of one quaternion over the other, k left out.

    Both (B, 2, h, w) complex. Returns (B, 2, h, w) float32 in radians, across and down, of length 0 to pi; 0 where it
    has no direction, and exactly 0 where both are equal.
    """
    _check("before", before, subbands)
    now, then, out = _rows(subbands), _rows(before), writing(out, subbands.shape)
    angle = out.reshape(len(out), 2, -1)
    for b in range(len(out)):
        spread(partial(_difference, now[b], then[b], angle[b]), angle.shape[2], _BLOCK, angle[b].size)
    return out


def riesz_shift(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """What a shift of the phase by factor * delta adds to the band, exactly 0 where delta is.

    subbands (B, 2, h, w) complex; delta (B, 2, h, w) in radians times direction, |factor delta| <= 16384.
    Returns (B, 1, h, w) complex64 without an imaginary part, for `steerable_synthesis` with the plan's `bands()`.
    """
    _check("delta", delta, subbands)
    source, turn = _rows(subbands), reading(delta).reshape(len(delta), 2, -1)
    out = writing(out, (len(subbands), 1, *subbands.shape[2:]), np.complex64)
    target, times = out.view(np.float32).reshape(len(out), -1), np.float32(factor)
    for b in range(len(out)):
        spread(partial(_shift, source[b], turn[b], times, target[b]), turn.shape[2], _BLOCK, turn[b].size)
    return out


def riesz_amplitude(subbands: NDArray, out: NDArray | None = None) -> NDArray:
    """The local amplitude, twice, to weigh both parts of a phase with: (B, 2, h, w) of subbands (B, 2, h, w)."""
    source, out = _rows(subbands), writing(out, subbands.shape)
    target = out.reshape(len(out), 2, -1)
    for b in range(len(out)):
        spread(partial(_amplitude, source[b], target[b]), target.shape[2], _BLOCK, target[b].size)
    return out
