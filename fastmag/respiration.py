"""DeepMag's motion example as a pipeline: phases, y, where the body follows it, rendered (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastmag import deepmag, passes, phase
from fastmag.errors import InputError
from fastmag.motion import agreement, lens, lift, paper, reading
from fastmag.motion.lens import flow
from fastmag.motion.synthesis import Piece, synthesise
from fastmag.motion.view import View
from fastmag.motion.wave import Breath, breath
from fastmag.ops import Ops
from fastmag.params import Respiration
from fastmag.places import here, there
from fastmag.spool import Spool, check_room
from fastmag.temporal import check_passband

SECTION_SECONDS, OVERLAP_SECONDS = 30.0, 10.0  # a long clip is estimated in spans that fade into each other
BATCH = 32  # frames whose phases are looked at together
MAP_STRIDE = 20  # frames from one look to the next: it hardly changes


@dataclass(frozen=True)
class Section:
    """What was found in frames start..stop of the analysis: y (stop - start - 1,) of the network, the wave
    (stop - start,) in pixels of its square, the clip's mean rate, and in [0, 1] whether there is a breath."""

    start: int
    stop: int
    y: np.ndarray
    wave: np.ndarray
    rate_hz: float
    presence: float


def magnify_respiration(
    source, sink, params: Respiration, network, ops: Ops, progress=passes.silent, y: np.ndarray | None = None
) -> tuple[int, list[Section], float]:
    """Magnify breathing from `source` into `sink`: (frames written, sections found, analysis frames a second).

    `network` answers what motion/lens.py shows (B, 4, 128, 128) -> (y (B,), its slope); y (T - 1,): the velocity, where
    it is known. Raises InputError where the clip is too short, too slow or too small, or the disk too full.
    """
    view = View(source.picture, ops)
    if params.form == "paper":
        count = (source.n_frames or 0) // stride_of(source.fps)
        check_room(count * paper.ROW_BYTES, "use a shorter clip, or the coherent form")
    spool, grid, fps = represent(source, view, params, progress)
    with spool:
        if params.form == "paper":
            with paper.changes(spool, fps, params, network, ops, progress) as change, sink:
                pieces = paper.pieces(change, grid)
                return synthesise(source, sink, view, pieces, None, params.renders, ops, progress), [], fps
        y = velocity(spool, fps, params.passband, network, ops, progress) if y is None else y
        found = breath(y, fps, params.passband, ops)
        sections: list[Section] = []
        pieces = coherent_pieces(spool, grid, fps, y, found, params, network, ops, sections)
        wave = (grid, params.gain * found.whole)
        with sink:
            count = synthesise(source, sink, view, pieces, wave, params.renders, ops, progress)
        return count, sections, fps


def stride_of(fps: float) -> int:
    """Every how many frames to analyse, to come nearest to the rate of the network."""
    return max(1, round(fps / phase.ANALYSIS_FPS))


def represent(source, view: View, params: Respiration, progress) -> tuple[Spool, np.ndarray, float]:
    """Frames at the third scale on an even grid: (spool, times, frames a second).

    Raises InputError, before any work where it can, where the passband does not fit the frame rate or the clip is
    shorter than two breaths in the middle of the passband.
    """
    stride = stride_of(source.fps)
    rate, usual = source.fps / stride, float(np.sqrt(np.prod(params.passband)))
    check_passband(params.passband, rate)
    spool, times = passes.analyse(source, view, progress, stride)
    if len(spool) < 2 * rate / usual:
        raise InputError(
            f"the clip has {len(spool) / rate:.1f} seconds; two breaths, at the {usual:.2f} Hz in the middle of the "
            f"passband, take {2 / usual:.1f}: use a longer clip, or a passband of faster breathing"
        )
    return passes.even(spool, times)


def batches(count: int) -> list[tuple[int, int]]:
    """Differences start..stop of `count` in batches."""
    return [(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]


def velocity(spool: Spool, fps: float, passband, network, ops: Ops, progress=passes.silent) -> np.ndarray:
    """y (T - 1,), pixels per 0.1 s, of frames at the third scale."""
    return reading.read(spool.read, len(spool), fps, passband, network, ops, progress).astype(np.float32)


def observe(spool: Spool, start: int, stop: int, fps: float, network, ops: Ops) -> agreement.Motion:
    """The motion from frame `start` to before frame `stop`, and where the network looks, the mean of some frames."""
    rate, count = np.float32(fps / phase.ANALYSIS_FPS), stop - start - 1
    moved, power = np.empty((count, 2, *phase.SHAPE[1:]), np.float32), np.zeros(phase.SHAPE[1:], np.float32)
    looks, marked, sums = [], np.arange(0, count, MAP_STRIDE), np.zeros((2, phase.SMALL, phase.SMALL))
    for low, high in batches(count):
        luma = spool.read(start + low, start + high + 1)
        sums += luma[1:].sum(0), np.square(luma[1:], dtype=np.float64).sum(0)
        subbands = phase.analyse(there(luma, ops), ops)
        fields, energy = flow(subbands, ops)
        moved[low:high] = here(fields, ops)
        power += here(energy.sum(axis=0), ops) / count
        for row in marked[(marked >= low) & (marked < high)] - low:
            x, through = lens.look(subbands[row : row + 2], ops)
            looks.append(network(here(lens.seen(x * rate, through, ops), ops))[0, :2] / lens.UNIT)
    mean, square = sums / count
    change = np.sqrt(np.maximum(square - mean**2, 0))
    return agreement.Motion(moved, power, np.mean(looks, axis=0), mean, change)


def coherent_pieces(
    spool: Spool, grid: np.ndarray, fps: float, y: np.ndarray, found: Breath, params: Respiration, network, ops: Ops,
    sections: list[Section],
) -> Iterator[Piece]:  # fmt: skip
    """The field of each section, which fades into the next one's while both last; each is appended to `sections`."""
    spans, before = deepmag.sections_of(len(spool), fps, SECTION_SECONDS, OVERLAP_SECONDS), None
    for k, (start, stop) in enumerate(spans):
        inside, last = slice(start, stop - 1), k + 1 == len(spans)
        wave = found.wave[start:stop]
        swing = agreement.swing(wave, params.gain)
        body = agreement.Agreement(
            observe(spool, start, stop, fps, network, ops), found.velocity[inside], swing, params.passband, fps, ops
        )
        presence = agreement.presence(y[inside], found, inside, fps, params.passband, body.unit)
        presence = 1.0 if params.sure else presence
        field = lift.field(body) * np.float32(presence)
        sections.append(Section(start, stop, y[inside], wave, found.rate_hz, presence))
        end = stop if last else spans[k + 1][0]
        whole = start if before is None else min(start + round(OVERLAP_SECONDS * fps), end)
        times = np.interp([start, whole, end], np.arange(len(grid)), grid)
        yield Piece(times, np.stack([field if before is None else before, field, field]))
        before = field
