"""A change that follows the light of each pixel, added to a frame; the light that colour tells."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
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


@lru_cache(maxsize=64)
def _centres(n: int, m: int) -> tuple[NDArray, NDArray]:
    """Of n pixels: the cell of m whose centre comes before, and the share of the next."""
    first, share = plans.linear(n, m, 0.5 * n / m - 0.5, n / m)
    return np.array(first), share.astype(np.float32)


@lru_cache(maxsize=64)
def _shared(n: int, m: int) -> NDArray:
    """Which of m samples each of n pixels shares."""
    return np.arange(n) * m // n


@kernel
def _widen(models, first, share, rows):
    """rows (K, h, W) = models (h, w, K) at every column."""
    last = models.shape[1] - 1
    for k in range(models.shape[2]):
        for j in range(models.shape[0]):
            row = rows[k, j]
            for x in range(first.shape[0]):
                a, b = models[j, first[x], k], models[j, min(first[x] + 1, last), k]
                row[x] = a + share[x] * (b - a)


@kernel
def _told(frame, rows, first, share, low, out):
    """out (H, W) = frame (H, W * C) times the rows (C + 1, h, >= W), at every line, at least `low`."""
    channels, last, width = rows.shape[0] - 1, rows.shape[1] - 1, out.shape[1]
    for y in range(out.shape[0]):
        i, j, s, line, target = first[y], min(first[y] + 1, last), share[y], frame[y], out[y]
        d, e = rows[channels, i, :width], rows[channels, j, :width]
        a, b = rows[0, i, :width], rows[0, j, :width]
        if channels == 3:
            f, g, h, k = rows[1, i, :width], rows[1, j, :width], rows[2, i, :width], rows[2, j, :width]
            for x in range(width):
                total = d[x] + s * (e[x] - d[x]) + (a[x] + s * (b[x] - a[x])) * np.float32(line[3 * x])
                total += (f[x] + s * (g[x] - f[x])) * np.float32(line[3 * x + 1])
                total += (h[x] + s * (k[x] - h[x])) * np.float32(line[3 * x + 2])
                target[x] = max(total, low)
        elif channels == 1:
            for x in range(width):
                total = d[x] + s * (e[x] - d[x]) + (a[x] + s * (b[x] - a[x])) * np.float32(line[x])
                target[x] = max(total, low)
        else:
            for x in range(width):
                total = d[x] + s * (e[x] - d[x])
                for c in range(channels):
                    model = rows[c, i, x] + s * (rows[c, j, x] - rows[c, i, x])
                    total += model * np.float32(line[channels * x + c])
                target[x] = max(total, low)


@kernel
def _told_over(frame, rows, first, share, base, lines, columns, low, out):
    """The same of one channel, over a base (H', W')."""
    last, width = rows.shape[1] - 1, out.shape[1]
    twice = width == 2 * base.shape[1]
    for y in range(out.shape[0]):
        i, j, s, line, target = first[y], min(first[y] + 1, last), share[y], frame[y], out[y]
        a, b, d, e = rows[0, i, :width], rows[0, j, :width], rows[1, i, :width], rows[1, j, :width]
        under = base[lines[y]]
        if twice:
            for x in range(base.shape[1]):
                target[2 * x] = under[x]
                target[2 * x + 1] = under[x]
        else:
            for x in range(width):
                target[x] = under[columns[x]]
        for x in range(width):
            total = target[x] + d[x] + s * (e[x] - d[x]) + (a[x] + s * (b[x] - a[x])) * np.float32(line[x])
            target[x] = max(total, low)


def local_light(
    frame: NDArray, models: NDArray, base: NDArray | None = None, low: float = -np.inf, out: NDArray | None = None
) -> NDArray:
    """What models of the cells around a pixel, linear in its colour, tell of it (He, Sun & Tang 2013): the sum over
    channels of models[..., c] * frame[..., c], and models[..., C], each model linear between the centres of cells.

    frame (H, W[, C]) uint8 or uint16; models (h, w, C + 1), held beyond the outermost centres; base (H', W'): added,
    each sample to the pixels that share it; nothing below `low`. Returns (H, W) float32. Raises InputError where the
    models are not those of the frame's channels.
    """
    frame, models = levels(frame), reading(models)
    (height, width), channels = frame.shape[:2], frame.shape[2] if frame.ndim == 3 else 1
    if models.ndim != 3 or models.shape[2] != channels + 1:
        raise InputError(f"models must be (h, w, {channels + 1}), one more than channels; got {models.shape}")
    out = writing(out, (height, width))
    rows = np.empty((channels + 1, len(models), width), np.float32)
    _widen(models, *_centres(width, models.shape[1]), rows)
    flat, down, least = frame.reshape(height, -1), _centres(height, len(models)), np.float32(low)
    if base is None:
        _told(flat, rows, *down, least, out)
    elif channels == 1:
        places = _shared(height, base.shape[0]), _shared(width, base.shape[1])
        _told_over(flat, rows, *down, reading(base), *places, least, out)
    else:
        _told(flat, rows, *down, np.float32(-np.inf), out)
        out += base[np.ix_(_shared(height, base.shape[0]), _shared(width, base.shape[1]))]
        np.maximum(out, least, out=out)
    return out
