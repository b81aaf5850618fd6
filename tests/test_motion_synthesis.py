"""Pieces of a clip rendered one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from block_views import Sink, Source

from fastmag.color import Picture
from fastmag.kernels import cpu
from fastmag.motion.synthesis import Piece, synthesise
from fastmag.motion.view import View

PICTURE = Picture("gray", ((112, 120),))


def maps(size: float) -> np.ndarray:
    """Three fields (3, 2, 128, 128) that grow to `size` pixels of the network's square in the middle."""
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    return np.float32(size) * np.exp(-4 * (x**2 + y**2)).astype(np.float32) * np.ones((3, 2, 1, 1), np.float32)


def moved_by(pieces: list[tuple[float, float, float]], rendering: str) -> list[bool]:
    """Which frames of two seconds' clip change, with pieces (start, stop, size) in seconds and pixels."""
    source, sink, said = Source(PICTURE, 13), Sink(), []
    source.fps = 6.0
    given = iter([Piece(np.linspace(start, stop, 3), maps(size)) for start, stop, size in pieces])
    view = View(PICTURE, cpu)
    count = synthesise(source, sink, view, given, None, rendering, cpu, lambda *args: said.append(args[1:]))
    assert count == len(sink.frames) == 13 and said == [(k + 1, 13) for k in range(13)]
    return [bool((got[0] != frame.planes[0]).any()) for got, frame in zip(sink.frames, source.frames(), strict=True)]


@pytest.mark.parametrize("rendering", ["warp", "phase"])
def test_each_piece_moves_the_frames_of_its_time(rendering):
    """A frame at the end of a piece is still its own; the last piece goes on."""
    found = moved_by([(0.0, 0.5, 0.0), (0.5, 1.0, 8.0), (1.0, 1.25, 0.0), (1.25, 1.5, 8.0)], rendering)
    assert found == [False] * 4 + [True] * 3 + [False] + [True] * 5


def test_pieces_between_two_frames_are_passed_over():
    assert moved_by([(0.0, 0.02, 8.0), (0.02, 0.04, 8.0), (0.04, 9.0, 0.0)], "warp") == [True] + [False] * 12
