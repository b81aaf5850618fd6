"""Motion's views through blocks on a GPU and frame by frame on the CPU: what both give, to be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastmag import passes
from fastmag.baselines.laplacian import LaplacianView
from fastmag.baselines.phase_view import PhaseView
from fastmag.baselines.riesz import RieszView
from fastmag.baselines.streams import Causal
from fastmag.color import Picture
from fastmag.params import PYRAMIDS
from fastmag.temporal import butterworth_difference

COUNT = 8
LOOK_BACK = butterworth_difference((1.0, 4.0), 30.0)
VIEWS = {
    "laplacian": lambda picture, ops: LaplacianView(picture, ops, 0.5, 9.0, 8.0),
    "phase": lambda picture, ops: PhaseView(picture, ops, 5.0, 1.0, PYRAMIDS["octave"], False),
    "phase, held": lambda picture, ops: PhaseView(picture, ops, 5.0, 0.0, PYRAMIDS["half-octave"], True),
    "riesz": lambda picture, ops: RieszView(picture, ops, 5.0, 2.0, PYRAMIDS["octave"], True),
}


@dataclass(frozen=True)
class Frame:
    """As fastmag.video.Frame, which needs PyAV."""

    planes: tuple[np.ndarray, ...]
    time: float

    def with_planes(self, planes):
        return replace(self, planes=planes)


class Source:
    """A few frames of a texture that sways."""

    def __init__(self, picture: Picture, count: int = COUNT, size: float = 0.4):
        self.picture, self.fps, self.n_frames = picture, 30.0, count
        top, waves = (1 << picture.bits) - 1, np.random.default_rng(2).uniform(0.15, 0.8, (5, 2))
        self._planes = []
        for k in range(count):
            shift = size * np.sin(0.7 * k)
            planes = []
            for height, width in picture.shapes:
                y, x = np.mgrid[:height, :width]
                light = sum(np.sin(a * (y - shift) + b * (x + shift) + 9 * a) for a, b in waves)
                planes.append(np.clip(top * (0.5 + 0.12 * light), 0, top).astype(np.uint8 if top < 256 else np.uint16))
            if picture.kind == "rgb":
                planes = [np.stack([planes[0], planes[0] // 2, 255 - planes[0] // 2], axis=-1)]
            self._planes.append(tuple(planes))

    def frames(self, again: bool = False):
        for k, planes in enumerate(self._planes):
            yield Frame(planes, k / self.fps)


def two_passes(view, source: Source) -> tuple[list[np.ndarray], list[tuple]]:
    """What is seen of every frame; frames with a third of its change from the first one, magnified."""
    rows = [row.copy() for _, row in passes.represented(source.frames(), view)]
    pairs = ((frame, (row - rows[0]) / 3) for frame, row in zip(source.frames(), rows, strict=True))
    return rows, [tuple(map(np.array, frame.planes)) for frame in passes.reconstructed(pairs, view)]


def one_pass(view, source: Source) -> list[tuple]:
    """Frames with what a filter that looks back makes of them."""
    work = view.passed(Causal(LOOK_BACK, view.ops))
    return [tuple(map(np.array, frame.planes)) for frame in passes.passed(source.frames(), view, work)]


def check_same_frames(found: list[tuple], expected: list[tuple], source: Source, share: float = 2e-3) -> None:
    """Frames equal but for rounding, and not the source's."""
    moved = False
    for got, want, frame in zip(found, expected, source.frames(), strict=True):
        for a, b, plane in zip(got, want, frame.planes, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            apart = np.abs(a.astype(int) - b)
            assert apart.max() <= 1 and (apart > 0).mean() <= share
            moved |= np.abs(b.astype(int) - plane).max() > 2
    assert moved, "something must be magnified"


def check_view(name: str, picture: Picture, cuda, cpu) -> None:
    """Both ways through a view, in blocks with `cuda` and frame by frame with `cpu`."""
    source, make = Source(picture), VIEWS[name]
    (rows, whole), (exact, expected) = (two_passes(make(picture, ops), source) for ops in (cuda, cpu))
    for row, wanted in zip(rows, exact, strict=True):
        apart = np.abs(row - wanted)  # a phase hangs by a thread where there is nothing to see
        assert np.median(apart) < 1e-4 and (apart > 0.01).mean() < 0.01
    check_same_frames(whole, expected, source)
    check_same_frames(*(one_pass(make(picture, ops), source) for ops in (cuda, cpu)), source)


PIECES = 3, 128  # maps of a piece, and places along their sides


def rendered(picture: Picture, rendering: str, ops, source: Source) -> tuple[np.ndarray, list[tuple]]:
    """Frames at the network's scale, and frames moved by two pieces of smooth fields, each at half of the time."""
    from scipy.ndimage import gaussian_filter

    from fastmag.motion.synthesis import Piece, synthesise
    from fastmag.motion.view import View

    view, sink = View(picture, ops), Sink()
    rows = np.stack([row.copy() for _, row in passes.represented(source.frames(), view)])
    count, side = PIECES
    fields = np.random.default_rng(4).normal(0, 60, (2, count, 2, side, side))
    fields[..., :40] = 0
    maps = gaussian_filter(fields, (0, 0, 0, 8, 8)).astype(np.float32)
    half = source.n_frames / source.fps / 2
    pieces = [Piece(np.linspace(start, start + half, count), m) for start, m in zip((0.0, half), maps, strict=True)]
    times = np.arange(source.n_frames) / source.fps
    synthesise(source, sink, view, iter(pieces), (times, np.cos(3 * times) + 1), rendering, ops)
    return rows, sink.frames


class Sink:
    """Keeps copies of frames."""

    def __init__(self):
        self.frames: list[tuple] = []

    def write(self, frame):
        self.frames.append(tuple(map(np.array, frame.planes)))
