"""The three passes over a video of any length, in bounded memory: analyse, filter, synthesise."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from fastmag import flow
from fastmag.ops import Ops
from fastmag.spool import Spool, check_room
from fastmag.temporal import resample

TRAINED_FPS = 30.0  # of the networks: X scales with the time between frames
CHUNK, CHUNK_BYTES = 256, 16 << 20  # rows per read of a spool, at most
SAME_SECONDS = 1e-9  # between a frame and a change: rounding
Progress = Callable[[str, int, int | None], None]  # stage, frames done, frames in all


@dataclass(frozen=True)
class Outcome:
    """What a pipeline did: frames written, a line for the user, rate and quality of the signal it looked for."""

    frames: int
    message: str
    rate_bpm: float | None = None
    quality: float | None = None


def silent(stage: str, done: int, total: int | None) -> None:
    """A progress callback that says nothing."""


def stride_of(fps: float) -> int:
    """Every how many frames to analyse, to come nearest to the rate of the networks."""
    return max(1, round(fps / TRAINED_FPS))


def rows_at_once(spool: Spool) -> int:
    """Rows per read of a spool."""
    return max(2, min(CHUNK, CHUNK_BYTES // spool.row_bytes))


def analyse(
    source, cells, progress: Progress = silent, stride: int | None = None, remedy: str = "use a shorter clip"
) -> tuple[Spool, np.ndarray]:
    """Pass 1: what `cells` represents of every stride-th frame, in a spool, and their times (n,) in seconds.

    The stride is that of the networks unless it is given. At a variable rate those frames are taken that come nearest
    to an even step. Raises InputError, with the remedy, where the disk has no room for so many, and for as many changes
    of the cells' `change_shape`, which every method makes of them.
    """
    stride, times = stride or stride_of(source.fps), array("d")
    spool, change = Spool(cells.shape), Spool(getattr(cells, "change_shape", cells.shape))
    check_room((spool.row_bytes + change.row_bytes) * -(-(source.n_frames or 0) // stride), remedy)
    for frame, row in represented(_due(source, stride, progress), cells):
        spool.append(row)
        times.append(frame.time)
    return spool, np.array(times)


def _due(source, stride: int, progress: Progress) -> Iterator:
    """Every stride-th frame, at a variable rate those that come nearest to an even step."""
    step, due = stride / source.fps, 0.0
    for i, frame in enumerate(source.frames(again=True)):
        if frame.time + 0.5 / source.fps >= due:
            yield frame
            due = max(due + step, frame.time + step / 2)
        progress("analyse", i + 1, source.n_frames)


def represented(frames: Iterable, view) -> Iterator[tuple]:
    """(frame, what `view` represents of it), in order, through fastmag.flow."""
    items = ((frame, view.parts(frame.planes)) for frame in frames)
    return ((frame, view.row(found)) for frame, found in _through(view, view.reduce, items, keep=True))


def reconstructed(pairs: Iterable[tuple], view) -> Iterator:
    """Frames with changes added, of (frame, change), in order, through fastmag.flow."""
    items = ((frame, (*view.parts(frame.planes), *view.changes(change))) for frame, change in pairs)
    return (frame.with_planes(view.whole(frame.planes, found)) for frame, found in _through(view, view.add, items))


def passed(frames: Iterable, view, work: flow.Work) -> Iterator:
    """Frames with what `work` makes of their parts, in order, through fastmag.flow."""
    items = ((frame, view.parts(frame.planes)) for frame in frames)
    return (frame.with_planes(view.whole(frame.planes, found)) for frame, found in _through(view, work, items))


def _through(view, work: flow.Work, items: Iterable, keep: bool = False) -> Iterator[flow.Item]:
    each, together = getattr(view, "each", 0), getattr(view, "together", 1)
    return flow.through(view.ops, work, items, view.kept, keep, each=each, together=together)


def even(spool: Spool, times: np.ndarray) -> tuple[Spool, np.ndarray, float]:
    """The same rows on an even grid: (spool, grid (n,), rows a second); the spool itself if times are even already."""
    if len(times) < 2:
        return spool, times, TRAINED_FPS
    grid = np.linspace(times[0], times[-1], len(times))
    fps = (len(times) - 1) / (times[-1] - times[0])
    if np.abs(grid - times).max() * fps < 0.1:
        return spool, times, fps
    out, step = Spool(spool.shape, spool.dtype, spool.budget), rows_at_once(spool)
    for start in range(0, len(grid), step):
        at = grid[start : start + step]
        low = max(0, int(np.searchsorted(times, at[0], side="right")) - 1)
        high = min(len(times), int(np.searchsorted(times, at[-1])) + 1)
        out.append(resample(spool.read(low, high), times[low:high], at))
    spool.close()
    return out, grid, fps


def bandpass_spool(spool: Spool, sections: np.ndarray, ops: Ops, start: int = 0) -> None:
    """Pass 2: zero-phase band-pass, in place, of rows `start` to the end, exactly as over the whole series at once.

    Odd extension at both ends, as scipy.signal.sosfiltfilt; state in float64 from chunk to chunk.
    """
    from scipy.signal import sosfilt_zi

    count, columns = len(spool) - start, int(np.prod(spool.shape))
    pad = min(3 * (2 * len(sections) + 1 - min((sections[:, 2] == 0).sum(), (sections[:, 5] == 0).sum())), count - 1)
    if pad < 1:
        return
    head, tail = spool.read(start, start + pad + 1), spool.read(len(spool) - pad - 1, len(spool))
    before = (2 * head[:1] - head[:0:-1]).reshape(pad, columns)
    after = (2 * tail[-1:] - tail[-2::-1]).reshape(pad, columns)
    chunks = [(low, min(low + CHUNK, len(spool))) for low in range(start, len(spool), CHUNK)]
    settled = sosfilt_zi(sections)

    state = settled[..., None] * before[0].astype(np.float64)
    ops.bandpass_forward(before, sections, state)
    for low, high in chunks:
        rows = np.ascontiguousarray(spool.read(low, high)).reshape(-1, columns)
        spool.write(low, ops.bandpass_forward(rows, sections, state).reshape(-1, *spool.shape))
    after = ops.bandpass_forward(np.ascontiguousarray(after), sections, state)

    state = settled[..., None] * after[-1].astype(np.float64)
    ops.bandpass_backward(after, sections, state)
    for low, high in reversed(chunks):
        rows = np.ascontiguousarray(spool.read(low, high)).reshape(-1, columns)
        spool.write(low, ops.bandpass_backward(rows, sections, state).reshape(-1, *spool.shape))


def synthesise(source, sink, cells, change: Spool, grid: np.ndarray, progress: Progress = silent) -> int:
    """Pass 3: add the change (n, ...), known at the times `grid`, to every frame. Returns the frames written."""
    count = 0
    for frame in reconstructed(_changes(source, change, grid), cells):
        sink.write(frame)
        count += 1
        progress("synthesise", count, source.n_frames)
    return count


def _changes(source, change: Spool, grid: np.ndarray) -> Iterator[tuple]:
    """Every frame, and the change at its time."""
    chunk = rows_at_once(change)
    low, block = 0, change.read(0, min(chunk, len(change)))
    for frame in source.frames():
        i = int(np.searchsorted(grid, frame.time + 1e-9, side="right")) - 1
        if not low <= i or i + 2 > low + len(block):
            low = max(0, i)
            block = change.read(low, min(low + chunk, len(change)))
        at = max(i, 0)
        if abs(grid[at] - frame.time) < SAME_SECONDS:
            yield frame, block[at - low]
        else:
            yield frame, resample(block, grid[low : low + len(block)], np.array([frame.time]))[0]
