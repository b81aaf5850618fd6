"""The motion example in the paper's form: Eq. 20, 1-4 and 21-23, to the letter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastmag import passes, phase
from fastmag.ascent import Gradient, ascend
from fastmag.motion.lens import Lens, back, look, seen
from fastmag.motion.synthesis import Piece
from fastmag.ops import Ops
from fastmag.params import Respiration
from fastmag.places import here, there
from fastmag.spool import Spool
from fastmag.temporal import butterworth

BATCH = 16  # frames per ascent
ROW_BYTES = 4 * int(np.prod(phase.SHAPE))
TURN = np.float32(2 * np.pi)


def at_rate(network, fps: float, through: Lens, ops: Ops) -> Gradient:
    """dy/dX of phase differences X (B, 4, h, w) from frame to frame, of the network behind its lens."""
    rate = np.float32(fps / phase.ANALYSIS_FPS)

    def gradient(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, slope = network.gradient(seen(x * rate, through, ops))
        return y, back(slope, x * rate, through, ops) * rate

    gradient.on_device = getattr(network, "on_device", False)  # type: ignore[attr-defined]
    return gradient


def changes(spool: Spool, fps: float, params: Respiration, network, ops: Ops, progress=passes.silent) -> Spool:
    """The change of phase (T, 4, h, w), the last term of Eq. 22, of frames at the third scale."""
    count, total = len(spool), Spool(phase.SHAPE, budget=spool.budget)
    first = phase.analyse(spool.read(0, 1), ops)[0]
    state = np.angle(first).astype(np.float64)
    total.append(state)
    for start in range(0, count - 1, BATCH):
        stop = min(start + BATCH, count - 1)
        small = spool.read(start, stop + 1)
        small = there(small, ops) if getattr(network, "on_device", False) else small
        x, through = look(phase.analyse(small, ops), ops)
        magnified = ascend(x, at_rate(network, fps, through, ops), ops, **params.updates)
        total.append(here(ops.accumulate_phase(magnified, state), ops))
        progress("ascend", stop, count - 1)
    passes.bandpass_spool(total, butterworth(params.passband, fps), ops)
    clip_phase(total, spool, np.angle(first).astype(np.float64), ops)
    return total


def clip_phase(total: Spool, spool: Spool, state: np.ndarray, ops: Ops) -> None:
    """Times (sgn(2 pi - |phi|) + 1) / 2 of Eq. 22, in place; phi is the frames' own phase, followed from `state` on."""
    own = np.empty((0, *phase.SHAPE), np.float32)
    for start in range(0, len(spool), BATCH):
        stop = min(start + BATCH, len(spool))
        subbands = phase.analyse(there(spool.read(max(start - 1, 0), stop), ops), ops)
        own = here(ops.accumulate_phase(ops.phase_difference(subbands[1:], subbands[:-1]), state), ops)
        own = own if start else np.concatenate([state_of(here(subbands[:1], ops)), own])
        total.write(start, total.read(start, stop) * (0.5 * np.sign(TURN - np.abs(own)) + np.float32(0.5)))


def state_of(subbands: np.ndarray) -> np.ndarray:
    """The phase of the first frame."""
    return np.angle(subbands).astype(np.float32)


def pieces(change: Spool, grid: np.ndarray) -> Iterator[Piece]:
    """The change in spans that share their last and first frame."""
    step = passes.rows_at_once(change)
    for start in range(0, max(len(change) - 1, 1), step):
        stop = min(start + step + 1, len(change))
        yield Piece(grid[start:stop], change.read(start, stop))
