"""The ways of a clip through a temporal filter, in bounded memory: all of it at once, or frame by frame.

A `view` is what is filtered of a frame, in the parts that fastmag.flow takes: see fastmag.baselines.phase_view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from fastmag import passes
from fastmag.columns import along_time
from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.ops import Ops
from fastmag.places import near

SHORTER = "use a shorter clip or a smaller --roi"
ONE_PASS = "take --temporal butterworth, which needs none, a smaller --roi or a shorter clip"


def whole(
    source, sink, view, band: Callable, fs: float, least: int, progress=passes.silent, late: int = 0,
    remedy: str = SHORTER,
) -> int:  # fmt: skip
    """Three passes, for a filter that needs every frame: band(series (T, n), frames a second) -> the same shape.

    `fs` is the camera's rate; `late` frames at the start are left out, and so much later each change is added.
    Returns the frames written; raises InputError where there are fewer than `least`, and with the remedy where the disk
    has no room for what is filtered.
    """
    spool, times = passes.analyse(source, view, progress, 1, remedy)
    check_length(len(spool), least, fs)
    change, grid, fps = passes.even(spool, times)
    rate = fps * fs / source.fps
    with change, sink:
        along_time(change, lambda series: band(series, rate))
        return passes.synthesise(Shortened(source, late, 0), sink, view, change, grid + late / fps, progress)


def stream(source, sink, view, run: Causal, fs: float, least: int, progress=passes.silent) -> int:
    """One pass, for a filter that looks back alone.

    `fs` is the camera's rate. Returns the frames written. Raises InputError, and leaves nothing behind, where there
    are fewer than `least`.
    """
    count = 0
    with sink:
        for frame in passes.passed(source.frames(), view, view.passed(run)):
            sink.write(frame)
            count += 1
            progress("magnify", count, source.n_frames)
        check_length(count, least, fs)
    return count


class Causal:
    """Second-order sections along time, at rest before the first frame as if that had stood there for ever."""

    def __init__(self, sections: np.ndarray, ops: Ops):
        self._sections, self._ops = sections, ops

    def __call__(self, state: np.ndarray | None, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(state, the next rows (n, P) float32), both changed in place; None is the state before the first."""
        if state is None:
            rest = near(plans.settled(self._sections), rows)
            state = rest[:, :, None] * rows[0].astype(np.float64)
        return state, self._ops.bandpass_forward(rows, self._sections, state, out=rows)


class Shortened:
    """A source without its first and last frames."""

    def __init__(self, source, first: int, last: int):
        self._source, self._first, self._last = source, first, last
        self.fps, self.picture = source.fps, source.picture
        self.n_frames = source.n_frames and max(source.n_frames - first - last, 0)

    def frames(self, again: bool = False) -> Iterator:
        """The frames between, in order."""
        held: list = []
        for frame in islice(self._source.frames(again), self._first, None):
            held.append(frame)
            if len(held) > self._last:
                yield held.pop(0)


def check_length(count: int, least: int, fs: float) -> None:
    """Raise InputError where there are fewer frames than it takes."""
    if count < least:
        raise InputError(
            f"the clip has {count} frames; this filter needs at least {least} ({least / fs:.1f} seconds of filming): "
            "use a longer clip, or a higher passband"
        )
