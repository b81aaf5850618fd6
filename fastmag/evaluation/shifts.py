"""How far patches of one picture lie from where they are in another: the judge of motion, which knows no method.

Least squares on grey levels (Lucas and Kanade 1981), patch by patch, from coarse to fine: no phases, no network,
nothing over time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

PATCHES, LEAST = 16, 15  # patches in a picture's height, and pixels of a patch's side at least
COARSE_SIDE, COARSE_ROWS = 11, 40  # pixels of a patch's side on coarser levels, rows of the coarsest level, at least
SMOOTH = 1.0  # sigma before anything is compared: linear interpolation is exact enough then
REACH = 5  # pixels that a patch sees beyond its edge, smoothing and slopes taken together
STEPS, STILL = 15, 0.002  # steps at most, and the step in pixels that ends them
WEAK = 0.3  # grey levels a pixel: along a direction that changes less, a patch keeps the coarser level's answer
CLEAR = 1.0  # grey levels a pixel, root mean square: a patch that changes less in every direction tells nothing


@njit(nogil=True, cache=True, error_model="numpy")
def _difference(source, slopes, means, other, top, left, side, shift):
    """Sums over a patch of other at `shift` less source: times its slopes down and across, and its mean square less
    its squared mean. Places beyond the picture show its edge."""
    down = across = total = squares = 0.0
    bottom, right = other.shape[0] - 1, other.shape[1] - 1
    for i in range(side):
        y = min(max(top + i + shift[0], 0.0), float(bottom))
        y0 = min(int(y), bottom - 1)
        fy = np.float32(y - y0)
        for j in range(side):
            x = min(max(left + j + shift[1], 0.0), float(right))
            x0 = min(int(x), right - 1)
            fx = np.float32(x - x0)
            upper = other[y0, x0] + fx * (other[y0, x0 + 1] - other[y0, x0])
            lower = other[y0 + 1, x0] + fx * (other[y0 + 1, x0 + 1] - other[y0 + 1, x0])
            e = upper + fy * (lower - upper) - source[top + i, left + j]
            down += (slopes[0, top + i, left + j] - means[0]) * e
            across += (slopes[1, top + i, left + j] - means[1]) * e
            total += e
            squares += e * e
    n = side * side
    return down, across, squares / n - (total / n) ** 2


@njit(nogil=True, cache=True, error_model="numpy")
def _follow(source, slopes, tensors, means, other, corners, side, on, begin, shifts, errors):
    """Shifts of patches, found from `begin`; kept where they leave a smaller error than `errors` (n,), which is
    lowered.

    source, other (H, W); slopes (2, H, W); tensors (n, 3): sums of the slopes' squares down, both, across; means
    (n, 2) of the slopes; corners (n, 2) of patches; on (n,) bool: the others are left alone; begin, shifts (n, 2)
    float64. A constant difference of light does not count.
    """
    for k in range(len(corners)):
        if not on[k]:
            continue
        top, left = corners[k]
        weak = side * side * WEAK * WEAK
        a, b, c = tensors[k, 0] + weak, tensors[k, 1], tensors[k, 2] + weak
        shift, start = begin[k].copy(), begin[k]
        for _ in range(STEPS):
            down, across, _ = _difference(source, slopes, means[k], other, top, left, side, shift)
            down += weak * (shift[0] - start[0])
            across += weak * (shift[1] - start[1])
            step_down = (c * down - b * across) / (a * c - b * b)
            step_across = (a * across - b * down) / (a * c - b * b)
            shift[0] -= step_down
            shift[1] -= step_across
            if step_down * step_down + step_across * step_across < STILL * STILL:
                break
        if (shift[0] - start[0]) ** 2 + (shift[1] - start[1]) ** 2 < side * side / 4:
            error = _difference(source, slopes, means[k], other, top, left, side, shift)[2]
            if error < errors[k]:
                errors[k] = error
                shifts[k] = shift


@dataclass
class _Level:
    """One scale of a picture: smoothed plane (h, w) float32, its slopes, and of each patch corner, tensor, slopes'
    means."""

    plane: np.ndarray
    slopes: np.ndarray
    side: int
    corners: np.ndarray
    tensors: np.ndarray
    means: np.ndarray

    def follow(self, other, on, begin, shifts, errors) -> None:
        """See _follow."""
        own = (self.plane, self.slopes, self.tensors, self.means)
        _follow(*own, other, self.corners, self.side, on, begin, shifts, errors)


class Patches:
    """The patches of a picture (H, W) in grey levels, ready to be found in others.

    side: of a patch, pixels; corners (n, 2): row and column of each patch's first pixel; clear (n,): whether it shows
    enough to be followed.
    """

    def __init__(self, picture: np.ndarray):
        self.side, self.corners = grid(picture.shape)
        centres = self.corners + (self.side - 1) / 2
        self._levels = []
        for k, plane in enumerate(_scales(picture)):
            side = self.side if k == 0 else min(max(COARSE_SIDE, self.side >> k), *plane.shape)
            at = np.clip(np.rint(centres / 2**k - (side - 1) / 2).astype(np.int64), 0, np.array(plane.shape) - side)
            self._levels.append(_level(plane, side, at))
        fine = self._levels[0]
        down, both, across = fine.tensors.T / fine.side**2
        steepest = (down + across) / 2 + np.hypot((down - across) / 2, both)
        self.clear = steepest > CLEAR * CLEAR

    def shifts(self, other: np.ndarray, on: np.ndarray | None = None) -> np.ndarray:
        """How far each patch lies in another picture of this shape from where it is in this one: (n, 2) pixels, down
        and right; 0 for the patches that are not `on` (n,)."""
        on = np.ones(len(self.corners), bool) if on is None else on
        scales, found = _scales(other), np.zeros((len(self.corners), 2))
        for k in reversed(range(len(scales))):
            errors, begin = np.full(len(found), np.inf), found
            found = begin.copy()
            self._levels[k].follow(scales[k], on, np.zeros_like(found), found, errors)
            if np.any(begin):
                self._levels[k].follow(scales[k], on, begin, found, errors)
            found = found * (2 if k else 1)
        return found


def grid(shape: tuple[int, ...]) -> tuple[int, np.ndarray]:
    """Side and corners (n, 2) of the patches of a picture (H, W): side by side, half a patch from its edges."""
    side = min(max(LEAST, round(shape[0] / PATCHES)), min(shape[:2]) // 2)
    rows, columns = (np.arange(side // 2, length - side - side // 2 + 1, side) for length in shape[:2])
    return side, np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _scales(picture: np.ndarray) -> list[np.ndarray]:
    """The picture (H, W) smoothed, then halves of it, float32."""
    planes = [gaussian_filter(np.asarray(picture, np.float32), SMOOTH)]
    while min(planes[-1].shape) >= 2 * COARSE_ROWS:
        planes.append(np.ascontiguousarray(gaussian_filter(planes[-1], SMOOTH)[::2, ::2]))
    return planes


def _level(plane: np.ndarray, side: int, corners: np.ndarray) -> _Level:
    slopes = np.stack(np.gradient(plane))
    rows, columns = corners[:, :1, None] + np.arange(side)[:, None], corners[:, 1:, None] + np.arange(side)
    own = slopes[:, rows, columns].astype(np.float64)
    means = own.mean((2, 3))
    down, across = own - means[..., None, None]
    tensors = np.stack([(down * down).sum((1, 2)), (down * across).sum((1, 2)), (across * across).sum((1, 2))], -1)
    return _Level(plane, slopes, side, corners, tensors, np.ascontiguousarray(means.T))
