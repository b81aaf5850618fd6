"""Second-order sections along time on the CPU: float64 state, blocked over pixels, several frames per visit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cpu._arrays import apart, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

_BLOCK = 128  # pixels whose state and rows stay in the nearest cache
_ROWS = 4  # frames per visit: the state is loaded and stored once for all of them

_section = scalar(scalars.section)


@kernel
def _sections(work, rows, sos):
    """Run every section over the rows at the head of work, in place; two rows of state a section follow them."""
    for s in range(sos.shape[0]):
        b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], sos[s, 4], sos[s, 5]
        z = work[(_ROWS + 2 * s) * _BLOCK :]
        if rows == _ROWS:
            for i in range(_BLOCK):
                p = z[i]
                q = z[_BLOCK + i]
                for r in range(_ROWS):
                    work[r * _BLOCK + i], p, q = _section(work[r * _BLOCK + i], p, q, b0, b1, b2, a1, a2)
                z[i] = p
                z[_BLOCK + i] = q
        else:
            for r in range(rows):
                x = work[r * _BLOCK :]
                for i in range(_BLOCK):
                    x[i], z[i], z[_BLOCK + i] = _section(x[i], z[i], z[_BLOCK + i], b0, b1, b2, a1, a2)


@kernel
def _load(row, line):
    """Row of pixels into a line of work; lanes beyond the row are cleared, lest old values fade into slow denormals."""
    for i in range(row.shape[0]):
        line[i] = row[i]
    for i in range(row.shape[0], _BLOCK):
        line[i] = 0.0


@kernel
def _store(line, row):
    for i in range(row.shape[0]):
        row[i] = line[i]


@kernel
def _stream(X, Y, sos, state, work, backward, start, stop):
    """Carry the state (sections * 2, P) of the pixels start ... stop through one chunk of time."""
    length = X.shape[0]
    z = work[_ROWS * _BLOCK :]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, X.shape[1])
        for k in range(state.shape[0]):
            _load(state[k, low:high], z[k * _BLOCK :])
        for first in range(0, length, _ROWS):
            rows = min(_ROWS, length - first)
            for r in range(rows):
                t = length - 1 - first - r if backward else first + r
                _load(X[t, low:high], work[r * _BLOCK :])
            _sections(work, rows, sos)
            for r in range(rows):
                t = length - 1 - first - r if backward else first + r
                _store(work[r * _BLOCK :], Y[t, low:high])
        for k in range(state.shape[0]):
            _store(z[k * _BLOCK :], state[k, low:high])


@kernel
def _load_extended(X, t, low, high, line):
    """Frame t of the series that goes on beyond both ends, turned by half a turn about the frame there."""
    last = X.shape[0] - 1
    if t < 0 or t > last:
        edge = X[0 if t < 0 else last, low:high]
        row = X[-t if t < 0 else 2 * last - t, low:high]
        for i in range(row.shape[0]):
            line[i] = 2.0 * np.float64(edge[i]) - row[i]
    else:
        _load(X[t, low:high], line)


@kernel
def _settle(work, rest, line):
    """Start as if the line had been the input for ever."""
    for k in range(rest.shape[0]):
        z = work[(_ROWS + k) * _BLOCK :]
        for i in range(_BLOCK):
            z[i] = rest[k] * line[i]


@kernel
def _zero_phase(X, Y, sos, rest, work, tail, start, stop):
    """Forward over head, X and tail, then backward over tail and X; tail (pad, _BLOCK) keeps what lies beyond Y."""
    length = X.shape[0]
    pad = tail.shape[0]
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, X.shape[1])
        for first in range(-pad, length + pad, _ROWS):
            rows = min(_ROWS, length + pad - first)
            for r in range(rows):
                _load_extended(X, first + r, low, high, work[r * _BLOCK :])
            if first == -pad:
                _settle(work, rest, work)
            _sections(work, rows, sos)
            for r in range(rows):
                t = first + r
                if t >= 0:
                    _store(work[r * _BLOCK :], Y[t, low:high] if t < length else tail[t - length, : high - low])
        for first in range(length + pad, 0, -_ROWS):
            rows = min(_ROWS, first)
            for r in range(rows):
                t = first - 1 - r
                _load(Y[t, low:high] if t < length else tail[t - length, : high - low], work[r * _BLOCK :])
            if first == length + pad:
                _settle(work, rest, work)
            _sections(work, rows, sos)
            for r in range(rows):
                t = first - 1 - r
                if t < length:
                    _store(work[r * _BLOCK :], Y[t, low:high])


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
    rows, filtered = apart(X, out).reshape(len(X), -1), out.reshape(len(X), -1)
    rest, pad = plans.settled(sections).reshape(-1), plans.padding(sections, len(X))

    def zero_phase(start: int, stop: int) -> None:
        tail = np.empty((pad, _BLOCK), np.float32)
        _zero_phase(rows, filtered, sections, rest, _workspace(sections), tail, start, stop)

    spread(zero_phase, rows.shape[1], _BLOCK, X.size)
    return out
