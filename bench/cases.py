"""What is timed: one row a kernel and size, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import signal

from fastmag.kernels import cpu, reference

PULSE = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")
BREATH = signal.butter(1, 0.5, "lowpass", fs=30, output="sos")
CELLS = (36, 36)
RING = 96 << 20
"""Bytes of frames that take turns, so that a frame is not already in the cache as it never is in a video."""


PER_FRAME = (
    "downsample_bicubic", "downsample_gaussian", "upsample_add", "upsample_scaled_add", "local_light", "pyramid_down",
    "pyramid_up_add", "luma", "add_change",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """At least `factor` times as fast as the rival on `threads` threads (below 1: at that share of its speed)."""

    rival: str
    factor: float
    threads: int = 1


@dataclass(frozen=True)
class Case:
    """One row: `make(rng)` gives the inputs of each call; a case of frames has as many as take turns."""

    name: str
    kernel: str
    make: Callable[[np.random.Generator], list[tuple]]
    rivals: tuple[str, ...]
    tolerance: float
    targets: tuple[Target, ...] = ()
    limit: str = ""
    """What stands in the way where a target is missed."""

    @property
    def per_frame(self) -> bool:
        """Frames are spread over threads one by one; a series is spread by the kernel itself."""
        return self.kernel in PER_FRAME

    def ours(self) -> Callable[..., Any]:
        return getattr(cpu, self.kernel)

    def judge(self) -> Callable[..., Any]:
        return getattr(reference, self.kernel)


def _frames(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    count = min(64, max(2, RING // int(np.prod(shape))))
    return [rng.integers(0, 256, shape, np.uint8) for _ in range(count)]


def _downsample(*shape: int) -> Callable[[np.random.Generator], list[tuple]]:
    return lambda rng: [(frame, CELLS) for frame in _frames(shape, rng)]


def _upsample(*shape: int) -> Callable[[np.random.Generator], list[tuple]]:
    def make(rng: np.random.Generator) -> list[tuple]:
        change = rng.normal(0, 5, (*CELLS, *shape[2:])).astype(np.float32)
        return [(frame, change, 0, 255) for frame in _frames(shape, rng)]

    return make


def _upsample_scaled(*shape: int) -> Callable[[np.random.Generator], list[tuple]]:
    def make(rng: np.random.Generator) -> list[tuple]:
        change = rng.normal(0, 0.03, CELLS).astype(np.float32)
        return [(frame, frame.copy(), change, -8.0) for frame in _frames(shape, rng)]

    return make


def _local(*shape: int) -> Callable[[np.random.Generator], list[tuple]]:
    def make(rng: np.random.Generator) -> list[tuple]:
        models = rng.normal(0, 1, (*CELLS, 2)).astype(np.float32)
        return [(frame, models, None, 0.0) for frame in _frames(shape, rng)]

    return make


def _difference(rng: np.random.Generator) -> list[tuple]:
    return [(rng.uniform(1, 255, (2000, 3888)).astype(np.float32), 4.0)]


def _inverse(rng: np.random.Generator) -> list[tuple]:
    first = rng.uniform(1, 255, 3888).astype(np.float32)
    return [(first, rng.normal(0, 3e-3, (1999, 3888)).astype(np.float32), 0.0)]


def _step(rng: np.random.Generator) -> list[tuple]:
    X, G = (rng.normal(size=(2000, 3888)).astype(np.float32) for _ in range(2))
    return [(X, G, 6e-5, "sign")]


def _series(rng: np.random.Generator) -> list[tuple]:
    return [(rng.normal(size=(1500, 3888)).astype(np.float32), PULSE)]


def _running(rng: np.random.Generator) -> list[tuple]:
    return [(rng.normal(size=(64, 307200)).astype(np.float32), BREATH, np.zeros((1, 2, 307200)))]


def _moving(rng: np.random.Generator) -> list[tuple]:
    field = rng.normal(0, 2, (2, 120, 160)).astype(np.float32)
    return [(rng.integers(0, 256, (480, 640, 3), np.uint8), field, (1.5, 1.5), (4.0, 4.0))]


def _maps(argument: float) -> Callable[[np.random.Generator], list[tuple]]:
    return lambda rng: [(rng.normal(size=(300, *CELLS)).astype(np.float32), argument)]


def _gaussian(rng: np.random.Generator) -> list[tuple]:
    return [(frame, (4, 4)) for frame in _frames((480, 640, 3), rng)]


def _images(rng: np.random.Generator) -> list[tuple]:
    return [(frame.astype(np.float32),) for frame in _frames((480, 640), rng)[:32]]


def _finer(rng: np.random.Generator) -> list[tuple]:
    return [(image, rng.normal(0, 5, (240, 320)).astype(np.float32), 1.0) for (image,) in _images(rng)]


def _luma(rng: np.random.Generator) -> list[tuple]:
    return [(frame, (0.299, 0.587, 0.114)) for frame in _frames((480, 640, 3), rng)]


def _changes(rng: np.random.Generator) -> list[tuple]:
    change = rng.normal(0, 5, (480, 640)).astype(np.float32)
    return [(frame, change, 0, 255) for frame in _frames((480, 640), rng)]


_SAMPLERS = ("Pillow", "torch", "OpenCV area")
_ADDERS = ("OpenCV", "copy")
_CALL = "about 5 microseconds a call are spent before and after the loops"
_CACHED = (
    "16 pixels take 4 multiply-adds, 4 limits and 5 conversions; a copy takes one load and one store, so that twice "
    "its time is less than the arithmetic of one core wherever memory is fast"
)

CASES = [
    Case(
        "downsample 492x658x3",
        "downsample_bicubic",
        _downsample(492, 658, 3),
        _SAMPLERS,
        1e-4,
        (Target("Pillow", 5), Target("torch", 1)),
        "at the rate of the float32 multiply-adds (5 a pixel and channel); torch multiplies in 16 bits and rounds to 8",
    ),
    Case("downsample 480x640", "downsample_bicubic", _downsample(480, 640), _SAMPLERS, 1e-4,
         (Target("Pillow", 5),), _CALL),
    Case("downsample 240x320", "downsample_bicubic", _downsample(240, 320), _SAMPLERS, 1e-4,
         (Target("Pillow", 5),), _CALL),
    Case("normalised difference 2000x3888", "normalized_difference", _difference, ("NumPy", "copy"), 3e-7,
         (Target("copy", 0.8),), "a copy writes past the caches; compiled stores read each line of the result first"),
    Case("its inverse 2000x3888", "undo_normalized_difference", _inverse, ("NumPy",), 3e-4, (Target("NumPy", 8),),
         "memory: X is read, the result read and written; a copy reads and writes"),
    Case("ascend step 2000x3888", "ascend_step", _step, ("NumPy", "torch"), 1e-6,
         (Target("NumPy", 7), Target("NumPy", 20, 2)),
         "X is read and written and G read once from memory: it cannot be faster than 3/2 of a copy of X"),
    Case("band-pass 1500x3888", "bandpass", _series, ("SciPy",), 1e-6, (Target("SciPy", 5), Target("SciPy", 9, 2)),
         "30 float64 multiply-adds a sample both ways in 8 lanes are half of the time; the rest waits for memory"),
    Case("forward filter 64x307200", "bandpass_forward", _running, ("SciPy",), 1e-6),
    Case("upsample + add 492x658x3", "upsample_add", _upsample(492, 658, 3), _ADDERS, 1e-4,
         (Target("OpenCV", 5), Target("copy", 0.5)), _CACHED),
    Case("upsample + add 1080x1920x3", "upsample_add", _upsample(1080, 1920, 3), _ADDERS, 1e-4,
         (Target("OpenCV", 5), Target("copy", 0.5)), _CACHED),
    Case("upsample + add 480x640", "upsample_add", _upsample(480, 640), _ADDERS, 1e-4, (Target("OpenCV", 5),), _CACHED),
    Case("upsample x light 480x640", "upsample_scaled_add", _upsample_scaled(480, 640), ("OpenCV",), 1e-4,
         (Target("OpenCV", 5),), _CACHED),
    Case("light by local colour 480x640", "local_light", _local(480, 640), ("OpenCV",), 4e-3),
    Case("Gaussian level 4, 480x640x3", "downsample_gaussian", _gaussian, ("OpenCV",), 1e-4),
    Case("pyramid down 480x640", "pyramid_down", _images, ("OpenCV",), 1e-4),
    Case("pyramid up + add 480x640", "pyramid_up_add", _finer, ("OpenCV",), 1e-4),
    Case("luma 480x640x3", "luma", _luma, ("OpenCV",), 1e-4),
    Case("add a change 480x640", "add_change", _changes, ("OpenCV",), 1e-4),
    Case("displace 480x640x3", "displace", _moving, ("OpenCV",), 1e-3),
    Case("smooth over time 300x36x36, 15", "smooth_time", _maps(15), ("SciPy",), 1e-6),
    Case("smooth over space 300x36x36, 1.2", "smooth_space", _maps(1.2), ("SciPy", "OpenCV"), 2e-6),
]  # fmt: skip
