"""Pixels shifted by a field of displacement: luma and colour, as pixels take their colour along."""

from __future__ import annotations

import numpy as np

from fastmag.color import Planes, put_back
from fastmag.motion.render import FADE, Box
from fastmag.motion.view import View
from fastmag.ops import Ops
from fastmag.places import near

ROUNDS = 3  # of the search for where a pixel comes from
SMALLEST = np.float32(0.01)  # pixels: what moves less is left as it is


class Warp:
    """Shifts what a box of a clip's planes shows by fields (2, h, w), in pixels of the network's square.

    A field says where the picture's places go. A pixel shows the place that comes to it, which is found by repeated
    substitution. Outside the field, and where it is less than a hundredth of a pixel, nothing changes.
    """

    def __init__(self, view: View, box: Box, ops: Ops):
        self._ops = ops
        geometry, shapes = view.geometry, view.picture.shapes
        self._turns, self._top = view.picture.rotation // 90, (1 << view.picture.bits) - 1
        self._scale, self._step = np.float32(geometry.scale), geometry.step
        height, width = geometry.size
        self._taper = self._tapers(geometry)
        first = (geometry.square[0] - box.top, geometry.square[1] - box.left)
        self._planes = []
        for window, shape in zip(view.windows(box), shapes, strict=True):
            displayed = shape[::-1] if view.picture.rotation % 180 else shape
            ratios = height / displayed[0], width / displayed[1]
            offset = tuple((f + 0.5) / r - 0.5 for f, r in zip(first, ratios, strict=True))
            step = tuple(s / r for s, r in zip(self._step, ratios, strict=True))
            self._planes.append((window, offset, step, 1 / np.array([ratios[1], ratios[0]], np.float32)))

    @staticmethod
    def _tapers(geometry) -> np.ndarray:
        """Weights (h, w): towards 0 where the network's square ends inside the picture."""
        sides = []
        for start, step, size in zip(geometry.square[:2], geometry.step, geometry.size, strict=True):
            at = np.arange(round(geometry.square[2] / step)) * step
            fade, stop = FADE * geometry.scale, geometry.square[2]
            before = at / fade if start > 0 else np.ones_like(at)
            after = (stop - step - at) / fade if start + stop < size else np.ones_like(at)
            sides.append(0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(before, after), 0, 1)))
        return (sides[0][:, None] * sides[1]).astype(np.float32)

    def parts(self, planes: Planes) -> Planes:
        """What the box shows, of every plane."""
        return tuple(whole[window] for whole, (window, *_) in zip(planes, self._planes, strict=True))

    def add(self, *arrays: np.ndarray) -> Planes:
        """Parts, of a frame or of a block, shifted by a field (..., 2, h, w); the parts first."""
        *parts, field = arrays
        field = field * near(self._scale * self._taper, field)
        field = np.where(np.abs(field).max(axis=-3, keepdims=True) < SMALLEST, np.float32(0), field)
        origin = came_from(field, self._step)
        return tuple(self._shift(part, origin, *place) for part, (_, *place) in zip(parts, self._planes, strict=True))

    def whole(self, planes: Planes, added: Planes) -> Planes:
        """The planes with parts replaced."""
        windows = (window for window, *_ in self._planes)
        return tuple(map(put_back, planes, windows, added))

    def _shift(self, part: np.ndarray, origin: np.ndarray, offset, step, ratios) -> np.ndarray:
        first = int(part.ndim == 4)
        upright = np.rot90(part, self._turns, axes=(first, first + 1))
        origin = origin * near(ratios[:, None, None], origin)
        shifted = np.rot90(
            self._ops.displace(upright, origin, offset, step, self._top), -self._turns, axes=(first, first + 1)
        )
        return shifted.copy() if self._turns else shifted


def came_from(field: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """The displacement (..., 2, h, w) of what arrives at each node, e(x) = d(x - e(x)), of a field d in pixels, nodes
    `step` pixels apart (down, across)."""
    rows, columns = (near(at, field) for at in np.ogrid[: field.shape[-2], : field.shape[-1]])
    origin = field
    for _ in range(ROUNDS):
        across, down = origin[..., 0, :, :], origin[..., 1, :, :]
        origin = sampled(field, rows - down / np.float32(step[0]), columns - across / np.float32(step[1]))
    return origin


def sampled(field: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A field (..., 2, h, w) at places (..., h, w) between its nodes, linear, held beyond the edge."""
    h, w = field.shape[-2:]
    y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
    top, left = np.minimum(y.astype(np.int64), h - 2), np.minimum(x.astype(np.int64), w - 2)
    v, u = (y - top).astype(np.float32), (x - left).astype(np.float32)
    at = top * w + left
    if field.ndim == 4:
        at = at + near(np.arange(len(field))[:, None, None] * (h * w), at)
    found = []
    for component in (field[..., 0, :, :], field[..., 1, :, :]):
        flat = component.reshape(-1)
        above = np.take(flat, at) * (1 - u) + np.take(flat, at + 1) * u
        below = np.take(flat, at + w) * (1 - u) + np.take(flat, at + w + 1) * u
        found.append(above * (1 - v) + below * v)
    return np.stack(found, axis=-3)
