"""Full-size luma, and full-size changes added to frames, on the GPU."""

from __future__ import annotations

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cuda._door import door, reading, writing
from fastmag.kernels.cuda._frames import levels
from fastmag.kernels.cuda._jit import kernel, scalar

_add_rounded = scalar(scalars.add_rounded)


@kernel(*(f"void({t}[::1], float32, float32, float32, float32[::1])" for t in ("uint8", "uint16")))
def _weigh(frame, a, b, c, out):
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        red, green, blue = np.float32(frame[3 * i]), np.float32(frame[3 * i + 1]), np.float32(frame[3 * i + 2])
        out[i] = a * red + b * green + c * blue


@kernel(*(f"void({t}[:,::1], float32[:,::1], int32, int32, {t}[:,::1])" for t in ("uint8", "uint16")))
def _add(frame, change, low, high, out):
    """Pixels (n, channels), changes (n, channels) or one for all of a pixel's channels (n, 1)."""
    last = change.shape[1] - 1
    for i in range(cuda.grid(1), out.shape[0], cuda.gridsize(1)):
        for c in range(out.shape[1]):
            out[i, c] = _add_rounded(np.int32(frame[i, c]), change[i, min(c, last)], low, high)


@door()
def luma(frame: NDArray, weights: tuple[float, float, float], out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.luma`, of uint8 or uint16; also of a batch (B, H, W, 3)."""
    frame = levels(frame)
    if frame.shape[2:] != (3,) and (frame.ndim != 4 or frame.shape[3] != 3):
        raise InputError(f"frame must be (H, W, 3); got {frame.shape}: pass three channels")
    out = writing(out, frame.shape[:-1])
    _weigh.over(out.size, frame.reshape(-1), *map(np.float32, weights), out.reshape(-1))
    return out


@door()
def add_change(
    frame: NDArray, change: NDArray, low: float = 0, high: float = 255, out: NDArray | None = None
) -> NDArray:
    """As `fastmag.kernels.reference.add_change`, of uint8 or uint16; also of a batch (B, H, W, C)."""
    frame, change = levels(frame), reading(change)
    if change.shape not in (frame.shape, frame.shape[:-1]):
        raise InputError(f"change must be {frame.shape} or {frame.shape[:-1]}; got {change.shape}: reshape it")
    out = writing(out, frame.shape, frame.dtype)
    channels = 1 if change.shape == frame.shape else frame.shape[-1]
    pixels, result = frame.reshape(-1, channels), out.reshape(-1, channels)
    _add.over(len(pixels), pixels, change.reshape(-1, 1), np.int32(low), np.int32(high), result)
    return out
