"""Second-order sections along time on the GPU: a pixel's whole series on one thread, its float64 state in registers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import cuda, float64
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import apart, door, reading, writing
from fastmag.kernels.cuda._jit import Kernel, kernel, scalar

USUAL = (1, 2, 3)  # sections of the filters that come with the methods

_section = scalar(scalars.section)
_SERIES, _DOUBLES = "float32[:,::1]", "float64[:,::1]"


@scalar
def _extended(X, t, p):
    """Frame t of the series that goes on beyond both ends, turned by half a turn about the frame there."""
    last = X.shape[0] - 1
    if t < 0:
        return 2.0 * np.float64(X[0, p]) - X[-t, p]
    if t > last:
        return 2.0 * np.float64(X[last, p]) - X[2 * last - t, p]
    return np.float64(X[t, p])


@lru_cache(maxsize=16)
def _stream(sections: int) -> Kernel:
    """Carry the state (2 * sections, P) through a chunk of time; with their number fixed, loops over them unroll."""
    states, numbers = 2 * sections, 6 * sections

    @kernel(f"void({_SERIES}, {_SERIES}, {_DOUBLES}, {_DOUBLES}, int64)", doubles=True)
    def stream(X, Y, sos, state, backward):
        z, c = cuda.local.array(states, float64), cuda.local.array(numbers, float64)
        for s in range(sections):
            for k in range(6):
                c[6 * s + k] = sos[s, k]
        last = X.shape[0] - 1
        for p in range(cuda.grid(1), X.shape[1], cuda.gridsize(1)):
            for k in range(states):
                z[k] = state[k, p]
            for i in range(last + 1):
                t = last - i if backward else i
                value = np.float64(X[t, p])
                for s in range(sections):
                    value, z[2 * s], z[2 * s + 1] = _section(
                        value, z[2 * s], z[2 * s + 1], c[6 * s], c[6 * s + 1], c[6 * s + 2], c[6 * s + 4], c[6 * s + 5]
                    )
                Y[t, p] = value
            for k in range(states):
                state[k, p] = z[k]

    stream.name += f"[{sections}]"
    return stream


@lru_cache(maxsize=16)
def _zero_phase(sections: int) -> Kernel:
    """Forward over head, X and tail, then backward over tail and X; tail (pad, P) keeps what lies beyond Y."""
    states, numbers = 2 * sections, 6 * sections

    @kernel(f"void({_SERIES}, {_SERIES}, {_DOUBLES}, float64[::1], {_SERIES})", doubles=True)
    def zero_phase(X, Y, sos, rest, tail):
        z, c = cuda.local.array(states, float64), cuda.local.array(numbers, float64)
        for s in range(sections):
            for k in range(6):
                c[6 * s + k] = sos[s, k]
        length, pad = X.shape[0], tail.shape[0]
        for p in range(cuda.grid(1), X.shape[1], cuda.gridsize(1)):
            for way in range(2):
                for i in range(length + 2 * pad - way * pad):
                    t = length + pad - 1 - i if way else i - pad
                    if way:
                        value = np.float64(Y[t, p]) if t < length else np.float64(tail[t - length, p])
                    else:
                        value = _extended(X, t, p)
                    if i == 0:
                        for k in range(states):
                            z[k] = rest[k] * value
                    for s in range(sections):
                        value, z[2 * s], z[2 * s + 1] = _section(
                            value, z[2 * s], z[2 * s + 1],
                            c[6 * s], c[6 * s + 1], c[6 * s + 2], c[6 * s + 4], c[6 * s + 5],
                        )  # fmt: skip
                    if 0 <= t < length:
                        Y[t, p] = value
                    elif t >= length:
                        tail[t - length, p] = value

    zero_phase.name += f"[{sections}]"
    return zero_phase


for _number in USUAL:  # so that the report knows them
    _stream(_number)
    _zero_phase(_number)


def _filter(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None, backward: bool) -> NDArray:
    X = reading(X)
    out, expected = writing(out, X.shape), (len(sos), 2, X.shape[1])
    if state.shape != expected or state.dtype != np.float64 or not state.flags.c_contiguous:
        raise InputError(f"state must be {expected} float64; got {state.shape} {state.dtype}: start with zeros")
    flat = state.reshape(-1, X.shape[1])
    _stream(len(sos)).over(X.shape[1], X, out, device.doubles(sos), flat, int(backward))
    return out


@door(updates=("state",), keep=("sos",))
def bandpass_forward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.bandpass_forward`, float32 with a float64 state."""
    return _filter(X, sos, state, out, False)


@door(updates=("state",), keep=("sos",))
def bandpass_backward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.bandpass_backward`, float32 with a float64 state."""
    return _filter(X, sos, state, out, True)


@door(keep=("sos",))
def bandpass(X: NDArray, sos: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.bandpass`, float32 with a float64 state."""
    X = reading(X)
    out = writing(out, X.shape)
    rows, filtered = apart(X, out).reshape(len(X), -1), out.reshape(len(X), -1)
    tail = device.empty((plans.padding(sos, len(X)), rows.shape[1]))
    rest = device.doubles(plans.settled(sos).reshape(-1))
    _zero_phase(len(sos)).over(rows.shape[1], rows, filtered, device.doubles(sos), rest, tail)
    return out
