"""Frames to small maps and back on the GPU, each in one kernel: what lies between stays in shared memory or registers.

The tables depend on sizes alone and stay on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, float32
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import door, reading, writing
from fastmag.kernels.cuda._frames import levels, rows, shaped
from fastmag.kernels.cuda._frames import size as _size
from fastmag.kernels.cuda._jit import Kernel, kernel, scalar

CHUNK = 2048  # columns of a frame that a block sums at a time
STRIP = 8  # rows of a frame that a thread adds to: their loads are on the way together, and mostly share their cells
HALF_STRIP = STRIP // 2

_add_rounded = scalar(scalars.add_rounded)

_FRAMES = ("uint8", "uint16")


@kernel(
    *(
        f"void({t}[:,:,::1], int32[::1], float32[:,::1], int32[::1], float32[:,::1], int64, float32[:,:,::1])"
        for t in _FRAMES
    )
)
def _shrink(frames, down, down_weights, across, across_weights, channels, out):
    """A block makes one row of a result: sums down the columns of the frame, in shared memory, then sums along them."""
    line = cuda.shared.array(CHUNK, float32)
    h, n, taps = out.shape[1], frames.shape[2], across_weights.shape[1]
    for item in range(cuda.blockIdx.x, frames.shape[0] * h, cuda.gridDim.x):
        b, j = item // h, item % h
        for low in range(0, n, CHUNK):
            high = min(low + CHUNK, n)
            for x in range(low + cuda.threadIdx.x, high, cuda.blockDim.x):
                total = scalars.ZERO
                for t in range(down_weights.shape[1]):
                    total += down_weights[j, t] * np.float32(frames[b, down[j] + t, x])
                line[x - low] = total
            cuda.syncthreads()
            for o in range(cuda.threadIdx.x, out.shape[2], cuda.blockDim.x):
                i = o // channels
                first = across[i] * channels + o - i * channels
                begin = max(0, (low - first + channels - 1) // channels)
                end = min(taps, (high - first + channels - 1) // channels)
                total = scalars.ZERO if low == 0 else out[b, j, o]
                for t in range(begin, end):
                    total += across_weights[i, t] * line[first + t * channels - low]
                out[b, j, o] = total
            cuda.syncthreads()


@scalar
def _along(change, b, row, cells, weights):
    """Row `row` of a change (B, h, w * C), interpolated along itself between four of its numbers."""
    total = weights[0] * change[b, row, cells[0]] + weights[1] * change[b, row, cells[1]]
    return total + (weights[2] * change[b, row, cells[2]] + weights[3] * change[b, row, cells[3]])


def _adder(name: str, share: Callable, lights: tuple[tuple[str, str], ...]) -> Kernel:
    """The kernel that adds `share` of the light times the enlarged change to frames; types of (frames, light)."""
    share_of = scalar(share)

    def add(frames, light, offset, change, plan, channels, low, high, out):
        runs, down, down_weights, across, across_weights = plan
        left, top = cuda.grid(2)
        columns, strips = cuda.gridsize(2)
        height, width = frames.shape[1], frames.shape[2]
        for b in range(cuda.blockIdx.z, frames.shape[0], cuda.gridDim.z):
            for strip in range(top, (height + STRIP - 1) // STRIP, strips):
                first = strip * STRIP
                for n in range(left, width, columns):
                    x = n // channels
                    c = n - x * channels
                    cells = (
                        across[x, 0] * channels + c, across[x, 1] * channels + c,
                        across[x, 2] * channels + c, across[x, 3] * channels + c,
                    )  # fmt: skip
                    weights = across_weights[x, 0], across_weights[x, 1], across_weights[x, 2], across_weights[x, 3]
                    # Sixteen bits a pixel in two registers: all loads before the first store, and no array in memory.
                    head = tail = np.int64(0)
                    for k in range(HALF_STRIP):
                        head |= np.int64(frames[b, min(first + k, height - 1), n]) << (16 * k)
                        tail |= np.int64(frames[b, min(first + k + HALF_STRIP, height - 1), n]) << (16 * k)
                    run = -1
                    p = q = r = s = scalars.ZERO
                    for y in range(first, min(first + STRIP, height)):
                        if runs[y] != run:
                            run = runs[y]
                            p = _along(change, b, down[run, 0], cells, weights)
                            q = _along(change, b, down[run, 1], cells, weights)
                            r = _along(change, b, down[run, 2], cells, weights)
                            s = _along(change, b, down[run, 3], cells, weights)
                        here = down_weights[y, 0] * p + down_weights[y, 1] * q
                        here += down_weights[y, 2] * r + down_weights[y, 3] * s
                        here *= share_of(light, b, y, x, offset)
                        k = y - first
                        pixel = (head if k < HALF_STRIP else tail) >> (16 * (k % HALF_STRIP)) & 0xFFFF
                        out[b, y, n] = _add_rounded(np.int32(pixel), here, low, high)

    add.__name__ = name
    tables = "Tuple((int32[::1], int32[:,::1], float32[:,::1], int32[:,::1], float32[:,::1]))"
    signatures = (
        f"void({frame}[:,:,::1], {lit}[:,:,::1], float32, float32[:,:,::1], {tables}, int64, int32, int32, "
        f"{frame}[:,:,::1])"
        for frame, lit in lights
    )
    return kernel(*signatures)(add)


def _all(light, b, y, x, offset):
    return scalars.ONE


def _lit(light, b, y, x, offset):
    return np.float32(light[b, y, x]) + offset


_add_plain = _adder("add_enlarged", _all, tuple((t, t) for t in _FRAMES))
_add_lit = _adder("add_enlarged_lit", _lit, tuple((t, lit) for t in _FRAMES for lit in (t, "float32")))


def shrink(frame: Any, down: tuple, across: tuple, out: Any) -> Any:
    """A frame or a batch through a pass down its columns and one along its rows: (first (m,), weights (m, taps))."""
    out = writing(out, shaped(frame, len(down[0]), len(across[0])))
    frames, channels = rows(frame)
    result = out.reshape(len(frames), len(down[0]), -1)
    _shrink.blocks(len(frames) * len(down[0]), frames, *down, *across, channels, result)
    return out


def _lines(n: int, m: int, spacing: int | None) -> tuple[NDArray, NDArray, NDArray]:
    """Which run of points between the same four cells each point is in (m,), the runs' cells (k, 4), weights (m, 4)."""
    cells, weights = plans.interpolating(n, m, spacing)
    begins = np.r_[True, (np.diff(cells, axis=0) != 0).any(axis=1)]
    return np.cumsum(begins) - 1, cells[begins], weights


