"""What a pipeline does to a frame, as rows: cells of a frame as decoded, and their change back onto its planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.cases import CELLS, RING, Case
from bench.rivals import Call, rival
from fastmag.coherent.local import SkinCells
from fastmag.color import Picture
from fastmag.kernels import cpu, reference

SHAPES = ((480, 640), (240, 320), (240, 320))  # 4:2:0
PICTURE = Picture("yuv", SHAPES, 8, "bt601", False)


@dataclass(frozen=True)
class View(Case):
    """A method of `SkinCells`, by name; it allocates what it returns."""

    @property
    def per_frame(self) -> bool:
        return True

    def ours(self) -> Callable[..., Any]:
        return _method(cpu, self.kernel)

    def judge(self) -> Callable[..., Any]:
        return _method(reference, self.kernel)


def _method(ops: Any, name: str) -> Callable[..., Any]:
    method = getattr(SkinCells(PICTURE, ops), name)
    return lambda planes, *more, out=None: method(planes, *more)


def _planes(rng: np.random.Generator) -> list[tuple[np.ndarray, ...]]:
    count = RING // sum(h * w for h, w in SHAPES) // 4
    return [tuple(rng.integers(16, 236, shape, np.uint8) for shape in SHAPES) for _ in range(count)]


def _frames(rng: np.random.Generator) -> list[tuple]:
    return [(planes,) for planes in _planes(rng)]


def _changes(rng: np.random.Generator) -> list[tuple]:
    """Changes of cells, and models of the light of faces: shares of each channel, and a constant."""
    scale = np.float32([0.02, 0.02, 0.02, 0.3, 0.3, 0.3, 30])
    return [(planes, rng.normal(0, scale, (*CELLS, 7)).astype(np.float32)) for planes in _planes(rng)]


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

    cells = SkinCells(PICTURE, cpu)

    def run() -> list[np.ndarray]:
        small, out = cells.changes(change), []
        light: Any = 0.0
        for plane, model in zip(planes, small[3:], strict=True):
            told = cv2.resize(model, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)
            told = cv2.add(cv2.multiply(told[..., 0], plane, dtype=cv2.CV_32F), told[..., 1])
            light = cv2.add(light, cv2.resize(told, SHAPES[0][::-1], interpolation=cv2.INTER_NEAREST))
        light = cv2.max(light, 0)
        for plane, part in zip(planes, small[:3], strict=True):
            here = cv2.resize(light, plane.shape[::-1], interpolation=cv2.INTER_NEAREST)
            wide = cv2.resize(part, plane.shape[::-1], interpolation=cv2.INTER_CUBIC)
            out.append(cv2.add(plane, cv2.multiply(wide, here, dtype=cv2.CV_32F), dtype=cv2.CV_8U))
        return out

    return run


CASES: list[Case] = [
    View("cells of a frame, 480x640 4:2:0", "represent", _frames, ("OpenCV area",), 2e-4),
    View("their change by the light of skin, 480x640 4:2:0", "reconstruct", _changes, ("OpenCV",), 1e-4),
]  # fmt: skip
