"""Second-order sections along time on the CPU: float64 state, blocked over pixels, several frames per visit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

_BLOCK = 128  # pixels whose state and rows stay in the nearest cache
_ROWS = 8  # frames per visit: the state is loaded and stored once for all of them

_section = scalar(scalars.section)


@kernel
def _sections(work, rows, sos):
    """Run every section over the rows at the head of work, in place; two rows of state a section follow them."""
    for s in range(sos.shape[0]):
        b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
        z0 = (_ROWS + 2 * s) * _BLOCK
        z1 = z0 + _BLOCK
        if rows == _ROWS:
            for i in range(_BLOCK):
                p = work[z0 + i]
                q = work[z1 + i]
                for r in range(_ROWS):
                    work[r * _BLOCK + i], p, q = _section(work[r * _BLOCK + i], p, q, b0, b1, b2, a1, a2)
                work[z0 + i] = p
                work[z1 + i] = q
        else:
            for r in range(rows):
                for i in range(_BLOCK):
                    work[r * _BLOCK + i], work[z0 + i], work[z1 + i] = _section(
                        work[r * _BLOCK + i], work[z0 + i], work[z1 + i], b0, b1, b2, a1, a2
                    )


@kernel
def _run(X, Y, sos, work, low, backward):
    """Filter the pixels low ... low + _BLOCK of X into Y along time, or against it."""
    length = X.shape[0]
    n = min(_BLOCK, X.shape[1] - low)
    for first in range(0, length, _ROWS):
        rows = min(_ROWS, length - first)
        for r in range(rows):
            x = X[length - 1 - first - r if backward else first + r]
            for i in range(n):
                work[r * _BLOCK + i] = x[low + i]
            for i in range(n, _BLOCK):  # what an earlier visit left there would fade into slow denormals
                work[r * _BLOCK + i] = 0.0
        _sections(work, rows, sos)
        for r in range(rows):
            y = Y[length - 1 - first - r if backward else first + r]
            for i in range(n):
                y[low + i] = work[r * _BLOCK + i]


@kernel
def _stream(X, Y, sos, state, work, backward, start, stop):
    """Carry the state (sections * 2, P) of the pixels start ... stop through one chunk of time."""
    for low in range(start, stop, _BLOCK):
        n = min(_BLOCK, X.shape[1] - low)
        for k in range(state.shape[0]):
            for i in range(n):
                work[(_ROWS + k) * _BLOCK + i] = state[k, low + i]
        _run(X, Y, sos, work, low, backward)
        for k in range(state.shape[0]):
            for i in range(n):
                state[k, low + i] = work[(_ROWS + k) * _BLOCK + i]


@kernel
def _settle(work, rest, row):
    """Start as if the row had been the input for ever."""
    for k in range(rest.shape[0]):
        for i in range(_BLOCK):
            work[(_ROWS + k) * _BLOCK + i] = rest[k] * row[i]


@kernel
def _zero_phase(X, Y, sos, rest, work, ends, start, stop):
    """Forward over head, X and tail, backward over tail and X; ends (2, pad + 1, _BLOCK) holds the odd extensions."""
    last = X.shape[0] - 1
    pad = ends.shape[1] - 1
    head, tail = ends[0], ends[1]  # each begins, or ends, with the edge frame itself: for pad 0 there is still a row
    for low in range(start, stop, _BLOCK):
        n = min(_BLOCK, X.shape[1] - low)
        for t in range(pad + 1):
            for i in range(n):
                head[t, i] = 2.0 * X[0, low + i] - X[pad - t, low + i]
                tail[t, i] = 2.0 * X[last, low + i] - X[last - t, low + i]
        _settle(work, rest, head[0])
        _run(head[:pad], head[:pad], sos, work, 0, False)
        _run(X, Y, sos, work, low, False)
        for i in range(n):
            tail[0, i] = Y[last, low + i]
        _run(tail[1:], tail[1:], sos, work, 0, False)
        _settle(work, rest, tail[pad])
        _run(tail[1:], tail[1:], sos, work, 0, True)
        _run(Y, Y, sos, work, low, True)


def _workspace(sections: NDArray) -> NDArray:
    return np.zeros((_ROWS + 2 * len(sections)) * _BLOCK)


def _filter(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None, backward: bool) -> NDArray:
    X, sections = reading(X), reading(sos, np.float64)
    out = writing(out, X.shape)
    if state.shape != (len(sections), 2, X.shape[1]) or state.dtype != np.float64 or not state.flags.c_contiguous:
        expected = (len(sections), 2, X.shape[1])
        raise InputError(f"state must be {expected} float64; got {state.shape} {state.dtype}: start with zeros")
    flat = state.reshape(-1, X.shape[1])

    def stream(start: int, stop: int) -> None:
        _stream(X, out, sections, flat, _workspace(sections), backward, start, stop)

    spread(stream, X.shape[1], _BLOCK, X.size)
    return out


def bandpass_forward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """Filter along time from the first row to the last; chunks in turn give the same as the whole.

    X (T, P); sos (n, 6) as scipy.signal designs them (a0 = 1); state (n, 2, P) float64, updated in place.
    Returns (T, P) float32.
    """
    return _filter(X, sos, state, out, False)


def bandpass_backward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """As bandpass_forward, from the last row to the first: give the last chunk first."""
    return _filter(X, sos, state, out, True)


def bandpass(X: NDArray, sos: NDArray, out: NDArray | None = None) -> NDArray:
    """Zero-phase filter along time: scipy.signal.sosfiltfilt(sos, X, axis=0) with its default odd padding.

    X (T, ...), T >= 1: where T is too short for that padding, T - 1 samples are used. sos (n, 6).
    Returns (T, ...) float32.
    """
    X, sections = reading(X), reading(sos, np.float64)
    out = writing(out, X.shape)
    rows, filtered = X.reshape(len(X), -1), out.reshape(len(X), -1)
    rest, pad = plans.settled(sections).reshape(-1), plans.padding(sections, len(X))

    def zero_phase(start: int, stop: int) -> None:
        ends = np.zeros((2, pad + 1, _BLOCK))
        _zero_phase(rows, filtered, sections, rest, _workspace(sections), ends, start, stop)

    spread(zero_phase, rows.shape[1], _BLOCK, X.size)
    return out