def _enlarged(adder: Kernel, frame: Any, light: Any, offset: float, change: Any, limits, spacing, out: Any) -> Any:
    """The frame with its share of the enlarged change added."""
    out = writing(out, frame.shape, frame.dtype)
    (height, width), (frames, channels) = _size(frame), rows(frame)
    cells = _size(change)
    down, across = spacing or (None, None)
    tables = device.constants(_lines, cells[0], height, down)
    plan = (*tables, *device.constants(plans.interpolating, cells[1], width, across))
    adder.plane(
        -(-height // STRIP), frames.shape[2], frames, light, np.float32(offset), rows(change)[0], plan, channels,
        *map(np.int32, limits), rows(out)[0], depth=len(frames),
    )  # fmt: skip
    return out


def _check_channels(frame: Any, change: Any) -> None:
    if change.ndim != frame.ndim or (change.shape[2:] != frame.shape[2:] and frame.ndim < 4):
        raise InputError(f"change must have the frame's channels {frame.shape[2:]}; got {change.shape}: reshape it")


@door()
def downsample_bicubic(frame: NDArray, size: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.downsample_bicubic`, float32; also of a batch (B, H, W, C)."""
    frame = levels(frame)
    down, across = (device.constants(plans.antialiased, n, m) for n, m in zip(_size(frame), size, strict=True))
    return shrink(frame, down, across, out)


@door()
def upsample_add(
    frame: NDArray,
    change: NDArray,
    low: float = 0,
    high: float = 255,
    spacing: tuple[int, int] | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """As `fastmag.kernels.reference.upsample_add`, of uint8 or uint16; also of batches (B, H, W, C), (B, h, w, C)."""
    frame, change = levels(frame), reading(change)
    _check_channels(frame, change)
    return _enlarged(_add_plain, frame, rows(frame)[0], 0.0, change, (low, high), spacing, out)


@door()
def upsample_scaled_add(
    frame: NDArray, light: NDArray, change: NDArray, offset: float = 0.0, low: float = 0, high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """As `fastmag.kernels.reference.upsample_scaled_add`, of uint8 or uint16; also of batches (B, H, W, C)."""
    frame, change = levels(frame), reading(change)
    _check_channels(frame, change)
    height, width = _size(frame)
    if light.shape[-2:] != (height, width):
        raise InputError(f"light must be {(height, width)}, as the frame; got {light.shape}: resize it")
    light = reading(light, light.dtype if light.dtype == frame.dtype else np.float32).reshape(-1, height, width)
    return _enlarged(_add_lit, frame, light, offset, change, (low, high), None, out)
