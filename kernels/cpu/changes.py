"""Full-size luma, and full-size changes added to frames, on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu._arrays import levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar

_add_rounded = scalar(scalars.add_rounded)


@kernel
def _weigh(frame, a, b, c, out):
    for y in range(out.shape[0]):
        line, target = frame[y], out[y]
        for x in range(out.shape[1]):
            target[x] = a * np.float32(line[3 * x]) + b * np.float32(line[3 * x + 1]) + c * np.float32(line[3 * x + 2])


@kernel
def _add(frame, change, low, high, out):
    for i in range(frame.shape[0]):
        out[i] = _add_rounded(np.int32(frame[i]), change[i], low, high)


@kernel
def _add_to_all(frame, change, channels, low, high, out):
    """The same change for every channel of a pixel."""
    for i in range(change.shape[0]):
        d = change[i]
        for k in range(channels):
            out[channels * i + k] = _add_rounded(np.int32(frame[channels * i + k]), d, low, high)


@kernel
def _add_to_three(frame, change, low, high, out):
    for i in range(change.shape[0]):
        d = change[i]
        out[3 * i] = _add_rounded(np.int32(frame[3 * i]), d, low, high)
        out[3 * i + 1] = _add_rounded(np.int32(frame[3 * i + 1]), d, low, high)
        out[3 * i + 2] = _add_rounded(np.int32(frame[3 * i + 2]), d, low, high)


def luma(frame: NDArray, weights: tuple[float, float, float], out: NDArray | None = None) -> NDArray:
    """The weighted sum of three interleaved channels: frame (H, W, 3) uint8 or uint16. Returns (H, W) float32."""
    frame = levels(frame)
    if frame.shape[2:] != (3,):
        raise InputError(f"frame must be (H, W, 3); got {frame.shape}: pass three channels")
    out = writing(out, frame.shape[:2])
    a, b, c = (np.float32(w) for w in weights)
    _weigh(frame.reshape(len(frame), -1), a, b, c, out)
    return out


def add_change(
    frame: NDArray, change: NDArray, low: float = 0, high: float = 255, out: NDArray | None = None
) -> NDArray:
    """frame + change, rounded half up and held in [low, high].

    frame (H, W[, C]) uint8 or uint16; change in levels, of the frame's shape, or (H, W) for all channels alike.
    A pixel outside [low, high] to begin with is not moved by the limits, and by the change only inwards.
    Returns the frame's shape and dtype.
    """
    frame, change = levels(frame), reading(change)
    if change.shape not in (frame.shape, frame.shape[:2]):
        raise InputError(f"change must be {frame.shape} or {frame.shape[:2]}; got {change.shape}: reshape it")
    out = writing(out, frame.shape, frame.dtype)
    flat, bottom, top, result = frame.reshape(-1), np.int32(low), np.int32(high), out.reshape(-1)
    if change.shape == frame.shape:
        _add(flat, change.reshape(-1), bottom, top, result)
    elif frame.shape[2] == 3:
        _add_to_three(flat, change.reshape(-1), bottom, top, result)
    else:
        _add_to_all(flat, change.reshape(-1), frame.shape[2], bottom, top, result)
    return out
