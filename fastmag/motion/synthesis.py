"""Pass 3 for motion: maps of what moves, times the wave, added to every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from fastmag import passes
from fastmag.color import Planes, put_back
from fastmag.flow import Kept
from fastmag.motion.render import FAINT, Box, Mover, phases_of
from fastmag.motion.view import View
from fastmag.motion.warp import Warp
from fastmag.ops import Ops
from fastmag.places import near
from fastmag.video.media import Frame

BLOCK = 4  # frames rendered together on the processor
COEFFICIENT, SHIFT = 32, 4 << 20  # bytes of device memory a coefficient that is turned, and a frame whose pixels shift
STILL = 0.02  # pixels of the picture that no eye will miss
Wave = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
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
    count = 0
    for frame in _rendered(source.frames(), view, pieces, wave, rendering, ops):
        sink.write(frame)
        count += 1
        progress("synthesise", count, source.n_frames)
    return count


def _rendered(
    frames: Iterator[Frame], view: View, pieces: Iterator[Piece], wave: Wave | None, rendering: str, ops: Ops
) -> Iterator[Frame]:
    """All frames, moved, in order."""
    piece = next(pieces)

    def at(frame: Frame) -> Piece:
        nonlocal piece
        while frame.time > piece.times[-1] and (following := next(pieces, None)) is not None:
            piece = following
        return piece

    for here, some in groupby(frames, at):
        scene = _scene(view, here, wave, rendering, ops)
        pairs = ((frame, frame.time) for frame in some)
        yield from passes.reconstructed(pairs, scene) if scene else (frame for frame, _ in pairs)


class Track:
    """The maps of a piece over time, and the largest size that they reach: (h, w)."""

    def __init__(self, piece: Piece, wave: Wave | None):
        self._times, self.maps, self._wave = piece.times, piece.maps, wave
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
        return sum(weight * self.maps[i] for i, weight in self.at(time))  # type: ignore[return-value]


class Turned:
    """Frames whose phases are turned: the difference form on the full-resolution pyramid (Eq. 23).

    This and `Shifted` are in the parts that fastmag.flow takes: `parts` with `changes`, `add`, `whole`.
    """

    together = BLOCK

    def __init__(self, view: View, track: Track, marks: np.ndarray, box: Box, finest: int, ops: Ops):
        self.ops, self.kept, self._view, self._track = ops, Kept(), view, track
        self._mover, self._window = Mover(view.geometry, box, ops, finest), view.windows(box)[0]
        self._mask: Any = view.geometry.mask(marks, box)
        self._spread: dict[int, list[np.ndarray]] = {}
        sizes = (self._mover.plan.sizes[level] for level in self._mover.levels)
        self.each = COEFFICIENT * self._mover.plan.orientations * sum(h * w for h, w in sizes)

    def parts(self, planes: Planes) -> Planes:
        """What the box shows, of the planes that hold the luma."""
        return self._view.bright(planes, self._window)

    def changes(self, time: float) -> tuple:
        """Which maps turn the frame of a time, and how much of each."""
        return (self._track.at(time),)

    def add(self, *arrays: Any) -> Planes:
        """Parts of a block with their luma changed; the parts first, then a list of what `changes` says."""
        *parts, shares = arrays
        luma = self._view.luma(tuple(parts))
        deltas = [self._deltas(share, luma) for share in shares]
        changes = self._mover(luma, [np.stack(level) for level in zip(*deltas, strict=True)])
        self._mask = near(self._mask, changes)
        return self._view.added(tuple(parts), changes * self._mask)

    def whole(self, planes: Planes, added: Planes) -> Planes:
        """The planes with parts replaced."""
        return (*(put_back(p, self._window, a) for p, a in zip(planes, added, strict=False)), *planes[len(added) :])

    def _deltas(self, share: list[tuple[int, np.float32]], luma: np.ndarray) -> list[np.ndarray]:
        """The phases (4, h, w) of every level, where the luma is."""
        parts = [[level * weight for level in self._levels(i, luma)] for i, weight in share]
        return parts[0] if len(parts) == 1 else [p + q for p, q in zip(*parts, strict=True)]

    def _levels(self, i: int, luma: np.ndarray) -> list[np.ndarray]:
        if i not in self._spread:
            self._spread = {k: v for k, v in self._spread.items() if k >= i - 1}
            self._spread[i] = self._mover.spread(near(self._track.maps[i], luma))
        return self._spread[i]


class Shifted:
    """Frames whose pixels are shifted, luma and colour."""

    each = SHIFT

    def __init__(self, view: View, track: Track, box: Box, ops: Ops):
        self.ops, self.kept, self._track, warp = ops, Kept(), track, Warp(view, box, ops)
        self.parts, self.add, self.whole = warp.parts, warp.add, warp.whole

    def changes(self, time: float) -> Planes:
        """The field of a time."""
        return (self._track.map(time),)


def _scene(view: View, piece: Piece, wave: Wave | None, rendering: str, ops: Ops) -> Turned | Shifted | None:
    """What renders the frames of a piece; None where nothing moves."""
    if rendering == "warp":
        track = Track(piece, wave)
        box = view.geometry.box(track.size * view.geometry.scale > STILL)
        return None if box is None else Shifted(view, track, box, ops)
    maps = piece.maps if piece.maps.shape[1] == 4 else np.stack([phases_of(field) for field in piece.maps])
    track = Track(Piece(piece.times, maps), wave)
    marks = track.size > FAINT
    box = view.geometry.box(marks)
    return None if box is None else Turned(view, track, marks, box, int(rendering == "phase-fast"), ops)
