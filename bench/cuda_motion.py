"""The methods that magnify motion on a GPU: frames of the host through blocks and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.cuda_whole import Calls, rate

SIZE, SMALL = (480, 640), (112, 128)
COUNT, FPS = 256, 30.0  # two breaths in the middle of the passband take 213 frames
TARGET = {"respiration": 500}  # frames a second
APART, SHARE = 2, 0.01  # levels, and of them how many may differ from the CPU backend's frames


def methods() -> dict[str, Any]:
    """What is timed, each with a filter that goes over frames as they come where it has one."""
    import fastmag

    return {
        "evm-motion": fastmag.EvmMotion(passband=(1.0, 3.0)),
        "phase-evm": fastmag.PhaseEvm(passband=(1.0, 3.0), temporal="butterworth"),
        "riesz": fastmag.Riesz(passband=(1.0, 3.0), temporal="butterworth"),
        "vam-motion": fastmag.VamMotion(frequency=2.0),
        "respiration": fastmag.Respiration(sure=True),
    }


def swaying(size: tuple[int, int], count: int = COUNT) -> np.ndarray:
    """(count, h, w, 3) uint8: a texture whose lower half goes up and down at 0.3 Hz, and trembles at 2 Hz."""
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = np.random.default_rng(5).uniform(0.1, 0.7, (5, 2)).astype(np.float32)
    times, light = np.arange(count) / FPS, np.empty((count, *size), np.uint8)
    for k, t in enumerate(times):
        sway = np.float32(0.8 * np.sin(2 * np.pi * 0.3 * t) + 0.1 * np.sin(2 * np.pi * 2 * t)) * (y > height / 2)
        light[k] = 127 + 12 * sum(np.sin(a * (y - sway) + b * x + 9 * a) for a, b in waves)
    return np.repeat(light[..., None], 3, axis=3)


def motion(late: Callable[[], bool], count: int = COUNT) -> Iterator[dict[str, Any]]:
    """A row for each method: frames a second from host to host, once small frames are those of the CPU backend; none
    where it is late()."""
    import fastmag

    small, frames = swaying(SMALL, count), swaying(SIZE, count)
    for name, method in methods().items():
        if late():
            yield {"host": name, "gate": "not measured: no time was left"}
            continue
        run = partial(fastmag.magnify, method=method, fps=FPS)
        found, expected = (run(small, backend=backend).astype(int) for backend in ("cuda", "cpu"))
        apart = np.abs(found - expected)
        if apart.max() > APART or (apart > 0).mean() > SHARE or (expected == small).all():
            yield {"host": name, "gate": f"red: {apart.max()} levels off, {(apart > 0).mean():.2%}; not timed"}
            continue
        calls: Calls = {"overlapped": partial(run, frames, backend="cuda")}
        yield {**rate(name, calls, count, rounds=1), "target": TARGET.get(name)}
