"""Motion added to frames: the luma's steerable pyramid, turned by a map of phases from the network's scale (Eq. 23)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter

from fastmag import phase
from fastmag.errors import InputError
from fastmag.ops import Ops
from fastmag.places import near
from fastmag.pyramids import Steerable, steerable

COARSE = 6  # levels of a picture of 492 pixels that are moved
MARGIN, PAD, FADE = (
    32,
    32,
    24,
)  # pixels of such a picture: kept around a box, mirrored beyond a border, a taper's length
REACH = 5  # samples around a moving one that may change
FAINT = 0.005  # radians at the network's scale that no eye will miss


def phases_of(field: np.ndarray) -> np.ndarray:
    """Phases (4, h, w) by which subbands turn where the picture moves by a field (2, h, w) of the square's pixels."""
    turn = -2 * np.pi * phase.SMALL / (phase.PLAN.wavelength(0) * phase.SIDE)
    directions = np.array([(np.cos(angle), np.sin(angle)) for angle in phase.PLAN.angles]) * turn
    return np.tensordot(directions.astype(np.float32), field, 1)


@dataclass(frozen=True)
class Box:
    """Rows top..bottom and columns left..right of an upright picture of `size`."""

    size: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Geometry:
    """Where the network's samples lie in an upright picture (height, width) of luma."""

    size: tuple[int, int]
    square: tuple[int, int, int]

    @classmethod
    def of(cls, size: tuple[int, int]) -> Geometry:
        return cls(size, phase.working_square(*size))

    @property
    def scale(self) -> float:
        """Pixels of the picture a pixel of the network's square of 492."""
        return self.square[2] / phase.SIDE

    @property
    def step(self) -> tuple[float, float]:
        """Pixels from sample to sample, (down, across)."""
        down, across = (self.square[2] / n for n in phase.SHAPE[1:])
        return down, across

    def between(self, axis: int, at: np.ndarray) -> np.ndarray:
        """(n, m): linear interpolation from the m samples along an axis to n places in pixels, ends held."""
        m = phase.SHAPE[1 + axis]
        sample = np.clip((at - self.square[axis]) / self.step[axis], 0, m - 1)
        left = np.minimum(sample.astype(int), m - 2)
        matrix, rows = np.zeros((len(at), m)), np.arange(len(at))
        matrix[rows, left], matrix[rows, left + 1] = 1 - (sample - left), sample - left
        return matrix

    def mask(self, marks: np.ndarray, box: Box) -> np.ndarray:
        """1 on the pixels of a box near marked samples (h, w), falling to exactly 0 further away: float32."""
        near = gaussian_filter(binary_dilation(marks, iterations=REACH).astype(np.float32), 1.5, truncate=2)
        down, across = self.between(0, np.arange(box.top, box.bottom)), self.between(1, np.arange(box.left, box.right))
        return (down @ near @ across.T).astype(np.float32)

    def box(self, marks: np.ndarray) -> Box | None:
        """The box around marked samples (h, w), with a margin inside the square; None where nothing is marked."""
        if not marks.any():
            return None
        ends = []
        for axis, (start, step) in enumerate(zip(self.square[:2], self.step, strict=True)):
            found = np.flatnonzero(marks.any(axis=1 - axis))
            low, high = found[0] * step - MARGIN * self.scale, (found[-1] + 1) * step + MARGIN * self.scale
            stop, size = start + self.square[2], self.size[axis]
            low, high = (start + low) // 16 * 16, -(-(start + high) // 16) * 16  # whole samples of colour
            ends += [int(max(start // 4 * 4, low)), int(min(stop if stop == size else -(-stop // 4) * 4, high, size))]
        return Box(self.size, *ends)


class Mover:
    """Moves what a box of a clip's luma shows. Frames (B, height, width) of the box in, changes of the same shape out.

    The pyramid is that of the box, mirrored over a strip beyond the borders of the picture. Of its levels those are
    turned whose wavelength a picture of 492 pixels could show, each by the phase at the network's scale times the
    ratio of the wavelengths, 0.5^(r - r0). Raises InputError where the box is too small for any.
    """

    def __init__(self, geometry: Geometry, box: Box, ops: Ops, finest: int = 0):
        self.box, self._ops, self._geometry = box, ops, geometry
        pad = int(PAD * geometry.scale)
        edges = ((box.top, box.bottom, geometry.size[0]), (box.left, box.right, geometry.size[1]))
        self._pads = [(pad * (low == 0), pad * (high == n)) for low, high, n in edges]
        height, width = (high - low + sum(pads) for (low, high, _), pads in zip(edges, self._pads, strict=True))
        first = max(0, round(math.log2(geometry.scale))) + finest
        most = int(math.log2(min(height, width))) - 2
        if most <= first:
            raise InputError(f"a region of {width} x {height} pixels is too small to show motion: use a larger one")
        self.plan: Steerable = steerable((height, width), min(first + COARSE - finest, most))
        self.levels = list(range(first, self.plan.depth))
        analysed = phase.PLAN.wavelength(0) * geometry.square[2] / phase.SMALL
        self._factors = [analysed / self.plan.wavelength(level) for level in self.levels]
        self._places = [[self._between(axis, level) for axis in (0, 1)] for level in self.levels]

    def _between(self, axis: int, level: int) -> np.ndarray:
        """(n, m) float32: from m samples of the network to the n of a level, with tapers at cut edges."""
        low = (self.box.top, self.box.left)[axis] - self._pads[axis][0]
        at = low + np.arange(self.plan.sizes[level][axis]) * self.plan.spacing(level)[axis]
        start, side = self._geometry.square[axis], self._geometry.square[2]
        matrix = self._geometry.between(axis, at) * self._taper(axis, at, start, start + side)[:, None]
        return matrix.astype(np.float32)

    def _taper(self, axis: int, at: np.ndarray, start: float, stop: float) -> np.ndarray:
        """1 inside; towards 0 at an end of the square inside the picture, and over the mirrored strip at a border."""
        size, fade, pad = self._geometry.size[axis], FADE * self._geometry.scale, PAD * self._geometry.scale
        before = (at - start) / fade if start > 0 else 1 + at / pad
        after = (stop - at) / fade if stop < size else 1 + (size - at) / pad
        return 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(before, after), 0, 1))

    def spread(self, phases: np.ndarray) -> list[np.ndarray]:
        """Phases (4, h, w) at the network's scale, as phases of every level that is moved."""
        places = [(near(down, phases), near(across, phases)) for down, across in self._places]
        return [(down @ phases @ across.T) * f for f, (down, across) in zip(self._factors, places, strict=True)]

    def __call__(self, luma: np.ndarray, deltas: Sequence[np.ndarray]) -> np.ndarray:
        """Changes of frames (B, height, width) whose phases turn by deltas, one (B, 4, h, w) a level."""
        padded = np.pad(luma, ((0, 0), *self._pads), mode="reflect")
        subbands = self._ops.steerable_analysis(padded, self.plan, self.levels)
        turned = [self._ops.shift_phase(s, d, out=s) for s, d in zip(subbands, deltas, strict=True)]
        change = self._ops.steerable_synthesis(turned, self.plan, self.levels, overwrite=True)
        (top, _), (left, _) = self._pads
        return change[:, top : top + luma.shape[1], left : left + luma.shape[2]]
