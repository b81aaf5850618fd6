"""Frames through a backend: one by one on the processor; on a GPU in blocks, whose copies overlap with the work.

A block goes up on one stream, is worked on upon a second and comes down on a third, each after an event of the one
before. While the results of one block are used on the host, the next ones are on their way.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmag.errors import InputError
from fastmag.ops import Ops

if TYPE_CHECKING:
    from fastmag.video.media import Frame

Arrays = tuple[Any, ...]
Item = tuple["Frame", Arrays]
Work = Callable[..., Arrays]

DEPTH = 3  # blocks under way: one goes up, one is worked on, one comes down
BLOCK_BYTES, MOST = 16 << 20, 64  # what goes up in a block, and its frames
WORK_BYTES = 512 << 20  # of device memory, what the work on a block takes beside
QUEUE, FEW = 16, 3  # frames decoded in advance, and frames that wait for the encoder: beside a GPU, and without one
SHARE = 4  # of the device's free memory, the part that frames may take between two passes


def queued(ops: Ops) -> int:
    """How many frames to read ahead, and to let wait to be written, beside this backend."""
    return QUEUE if hasattr(ops, "Lanes") else FEW


def beside(gradient: Any, x: np.ndarray, ops: Ops) -> tuple[Any, Callable[[Any], np.ndarray]]:
    """A copy of x where the work is, and what brings the result back: on the device where gradient and kernels are."""
    if hasattr(ops, "Lanes") and getattr(gradient, "on_device", False) and isinstance(x, np.ndarray):
        return ops.Lanes.there(x), ops.Lanes.here
    return x.copy(), lambda moved: moved


class Carried:
    """Work that takes something along from block to block: step(carried, *arrays) -> (carried, results).

    The first step is given None. A step may change what it is given in place: on a device, where it has to be taken
    again with fewer frames if memory runs out, it gets a copy.
    """

    def __init__(self, step: Callable[..., tuple[Any, Arrays]]) -> None:
        self._step, self._carried, self._before = step, None, None
        self.again = False

    def __call__(self, *arrays: Any) -> Arrays:
        self._before = self._carried
        if self.again:
            self._before = copy.deepcopy(self._carried)
        self._carried, results = self._step(self._carried, *arrays)
        return results

    def back(self) -> None:
        """As before the last step."""
        self._carried = self._before


class Kept:
    """Frames that stay on the device from one pass to the next, by their time, as far as its memory goes."""

    def __init__(self) -> None:
        self._there: dict[float, tuple] = {}
        self._left: int | None = None

    def take(self, frames: list[Frame], there: list[Any], free: Callable[[], int]) -> bool:
        """Keep the arrays (n, ...) of n frames; False where they do not fit into a share of the free bytes at first."""
        if self._left is None:
            self._left = free() // SHARE
        self._left -= sum(array.nbytes for array in there)
        if self._left < 0:
            return False
        self._there |= {frame.time: tuple(array[k] for array in there) for k, frame in enumerate(frames)}
        return True

    def of(self, frame: Frame) -> tuple:
        """The arrays of a frame; none where it was not kept."""
        return self._there.get(frame.time, ())

    def clear(self) -> bool:
        """Give them up, and keep no more; whether there were any."""
        any_there, self._there, self._left = bool(self._there), {}, 0
        return any_there


def through(
    ops: Ops, work: Work, items: Iterable[Item], kept: Kept, keep: bool = False, *, each: int = 0, together: int = 1
) -> Iterator[Item]:
    """(frame, work(*arrays)) of every (frame, arrays), in order.

    arrays: (h, w) or (h, w, C), of the same shapes and types in all items; what comes after them and is no array goes
    along as it is. On a GPU `work` is given blocks, (n, h, w, C) and lists of n, and answers blocks; a result there is
    good until the next one is asked for. What `kept` holds of a frame goes in place of its first arrays; keep: what
    went up stays there, for the next pass, and results come down to the host. Otherwise results are where the frames
    are, which may be in device memory.
    each: bytes of device memory that the work takes for a frame. together: frames that make a block on the processor,
    too; with 1, it gets them one by one as they are.
    Raises InputError where not even one frame fits into device memory, or the device fails.
    """
    if hasattr(ops, "Lanes"):
        yield from Ring(ops.Lanes(), work, kept, keep, each).through(items)
    elif together == 1:
        for frame, arrays in items:
            yield frame, work(*arrays)
    else:
        yield from _stacked(work, iter(items), together)


def _stacked(work: Work, items: Iterator[Item], together: int) -> Iterator[Item]:
    """Blocks as they are on a GPU, by the processor."""
    while block := list(islice(items, together)):
        count = _arrays_of(block[0][1])
        stacks = [np.stack([_deep(arrays[i]) for _, arrays in block]) for i in range(count)]
        results = work(*stacks, *_notes(block, count))
        for k, (frame, _) in enumerate(block):
            yield frame, _alone(results, k)


def _arrays_of(arrays: Arrays) -> int:
    """How many of an item's are arrays; they come first."""
    return sum(hasattr(x, "nbytes") for x in arrays)


