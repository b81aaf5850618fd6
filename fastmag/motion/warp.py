"""Pixels shifted by a field of displacement: luma and colour, as pixels take their colour along."""

from __future__ import annotations

import numpy as np

from fastmag.color import Planes
from fastmag.motion.render import FADE, Box
from fastmag.motion.view import View
from fastmag.ops import Ops

ROUNDS = 3  # of the search for where a pixel comes from
SMALLEST = np.float32(0.01)  # pixels: what moves less is left as it is


class Warp:
    """Shifts what a box of a clip's planes shows by fields (2, h, w), in pixels of the network's square.

    A field says where the picture's places go. A pixel shows the place that comes to it, which is found by repeated
    substitution. Outside the field nothing changes.
    """

    def __init__(self, view: View, box: Box, ops: Ops):
        self._ops, self._view = ops, view
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

    def __call__(self, planes: Planes, field: np.ndarray) -> Planes:
        """New planes with what the box shows shifted; the same planes where nothing moves."""
        field = field * (self._scale * self._taper)
        field[:, np.abs(field).max(axis=0) < SMALLEST] = 0
        if not field.any():
            return planes
        origin = came_from(field, self._step)
        return tuple(self._shift(plane, origin, *place) for plane, place in zip(planes, self._planes, strict=True))

    def _shift(self, plane: np.ndarray, origin: np.ndarray, window, offset, step, ratios) -> np.ndarray:
        part = np.ascontiguousarray(np.rot90(plane[window], self._turns))
        shifted = self._ops.displace(part, origin * ratios[:, None, None], offset, step, self._top)
        out = plane.copy()
        out[window] = np.rot90(shifted, -self._turns)
        return out


def came_from(field: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """The displacement (2, h, w) of what arrives at each node, e(x) = d(x - e(x)), of a field d in pixels, nodes `step`
    pixels apart (down, across)."""
    rows, columns = np.ogrid[: field.shape[1], : field.shape[2]]
    origin = field
    for _ in range(ROUNDS):
        origin = sampled(field, rows - origin[1] / np.float32(step[0]), columns - origin[0] / np.float32(step[1]))
    return origin


def sampled(field: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A field (2, h, w) at places (h, w) between its nodes, linear, held beyond the edge."""
    h, w = field.shape[1:]
    y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
    top, left = np.minimum(y.astype(np.int64), h - 2), np.minimum(x.astype(np.int64), w - 2)
    v, u = (y - top).astype(np.float32), (x - left).astype(np.float32)
    flat, at = field.reshape(2, -1), top * w + left
    above = flat[:, at] * (1 - u) + flat[:, at + 1] * u
    below = flat[:, at + w] * (1 - u) + flat[:, at + w + 1] * u
    return above * (1 - v) + below * v
