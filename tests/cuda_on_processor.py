"""The CUDA backend on frames of real size and in whole pipelines: its kernels' bodies compiled for the processor.

Run by test_cuda_simulator.py in a process of its own, with NUMBA_ENABLE_CUDASIM=1, which stands NumPy for CuPy.
"""

from __future__ import annotations

import ctypes
import types

import numpy as np
import on_processor
import pytest
import test_kernels as table
from block_views import VIEWS as MOTION
from block_views import Source, check_same_frames, check_view, rendered
from conftest import beating_frames
from kernel_rows import ROWS
from pipelines import METHODS, check_backends_agree
from strict_arrays import Strict

from fastmag import api, backends, flow, passes, phase, places
from fastmag.baselines.level import Level, attenuated
from fastmag.coherent.local import SkinCells
from fastmag.color import Cells, LitCells, Picture
from fastmag.kernels import cpu, cuda
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda import _jit
from fastmag.motion import paper, reading
from fastmag.motion.view import View
from fastmag.sources import ArraySink, ArraySource
from fastmag.spool import Spool
from fastmag.video.media import Frame


@pytest.fixture(autouse=True, scope="module")
def on_the_processor():
    table.BACKENDS["cuda"] = cuda
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit.Kernel, "_launch", on_processor.launch)
        patch.setattr(backends, "why_not", lambda name: None)
        yield


@pytest.mark.parametrize("row", ROWS, ids=table.label)
def test_kernel_equals_its_reference(row):
    table.test_kernel_equals_its_reference(row, "cuda")


@pytest.mark.parametrize("method", METHODS)
def test_pipeline_equals_the_cpus(method):
    check_backends_agree(method)


