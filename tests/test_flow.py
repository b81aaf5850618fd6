"""Blocks of frames through a device, on streams that do what they are told as late, as early or as oddly as can be."""

from __future__ import annotations

import types

import numpy as np
import pytest

from fastmag import flow
from fastmag.errors import DeviceFull, InputError
from fastmag.video.media import Frame


class Device(np.ndarray):
    """Stands for an array on the device."""


class Event:
    def __init__(self, stream: list):
        self.stream, self.at = stream, len(stream)


Lost = type("Lost", (Exception,), {})  # the error of a device that failed


class Lanes:
    """Three streams whose work is done when a test wants it: at once, when somebody waits for it, or at random."""

    Full, Lost = (MemoryError, DeviceFull), Lost

    def __init__(self, mood: str, free: int = 1 << 30):
        self.mood, self.free, self.random = mood, free, np.random.default_rng(1)
        self.streams: dict[str, list] = {"up": [], "work": [], "down": []}
        self.done = dict.fromkeys(self.streams, 0)
        self.rooms = self.settled = self.waits = self.followed = self.wholes = 0

    def room(self, shape, dtype):
        self.rooms += 1
        return np.frombuffer(np.random.default_rng(0).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize),
                             np.uint8).copy().view(dtype).reshape(shape)  # fmt: skip

    pinned = room

    def empty(self, shape, dtype):
        return self.room(shape, dtype).view(Device)

    def copied(self, after, pairs):
        for to, source in pairs:
            assert to.flags.c_contiguous and source.flags.c_contiguous and to.shape == source.shape
            assert isinstance(to, Device) or after is not None, "what goes up goes to the device"

        def copy():
            for to, source in pairs:
                to[...] = source

        return self._queue("up" if after is None else "down", after, copy)

    def worked(self, after, work, arrays):
        assert all(isinstance(x, Device) for x in arrays)
        results = [np.ascontiguousarray(x) for x in work(*(np.zeros_like(x) for x in arrays))]
        getattr(work, "back", lambda: None)()  # that was for the shapes
        rooms = [self.room(x.shape, x.dtype).view(Device) for x in results]

        def run():
            for to, found in zip(rooms, work(*arrays), strict=True):
                to[...] = found

        return rooms, self._queue("work", after, run)

    def holds(self, x):
        return isinstance(x, Device)

    def whole(self, x):
        self.wholes += 1
        return np.ascontiguousarray(x).view(Device)

    def follow(self):
        self.followed += 1
        assert self.wholes == min(8 * self.followed, 22), "what the caller's stream does for this block comes before"

    def wait(self, event):
        self.waits += 1
        self._until(event)

    def settle(self):
        self.settled += 1
        for stream in self.streams.values():
            self._until(Event(stream))

    def memory(self):
        return self.free

    def release(self):
        pass

    def gone(self, where, error):
        return InputError(f"the GPU failed {where} ({error})")

    def _queue(self, name, after, call):
        self.streams[name].append((after, call))
        event = Event(self.streams[name])
        if self.mood == "early":
            self._until(event)
        if self.mood == "odd":
            for stream in self.random.permutation(list(self.streams)):
                if self.random.random() < 0.5:
                    self._until(Event(self.streams[stream]))
        return event

    def _until(self, event):
        name = next(name for name, stream in self.streams.items() if stream is event.stream)
        while self.done[name] < event.at:
            after, call = self.streams[name][self.done[name]]
            if after is not None:
                self._until(after)
            self.done[name] += 1
            call()


def frames_of(count: int, shape=(5, 7)):
    random = np.random.default_rng(4)
    for k in range(count):
        planes = random.integers(0, 256, shape, np.uint8), random.integers(0, 256, (3, 4, 3), np.uint8)
        yield Frame(planes, k / 30)


def items_of(frames, change: float | None = None):
    """Frames with their planes, or with their planes and a change of each."""
    for frame in frames:
        more = () if change is None else (np.full((2, 2), change + frame.time, np.float32),)
        yield frame, (*frame.planes, *more)


