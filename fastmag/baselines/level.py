"""A level of the Gaussian pyramid of a clip's frames, in RGB, and a change of it added to the frames."""

from __future__ import annotations

import numpy as np

from fastmag.color import Picture, Planes
from fastmag.errors import InputError
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
        self.picture, self.ops = picture, ops
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
        parts = zip(planes, self._windows, self._levels, strict=True)
        reduced = [self.ops.downsample_gaussian(plane[window], levels) for plane, window, levels in parts]
        components = reduced[0] if reduced[0].ndim == 3 else np.stack(reduced, axis=-1)
        return components @ self._matrix + self._offset

    def reconstruct(self, planes: Planes, change: np.ndarray) -> Planes:
        """The frame with gain times a change (h, w, 3) in grey levels added: new planes, same types."""
        if self.picture.roi is not None:
            change = change * edges(self.size)
        components = change @ self._back
        if planes[0].ndim == 3:
            return (self._add(planes[0], 0, components),)
        return tuple(self._add(plane, i, components[..., i]) for i, plane in enumerate(planes))

    def _add(self, plane: np.ndarray, i: int, change: np.ndarray) -> np.ndarray:
        part = plane[self._windows[i]]
        added = self.ops.upsample_add(part, np.ascontiguousarray(change), 0, self._top, self._spacing[i])
        if part.shape == plane.shape:
            return added
        out = plane.copy()
        out[self._windows[i]] = added
        return out


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
