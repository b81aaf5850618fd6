"""Frames to small maps and back: what `downsample_bicubic` and `upsample_add` mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels import plans
from fastmag.kernels.reference._out import into


def _matrix(index: NDArray, weights: NDArray, n: int) -> NDArray:
    """The (m, n) matrix that weighs samples index (m, taps) with weights (m, taps)."""
    matrix = np.zeros((len(index), n))
    np.add.at(matrix, (np.arange(len(index))[:, None], index), weights)
    return matrix


def _antialiased(n: int, m: int) -> NDArray:
    first, weights = plans.antialiased(n, m)
    return _matrix(first[:, None] + np.arange(weights.shape[1]), weights, n)


def _interpolating(n: int, m: int, spacing: int | None) -> NDArray:
    return _matrix(*plans.interpolating(n, m, spacing), n)


def _both_axes(rows: NDArray, columns: NDArray, image: NDArray) -> NDArray:
    return np.einsum("yY,xX,YX...->yx...", rows, columns, image.astype(np.float64), optimize=True)


def downsample_bicubic(frame: NDArray, size: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """Antialiased bicubic resampling (Keys, a = -0.5), as Pillow on mode F: levels in, levels out, not clipped.

    frame (H, W) or (H, W, C), uint8 or uint16; size (h, w), smaller or larger than the frame. Returns (h, w[, C]).
    """
    rows, columns = _antialiased(frame.shape[0], size[0]), _antialiased(frame.shape[1], size[1])
    return into(out, _both_axes(rows, columns, frame))


def upsample_add(
    frame: NDArray,
    change: NDArray,
    low: float = 0,
    high: float = 255,
    spacing: tuple[int, int] | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """frame + the bicubic enlargement of change, rounded half up and held in [low, high] (Eq. 18).

    frame (H, W[, C]) uint8 or uint16; change (h, w[, C]) in levels, edge cells repeated. Cell (i, j) lies at pixel
    (i, j) * spacing, as in a Gaussian pyramid; without a spacing, cells share the frame evenly (half-pixel centres).
    A pixel outside [low, high] to begin with is not moved by the limits, and by the change only inwards.
    Returns the frame's shape and dtype.
    """
    rows, columns = (_interpolating(change.shape[k], frame.shape[k], spacing and spacing[k]) for k in (0, 1))
    total = np.floor(frame + _both_axes(rows, columns, change) + 0.5)
    held = np.clip(total, np.minimum(frame, low), np.maximum(frame, high))
    return into(out, held.astype(frame.dtype))


def upsample_scaled_add(
    frame: NDArray, light: NDArray, change: NDArray, offset: float = 0.0, low: float = 0, high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """frame + (light + offset) times the bicubic enlargement of change, rounded half up and held in [low, high].

    A change of blood is a share of the light that comes back (Eq. 9), so dark hair beside bright skin changes less.
    frame (H, W[, C]) uint8 or uint16; light (H, W) of these or float32; change (h, w[, C]) relative, edge cells
    repeated; cells share the frame evenly. A pixel outside [low, high] to begin with is not moved by the limits.
    Returns the frame's shape and dtype.
    """
    rows, columns = (_interpolating(change.shape[k], frame.shape[k], None) for k in (0, 1))
    lit = (light + float(offset)).reshape(*light.shape, *[1] * (frame.ndim - 2))
    total = np.floor(frame + lit * _both_axes(rows, columns, change) + 0.5)
    held = np.clip(total, np.minimum(frame, low), np.maximum(frame, high))
    return into(out, held.astype(frame.dtype))


def local_light(
    frame: NDArray, models: NDArray, base: NDArray | None = None, low: float = -np.inf, out: NDArray | None = None
) -> NDArray:
    """What models of the cells around a pixel, linear in its colour, tell of it (He, Sun & Tang 2013): the sum over
    channels of models[..., c] * frame[..., c], and models[..., C], each model linear between the centres of cells.

    frame (H, W[, C]) uint8 or uint16; models (h, w, C + 1), held beyond the outermost centres; base (H', W'): added,
    each sample to the pixels that share it; nothing below `low`. Returns (H, W).
    """
    (H, W), channels = frame.shape[:2], frame.reshape(*frame.shape[:2], -1)
    rows, columns = (_linear(n, m) for n, m in zip((H, W), models.shape[:2], strict=True))
    here = np.einsum("yY,xX,YXc->yxc", rows, columns, models.astype(np.float64), optimize=True)
    total = (here[..., :-1] * channels).sum(-1) + here[..., -1]
    if base is not None:
        total = total + base[np.ix_(*(np.arange(n) * m // n for n, m in zip((H, W), base.shape, strict=True)))]
    return into(out, np.maximum(total, low))


def _linear(n: int, m: int) -> NDArray:
    """(n, m): n pixels between the centres of m cells that share them evenly."""
    first, share = plans.linear(n, m, 0.5 * n / m - 0.5, n / m)
    return _matrix(np.stack([first, np.minimum(first + 1, m - 1)], 1), np.stack([1 - share, share], 1), m)