def _notes(block: list[Item], count: int) -> list[list[Any]]:
    """What comes after the arrays, a list of each."""
    return [list(one) for one in zip(*(arrays[count:] for _, arrays in block), strict=True)]


def _deep(array: Any) -> Any:
    """An array (h, w) as (h, w, 1)."""
    return array[..., None] if array.ndim == 2 else array


def _alone(results: Arrays, k: int) -> Arrays:
    """The results of one frame of a block."""
    return tuple(x[k][..., 0] if x.shape[-1] == 1 else x[k] for x in results)


@dataclass
class Slot:
    """Room for a block: of what goes up, on the host and on the device; of what comes down, on the host."""

    sent: list[Any]
    there: list[Any]
    found: list[Any] = field(default_factory=list)


@dataclass
class Flight:
    """A block under way; what goes up and the results on the device are held until the results are down."""

    frames: list[Frame]
    slot: Slot
    copies: list[tuple[Any, Any]]
    results: list[Any]
    down: Any


class Ring:
    """A few slots for blocks, used in turns. lanes: see `fastmag.kernels.cuda.Lanes`."""

    def __init__(self, lanes: Any, work: Work, kept: Kept, keep: bool, each: int = 0) -> None:
        self._lanes, self._work, self._kept, self._keep, self._each = lanes, work, kept, keep, each
        self._carried = work if isinstance(work, Carried) else None
        if self._carried:
            self._carried.again = True
        self._free: list[Slot] = []
        self._flying: deque[Flight] = deque()
        self._size, self._resident = 0, False

    def through(self, items: Iterable[Item]) -> Iterator[Item]:
        """As the function."""
        block: list[Item] = []
        try:
            for item in items:
                if not self._size:
                    self._size, self._resident = _frames_of(item[1], self._each), self._lanes.holds(item[1][0])
                block.append(item)
                if len(block) >= self._size:
                    yield from self._sent(block)
                    block = []
            yield from self._sent(block)
            while self._flying:
                yield from self._landed()
        except self._lanes.Lost as error:
            raise self._lanes.gone("between host and device", error) from error
        finally:
            self._lanes.settle()  # no copy may outlive the room that it reads or writes
            if not self._keep:
                self._kept.clear()

    def _sent(self, block: list[Item]) -> Iterator[Item]:
        """Send a block, whole or in parts; what has to come down first comes out."""
        while block:
            if len(self._flying) == DEPTH:
                yield from self._landed()
            part = block[: self._size]
            try:
                self._flying.append(self._launched(part))
            except self._lanes.Full as error:
                while self._flying:
                    yield from self._landed()
                self._smaller(error)
            else:
                block = block[len(part) :]

    def _launched(self, part: list[Item]) -> Flight:
        slot = self._free.pop() if self._free else Slot(*self._room(part[0][1]))
        slot.there = slot.there or self._room(part[0][1], host=False)[1]
        n, lanes, copies = len(part), self._lanes, self._loaded(slot, part)
        if self._resident:
            lanes.follow()  # what the caller's stream still does with these frames, and with the results before them
        up = lanes.copied(None, copies)
        try:
            results, worked = lanes.worked(up, self._with(part), [array[:n] for array in slot.there])
            room = lanes.empty if self._resident and not self._keep else lanes.pinned
            slot.found = slot.found or [room((self._size, *x.shape[1:]), x.dtype) for x in results]
        except lanes.Full:
            if self._carried:
                self._carried.back()
            raise
        down = lanes.copied(worked, [(room[:n], x) for room, x in zip(slot.found, results, strict=True)])
        return Flight([frame for frame, _ in part], slot, copies, results, down)

    def _with(self, part: list[Item]) -> Work:
        """The work, and what these frames bring along for it."""
        notes = _notes(part, _arrays_of(part[0][1]))
        return (lambda *arrays: self._work(*arrays, *notes)) if notes else self._work

    def _loaded(self, slot: Slot, part: list[Item]) -> list[tuple[Any, Any]]:
        """What has to be copied to where, once the frames of the host stand in the slot's own room there."""
        copies, held = [], [self._kept.of(frame) if not self._keep else () for frame, _ in part]
        for i, (sent, there) in enumerate(zip(slot.sent, slot.there, strict=True)):
            flat = [_deep(arrays[i]) for _, arrays in part]
            if self._lanes.holds(flat[0]):
                copies += [(there[k], self._lanes.whole(array)) for k, array in enumerate(flat)]
                continue
            for k, array in enumerate(flat):
                if i >= len(held[k]):
                    sent[k] = array
            if any(i < len(one) for one in held):
                copies += [(there[k], one[i] if i < len(one) else sent[k]) for k, one in enumerate(held)]
            else:
                copies.append((there[: len(part)], sent[: len(part)]))
        return copies

    def _landed(self) -> Iterator[Item]:
        """The results of the oldest block."""
        flight = self._flying.popleft()
        self._lanes.wait(flight.down)
        slot, n = flight.slot, len(flight.frames)
        keep = self._keep and not self._resident
        if keep and self._kept.take(flight.frames, [x[:n] for x in slot.there], self._lanes.memory):
            slot.there = []
        for k, frame in enumerate(flight.frames):
            yield frame, _alone(tuple(slot.found), k)
        self._free.append(slot)

    def _room(self, arrays: Arrays, host: bool = True) -> tuple[list[Any], list[Any]]:
        arrays = arrays[: _arrays_of(arrays)]
        both = [((self._size, *_deep(array).shape), array.dtype) for array in arrays]
        there = [self._lanes.empty(shape, dtype) for shape, dtype in both]
        if not host:
            return [], there
        needed = [not self._lanes.holds(array) for array in arrays]
        return [self._lanes.pinned(*one) if need else None for one, need in zip(both, needed, strict=True)], there

    def _smaller(self, error: Exception) -> None:
        """After a full device, with nothing under way: give up what is kept, then half the block."""
        self._lanes.settle()
        self._free.clear()
        if not self._kept.clear():
            if self._size == 1:
                raise InputError(
                    f"the GPU is out of memory for one frame ({' '.join(str(error).split())[:160]}): close what else "
                    "runs on it, take smaller frames, or use the backend cpu"
                ) from error
            self._size //= 2
        self._lanes.release()


def _frames_of(arrays: Arrays, each: int) -> int:
    """Frames of a block."""
    up = sum(array.nbytes for array in arrays[: _arrays_of(arrays)])
    return max(1, min(MOST, BLOCK_BYTES // up, WORK_BYTES // max(each, 1)))