def double(a, b, *rest):
    """Work on a block: the first plane twice as bright, a sum of the second; with a change, that added."""
    assert a.ndim == 4 and a.shape[3] == 1 and b.shape[3] == 3
    added = rest[0][:, :1, :1] if rest else 0
    return (a.astype(np.uint16) * 2 + added).astype(np.float32), b.sum(axis=(1, 2, 3), keepdims=True).astype(np.float64)


def expected(frame, added=0.0):
    return frame.planes[0] * np.float32(2) + np.float32(added), frame.planes[1].sum(dtype=np.float64).reshape(1, 1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(flow, "MOST", 4)


def backend(lanes):
    return types.SimpleNamespace(Lanes=lambda: lanes)


def check(found, frames, added=lambda frame: 0.0):
    seen = 0
    for (frame, results), source in zip(found, frames, strict=True):
        assert frame.time == source.time
        for got, want in zip(results, expected(source, added(source)), strict=True):
            np.testing.assert_array_equal(got, want)
        seen += 1
    return seen


@pytest.mark.parametrize("mood", ["early", "late", "odd"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 12, 13, 31])
def test_every_frame_comes_back_in_order_whatever_the_streams_do(mood, count):
    lanes = Lanes(mood)
    found = flow.through(backend(lanes), double, items_of(frames_of(count)), flow.Kept())
    assert check(found, frames_of(count)) == count
    assert lanes.rooms <= (flow.DEPTH * 3 + -(-count // 4)) * 2, "a few slots, used in turns"
    assert lanes.settled == 1


def test_without_a_device_frames_go_one_by_one():
    def one(a, b):
        assert a.shape == (5, 7)
        return expected(Frame((a, b)))

    assert check(flow.through(types.SimpleNamespace(), one, items_of(frames_of(9)), flow.Kept()), frames_of(9)) == 9
    assert flow.queued(types.SimpleNamespace()) == flow.FEW and flow.queued(backend(None)) == flow.QUEUE


def test_the_device_has_the_next_blocks_before_the_first_is_used():
    """While the first result is in the caller's hands, all other slots are under way, and no more frames are taken."""
    taken, lanes = [], Lanes("late")

    def counted():
        for item in items_of(frames_of(60)):
            taken.append(item)
            yield item

    found = flow.through(backend(lanes), double, counted(), flow.Kept())
    next(found)
    assert len(taken) == 4 * (flow.DEPTH + 1) and len(lanes.streams["work"]) == flow.DEPTH
    assert lanes.done["down"] == 1 and lanes.waits == 1
    found.close()
    assert lanes.settled == 1, "left early, nothing is still copying"


def test_kept_frames_do_not_go_up_twice():
    """In the second pass the host's planes are blank, and changes alone go up."""
    kept, lanes = flow.Kept(), Lanes("odd")
    assert check(flow.through(backend(lanes), double, items_of(frames_of(14)), kept, keep=True), frames_of(14)) == 14
    blank = (frame.with_planes(tuple(map(np.zeros_like, frame.planes))) for frame in frames_of(14))
    found = flow.through(backend(Lanes("odd")), double, items_of(blank, 7.0), kept)
    assert check(found, frames_of(14), lambda frame: 7.0 + frame.time) == 14
    assert kept.of(next(frames_of(1))) == (), "given up after the second pass"


def test_what_was_not_kept_goes_up_beside_what_was():
    kept, some = flow.Kept(), [frame for k, frame in enumerate(frames_of(14)) if k % 3 == 0]
    assert check(flow.through(backend(Lanes("late")), double, items_of(some), kept, keep=True), some) == 5
    found = flow.through(backend(Lanes("late")), double, items_of(frames_of(14), 2.0), kept)
    assert check(found, frames_of(14), lambda frame: 2.0 + frame.time) == 14


def test_little_memory_keeps_little():
    kept, lanes = flow.Kept(), Lanes("late", free=flow.SHARE * 4 * (35 + 36) * 2)
    check(flow.through(backend(lanes), double, items_of(frames_of(20)), kept, keep=True), frames_of(20))
    assert [bool(kept.of(frame)) for frame in frames_of(20)] == [True] * 8 + [False] * 12


def hungry(most: int):
    def work(*arrays):
        if len(arrays[0]) > most:
            raise DeviceFull("out of memory in a kernel")
        return double(*arrays)

    return work


@pytest.mark.parametrize("mood", ["early", "late", "odd"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_full_device_means_smaller_blocks(mood, most):
    found = flow.through(backend(Lanes(mood)), hungry(most), items_of(frames_of(11)), flow.Kept())
    assert check(found, frames_of(11)) == 11


def test_a_device_that_fills_up_later_gives_up_kept_frames_first():
    lanes, kept, full = Lanes("late"), flow.Kept(), []

    def work(*arrays):
        if len(lanes.streams["work"]) == 5 and not full and not arrays[0].any():  # when it is queued, not when it runs
            full.append(len(arrays[0]))
            raise DeviceFull("out of memory in a kernel")
        assert len(arrays[0]) in (4, 3), "the block stays as it was"
        return double(*arrays)

    assert check(flow.through(backend(lanes), work, items_of(frames_of(27)), kept, keep=True), frames_of(27)) == 27
    assert full == [4] and not any(kept.of(frame) for frame in frames_of(27))


def test_not_even_one_frame():
    with pytest.raises(InputError, match=r"out of memory for one frame \(out of memory in a kernel\): .*backend cpu"):
        list(flow.through(backend(Lanes("late")), hungry(0), items_of(frames_of(5)), flow.Kept()))


@pytest.mark.parametrize("where", ["copied", "worked", "wait"])
def test_a_lost_device_is_one_line_and_nothing_is_left_under_way(where, monkeypatch):
    lanes, calls = Lanes("late"), []
    real = getattr(lanes, where)

    def fails(*args):
        calls.append(where)
        if len(calls) == 3:
            raise Lost("cudaErrorIllegalAddress")
        return real(*args)

    monkeypatch.setattr(lanes, where, fails)
    with pytest.raises(InputError, match=r"the GPU failed between host and device \(cudaErrorIllegalAddress\)"):
        list(flow.through(backend(lanes), double, items_of(frames_of(40)), flow.Kept()))
    assert lanes.settled == 1


def test_a_fault_of_the_source_comes_through():
    def breaks():
        yield from items_of(frames_of(7))
        raise OSError("the file is gone")

    lanes = Lanes("late")
    with pytest.raises(OSError, match="the file is gone"):
        list(flow.through(backend(lanes), double, breaks(), flow.Kept()))
    assert lanes.settled == 1


@pytest.mark.parametrize("mood", ["early", "late", "odd"])
def test_frames_on_the_device_stay_there(mood):
    there = [frame.with_planes(tuple(plane.view(Device) for plane in frame.planes)) for frame in frames_of(11)]
    kept, lanes = flow.Kept(), Lanes(mood)
    for frame, results in flow.through(backend(lanes), double, items_of(there), kept, keep=True):
        assert not any(isinstance(x, Device) for x in results), "what is analysed comes down"
        assert kept.of(frame) == (), "it is there already"
    lanes = Lanes(mood)
    through = flow.through(backend(lanes), double, items_of(there, 3.0), kept)
    found = [(frame, tuple(map(np.array, results)), {type(x) for x in results}) for frame, results in through]
    assert all(kinds == {Device} for *_, kinds in found)
    assert check([pair for *pair, _ in found], frames_of(11), lambda frame: 3.0 + frame.time) == 11
    assert lanes.followed == 3 and lanes.wholes == 11 * 2, "after a frame was made whole on the caller's stream"
