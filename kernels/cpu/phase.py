"""Local phase of complex subbands on the CPU: differences, sums, shifts and smoothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import aligned, apart, reading, writing
from fastmag.kernels.cpu._jit import exact_scalar, kernel, scalar
from fastmag.kernels.cpu._threads import spread

_BLOCK = 2048

_arctangent = scalar(scalars.arctangent)
_sine_cosine = exact_scalar(scalars.sine_cosine)
_turned = scalar(scalars.turned)


@kernel
def _difference(subbands, before, out, start, stop):
    """Rows (B, 2 n) of real and imaginary parts in turn, against as many rows or one."""
    for b in range(out.shape[0]):
        p, q = subbands[b, 2 * start : 2 * stop], before[b if before.shape[0] > 1 else 0, 2 * start : 2 * stop]
        angle = out[b, start:stop]
        for i in range(stop - start):
            im = p[2 * i + 1] * q[2 * i] - p[2 * i] * q[2 * i + 1]
            angle[i] = _arctangent(im, p[2 * i] * q[2 * i] + p[2 * i + 1] * q[2 * i + 1])


@kernel
def _accumulate(differences, state, out, start, stop):
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        total = state[low:high]
        for t in range(differences.shape[0]):
            x, y = differences[t, low:high], out[t, low:high]
            for i in range(high - low):
                total[i] += x[i]
                y[i] = total[i]


@kernel
def _shift(subbands, delta, half, out):
    for i in range(delta.shape[0]):
        sine, cosine = _sine_cosine(half * delta[i])
        out[2 * i], out[2 * i + 1] = _turned(subbands[2 * i], subbands[2 * i + 1], sine, cosine)


@kernel
def _power(subbands, out):
    for i in range(out.shape[0]):
        out[i] = subbands[2 * i] * subbands[2 * i] + subbands[2 * i + 1] * subbands[2 * i + 1]


@kernel
def _magnitude(subbands, out):
    for i in range(out.shape[0]):
        out[i] = np.sqrt(subbands[2 * i] * subbands[2 * i] + subbands[2 * i + 1] * subbands[2 * i + 1])


@kernel
def _multiply(a, b, product):
    for i in range(product.shape[0]):
        product[i] = a[i] * b[i]


@kernel
def _across(x, rows, y, taps, result):
    """Row y of the map x blurred down its columns; rows are the mirrored indices. Two pairs of taps a visit."""
    reach = taps.shape[0] - 1
    n = x.shape[1]
    centre = x[rows[y + reach]]
    for i in range(n):
        result[i] = taps[0] * centre[i]
    for k in range(1, reach, 2):
        near, far = taps[k], taps[k + 1]
        a, b = x[rows[y + reach - k]], x[rows[y + reach + k]]
        c, d = x[rows[y + reach - k - 1]], x[rows[y + reach + k + 1]]
        for i in range(n):
            result[i] += near * (a[i] + b[i]) + far * (c[i] + d[i])


@kernel
def _along(line, taps, columns, n, result):
    """Blur line[reach : reach + n] along itself after its ends have been mirrored."""
    reach = taps.shape[0] - 1
    centre = line[reach:]
    for i in range(reach):
        line[i] = centre[columns[i]]
        centre[n + i] = centre[columns[reach + n + i]]
    for i in range(n):
        result[i] = taps[0] * centre[i]
    for k in range(1, reach, 2):
        near, far = taps[k], taps[k + 1]
        a, b, c, d = line[reach - k :], line[reach + k :], line[reach - k - 1 :], line[reach + k + 1 :]
        for i in range(n):
            result[i] += near * (a[i] + b[i]) + far * (c[i] + d[i])


@kernel
def _quotient(a, b, result):
    for i in range(result.shape[0]):
        result[i] = a[i] / b[i] if b[i] > scalars.ZERO else scalars.ZERO


@kernel
def _smooth(phase, weight, out, rows, columns, taps, product, work, start, stop):
    """The maps start ... stop; work (4, w + 2 reach): a row of either sum, before and after the blur along it."""
    h, w = phase.shape[1], phase.shape[2]
    reach = taps.shape[0] - 1
    for t in range(start, stop):
        for y in range(h):
            _multiply(phase[t, y], weight[t, y], product[y])
        for y in range(h):
            _across(product, rows, y, taps, work[0, reach:])
            _across(weight[t], rows, y, taps, work[1, reach:])
            _along(work[0], taps, columns, w, work[2])
            _along(work[1], taps, columns, w, work[3])
            _quotient(work[2], work[3], out[t, y])


def _parts(x: NDArray) -> NDArray:
    """Complex coefficients as real and imaginary parts in turn, float32, read only: pairs in one row vectorise."""
    return reading(reading(x, np.complex64).reshape(-1).view(np.float32))


def phase_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """The phase of subbands against `before`, wrapped to (-pi, pi] (Eq. 20); 0 where either is 0.

    subbands (B, ...) complex; before of the same shape, or (...), one frame for all. Returns (B, ...) float32,
    within 7e-7 of the exact angle of the float32 coefficients.
    """
    if before.shape not in (subbands.shape, subbands.shape[1:]):
        raise InputError(f"before must be {subbands.shape} or one frame of it; got {before.shape}: take either")
    out = writing(out, subbands.shape)
    now, angle = _parts(subbands).reshape(len(subbands), -1), out.reshape(len(out), -1)
    then = _parts(before).reshape(-1, now.shape[1])
    spread(lambda start, stop: _difference(now, then, angle, start, stop), angle.shape[1], _BLOCK, out.size)
    return out


def accumulate_phase(differences: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """The running sum of phase differences over time (Eq. 21); chunks in turn give the same as the whole.

    differences (T, ...); state (...) float64, the sum so far, updated in place. Returns (T, ...) float32.
    """
    x = reading(differences)
    if state.shape != x.shape[1:] or state.dtype != np.float64 or not state.flags.c_contiguous:
        raise InputError(f"state must be {x.shape[1:]} float64; got {state.shape} {state.dtype}: start with zeros")
    out = writing(out, x.shape)
    total = state.reshape(-1)
    steps, sums = x.reshape(-1, total.size), out.reshape(-1, total.size)
    spread(lambda start, stop: _accumulate(steps, total, sums, start, stop), total.size, _BLOCK, x.size)
    return out


def shift_phase(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """What a shift of the phase by factor * delta adds: subbands * (exp(i factor delta) - 1), exactly 0 where delta is.

    subbands (...) complex; delta (...) in radians, |factor delta| <= 16384. Returns (...) complex64, the subbands of
    the difference of the frames; out may be the subbands.
    """
    if delta.shape != subbands.shape:
        raise InputError(f"delta must be {subbands.shape} as the subbands; got {delta.shape}: one angle a coefficient")
    out = writing(out, subbands.shape, np.complex64)
    source, angle, half = _parts(subbands), reading(delta).reshape(-1), np.float32(0.5 * factor)
    target = out.reshape(-1).view(np.float32)

    def shift(start: int, stop: int) -> None:
        _shift(source[2 * start : 2 * stop], angle[start:stop], half, target[2 * start : 2 * stop])

    spread(shift, angle.size, _BLOCK, angle.size)
    return out


def amplitude(subbands: NDArray, squared: bool = False, out: NDArray | None = None) -> NDArray:
    """|subbands|, or its square. subbands (...) complex. Returns (...) float32."""
    out = writing(out, subbands.shape)
    source, target, measure = _parts(subbands), out.reshape(-1), _power if squared else _magnitude

    def magnitude(start: int, stop: int) -> None:
        measure(source[2 * start : 2 * stop], target[start:stop])

    spread(magnitude, target.size, _BLOCK, target.size)
    return out


def smooth_amplitude_weighted(phase: NDArray, amplitude: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """Gaussian of `sigma` samples over the last two axes, weighted by the amplitude: G[amplitude phase] / G[amplitude].

    phase and amplitude (..., h, w), amplitude >= 0 (its square weighs harder); edges mirrored, cut at 4 sigma; 0 where
    no amplitude is in reach. Returns (..., h, w) float32.
    """
    phase, weight = reading(phase), reading(amplitude)
    if weight.shape != phase.shape:
        raise InputError(f"amplitude must be {phase.shape} as the phase; got {weight.shape}: one weight an angle")
    out = writing(out, phase.shape)
    h, w = phase.shape[-2:]
    maps = [apart(x, out).reshape(-1, h, w) for x in (phase, weight)]
    result, taps = out.reshape(-1, h, w), plans.half_gaussian(float(sigma))
    reach = len(taps) - 1
    rows, columns = plans.mirrored(h, reach), plans.mirrored(w, reach)

    def smooth(start: int, stop: int) -> None:
        product, work = np.empty((h, w), np.float32), aligned((4, w + 2 * reach))
        _smooth(*maps, result, rows, columns, taps, product, work, start, stop)

    spread(smooth, len(result), 1, phase.size)
    return out
