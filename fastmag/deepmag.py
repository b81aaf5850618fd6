"""DeepMag's colour example as a pipeline: analyse, ascend, band-pass, reconstruct (paper, Algorithm 1, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import passes
from fastmag.ascent import Gradient, ascend
from fastmag.coherent.estimate import DELTA, Estimate, estimate
from fastmag.coherent.local import SkinCells
from fastmag.color import Cells
from fastmag.errors import InputError
from fastmag.ops import Ops
from fastmag.params import Pulse
from fastmag.spool import Spool
from fastmag.temporal import butterworth, check_passband, shortest

SECTION_SECONDS, OVERLAP_SECONDS = 20.0, 7.0  # a long clip is estimated in spans that fade into each other
BATCH = 64  # frames per ascent
MAP_STRIDE = 3  # frames from one |dy/dX| to the next


@dataclass(frozen=True)
class Section:
    """What was found in frames start..stop of the analysis, and the y (stop - start - 1,) it was found in."""

    start: int
    stop: int
    found: Estimate
    y: np.ndarray

    @property
    def presence(self) -> float:
        """Whether there is a pulse, in [0, 1]."""
        return self.found.presence

    @property
    def rate_hz(self) -> float:
        """The mean rate in hertz."""
        return self.found.wave.rate_hz


def magnify_pulse(
    source, sink, params: Pulse, network, ops: Ops, progress=passes.silent
) -> tuple[int, list[Section], float]:
    """Magnify the pulse from `source` into `sink`: (frames written, sections found, analysis frames a second).

    `network` answers X (B, 3, 36, 36) -> (y (B,), dy/dX). Raises InputError where the clip is too short or too slow.
    """
    check_rate(source, params)
    cells = SkinCells(source.picture, ops) if params.form == "coherent" else Cells(source.picture, ops)
    spool, grid, fps = represent(source, cells, params, progress)
    if isinstance(cells, SkinCells):
        change, sections = coherent_change(spool, fps, params, network, cells, progress)
    else:
        change, sections = paper_change(spool, fps, params, network, ops, progress), []
    with change, sink:
        return passes.synthesise(source, sink, cells, change, grid, progress), sections, fps


def check_rate(source, params: Pulse) -> None:
    """Raise InputError, before any work, where the passband does not fit the frame rate."""
    check_passband(params.passband, source.fps / passes.stride_of(source.fps))


def represent(source, cells: Cells, params: Pulse, progress) -> tuple[Spool, np.ndarray, float]:
    """Cells on an even grid: (spool, times, frames a second). Raises InputError where there are too few."""
    spool, times = passes.analyse(source, cells, progress)
    needed, low = shortest(params.passband, source.fps / passes.stride_of(source.fps)), params.passband[0]
    if len(spool) < needed:
        seconds = needed * passes.stride_of(source.fps) / source.fps
        raise InputError(
            f"the clip has {len(spool)} frames to analyse; a passband from {low:g} Hz needs at least {needed} "
            f"({seconds:.1f} seconds): use a longer clip"
        )
    return passes.even(spool, times)


def at_rate(network, fps: float) -> Gradient:
    """The network for X between frames of another rate than it was trained at."""
    share = np.float32(fps / passes.TRAINED_FPS)

    def gradient(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, slope = network.gradient(x * share)
        return y, slope * share

    gradient.on_device = getattr(network, "on_device", False)  # type: ignore[attr-defined]
    return gradient


def differences(cells: np.ndarray, ops: Ops) -> np.ndarray:
    """X_1 (T - 1, 3, 36, 36): normalised differences (Eq. 15) of cells (T, 36, 36, 3), channels first."""
    x = ops.normalized_difference(np.maximum(cells, 0), DELTA)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def paper_change(spool: Spool, fps: float, params: Pulse, network, ops: Ops, progress=passes.silent) -> Spool:
    """The change of cells by the paper's form: Eq. 15, 1-4, 16 and 17, to the letter."""
    gradient, count = at_rate(network, fps), len(spool)
    change = Spool(spool.shape, budget=spool.budget)
    change.append(np.zeros(spool.shape))
    for start in range(0, count - 1, BATCH):
        x = differences(spool.read(start, min(start + BATCH + 1, count)), ops)
        change.append((ascend(x, gradient, ops, **params.updates) - x).transpose(0, 2, 3, 1))
        progress("ascend", min(start + BATCH, count), count)
    passes.bandpass_spool(change, butterworth(params.passband, fps), ops, start=1)
    magnified = np.maximum(spool.read(0, 1)[0], 0)
    for start in range(0, count - 1, passes.CHUNK):
        cells = np.maximum(spool.read(start, min(start + passes.CHUNK + 1, count)), 0)
        x = ops.normalized_difference(cells, DELTA) + change.read(start + 1, start + len(cells))
        series = ops.undo_normalized_difference(magnified, x, DELTA)
        change.write(start + 1, series[1:] - cells[1:])
        magnified = series[-1].copy()
    return change