SIZES = ((50, 70), (25, 35), (25, 35))
PICTURES = {
    "rgb": Picture("rgb", ((50, 70),)),
    "yuv": Picture("yuv", SIZES, full_range=False),
    "yuv-odd": Picture("yuv", ((51, 69), (26, 35), (26, 35)), matrix="bt601"),
    "yuv-region": Picture("yuv", SIZES, rotation=90, roi=(5, 9, 33, 44)),
    "yuv-10": Picture("yuv", ((50, 70), (50, 35), (50, 35)), bits=10, full_range=False),
    "gbr": Picture("gbr", ((50, 70),) * 3),
    "gray": Picture("gray", ((50, 70),)),
}  # fmt: skip
VIEWS = {
    "cells": Cells, "lit": LitCells, "skin": SkinCells,
    "level": lambda picture, ops: Level(picture, ops, 3, attenuated(0.5)),
}  # fmt: skip


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("view", VIEWS)
def test_blocks_of_planes_equal_frames_one_by_one(view, picture, monkeypatch):
    """What the GPU is given, blocks with planes kept from the first pass, against the CPU's kernels frame by frame."""
    monkeypatch.setattr(flow, "MOST", 3)
    random, dtype = np.random.default_rng(5), np.uint8 if picture.bits == 8 else np.uint16
    channels = (3,) if picture.kind == "rgb" else ()
    planes = [tuple(random.integers(0, 1 << picture.bits, (*shape, *channels), dtype) for shape in picture.shapes)
              for _ in range(8)]  # fmt: skip
    there, here = VIEWS[view](picture, cuda), VIEWS[view](picture, cpu)
    rows = [row.copy() for _, row in passes.represented((Frame(p, k / 30) for k, p in enumerate(planes)), there)]
    for row, p in zip(rows, planes, strict=True):
        np.testing.assert_allclose(row, here.represent(p), atol=2e-3)
    width, scale = {"lit": (3, 0.05), "skin": (7, 0.1)}.get(view, (rows[0].shape[-1], 9))
    changes = [random.normal(0, scale, (*row.shape[:2], width)).astype(np.float32) for row in rows]
    pairs = ((Frame(p, k / 30), c) for k, (p, c) in enumerate(zip(planes, changes, strict=True)))
    for k, frame in enumerate(passes.reconstructed(pairs, there)):
        for got, want in zip(frame.planes, here.reconstruct(planes[k], changes[k]), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype
            apart = np.abs(got.astype(int) - want)
            assert apart.max() <= 1 and (apart > 0).mean() < 2e-3


@pytest.mark.parametrize("roi", [None, (5, 9, 33, 44)])
def test_frames_on_the_device_go_through_both_passes_there(roi, monkeypatch):
    monkeypatch.setattr(flow, "MOST", 3)
    frames = np.random.default_rng(8).integers(0, 256, (8, 60, 70, 3), np.uint8)
    change = np.random.default_rng(9).normal(0, 9, (36, 36, 3)).astype(np.float32)
    source = ArraySource(device.up(frames), 30, roi)
    view, sink, here = Cells(source.picture, cuda), ArraySink(source), Cells(source.picture, cpu)
    for k, (_, row) in enumerate(passes.represented(source.frames(), view)):
        np.testing.assert_allclose(row, here.represent((frames[k],)), atol=2e-3)
    for frame in passes.reconstructed(((frame, change) for frame in source.frames()), view):
        assert isinstance(frame.planes[0], device.Array)
        sink.write(frame)
    assert isinstance(sink.array, device.Array)
    for k, frame in enumerate(frames):
        assert np.abs(sink.array[k].astype(int) - here.reconstruct((frame,), change)[0]).max() <= 1


@pytest.fixture
def strict(monkeypatch):
    """Blocks of three frames; arrays on the device refuse what CuPy's refuse, and what comes down was there."""
    real = cuda.Lanes.worked

    def worked(self, after, work, arrays):
        def watched(*given):
            results = work(*given)
            assert all(isinstance(x, Strict) for x in (*given[: len(arrays)], *results))
            return results

        return real(self, after, watched, arrays)

    monkeypatch.setattr(device, "Array", Strict)
    monkeypatch.setattr(cuda.Lanes, "worked", worked)
    monkeypatch.setattr(flow, "MOST", 3)


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("view", MOTION)
def test_motion_in_blocks_equals_frames_one_by_one(view, picture, strict):
    check_view(view, picture, cuda, cpu)


LARGER = ((112, 120), (56, 60), (56, 60))
SCENES = {
    "rgb": Picture("rgb", LARGER[:1]), "gbr": Picture("gbr", LARGER[:1] * 3),
    "yuv": Picture("yuv", LARGER, full_range=False),
    "yuv-region": Picture("yuv", LARGER, bits=10, rotation=90, roi=(4, 9, 102, 104)),
}  # fmt: skip


@pytest.mark.parametrize("picture", SCENES.values(), ids=SCENES)
@pytest.mark.parametrize("rendering", ["warp", "phase"])
def test_breathing_in_blocks_equals_frames_one_by_one(rendering, picture, strict):
    source = Source(picture, 11)
    (rows, found), (exact, expected) = (rendered(picture, rendering, ops, source) for ops in (cuda, cpu))
    np.testing.assert_allclose(rows, exact, atol=2e-3)
    check_same_frames(found, expected, source, 5e-3)


def test_breathing_is_looked_at_on_the_device(strict):
    small = np.stack([row for _, row in passes.represented(Source(SCENES["yuv"]).frames(), View(SCENES["yuv"], cpu))])
    expected, found = (places.here(reading.looked(places.there(small, ops), 1.0, ops), ops) for ops in (cpu, cuda))
    assert np.abs(expected[:, :2]).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3)


class Linear:
    """A network on the device: y is a weighted sum of what it takes."""

    on_device = True
    weights = np.random.default_rng(6).normal(0, 1, phase.SHAPE).astype(np.float32)

    def gradient(self, x):
        slope = places.near(self.weights, x)
        return (x * slope).sum(axis=(1, 2, 3)), np.stack([slope] * len(x))


def test_the_papers_ascent_of_breathing_stays_on_the_device(strict, monkeypatch):
    monkeypatch.setattr(paper, "BATCH", 4)
    params, results = METHODS["respiration"], []
    small = np.stack([row for _, row in passes.represented(Source(SCENES["yuv"]).frames(), View(SCENES["yuv"], cpu))])
    for ops in (cpu, cuda):
        with Spool(small.shape[1:]) as spool:
            spool.append(small)
            with paper.changes(spool, 10.0, params, Linear(), ops) as change:
                results.append(change.read(0, len(change)).copy())
    expected, found = results
    assert np.abs(expected).max() > 1e-2
    assert np.median(np.abs(found - expected)) < 1e-4 and (np.abs(found - expected) > 0.01).mean() < 0.01


