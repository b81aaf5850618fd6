"""Pass 3 for motion: maps of what moves, times the wave, added to every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastmag import passes
from fastmag.color import Planes
from fastmag.motion.render import FAINT, Mover, phases_of
from fastmag.motion.view import View
from fastmag.motion.warp import Warp
from fastmag.ops import Ops
from fastmag.video.media import Frame

BLOCK = 4  # frames rendered together
STILL = 0.02  # pixels of the picture that no eye will miss
Wave = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Piece:
    """Maps at increasing times (K,), in between by interpolation: phases (K, 4, h, w) at the network's scale, or
    fields (K, 2, h, w) of displacement, across and down in pixels of the network's square."""

    times: np.ndarray
    maps: np.ndarray


def synthesise(
    source, sink, view: View, pieces: Iterator[Piece], wave: Wave | None, rendering: str, ops: Ops,
    progress=passes.silent,
) -> int:  # fmt: skip
    """Write every frame of the source, moved by the piece at its time, times the wave (times, values) where there is
    one. Returns the frames written."""
    piece, count = next(pieces), 0
    scene = _scene(view, piece, wave, rendering, ops)
    held: list[Frame] = []

    def flush() -> None:
        nonlocal count
        for frame, planes in zip(held, scene.render(held), strict=True):
            sink.write(frame.with_planes(planes))
            count += 1
            progress("synthesise", count, source.n_frames)
        held.clear()

    for frame in source.frames():
        while frame.time > piece.times[-1] and (following := next(pieces, None)) is not None:
            flush()
            piece = following
            scene = _scene(view, piece, wave, rendering, ops)
        held.append(frame)
        if len(held) == BLOCK:
            flush()
    flush()
    return count


class Track:
    """The maps of a piece over time, and the largest size that they reach: (h, w)."""

    def __init__(self, piece: Piece, wave: Wave | None):
        self._times, self._maps, self._wave = piece.times, piece.maps, wave
        self.size = np.abs(piece.maps).max(axis=(0, 1)) * self._largest()

    def _largest(self) -> float:
        if self._wave is None:
            return 1.0
        times, values = self._wave
        near = (times >= self._times[0] - 1) & (times <= self._times[-1] + 1)
        return float(np.abs(values[near]).max()) if near.any() else 0.0

    def at(self, time: float) -> list[tuple[int, np.float32]]:
        """Which maps make up that of a time, and how much of each."""
        factor = 1.0 if self._wave is None else float(np.interp(time, *self._wave))
        place = float(np.interp(time, self._times, np.arange(len(self._times))))
        first = min(int(place), max(len(self._times) - 2, 0))
        parts = [(first, factor * (1 - place + first)), (first + 1, factor * (place - first))]
        return [(i, np.float32(weight)) for i, weight in parts if i < len(self._times)]

    def map(self, time: float) -> np.ndarray:
        """The map of a time."""
        return sum(weight * self._maps[i] for i, weight in self.at(time))  # type: ignore[return-value]


class Turned:
    """Frames whose phases are turned: the difference form on the full-resolution pyramid (Eq. 23)."""

    def __init__(self, view: View, piece: Piece, wave: Wave | None, finest: int, ops: Ops):
        maps = piece.maps if piece.maps.shape[1] == 4 else np.stack([phases_of(field) for field in piece.maps])
        self._view, self._maps, self._track = view, maps, Track(Piece(piece.times, maps), wave)
        marks = self._track.size > FAINT
        self._box = view.geometry.box(marks)
        self._spread: dict[int, list[np.ndarray]] = {}
        if self._box is not None:
            self._mover = Mover(view.geometry, self._box, ops, finest)
            self._window, self._mask = view.windows(self._box)[0], view.geometry.mask(marks, self._box)

    def render(self, frames: list[Frame]) -> list[Planes]:
        """The planes of frames, their luma changed."""
        if self._box is None or not frames:
            return [frame.planes for frame in frames]
        deltas = [self._deltas(frame.time) for frame in frames]
        luma = np.stack([self._view.luma(frame.planes, self._window) for frame in frames])
        changes = self._mover(luma, [np.stack(level) for level in zip(*deltas, strict=True)]) * self._mask
        return [self._view.add(f.planes, self._window, change) for f, change in zip(frames, changes, strict=True)]

    def _deltas(self, time: float) -> list[np.ndarray]:
        """The phases (4, h, w) of every level at a time."""
        parts = [[weight * level for level in self._levels(i)] for i, weight in self._track.at(time)]
        return parts[0] if len(parts) == 1 else [p + q for p, q in zip(*parts, strict=True)]

    def _levels(self, i: int) -> list[np.ndarray]:
        if i not in self._spread:
            self._spread = {k: v for k, v in self._spread.items() if k >= i - 1}
            self._spread[i] = self._mover.spread(self._maps[i])
        return self._spread[i]


class Shifted:
    """Frames whose pixels are shifted, luma and colour."""

    def __init__(self, view: View, piece: Piece, wave: Wave | None, ops: Ops):
        self._track = Track(piece, wave)
        box = view.geometry.box(self._track.size * view.geometry.scale > STILL)
        self._warp = None if box is None else Warp(view, box, ops)

    def render(self, frames: list[Frame]) -> list[Planes]:
        """The planes of frames, shifted."""
        if self._warp is None:
            return [frame.planes for frame in frames]
        return [self._warp(frame.planes, self._track.map(frame.time)) for frame in frames]


def _scene(view: View, piece: Piece, wave: Wave | None, rendering: str, ops: Ops) -> Turned | Shifted:
    if rendering == "warp":
        return Shifted(view, piece, wave, ops)
    return Turned(view, piece, wave, int(rendering == "phase-fast"), ops)
