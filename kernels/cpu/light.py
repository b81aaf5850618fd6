"""A change that follows the light of each pixel, added to a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu._arrays import aligned, apart, levels, reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu.resample import _LANES, _SPAN, _enlarge_columns, _lines, _runs

_add_rounded = scalar(scalars.add_rounded)


@kernel
def _light_row(light, offset, channels, row):
    """row (>= W * channels) = light (W,) + offset, once for every channel."""
    if channels == 1:
        for x in range(light.shape[0]):
            row[x] = np.float32(light[x]) + offset
    else:
        for x in range(light.shape[0]):
            value = np.float32(light[x]) + offset
            for c in range(channels):
                row[channels * x + c] = value


@kernel
def _add_lit_rows(frame, light, offset, rows, plan, limits, row, out):
    """out = frame (H, N) + (light (H, W) + offset) times the rows (h, N) of the change at every line of the frame."""
    n_all = frame.shape[1]
    cells, weights = plan
    for y in range(frame.shape[0]):
        _light_row(light[y], offset, n_all // light.shape[1], row)
        wa, wb, wc, wd = weights[y, 0], weights[y, 1], weights[y, 2], weights[y, 3]
        for left in range(0, n_all, _SPAN):
            n = min(_SPAN, n_all - left)
            a = rows[cells[y, 0], left : left + n]
            b = rows[cells[y, 1], left : left + n]
            c = rows[cells[y, 2], left : left + n]
            d = rows[cells[y, 3], left : left + n]
            lit = row[left : left + n]
            source = frame[y, left : left + n]
            target = out[y, left : left + n]
            for i in range(n):
                change = (wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i]) * lit[i]
                target[i] = _add_rounded(np.int32(source[i]), change, limits[0], limits[1])


def upsample_scaled_add(
    frame: NDArray, light: NDArray, change: NDArray, offset: float = 0.0, low: float = 0, high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """frame + (light + offset) times the bicubic enlargement of change, rounded half up and held in [low, high].

    A change of blood is a share of the light that comes back (Eq. 9), so dark hair beside bright skin changes less.
    frame (H, W[, C]) uint8 or uint16; light (H, W) of these or float32; change (h, w[, C]) relative, edge cells
    repeated; cells share the frame evenly. A pixel outside [low, high] to begin with is not moved by the limits.
    Returns the frame's shape and dtype. Raises InputError where the shapes do not fit.
    """
    frame, light, change = levels(frame), np.asarray(light), reading(change)
    light = reading(light, light.dtype)
    if change.ndim != frame.ndim or change.shape[2:] != frame.shape[2:]:
        raise InputError(f"change must have the frame's channels {frame.shape[2:]}; got {change.shape}: reshape it")
    if light.shape != frame.shape[:2]:
        raise InputError(f"light must be {frame.shape[:2]}, as the frame; got {light.shape}: resize it")
    out = writing(out, frame.shape, frame.dtype)
    if not change.any():
        np.copyto(out, frame)
        return out
    height, width = frame.shape[:2]
    channels = frame.shape[2] if frame.ndim == 3 else 1
    frame, light = apart(frame, out), apart(light, out)
    rows = aligned((len(change), width * channels))
    lines = np.empty((channels, width + _LANES), np.float32)
    row = aligned((1, width * channels))[0]
    _enlarge_columns(change.reshape(*change.shape[:2], channels), *_runs(change.shape[1], width, None), lines, rows)
    _add_lit_rows(
        frame.reshape(height, -1), light, np.float32(offset), rows, _lines(len(change), height, None),
        (np.int32(low), np.int32(high)), row, out.reshape(height, -1),
    )  # fmt: skip
    return out
