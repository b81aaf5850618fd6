"""The luma of a clip's planes, upright, and changes of it put back where it came from."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastmag import phase
from fastmag.baselines.level import LUMA
from fastmag.color import Picture, Planes
from fastmag.motion.render import Box, Geometry
from fastmag.ops import Ops

GBR = [1, 2, 0]  # channels of the planes g, b, r


class View:
    """What is seen of a clip's frames: `represent(planes)` is a frame at the third scale, (123, 123) in grey levels.

    Raises InputError where the frame, or its region, is too small.
    """

    def __init__(self, picture: Picture, ops: Ops):
        self.picture, self._ops = picture, ops
        self.geometry = Geometry(picture.displayed, phase.working_square(*picture.displayed, picture.roi))
        top, left, side = self.geometry.square
        self._square = self.windows(Box(picture.displayed, top, top + side, left, left + side))[0]
        self._turns, self._top = picture.rotation // 90, (1 << picture.bits) - 1
        self._grey = np.float32(picture.to_rgb()[0].max(axis=1)[0] if picture.kind in ("rgb", "gbr") else self._scale())
        self.shape = (phase.SMALL, phase.SMALL)

    def _scale(self) -> float:
        """Grey levels of 8 bits a unit of luma."""
        return float(self.picture.to_rgb()[0][0, 0])

    def windows(self, box: Box) -> tuple[tuple[slice, slice], ...]:
        """Where a box of the upright picture lies in each of the stored planes."""
        roi = (box.left, box.top, box.right - box.left, box.bottom - box.top)
        return dataclasses.replace(self.picture, roi=roi).windows

    def luma(self, planes: Planes, window: tuple[slice, slice]) -> np.ndarray:
        """The upright luma (h, w) float32 of a window of the planes, in their own units."""
        part = [plane[window] for plane in (planes if self.picture.kind == "gbr" else planes[:1])]
        if self.picture.kind == "gbr":
            luma = np.tensordot(LUMA[GBR].astype(np.float32), np.stack(part).astype(np.float32), 1)
        else:
            luma = self._ops.luma(part[0], tuple(LUMA)) if part[0].ndim == 3 else part[0].astype(np.float32)
        return np.rot90(luma, self._turns)

    def represent(self, planes: Planes) -> np.ndarray:
        return phase.shrink(self.luma(planes, self._square)) * self._grey

    def add(self, planes: Planes, window: tuple[slice, slice], change: np.ndarray) -> Planes:
        """The planes with an upright change (h, w) of the luma in a window: new luma, or all colours alike."""
        stored = np.ascontiguousarray(np.rot90(change, -self._turns))
        changing = len(planes) if self.picture.kind == "gbr" else 1
        out = []
        for plane in planes[:changing]:
            moved = plane.copy()
            moved[window] = self._ops.add_change(plane[window], stored, 0, self._top)
            out.append(moved)
        return (*out, *planes[changing:])
