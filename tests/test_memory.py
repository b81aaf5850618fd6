"""Memory does not grow with the length of a clip: nothing but its time is kept of a frame, whatever the method."""

from __future__ import annotations

import functools
import tracemalloc
import weakref

import numpy as np
import pytest

from bench.memory import methods
from fastmag.api import PIPELINES
from fastmag.color import Picture
from fastmag.columns import LEAST
from fastmag.kernels import cpu
from fastmag.sources import FileSource
from fastmag.spool import Spool
from fastmag.video import write_rgb
from fastmag.video.media import Frame

SIZE, SHORT, LONG = (24, 32), 50, 230
A_FRAME = 64  # bytes: its time, twice over; the frame itself has 2304, its phases some 20 000
FREE = 150_000  # bytes that Python keeps for tuples to come


class Endless:
    """A source of so many frames that are made one by one, and a sink that drops them."""

    fps, picture = 30.0, Picture("rgb", (SIZE,))

    def __init__(self, count):
        x, y = np.arange(SIZE[1]), np.arange(SIZE[0])[:, None]
        self._bases = [120 + 40 * np.sin((x - 0.2 * np.sin(2 * np.pi * 3 * i / 30)) / 3 + y / 5) for i in range(10)]
        self.n_frames, self.written = count, 0

    def frames(self, again=False):
        for i in range(self.n_frames):
            yield Frame((np.repeat(self._bases[i % 10].astype(np.uint8)[..., None], 3, axis=2),), i / self.fps)

    def write(self, frame):
        self.written += 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch):
    """Buffers of a fixed size, so small that the short clip fills them, too."""
    for module in ("passes", "columns"):
        monkeypatch.setattr(f"fastmag.{module}.Spool", functools.partial(Spool, budget=2000))
    monkeypatch.setattr("fastmag.columns.BLOCK_BYTES", 1000)
    monkeypatch.setattr("fastmag.columns.ROWS", 16)
    monkeypatch.setattr("fastmag.passes.CHUNK", 16)


def peak(params, count):
    """Most bytes that Python and NumPy held at once."""
    clip = Endless(count)
    tracemalloc.start()
    try:
        PIPELINES[type(params)](clip, clip, params, cpu)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        assert clip.written == count


WAYS = ["evm-color", "evm-motion, butterworth", "evm-motion, ideal", "phase-evm, butterworth",
        "phase-evm, fir, attenuate", "riesz, butterworth", "vam-motion"]  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_a_longer_clip_takes_no_more_memory(name):
    params = methods()[name]
    peak(params, 32)  # filters and compiled loops stay
    short, long = peak(params, SHORT), peak(params, LONG)
    columns = LEAST * 4 * LONG  # a filter that sees all of time sees it of some pixels at a time
    assert long - short < FREE + A_FRAME * (LONG - SHORT) + 6 * columns


def test_decoded_frames_are_kept_for_a_second_pass_alone_and_while_they_are_few(tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (60, 64, 96, 3), np.uint8)
    write_rgb(tmp_path / "in.mkv", frames, 30)

    def held(again, **options):
        source = FileSource(tmp_path / "in.mkv", **options)
        frames = [weakref.ref(frame.planes[0]) for frame in source.frames(again)]
        assert len(frames) == 60 == sum(1 for _ in source.frames())
        return sum(frame() is not None for frame in frames)

    assert held(True) == 60 and held(False) <= 1
    assert held(True, cache_bytes=20 * 64 * 96) <= 1
