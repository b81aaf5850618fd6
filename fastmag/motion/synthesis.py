"""Pass 3 for motion: maps of phases, times the wave, added to every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastmag import passes
from fastmag.motion.render import FAINT, Mover
from fastmag.motion.view import View
from fastmag.ops import Ops
from fastmag.video.media import Frame

BLOCK = 4  # frames rendered together
Wave = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Piece:
    """Maps (K, 4, h, w) of phases at the network's scale at increasing times (K,), and in between by interpolation."""

    times: np.ndarray
    maps: np.ndarray


def synthesise(
    source, sink, view: View, pieces: Iterator[Piece], wave: Wave | None, levels: str, ops: Ops, progress=passes.silent
) -> int:
    """Write every frame of the source with the phases of the piece at its time, times the wave (times, values) where
    there is one. Returns the frames written."""
    piece = next(pieces)
    scene, count = Scene(view, piece, wave, levels, ops), 0
    held: list[Frame] = []

    def flush() -> None:
        nonlocal count
        for frame, planes in zip(held, scene.render([frame.planes for frame in held], held), strict=True):
            sink.write(frame.with_planes(planes))
            count += 1
            progress("synthesise", count, source.n_frames)
        held.clear()

    for frame in source.frames():
        while frame.time > piece.times[-1] and (following := next(pieces, None)) is not None:
            flush()
            piece = following
            scene = Scene(view, piece, wave, levels, ops)
        held.append(frame)
        if len(held) == BLOCK:
            flush()
    flush()
    return count


class Scene:
    """The frames of one piece: its box, which alone is rendered, and its maps at every level."""

    def __init__(self, view: View, piece: Piece, wave: Wave | None, levels: str, ops: Ops):
        self._view, self._piece, self._wave = view, piece, wave
        marks = np.abs(piece.maps).max(axis=(0, 1)) * self._largest() > FAINT
        self._box = view.geometry.box(marks)
        self._spread: dict[int, list[np.ndarray]] = {}
        if self._box is not None:
            self._mover = Mover(view.geometry, self._box, ops, finest=int(levels == "fast"))
            self._window, self._mask = view.window(self._box), view.geometry.mask(marks, self._box)

    def _largest(self) -> float:
        if self._wave is None:
            return 1.0
        times, values = self._wave
        near = (times >= self._piece.times[0] - 1) & (times <= self._piece.times[-1] + 1)
        return float(np.abs(values[near]).max()) if near.any() else 0.0

    def render(self, planes: list, frames: list) -> list:
        """The planes of frames, those moved."""
        if self._box is None or not frames:
            return planes
        deltas = [self._deltas(frame.time) for frame in frames]
        luma = np.stack([self._view.luma(p, self._window) for p in planes])
        changes = self._mover(luma, [np.stack(level) for level in zip(*deltas, strict=True)]) * self._mask
        return [self._view.add(p, self._window, change) for p, change in zip(planes, changes, strict=True)]

    def _deltas(self, time: float) -> list[np.ndarray]:
        """The phases (4, h, w) of every level at a time."""
        times = self._piece.times
        factor = np.float32(1.0 if self._wave is None else np.interp(time, *self._wave))
        at = float(np.interp(time, times, np.arange(len(times))))
        i = min(int(at), len(times) - 2)
        share = np.float32(at - i)
        if len(times) == 1:
            return [factor * level for level in self._levels(0)]
        before, after = factor * (1 - share), factor * share
        return [before * p + after * q for p, q in zip(self._levels(i), self._levels(i + 1), strict=True)]

    def _levels(self, i: int) -> list[np.ndarray]:
        if i not in self._spread:
            self._spread = {k: v for k, v in self._spread.items() if k >= i - 1}
            self._spread[i] = self._mover.spread(self._piece.maps[i])
        return self._spread[i]
