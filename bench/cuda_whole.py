"""More than a kernel on a GPU: the network and its ascent, analyses of frames in device memory, host to host, files."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastmag import models
from fastmag.ascent import ascend
from fastmag.temporal import butterworth

SHAPE, SIZE = (3, 36, 36), (492, 658)
STEP: dict[str, Any] = {"step_size": 6e-5, "n_steps": 20, "rule": "sign"}
GRADIENTS, FLOPS = 19, 127e6  # of the paper's ascent; of one gradient of the pulse network
TARGETS = {"paper form, frames in device memory": 20_000, "coherent form's cells, X and gradient": 100_000}  # a second
HOST_TARGET, EAGER_TARGET = 15_000, 3.0  # frames a second from host to host; times torch eager
APART = 0.01  # of the mean change, the median by which the ways to run one ascent may differ
Timer = Callable[..., dict[str, dict[str, float]]]
Calls = dict[str, Callable[[], Any]]


def reason(error: Exception) -> str:
    """Why something is missing, in one short line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def network() -> Any:
    from fastmag.providers import Network

    return Network(Path(models.path("pulse_gradient")).read_bytes(), "the pulse network", SHAPE)


def ascents(ops: Any, timed: Timer, count: int = 512) -> Iterator[dict[str, Any]]:
    """The paper's ascent of one block: as it is, with ONNX Runtime's graphs, recorded as one graph, and by torch."""
    import cupy

    from fastmag.providers.cuda import Cuda, DeviceGradient, Recorded

    x = cupy.asarray(np.random.default_rng(3).standard_normal((count, *SHAPE), np.float32) * np.float32(3e-3))
    for precision in ("fp32", "bf16"):
        plain = DeviceGradient(Cuda(network(), precision))
        makers: dict[str, Callable[[], Any]] = {
            "as it is": lambda plain=plain: partial(ascend, x, plain, ops, **STEP),
            "with ONNX Runtime's graphs": lambda p=precision: partial(
                ascend, x, DeviceGradient(Cuda(network(), p, graphs=True)), ops, **STEP
            ),
            "recorded": lambda plain=plain: partial(Recorded(lambda z: ascend(z, plain, ops, **STEP), x), x),
            "torch eager": lambda p=precision: _torch(x, p != "fp32"),
        }
        calls, missing = _agreeing(makers, x)
        times = timed(calls, 2.0)
        took = times["as it is"]["median"]
        yield {
            "ascent": f"{count} frames, {GRADIENTS} gradients", "precision": "fp32" if precision == "fp32" else "tf32",
            "milliseconds": times, "missing": missing, "frames_per_s": 1e3 * count / took,
            "tflop_per_s": GRADIENTS * FLOPS * count / took / 1e9, "target_times_torch_eager": EAGER_TARGET,
            "times_as_fast_as": {name: t["median"] / took for name, t in times.items() if name != "as it is"},
        }  # fmt: skip


def _agreeing(makers: dict[str, Callable[[], Any]], x: Any) -> tuple[Calls, dict[str, str]]:
    """The calls that can be made and that find what the first one finds, and why the others are left out."""
    import cupy

    calls, missing, right = {}, {}, None
    for name, make in makers.items():
        try:
            call = make()
            change = call() - x
            right = change if right is None else right
            off = float(np.median(cupy.asnumpy(abs(change - right)))) / float(abs(right).mean())
            if not off <= APART:
                missing[name] = f"red: off by {off:.2g} of the change; not timed"
                continue
            calls[name] = call
        except Exception as error:  # a way that cannot be is a gap in the table
            missing[name] = reason(error)
    return calls, missing


def _torch(x: Any, tf32: bool) -> Callable[[], Any]:
    """The same ascent by torch, eager, on the stream that is timed."""
    import cupy
    import torch

    from bench.networks import as_torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    module = as_torch(models.path("pulse")).cuda()
    stream = torch.cuda.ExternalStream(cupy.cuda.get_current_stream().ptr)

    def call() -> Any:
        with torch.cuda.stream(stream):
            moved = torch.from_dlpack(x).clone()
            for _ in range(GRADIENTS):
                here = moved.detach().requires_grad_(True)
                (slope,) = torch.autograd.grad(module(here).sum(), here)
                size = slope.abs()
                moved = moved + STEP["step_size"] * size / size.mean((1, 2, 3), keepdim=True) * moved.sign()
            return cupy.from_dlpack(moved.detach())

    return call


