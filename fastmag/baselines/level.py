"""A level of the Gaussian pyramid of a clip's frames, in RGB, and a change of it added to the frames."""

from __future__ import annotations

import numpy as np

from fastmag.color import Picture, Planes, put_back
from fastmag.errors import InputError
from fastmag.flow import Kept
from fastmag.ops import Ops

LUMA = np.array([0.299, 0.587, 0.114])  # the Y of YIQ
Window = tuple[slice, slice]


def attenuated(chroma: float) -> np.ndarray:
    """The matrix (3, 3) that multiplies I and Q of an RGB column by `chroma` and leaves Y alone."""
    return chroma * np.eye(3) + (1 - chroma) * np.outer(np.ones(3), LUMA)


class Level:
    """Represent and reconstruct: planes -> cells (h, w, 3) float32 of 2**level pixels, and a change back onto them.

    A level is linear, and so are colours: each plane is reduced as it was decoded, subsampled chroma by fewer halvings.
    `gain` (3, 3) multiplies every RGB change. `mit` lets cells share the frame evenly when they are enlarged, as
    MATLAB's imresize does: half a cell away from where the pyramid has them.
    Raises InputError where chroma is coarser than the level.
    """

    def __init__(self, picture: Picture, ops: Ops, level: int, gain: np.ndarray, mit: bool = False):
        self.picture, self.ops, self.kept = picture, ops, Kept()
        shifts = [halvings(picture.shapes[0], shape) for shape in picture.shapes]
        self._windows = covering(picture, shifts)
        self._levels = [(level - down, level - across) for down, across in shifts]
        if min(map(min, self._levels)) < 0:
            raise InputError(f"level {level} is finer than this clip's colour samples: choose a larger level")
        self._spacing = [None if mit else (1 << down, 1 << across) for down, across in self._levels]
        rows, columns = (len(range(*w.indices(n))) for w, n in zip(self._windows[0], picture.shapes[0], strict=True))
        self.size = (-(-rows // (1 << level)), -(-columns // (1 << level)))
        self.shape = (*self.size, 3)
        matrix, offset = picture.to_rgb()
        self._matrix, self._offset = matrix.T.astype(np.float32), offset.astype(np.float32)
        self._back = (np.linalg.pinv(matrix) @ gain).T.astype(np.float32)
        self._top = (1 << picture.bits) - 1

    def represent(self, planes: Planes) -> np.ndarray:
        """The level of one frame: (h, w, 3) float32 RGB in grey levels of 8 bits, in the stored orientation."""
        return self.row(self.reduce(*self.parts(planes)))

    def parts(self, planes: Planes) -> Planes:
        """What is covered of every plane."""
        return tuple(plane[window] for plane, window in zip(planes, self._windows, strict=True))

    def reduce(self, *parts: np.ndarray) -> Planes:
        """The level of each of them."""
        return tuple(map(self.ops.downsample_gaussian, parts, self._levels))

    def row(self, reduced: Planes) -> np.ndarray:
        """The level in RGB."""
        components = reduced[0] if reduced[0].ndim == 3 else np.stack(reduced, axis=-1)
        return components @ self._matrix + self._offset

    def reconstruct(self, planes: Planes, change: np.ndarray) -> Planes:
        """The frame with gain times a change (h, w, 3) in grey levels added: new planes, same types."""
        return self.whole(planes, self.add(*self.parts(planes), *self.changes(change)))

    def changes(self, change: np.ndarray) -> Planes:
        """The change of each plane, in its units."""
        if self.picture.roi is not None:
            change = change * edges(self.size)
        components = change @ self._back
        if self.picture.kind == "rgb":
            return (components,)
        return tuple(np.ascontiguousarray(components[..., i]) for i in range(len(self._windows)))

    def add(self, *arrays: np.ndarray) -> Planes:
        """What is covered of every plane with its change added; the planes first."""
        n = len(self._windows)
        triples = zip(arrays[:n], arrays[n:], self._spacing, strict=True)
        return tuple(self.ops.upsample_add(part, change, 0, self._top, spacing) for part, change, spacing in triples)

    def whole(self, planes: Planes, added: Planes) -> Planes:
        """The planes with what is covered replaced."""
        return tuple(map(put_back, planes, self._windows, added))


def halvings(whole: tuple[int, int], part: tuple[int, int]) -> tuple[int, int]:
    """How many times a plane was halved, downwards and across, against the luma."""
    down, across = (next(k for k in range(n + 1) if -(-n // (1 << k)) <= m) for n, m in zip(whole, part, strict=True))
    return down, across


def covering(picture: Picture, shifts: list[tuple[int, int]]) -> tuple[Window, ...]:
    """The windows of the picture's region; that of the luma grows to cover whole samples of the coarsest plane."""
    windows = picture.windows
    if len(windows) == 1:
        return windows
    coarse, shift, shape = windows[-1], shifts[-1], picture.shapes[0]
    luma = tuple(slice(w.start << s, min(w.stop << s, n)) for w, s, n in zip(coarse, shift, shape, strict=True))
    return tuple((luma[0], luma[1]) if s == (0, 0) else w for w, s in zip(windows, shifts, strict=True))


def edges(size: tuple[int, int]) -> np.ndarray:
    """Weights (h, w, 1): half on the outermost cells of a region, so that its border is not drawn."""
    down, across = (np.r_[0.5, np.ones(max(n - 2, 0)), 0.5][:n] for n in size)
    return (down[:, None] * across)[..., None].astype(np.float32)
