"""Frames as full-size images of luma, and of colour where it is to change, and changes of these added to the frames."""

from __future__ import annotations

import numpy as np

from fastmag.baselines.level import LUMA, attenuated, covering, halvings
from fastmag.color import Picture, Planes
from fastmag.ops import Ops

RAMP = 12  # pixels over which a change fades at the border of a region
GBR = [1, 2, 0]  # channels of the planes g, b, r


class Layers:
    """Split a clip's frames into images (h, w) float32 in the planes' own units, and merge changes of them.

    The first image is the luma, the planes' own or 0.299 R + 0.587 G + 0.114 B; with chroma 0 it is the only one, and
    its change moves all channels alike. Otherwise there are two more: the chroma planes, or R, G and B instead of
    all three. `sizes` and `halvings` tell how large the images are, and how often they were halved against the luma.
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
        self._fades = [fade(size) for size in self.sizes] if picture.roi is not None else None

    def split(self, planes: Planes) -> list[np.ndarray]:
        """The images of one frame."""
        parts = [plane[window] for plane, window in zip(planes, self._windows, strict=True)]
        if not self._colours:
            return [part.astype(np.float32) for part in parts[: len(self.sizes)]]
        if parts[0].ndim == 3 and self._luma_only:
            return [self.ops.luma(parts[0], tuple(LUMA))]
        channels = [parts[0][..., i] for i in range(3)] if parts[0].ndim == 3 else parts
        if not self._luma_only:
            return [channel.astype(np.float32) for channel in channels]
        return [np.tensordot(LUMA[self._order].astype(np.float32), np.stack(channels).astype(np.float32), 1)]

    def merge(self, planes: Planes, changes: list[np.ndarray]) -> Planes:
        """The frame with changes of its images added, those of colour times chroma: new planes, same types."""
        if self._fades is not None:
            changes = [change * weights for change, weights in zip(changes, self._fades, strict=True)]
        if not self._colours:
            scaled = [change if i == 0 else np.float32(self._chroma) * change for i, change in enumerate(changes)]
            return tuple(self._add(plane, i, scaled[i]) if i < len(scaled) else plane for i, plane in enumerate(planes))
        if self._luma_only:
            return tuple(self._add(plane, i, changes[0]) for i, plane in enumerate(planes))
        matrix = attenuated(self._chroma)[np.ix_(self._order, self._order)].T.astype(np.float32)
        mixed = np.stack(changes, axis=-1) @ matrix if self._chroma != 1 else np.stack(changes, axis=-1)
        if planes[0].ndim == 3:
            return (self._add(planes[0], 0, mixed),)
        return tuple(self._add(plane, i, np.ascontiguousarray(mixed[..., i])) for i, plane in enumerate(planes))

    @property
    def _order(self) -> list[int]:
        return GBR if self.picture.kind == "gbr" else [0, 1, 2]

    def _add(self, plane: np.ndarray, i: int, change: np.ndarray) -> np.ndarray:
        part = plane[self._windows[i]]
        added = self.ops.add_change(part, change, 0, self._top)
        if part.shape == plane.shape:
            return added
        out = plane.copy()
        out[self._windows[i]] = added
        return out


def _size(window: tuple[slice, slice], shape: tuple[int, int]) -> tuple[int, int]:
    rows, columns = (len(range(*w.indices(n))) for w, n in zip(window, shape, strict=True))
    return rows, columns


def fade(size: tuple[int, int]) -> np.ndarray:
    """Weights (h, w) that rise from nearly 0 at a region's border to 1 inside, so that the border is not drawn."""
    down, across = (
        np.minimum(1.0, (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) / max(1, min(RAMP, n // 4))) for n in size
    )
    return (down[:, None] * across).astype(np.float32)