def analyses(ops: Any, timed: Timer, count: int = 1024) -> Iterator[dict[str, Any]]:
    """Whole analyses of `count` frames (a multiple of 32) of 492x658 in device memory, in frames a second."""
    import cupy

    from fastmag.providers.cuda import Cuda, DeviceGradient

    few = np.random.default_rng(1).integers(0, 256, (32, *SIZE, 3), np.uint8)
    frames = cupy.tile(cupy.asarray(few), (count // 32, 1, 1, 1))
    sections = butterworth((0.7, 2.5), 30.0)

    def differences() -> tuple[Any, Any]:
        cells = cupy.maximum(ops.downsample_bicubic(frames, SHAPE[1:]), 0)
        x = ops.normalized_difference(cells, 4.0)
        return cells, cupy.ascontiguousarray(x.transpose(0, 3, 1, 2))

    for precision in ("fp32", "bf16"):
        gradient = DeviceGradient(Cuda(network(), precision))

        def paper(gradient: Any = gradient) -> Any:
            cells, x = differences()
            moved = ascend(x, gradient, ops, **STEP) - x
            change = ops.bandpass(cupy.ascontiguousarray(moved.transpose(0, 2, 3, 1)).reshape(count - 1, -1), sections)
            steps = x.transpose(0, 2, 3, 1) + change.reshape(count - 1, *cells.shape[1:])
            return ops.undo_normalized_difference(cells[0], steps, 4.0)

        def once(gradient: Any = gradient) -> Any:
            return gradient(differences()[1])

        for name, spread in timed(dict(zip(TARGETS, (paper, once), strict=True)), 2.0).items():
            yield {"analysis": name, "precision": "fp32" if precision == "fp32" else "tf32", "milliseconds": spread,
                   "frames_per_s": 1e3 * count / spread["median"], "target": TARGETS[name]}  # fmt: skip


@contextlib.contextmanager
def one_after_the_other(ops: Any) -> Iterator[None]:
    """Frames go up, are worked on and come down one by one, and nothing is read ahead."""
    lanes = ops.__dict__.pop("Lanes")
    try:
        yield
    finally:
        ops.Lanes = lanes


def _without(ops: Any, call: Callable[[], Any]) -> Any:
    with one_after_the_other(ops):
        return call()


def host(ops: Any, count: int = 1024, rounds: int = 3) -> Iterator[dict[str, Any]]:
    """From frames in the host's memory to frames there: cells and back alone, and the whole coherent form."""
    import fastmag
    from fastmag import passes
    from fastmag.color import Cells
    from fastmag.kernels import cpu
    from fastmag.sources import ArraySink, ArraySource

    frames = np.random.default_rng(1).integers(0, 256, (count, *SIZE, 3), np.uint8)
    change = np.random.default_rng(2).normal(0, 4, (36, 36, 3)).astype(np.float32)

    def there_and_back() -> np.ndarray:
        source = ArraySource(frames, 30)
        view, sink = Cells(source.picture, ops), ArraySink(source)
        for _ in passes.represented(source.frames(), view):
            pass
        for frame in passes.reconstructed(((frame, change) for frame in source.frames()), view):
            sink.write(frame)
        return sink.array

    judge = Cells(ArraySource(frames[:1], 30).picture, cpu)
    apart = max(
        int(np.abs(there_and_back()[k].astype(int) - judge.reconstruct((frames[k],), change)[0]).max())
        for k in (0, count // 2, count - 1)
    )
    if apart > 1:
        yield {"host": "cells and back", "gate": f"red: {apart} levels off; not timed"}
        return
    calls = {"overlapped": there_and_back, "one after the other": lambda: _without(ops, there_and_back)}
    yield rate("cells and back", calls, count, rounds)
    method = fastmag.Pulse(provider="cuda")
    calls = {"overlapped": lambda: fastmag.magnify(frames, method=method, fps=30, backend="cuda")}
    yield rate("coherent form", calls, count, 2)
    import cupy

    there = cupy.asarray(frames)
    calls = {"in device memory": lambda: fastmag.magnify(there, method=method, fps=30, backend="cuda")}
    yield rate("coherent form, frames in device memory", calls, count, 2)


def rate(name: str, calls: Calls, count: int, rounds: int) -> dict[str, Any]:
    """Frames a second by the clock, contenders in turns; why those that fail are missing."""
    calls, missing, times = dict(calls), {}, {name: [] for name in calls}
    for k in range(rounds + 1):
        for who in list(calls):
            began = time.perf_counter()
            try:
                calls[who]()
            except Exception as error:  # as above
                missing[who] = reason(error)
                calls.pop(who)
                continue
            if k:
                times[who].append(time.perf_counter() - began)
    rates = {who: count / float(np.median(seconds)) for who, seconds in times.items() if seconds}
    return {"host": name, "frames": count, "frames_per_s": rates, "target": HOST_TARGET, "missing": missing}


def files(ops: Any, rounds: int = 3) -> Iterator[dict[str, Any]]:
    """File to file in frames a second: both backends, with and without overlap, and the card's own video units."""
    import fastmag
    from bench.pipeline import FRAMES, sample

    with tempfile.TemporaryDirectory() as name:
        source, _ = sample(Path(name))
        out = Path(name) / "out.mp4"

        def run(**how: Any) -> Any:
            return fastmag.magnify(source, out, overwrite=True, **how)

        calls: Calls = {
            "cpu": partial(run, backend="cpu"), "cuda": partial(run, backend="cuda"),
            "cuda, one after the other": lambda: _without(ops, partial(run, backend="cuda")),
            "cuda, decoded by NVDEC": partial(run, backend="cuda", decoder="cuda"),
            "cuda, encoded by NVENC": partial(run, backend="cuda", codec="nvenc"),
        }  # fmt: skip
        yield {**rate("file to file, 480x640", calls, FRAMES, rounds), "target": None}