def test_strict_arrays_are_strict():
    there, here = np.ones((2, 3), np.float32).view(Strict), np.ones((2, 3), np.float32)
    assert isinstance(np.stack([there, there * 2])[0] + np.float32(1), Strict)
    for mixed in (lambda: there + here, lambda: np.float64(1) * there @ here.T, lambda: np.stack([there, here])):
        with pytest.raises(TypeError, match="Unsupported type"):
            mixed()
    with pytest.raises(AssertionError, match="looked up in CuPy"):
        np.median(there)


@pytest.mark.parametrize("method", ["evm-color", "pulse", "evm-motion", "phase-evm", "riesz"])
def test_frames_on_the_device_are_magnified_there(method, monkeypatch):
    monkeypatch.setattr(api, "on_gpu", lambda x: isinstance(x, device.Array))
    monkeypatch.setattr(api, "on_device", lambda x: x)
    monkeypatch.setattr(flow, "MOST", 16)
    frames = beating_frames(100, 30, 48, 60)
    found = api.magnify(device.up(frames), method=METHODS[method], fps=30, backend="cuda")
    assert isinstance(found, device.Array)
    apart = np.abs(api.magnify(frames, method=METHODS[method], fps=30, backend="cpu").astype(int) - found)
    assert apart.max() <= 2 and (apart > 0).mean() < 0.01


LOG: list[str] = []


class Stream:
    """Writes down what is asked of a stream of CuPy's; copies are made at once."""

    made = 0

    def __init__(self, non_blocking: bool):
        assert non_blocking, "a blocking stream waits for the default one"
        Stream.made += 1
        self.ptr = Stream.made

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def wait_event(self, event):
        LOG.append(f"{self.ptr} waits for {event.of}")

    def record(self, event):
        event.of = self.ptr
        return event

    def synchronize(self):
        LOG.append(f"end of {self.ptr}")


class Event:
    def __init__(self, block: bool, disable_timing: bool):
        assert block and disable_timing, "the processor sleeps while it waits, and no clock runs"

    def synchronize(self):
        LOG.append(f"the processor waits for {self.of}")


def copy(to: int, source: int, size: int, kind: int, stream: int) -> None:
    """In the place of cudaMemcpyAsync, between addresses."""
    assert kind == 4 and stream in (1, 3)
    LOG.append(f"copy on {stream}")
    ctypes.memmove(to, source, size)


def test_what_is_asked_of_the_three_streams(monkeypatch):
    """Up on the first, the work on the second after it, down on the third after that; the processor waits for it."""
    runtime = types.SimpleNamespace(memcpyAsync=copy, memGetInfo=lambda: (1 << 30, 1 << 31))
    xp = types.SimpleNamespace(
        cuda=types.SimpleNamespace(Stream=Stream, Event=Event, runtime=runtime), ascontiguousarray=np.ascontiguousarray
    )
    monkeypatch.setattr(device, "SIMULATED", False)
    monkeypatch.setattr(device, "xp", xp)
    monkeypatch.setattr(device, "empty", lambda shape, dtype: np.empty(shape, dtype))
    monkeypatch.setattr(cuda.Lanes, "pinned", staticmethod(lambda shape, dtype: np.empty(shape, dtype)))
    monkeypatch.setattr(flow, "MOST", 2)
    LOG.clear()
    Stream.made = 0
    frames = [Frame((np.full((3, 4), k, np.uint8), np.full((2, 2), k, np.uint8)), k / 30) for k in range(4)]
    ops = types.SimpleNamespace(Lanes=cuda.Lanes)
    items = ((frame, frame.planes) for frame in frames)
    found = flow.through(ops, lambda a, b: (a + 1, b.astype(np.float32)), items, flow.Kept())
    for k, (_, (a, b)) in enumerate(found):
        assert (a == k + 1).all() and (b == k).all() and a.shape == (3, 4) and b.dtype == np.float32
    block = ["copy on 1", "copy on 1", "2 waits for 1", "3 waits for 2", "copy on 3", "copy on 3"]
    ends = ["the processor waits for 3"] * 2 + [f"end of {k}" for k in (1, 2, 3)]
    assert block * 2 + ends == LOG
