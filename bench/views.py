"""What a pipeline does to a frame, as rows: cells of a frame as decoded, and their change back onto its planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cases import CELLS, RING, Case
from bench.rivals import Call, rival
from fastmag.color import LitCells, Picture
from fastmag.kernels import cpu, reference

SHAPES = ((480, 640), (240, 320), (240, 320))  # 4:2:0
PICTURE = Picture("yuv", SHAPES, 8, "bt601", False)


@dataclass(frozen=True)
class View(Case):
    """A method of `LitCells`, by name; it allocates what it returns."""

    @property
    def per_frame(self) -> bool:
        return True

    def ours(self) -> Callable[..., Any]:
        return _method(cpu, self.kernel)

    def judge(self) -> Callable[..., Any]:
        return _method(reference, self.kernel)


def _method(ops: Any, name: str) -> Callable[..., Any]:
    method = getattr(LitCells(PICTURE, ops), name)
    return lambda planes, *more, out=None: method(planes, *more)


def _planes(rng: np.random.Generator) -> list[tuple[np.ndarray, ...]]:
    count = RING // sum(h * w for h, w in SHAPES) // 4
    return [tuple(rng.integers(16, 236, shape, np.uint8) for shape in SHAPES) for _ in range(count)]


def _frames(rng: np.random.Generator) -> list[tuple]:
    return [(planes,) for planes in _planes(rng)]


def _changes(rng: np.random.Generator) -> list[tuple]:
    return [(planes, rng.normal(0, 0.02, (*CELLS, 3)).astype(np.float32)) for planes in _planes(rng)]


@rival("OpenCV area", "represent")
def opencv_cells(planes: tuple[np.ndarray, ...]) -> Call:
    import cv2

    matrix, offset = PICTURE.to_rgb()
    turn, cells = matrix.T.astype(np.float32), np.empty((*CELLS, 3), np.uint8)

    def run() -> np.ndarray:
        for i, plane in enumerate(planes):
            cells[..., i] = cv2.resize(plane, CELLS, interpolation=cv2.INTER_AREA)
        return cells @ turn + offset

    return run


@rival("OpenCV", "reconstruct")
def opencv_changes(planes: tuple[np.ndarray, ...], change: np.ndarray) -> Call:
    """Plane by plane, as here: no conversion of the whole frame to RGB and back."""
    import cv2

    back = np.linalg.pinv(PICTURE.to_rgb()[0]).T.astype(np.float32)

    def run() -> list[np.ndarray]:
        parts, out = np.ascontiguousarray(np.moveaxis(change @ back, -1, 0)), []
        for plane, part in zip(planes, parts, strict=True):
            light = cv2.resize(planes[0], plane.shape[::-1], interpolation=cv2.INTER_NEAREST)
            wide = cv2.resize(part, plane.shape[::-1], interpolation=cv2.INTER_CUBIC)
            out.append(cv2.add(plane, cv2.multiply(wide, light, dtype=cv2.CV_32F), dtype=cv2.CV_8U))
        return out

    return run


CASES: list[Case] = [
    View("cells of a frame, 480x640 4:2:0", "represent", _frames, ("OpenCV area",), 2e-4),
    View("their change by the light, 480x640 4:2:0", "reconstruct", _changes, ("OpenCV",), 1e-4),
]  # fmt: skip
