"""Frames as full-size images of luma, and of colour where it is to change, and changes of these added to the frames."""

from __future__ import annotations

import numpy as np

from fastmag.baselines.level import LUMA, attenuated, covering, halvings
from fastmag.color import GBR, Picture, Planes, put_back
from fastmag.ops import Ops
from fastmag.places import near, plane, tall

RAMP = 12  # pixels over which a change fades at the border of a region


class Layers:
    """Split a clip's frames into images (h, w) float32 in the planes' own units, and merge changes of them.

    The first image is the luma, the planes' own or 0.299 R + 0.587 G + 0.114 B; with chroma 0 it is the only one, and
    its change moves all channels alike. Otherwise there are two more: the chroma planes, or R, G and B instead of
    all three. `sizes` and `halvings` tell how large the images are, and how often they were halved against the luma.
    Parts and images of several frames at once have one axis more in front.
    """

    def __init__(self, picture: Picture, ops: Ops, chroma: float):
        self.picture, self.ops, self._chroma = picture, ops, chroma
        shifts = [halvings(picture.shapes[0], shape) for shape in picture.shapes]
        self._windows, self._top = covering(picture, shifts), (1 << picture.bits) - 1
        self._luma_only = chroma == 0 or picture.kind == "gray"
        self._colours = picture.kind in ("rgb", "gbr")
        sizes = [_size(w, shape) for w, shape in zip(self._windows, picture.shapes, strict=True)]
        if self._luma_only or self._colours:
            self.halvings = [(0, 0)] * (1 if self._luma_only else 3)
            self.sizes = sizes[:1] * len(self.halvings)
        else:
            self.halvings, self.sizes = shifts, sizes
        if not self._colours:
            self._windows = self._windows[: len(self.sizes)]
        self._fades = [fade(size) for size in self.sizes] if picture.roi is not None else None

    def parts(self, planes: Planes) -> Planes:
        """What of the planes is looked at, and changes."""
        return tuple(whole[window] for whole, window in zip(planes, self._windows, strict=False))

    def split(self, parts: Planes) -> list[np.ndarray]:
        """The images of parts."""
        if self._luma_only:
            return [luma_of(parts, self.picture.kind, self.ops)]
        if self.picture.kind == "rgb":
            return [parts[0][..., i].astype(np.float32) for i in range(3)]
        return [plane(part).astype(np.float32) for part in parts]

    def merge(self, parts: Planes, changes: list[np.ndarray]) -> Planes:
        """The parts with changes of their images added, those of colour times chroma: new ones, same types."""
        if self._fades is not None:
            changes = [change * near(weights, change) for change, weights in zip(changes, self._fades, strict=True)]
        if not self._colours:
            changes = [change if i == 0 else change * np.float32(self._chroma) for i, change in enumerate(changes)]
        elif self._luma_only:
            changes = changes * len(parts)
        else:
            order = colour_order(self.picture.kind)
            matrix = attenuated(self._chroma)[np.ix_(order, order)].T.astype(np.float32)
            mixed = np.stack(changes, axis=-1)
            mixed = mixed @ near(matrix, mixed) if self._chroma != 1 else mixed
            changes = [mixed] if len(parts) == 1 else [mixed[..., i] for i in range(3)]
        pairs = zip(parts, changes, strict=True)
        return tuple(self.ops.add_change(part, change, 0, self._top) for part, change in pairs)

    def whole(self, planes: Planes, merged: Planes) -> Planes:
        """The planes with parts replaced."""
        return (*map(put_back, planes, self._windows, merged), *planes[len(merged) :])


def luma_of(parts: Planes, kind: str, ops: Ops) -> np.ndarray:
    """The luma (..., h, w) float32 of parts of a picture's planes, in their own units."""
    first = plane(parts[0])
    if kind == "rgb":
        return ops.luma(tall(first), tuple(LUMA)).reshape(first.shape[:-1])
    if kind != "gbr":
        return first.astype(np.float32)
    if first.ndim == 3:  # how a matrix product rounds depends on its size, so a block goes frame by frame
        return np.stack([luma_of(frame, kind, ops) for frame in zip(*map(plane, parts), strict=True)])
    channels = np.stack(parts).astype(np.float32)
    return np.tensordot(near(LUMA[GBR].astype(np.float32), channels), channels, 1)


def colour_order(kind: str) -> list[int]:
    """The channels of a picture's planes."""
    return GBR if kind == "gbr" else [0, 1, 2]


def _size(window: tuple[slice, slice], shape: tuple[int, int]) -> tuple[int, int]:
    rows, columns = (len(range(*w.indices(n))) for w, n in zip(window, shape, strict=True))
    return rows, columns


def fade(size: tuple[int, int]) -> np.ndarray:
    """Weights (h, w) that rise from nearly 0 at a region's border to 1 inside, so that the border is not drawn."""
    down, across = (
        np.minimum(1.0, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(1, min(RAMP, n // 4))) for n in size
    )
    return (down[:, None] * across).astype(np.float32)
