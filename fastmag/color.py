"""Cells: a frame reduced to 36 x 36 RGB values, and a change of cells added to the frame (Eq. 12, 18).

Colour conversion and resampling are both linear. So planes are reduced as they were decoded, colours are converted at
36 x 36, and the change is converted back and added to each plane at that plane's own size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.errors import InputError
from fastmag.flow import Kept
from fastmag.ops import Ops
from fastmag.places import plane

CELLS = 36  # L in the paper
Planes = tuple[np.ndarray, ...]
GBR = [1, 2, 0]  # channels of the planes g, b, r
DARK = 8.0  # grey levels added to the light of cells and pixels: what has no light of its own is not divided by 0
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}  # Kr, Kb


@dataclass(frozen=True)
class Picture:
    """How the planes of a clip are to be read.

    kind: "rgb" (one interleaved plane), "gbr", "yuv" or "gray"; `shapes` of the planes; `bits` per sample; `rotation`
    counter-clockwise in degrees for display; `roi` x, y, w, h in the displayed picture, or None for all of it.
    """

    kind: str
    shapes: tuple[tuple[int, int], ...]
    bits: int = 8
    matrix: str = "bt709"
    full_range: bool = True
    rotation: int = 0
    roi: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.roi is None:
            return
        height, width = self.displayed
        x, y, w, h = self.roi
        if x + w > width or y + h > height:
            raise InputError(
                f"roi {x},{y},{w},{h} reaches outside the frame of {width} x {height} pixels: "
                f"expected x + w <= {width} and y + h <= {height}"
            )

    @property
    def displayed(self) -> tuple[int, int]:
        """(height, width) as shown, after the rotation."""
        height, width = self.shapes[0]
        return (width, height) if self.rotation % 180 else (height, width)

    @property
    def windows(self) -> tuple[tuple[slice, slice], ...]:
        """Rows and columns of the region in each stored plane, outwards to whole chroma samples."""
        height, width = self.shapes[0]
        top, bottom, left, right = self._stored_roi()
        return tuple(
            (slice(top * h // height, -(-bottom * h // height)), slice(left * w // width, -(-right * w // width)))
            for h, w in self.shapes
        )

    def _stored_roi(self) -> tuple[int, int, int, int]:
        height, width = self.shapes[0]
        if self.roi is None:
            return 0, height, 0, width
        x, y, w, h = self.roi
        marks = np.zeros(self.displayed, bool)
        marks[y : y + h, x : x + w] = True
        rows, columns = np.nonzero(np.rot90(marks, -(self.rotation // 90)))
        return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1

    @property
    def luma(self) -> np.ndarray:
        """Weights (3,) of R, G, B in the light of a pixel."""
        kr, kb = LUMA[self.matrix]
        return np.array([kr, 1 - kr - kb, kb], np.float32)

    def to_rgb(self) -> tuple[np.ndarray, np.ndarray]:
        """(matrix (3, n), offset (3,)): RGB in grey levels 0..255 = matrix @ components + offset."""
        scale = 2.0 ** (8 - self.bits) if self.bits == 8 else 255.0 / (2.0**self.bits - 1)
        if self.kind == "rgb":
            return np.eye(3) * scale, np.zeros(3)
        if self.kind == "gbr":
            return np.eye(3)[[2, 0, 1]] * scale, np.zeros(3)
        scale = 2.0 ** (8 - self.bits)
        black, luma, chroma = (0.0, 1.0, 1.0) if self.full_range else (16.0, 255 / 219, 255 / 224)
        if self.kind == "gray":
            return np.full((3, 1), scale * luma), np.full(3, -black * luma)
        kr, kb = LUMA[self.matrix]
        cr, cb = 2 * (1 - kr), 2 * (1 - kb)
        yuv = np.array([[1, 0, cr], [1, -cb * kb / (1 - kr - kb), -cr * kr / (1 - kr - kb)], [1, cb, 0]])
        matrix = yuv * np.array([luma, chroma, chroma])
        return matrix * scale, -matrix @ np.array([black, 128.0, 128.0])


class Cells:
    """Represent and reconstruct for one clip: planes -> (36, 36, 3) float32, and the change back onto the planes.

    Both in three steps, of which the middle one is the backend's work, of one frame or of a block (see fastmag.flow):
    `parts`, `reduce`, `row`; and `parts` with `changes`, `add`, `whole`.
    """

    def __init__(self, picture: Picture, ops: Ops, size: int = CELLS):
        self.picture, self.ops, self.size, self.shape, self.kept = picture, ops, (size, size), (size, size, 3), Kept()
        matrix, offset = picture.to_rgb()
        self._matrix, self._offset = matrix.T.astype(np.float32), offset.astype(np.float32)
        self._inverse = np.linalg.pinv(matrix).T.astype(np.float32)
        self._windows, self._turns = picture.windows, picture.rotation // 90
        self._top = (1 << picture.bits) - 1
        self._taper = self._edges() if picture.roi is not None else None

    def represent(self, planes: Planes) -> np.ndarray:
        """Cells of one frame, upright: (36, 36, 3) float32 RGB, grey levels of 8 bits, whatever the depth."""
        return self.row(self.reduce(*self.parts(planes)))

    def parts(self, planes: Planes) -> Planes:
        """The region of every plane."""
        return tuple(plane[window] for plane, window in zip(planes, self._windows, strict=True))

    def reduce(self, *parts: np.ndarray) -> Planes:
        """Each region as (36, 36[, 3])."""
        return tuple(self.ops.downsample_bicubic(part, self.size) for part in parts)

    def row(self, reduced: Planes) -> np.ndarray:
        """Cells of reduced regions."""
        components = reduced[0] if reduced[0].ndim == 3 else np.stack(reduced, axis=-1)
        return np.rot90(components @ self._matrix + self._offset, self._turns)

    def reconstruct(self, planes: Planes, change: np.ndarray) -> Planes:
        """The frame with a change of cells (36, 36, 3) in grey levels added (Eq. 18): new planes, same types."""
        return self.whole(planes, self.add(*self.parts(planes), *self.changes(change)))

    def changes(self, change: np.ndarray) -> Planes:
        """A change of cells as one (36, 36[, 3]) for each plane, in its units."""
        if self._taper is not None:
            change = change * self._taper
        components = np.ascontiguousarray(np.rot90(change, -self._turns)) @ self._inverse
        if len(self._windows) == components.shape[-1]:
            return tuple(np.ascontiguousarray(components[..., i]) for i in range(len(self._windows)))
        return (components,)

    def add(self, *arrays: np.ndarray) -> Planes:
        """The region of every plane with its change added; regions first."""
        pairs = zip(arrays[: len(self._windows)], arrays[len(self._windows) :], strict=True)
        return tuple(self.ops.upsample_add(part, change, 0, self._top) for part, change in pairs)

    def whole(self, planes: Planes, added: Planes) -> Planes:
        """The planes with their regions replaced."""
        return tuple(map(put_back, planes, self._windows, added))

    def _edges(self) -> np.ndarray:
        """Half the change on the outermost cells of a region, so that its border is not drawn."""
        ramp = np.ones(self.size[0], np.float32)
        ramp[[0, -1]] = 0.5
        return (ramp[:, None] * ramp)[..., None]


class LitCells(Cells):
    """As Cells, for a change of cells relative to their light: each pixel changes in proportion to its own light.

    Blood changes the share of the light that skin sends back (Eq. 9), so the edge between face and hair stays sharp.
    """

    def relative(self, cells: np.ndarray, change: np.ndarray) -> np.ndarray:
        """A change in grey levels of cells, both (..., 36, 36, 3), over the cells' light: what reconstruct takes."""
        return change / ((np.maximum(cells, 0) @ self.picture.luma)[..., None] + np.float32(DARK))

    def changes(self, change: np.ndarray) -> Planes:
        return tuple(part * self._scale for part in super().changes(change))

    def add(self, *arrays: np.ndarray) -> Planes:
        parts, changes = arrays[: len(self._windows)], arrays[len(self._windows) :]
        return self._added(parts, changes, self._light(parts), DARK / float(self._scale) - self._black())

    def _added(self, parts: Planes, changes: Planes, light: np.ndarray, offset: float) -> Planes:
        """The parts with light + offset, of the first one's pixels, times their changes added."""
        added, here = [], light
        for part, change in zip(parts, changes, strict=True):
            size = part.shape[:2] if part.ndim < 4 else part.shape[1:3]
            if size != here.shape[-2:]:
                here = _thinned(light, size)
            added.append(self.ops.upsample_scaled_add(part, here, change, offset, 0, self._top))
        return tuple(added)

    def _light(self, parts: Planes) -> np.ndarray:
        """The light of every pixel (H, W), of a block (B, H, W)."""
        if self.picture.kind == "rgb":
            return self.ops.luma(parts[0], tuple(self.picture.luma))
        if self.picture.kind == "gbr":
            weights = self.picture.luma[GBR]
            green, blue, red = (plane(part) * weight for part, weight in zip(parts, weights, strict=True))
            return red + green + blue
        return plane(parts[0])

    @property
    def _scale(self) -> np.float32:
        """Grey levels of 8 bits in one unit of light."""
        picture = self.picture
        if picture.kind in ("yuv", "gray"):
            return np.float32(2.0 ** (8 - picture.bits) * (1 if picture.full_range else 255 / 219))
        return np.float32(255 / (2**picture.bits - 1))

    def _black(self) -> float:
        """The value of light on black."""
        full = self.picture.full_range or self.picture.kind in ("rgb", "gbr")
        return 0.0 if full else 16.0 * 2 ** (self.picture.bits - 8)


def _thinned(light: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The light (..., H, W) at the samples of a smaller plane."""
    if all(size % n == 0 for n, size in zip(shape, light.shape[-2:], strict=True)):
        return light[..., :: light.shape[-2] // shape[0], :: light.shape[-1] // shape[1]]
    rows, columns = (np.arange(n) * size // n for n, size in zip(shape, light.shape[-2:], strict=True))
    return light[..., rows, :][..., columns]


def put_back(plane: np.ndarray, window: tuple[slice, slice], part: np.ndarray) -> np.ndarray:
    """The plane with a region replaced; the region itself where it is all of the plane."""
    if part.shape == plane.shape:
        return part
    out = plane.copy()
    out[window] = part
    return out
