"""The luma of a clip's planes, upright, and changes of it put back where it came from."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastmag import phase
from fastmag.baselines.layers import luma_of
from fastmag.color import Picture, Planes
from fastmag.flow import Kept
from fastmag.motion.render import Box, Geometry
from fastmag.ops import Ops
from fastmag.places import tall

Window = tuple[slice, slice]


class View:
    """What is seen of a clip's frames: a frame at the third scale, (123, 123) in grey levels, in the parts that
    fastmag.flow takes, of a frame or of a block: `parts`, `reduce`, `row`.

    Raises InputError where the frame, or its region, is too small.
    """

    def __init__(self, picture: Picture, ops: Ops):
        self.picture, self.ops, self.kept = picture, ops, Kept()
        self.kept.clear()  # what is rendered later are other parts of the frames
        self.geometry = Geometry(picture.displayed, phase.working_square(*picture.displayed, picture.roi))
        top, left, side = self.geometry.square
        self._square = self.windows(Box(picture.displayed, top, top + side, left, left + side))[0]
        self._turns, self._top = picture.rotation // 90, (1 << picture.bits) - 1
        self._grey = np.float32(picture.to_rgb()[0].max(axis=1)[0] if picture.kind in ("rgb", "gbr") else self._scale())
        self.shape = (phase.SMALL, phase.SMALL)

    def _scale(self) -> float:
        """Grey levels of 8 bits a unit of luma."""
        return float(self.picture.to_rgb()[0][0, 0])

    def windows(self, box: Box) -> tuple[Window, ...]:
        """Where a box of the upright picture lies in each of the stored planes."""
        roi = (box.left, box.top, box.right - box.left, box.bottom - box.top)
        return dataclasses.replace(self.picture, roi=roi).windows

    def parts(self, planes: Planes) -> Planes:
        """What of the planes is looked at."""
        return self.bright(planes, self._square)

    def reduce(self, *parts: np.ndarray) -> Planes:
        """Parts at the third scale."""
        return (phase.shrink(self.luma(parts)) * self._grey,)

    def row(self, reduced: Planes) -> np.ndarray:
        """A frame at the third scale."""
        return reduced[0]

    def bright(self, planes: Planes, window: Window) -> Planes:
        """A window of the planes that hold the luma."""
        return tuple(whole[window] for whole in (planes if self.picture.kind == "gbr" else planes[:1]))

    def luma(self, parts: Planes) -> np.ndarray:
        """The upright luma (..., h, w) float32 of such windows, in their own units."""
        return np.rot90(luma_of(parts, self.picture.kind, self.ops), self._turns, axes=(-2, -1))

    def added(self, parts: Planes, change: np.ndarray) -> Planes:
        """Such windows with an upright change (..., h, w) of the luma: new luma, or all colours alike."""
        stored = np.rot90(change, -self._turns, axes=(-2, -1))
        stored = stored.reshape(-1, stored.shape[-1])
        return tuple(self.ops.add_change(tall(part), stored, 0, self._top).reshape(part.shape) for part in parts)
