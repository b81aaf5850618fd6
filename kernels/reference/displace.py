"""Pixels moved by a coarse field of displacements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels import plans
from fastmag.kernels.reference._out import into


def displace(
    frame: NDArray, field: NDArray, offset: tuple[float, float], step: tuple[float, float], high: float = 255,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """Every pixel taken from where the field says: frame at (y - v, x - u), between pixels by Keys' kernel.

    frame (H, W[, C]) uint8 or uint16; field (2, h, w), u across and v down in pixels; its node (i, j) lies at pixel
    offset + (i, j) * step, both (down, across); linear in between, held beyond the last node. Pixels beyond the frame
    repeat its edge. Where u and v are 0 the frame is untouched. Returns the frame's shape and dtype, within 0 ... high.
    """
    H, W = frame.shape[:2]
    rows, columns = (_between(n, m, o, s) for n, m, o, s in zip((H, W), field.shape[1:], offset, step, strict=True))
    u, v = rows @ field.astype(np.float64) @ columns.T
    y, x = np.arange(H)[:, None] - v, np.arange(W) - u
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    total = np.zeros((*frame.shape[:2], *frame.shape[2:]))
    for i in range(-1, 3):
        for j in range(-1, 3):
            weight = plans.keys(y - top - i) * plans.keys(x - left - j)
            near = frame[np.clip(top + i, 0, H - 1), np.clip(left + j, 0, W - 1)]
            total += weight.reshape(weight.shape + (1,) * (frame.ndim - 2)) * near
    return into(out, np.clip(np.floor(total + 0.5), 0, high).astype(frame.dtype))


def _between(n: int, m: int, offset: float, step: float) -> NDArray:
    """(n, m): linear interpolation at n pixels of m nodes."""
    first, share = plans.linear(n, m, offset, step)
    matrix = np.zeros((n, m))
    np.add.at(matrix, (np.arange(n), first), 1 - share)
    np.add.at(matrix, (np.arange(n), np.minimum(first + 1, m - 1)), share)
    return matrix