def coherent_change(spool: Spool, fps: float, params: Pulse, network, lit: SkinCells, progress=passes.silent):
    """The change by the coherent form, section by section, as SkinCells takes it: (spool of changes, sections)."""
    spans, ops = sections_of(len(spool), fps), lit.ops
    shape = (*spool.shape[:2], lit.change_shape[-1])
    change = Spool(shape, budget=spool.budget)
    found, faded = [], np.zeros((0, *shape), np.float32)
    for k, (start, stop) in enumerate(spans):
        cells = spool.read(start, stop)
        y, share = read_pulse(cells, fps, network, ops)
        section = estimate(cells, y, share, fps, params.passband, ops)
        added = lit.spread(cells, section.flush(cells, params.gain), section.skin)
        ramp = np.linspace(0, 1, len(faded), dtype=np.float32).reshape(-1, 1, 1, 1)
        added[: len(faded)] = faded * (1 - ramp) + added[: len(faded)] * ramp
        keep = spans[k + 1][0] - start if k + 1 < len(spans) else stop - start
        change.append(added[:keep])
        faded = added[keep:]
        found.append(Section(start, stop, section, y))
        progress("ascend", stop, len(spool))
    return change, found


def sections_of(
    count: int, fps: float, seconds: float | None = None, shared: float | None = None
) -> list[tuple[int, int]]:
    """Spans of equal length, at most 20 s, that overlap by 7 s or a little more and cover `count` frames."""
    longest, overlap = int((seconds or SECTION_SECONDS) * fps), int((shared or OVERLAP_SECONDS) * fps)
    if count <= longest:
        return [(0, count)]
    n = -(-(count - overlap) // (longest - overlap))
    starts = np.linspace(0, count - longest, n).round().astype(int)
    return [(int(s), int(s) + longest) for s in starts]


def read_pulse(cells: np.ndarray, fps: float, network, ops: Ops) -> tuple[np.ndarray, np.ndarray]:
    """y (T - 1,) and the L1-normalised |dy/dX| (T, 36, 36) of cells (T, 36, 36, 3).

    y is half the difference between the clip and its reversal in time, whose X is -X: what is even in X is not motion.
    The normalisation is one unit step of the ascent from zero, by the paper's kernel. The gradient is asked for at
    every third frame: its map is smoothed over five.
    """
    gradient, rate = at_rate(network, fps), np.float32(fps / passes.TRAINED_FPS)
    y, maps = np.empty(len(cells) - 1, np.float32), []
    for start in range(0, len(y), BATCH):
        x = differences(cells[start : start + BATCH + 1], ops)
        reverse = network.predict(-x * rate)
        marked = np.zeros(len(x), bool)
        marked[-start % MAP_STRIDE :: MAP_STRIDE] = True
        forward = np.empty(len(x), np.float32)
        if marked.any():
            forward[marked], slope = gradient(x[marked])
            maps.append(ops.ascend_step(np.zeros_like(slope), slope, 1.0, "coherent").mean(axis=1))
        if not marked.all():
            forward[~marked] = network.predict(x[~marked] * rate)
        y[start : start + len(x)] = (forward - reverse) / 2
    nearest = np.minimum((np.arange(-1, len(y)).clip(0) + MAP_STRIDE // 2) // MAP_STRIDE, sum(map(len, maps)) - 1)
    return y, np.concatenate(maps)[nearest]
