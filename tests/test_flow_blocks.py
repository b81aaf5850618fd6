"""What goes along with blocks: what work remembers from one to the next, and what is said of every frame."""

from __future__ import annotations

import types

import numpy as np
import pytest
from test_flow import Device, Lanes, backend, frames_of

from fastmag import flow, places
from fastmag.errors import DeviceFull

MOODS = ["early", "late", "odd"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(flow, "MOST", 4)


def sums(most: int = 99, log: list | None = None, after: int = 0) -> flow.Carried:
    """The sum of all frames up to each, and of 1s, which goes along in an array that is changed in place.

    most: frames of a block that fit into memory, once `after` steps were taken.
    """
    steps: list[int] = []

    def step(total, block, *_):
        steps.append(len(block))
        blocks = block if block.ndim == 4 else block[None]
        total = np.zeros(blocks.shape[1:], np.int64) if total is None else total
        results = np.empty(blocks.shape, np.int64)
        for k, one in enumerate(blocks):
            if k == most and len(steps) > after:
                raise DeviceFull("out of memory in a kernel")
            total += one.astype(np.int64) + 1
            results[k] = total
        if log is not None:
            log.append(len(blocks))
        return total, (results if block.ndim == 4 else results[0],)

    return flow.Carried(step)


def items(count: int):
    return ((frame, frame.planes[1:]) for frame in frames_of(count))


@pytest.mark.parametrize("mood, most, after", [
    *((mood, most, 0) for mood in (None, *MOODS) for most in (1, 2, 3, 99)), ("early", 1, 4), ("early", 2, 4),
])  # fmt: skip
def test_what_is_carried_goes_from_frame_to_frame_also_where_memory_runs_out(mood, most, after):
    """A step that fails has changed some of what it was given; the block is tried again, with fewer frames."""
    ops = types.SimpleNamespace() if mood is None else backend(Lanes(mood))
    expected = np.zeros((3, 4, 3), np.int64)
    count = 0
    for frame, (found,) in flow.through(ops, sums(most, after=after), items(13), flow.Kept()):
        expected += frame.planes[1].astype(np.int64) + 1
        np.testing.assert_array_equal(found, expected)
        count += 1
    assert count == 13


def test_the_processor_copies_nothing_that_is_carried():
    work, seen = flow.Carried(lambda held, x: (x if held is None else held, (x,))), []
    for _ in flow.through(types.SimpleNamespace(), work, items(3), flow.Kept()):
        seen.append(work._carried)
    assert seen[0] is seen[1] is seen[2]


def test_a_step_that_memory_did_not_even_suffice_to_copy_for_is_not_undone(monkeypatch):
    work = flow.Carried(lambda held, x: ([(held or [0])[0] + 1], (x,)))
    work.again = True
    for _ in range(3):
        work(np.ones(1))
    monkeypatch.setattr(flow.copy, "deepcopy", lambda x: exec("raise MemoryError"))
    with pytest.raises(MemoryError):
        work(np.ones(1))
    work.back()
    assert work._carried == [3]


@pytest.mark.parametrize("mood", [None, *MOODS])
def test_what_is_no_array_goes_along_as_it_is(mood):
    """Notes in lists, one of each frame, and blocks on the processor as well."""
    ops, sizes = types.SimpleNamespace() if mood is None else backend(Lanes(mood)), set()

    def work(a, b, names, factors):
        assert isinstance(names, list) and len(names) == len(a) == len(b) and a.shape[1:] == (5, 7, 1)
        sizes.add(len(a))
        factors = np.array(factors)[:, None, None, None]
        assert names == [f"frame {factor}" for factor in factors.ravel()]
        return a * factors, b * factors

    frames = list(frames_of(7))
    given = ((frame, (*frame.planes, f"frame {k}", k)) for k, frame in enumerate(frames))
    found = flow.through(ops, work, given, flow.Kept(), together=3)
    for k, (frame, (a, b)) in enumerate(found):
        assert frame is frames[k] and a.shape == (5, 7)
        np.testing.assert_array_equal(a, frame.planes[0].astype(int) * k)
        np.testing.assert_array_equal(b, frame.planes[1].astype(int) * k)
    assert k == 6 and sizes == ({3, 1} if mood is None else {4, 3})


@pytest.mark.parametrize("each, expected", [(0, [4, 3]), (1 << 20, [4, 3]), (flow.WORK_BYTES // 2, [2, 2, 2, 1])])
def test_work_that_takes_much_memory_gets_small_blocks(each, expected):
    log: list = []
    list(flow.through(backend(Lanes("early")), sums(log=log), items(7), flow.Kept(), each=each))
    assert log[::2] == expected == log[1::2], "once for the shapes, once for the results"


def test_arrays_are_where_the_kernels_are():
    x, lanes = np.arange(6.0).reshape(2, 3), types.SimpleNamespace(there=lambda x: x.view(Device), here=np.array)
    cuda, cpu = types.SimpleNamespace(Lanes=lanes), types.SimpleNamespace()
    assert places.there(x, cpu) is x and places.here(x, cpu) is x and places.near(x, x) is x
    assert isinstance(places.there(x, cuda), Device) and type(places.here(x.view(Device), cuda)) is np.ndarray


@pytest.mark.parametrize("shape, alone, high", [
    ((5, 7), (5, 7), (5, 7)), ((5, 7, 3), (5, 7, 3), (5, 7, 3)), ((2, 5, 7, 1), (2, 5, 7), (10, 7)),
    ((2, 5, 7, 3), (2, 5, 7, 3), (10, 7, 3)),
])  # fmt: skip
def test_blocks_of_planes_and_tall_frames(shape, alone, high):
    part = np.arange(np.prod(shape)).reshape(shape)
    assert places.plane(part).shape == alone and places.tall(part).shape == high
    assert places.plane(part).ravel().tolist() == places.tall(part).ravel().tolist() == part.ravel().tolist()
