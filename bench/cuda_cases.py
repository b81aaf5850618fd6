"""What is timed on a GPU: kernels on batches in device memory, with the bytes and operations that they cannot avoid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import signal

from fastmag.pyramids import steerable

PULSE = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")
FRAME, CELLS, VGA = (492, 658, 3), (36, 36), (480, 640)
STRIP, WIDE = 240, 7680  # rows and columns of a map that is larger than the caches
PLAN = steerable(VGA)
COEFFICIENTS = PLAN.orientations * sum(h * w for h, w in PLAN.sizes)


@dataclass(frozen=True)
class Case:
    """One row. make(random, n) gives the arguments for n units of work, on the host; arrays but those at `keep` move.

    bytes and flops: of one unit, each input read once and each result written once; they set the floor.
    """

    name: str
    kernel: str
    units: int
    make: Callable[[np.random.Generator, int], tuple]
    bytes: float
    flops: float
    tolerance: float
    keep: tuple[int, ...] = ()


def _u8(random: np.random.Generator, *shape: int) -> np.ndarray:
    return random.integers(0, 256, shape, np.uint8)


def _f32(random: np.random.Generator, *shape: int, mean: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return (random.standard_normal(shape, np.float32) * np.float32(scale) + np.float32(mean)).astype(np.float32)


def _waves(random: np.random.Generator, *shape: int) -> np.ndarray:
    return _f32(random, *shape, 2).view(np.complex64)[..., 0]


def _turned(random: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and those before them, less than half a turn apart: on the cut both signs are right."""
    before = _waves(random, *shape)
    return (before * np.exp(1j * random.uniform(-3, 3, shape)).astype(np.complex64)), before


def _quaternions(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Subbands of a Riesz pyramid and those a little before them: near half a turn a direction hangs by a thread."""
    now = _waves(random, n, 2, *VGA)
    before = now + np.float32(0.2) * _waves(random, n, 2, *VGA)
    for both in (now, before):
        both[:, 1].real = both[:, 0].real
    return now, before


def _strip(random: np.random.Generator, n: int) -> np.ndarray:
    """One wide map, a strip of it for each unit."""
    return _f32(random, n * STRIP, WIDE)


_PIXELS, _CELL, _MAP = int(np.prod(FRAME)), 3 * CELLS[0] * CELLS[1], VGA[0] * VGA[1]
_FFT = 2.5 * _MAP * np.log2(_MAP) + 5 * COEFFICIENTS * np.log2(_MAP)

CASES = [
    Case("downsample 492x658x3", "downsample_bicubic", 512, lambda r, n: (_u8(r, n, *FRAME), CELLS),
         _PIXELS + 4 * _CELL, 8.0 * _PIXELS, 1e-4),
    Case("Gaussian level 4, 492x658x3", "downsample_gaussian", 512, lambda r, n: (_u8(r, n, *FRAME), (4, 4)),
         _PIXELS * (1 + 4 / 256), 8.0 * _PIXELS, 1e-4),
    Case("upsample + add 492x658x3", "upsample_add", 256,
         lambda r, n: (_u8(r, n, *FRAME), _f32(r, n, *CELLS, 3, scale=9)), 2 * _PIXELS + 4 * _CELL, 9.0 * _PIXELS, 1),
    Case("luma 492x658x3", "luma", 256, lambda r, n: (_u8(r, n, *FRAME), (0.299, 0.587, 0.114)),
         _PIXELS * 7 / 3, 5.0 * _PIXELS / 3, 1e-4),
    Case("add a change 492x658x3", "add_change", 256,
         lambda r, n: (_u8(r, n, *FRAME), _f32(r, n, *FRAME[:2], scale=60)), _PIXELS * (2 + 4 / 3), 3.0 * _PIXELS, 1),
    Case("normalised difference, 3888 cells", "normalized_difference", 20_000,
         lambda r, n: (np.abs(_f32(r, n, 3888, mean=128, scale=30)), 4.0), 8 * 3888, 5.0 * 3888, 3e-7),
    Case("its inverse, 3888 cells", "undo_normalized_difference", 20_000,
         lambda r, n: (np.abs(_f32(r, 3888, mean=128, scale=30)), _f32(r, n, 3888, scale=3e-4), 4.0),
         8 * 3888, 8.0 * 3888, 2e-4),
    Case("ascend step, 3888 cells", "ascend_step", 20_000,
         lambda r, n: (_f32(r, n, 3888), _f32(r, n, 3888), 6e-5, "sign"), 12 * 3888, 5.0 * 3888, 1e-6),
    Case("band-pass over 1500 frames, a cell", "bandpass", 62_208, lambda r, n: (_f32(r, 1500, n), PULSE),
         8 * 1500, 60.0 * 1500, 4e-6, (1,)),
    Case("band-pass of 10 frames with its state, a place", "bandpass_forward", 4_000_000,
         lambda r, n: (_f32(r, 10, n), PULSE[:1], np.zeros((1, 2, n))), 8 * 10 + 32, 20.0 * 10, 4e-6, (1,)),
    Case("smooth over time, 91 of 1500 frames, a cell", "smooth_time", 62_208, lambda r, n: (_f32(r, 1500, n), 91),
         8 * 1500, 4.0 * 1500, 2e-6),
    Case("smooth over space 480x640, sigma 3", "smooth_space", 128, lambda r, n: (_f32(r, n, *VGA), 3.0),
         8 * _MAP, 100.0 * _MAP, 4e-6),
    Case("the same, weighted", "smooth_amplitude_weighted", 128,
         lambda r, n: (_f32(r, n, *VGA), np.abs(_f32(r, n, *VGA)), 3.0), 12 * _MAP, 200.0 * _MAP, 4e-6),
    Case("phase difference 480x640", "phase_difference", 256,
         lambda r, n: _turned(r, n, *VGA), 20 * _MAP, 30.0 * _MAP, 1e-5),
    Case("shift of phase 480x640", "shift_phase", 256,
         lambda r, n: (_waves(r, n, *VGA), _f32(r, n, *VGA), 20.0), 20 * _MAP, 40.0 * _MAP, 1e-4),
    Case("amplitude 480x640", "amplitude", 256, lambda r, n: (_waves(r, n, *VGA), False), 12 * _MAP, 4.0 * _MAP, 2e-6),
    Case("steerable build 480x640", "steerable_analysis", 64, lambda r, n: (_f32(r, n, *VGA), PLAN),
         4 * _MAP + 8 * COEFFICIENTS, _FFT, 2e-6),
    Case("steerable rebuild 480x640", "steerable_synthesis", 64,
         lambda r, n: (tuple(_waves(r, n, PLAN.orientations, *size) for size in PLAN.sizes), PLAN),
         4 * _MAP + 8 * COEFFICIENTS, _FFT, 4e-6),
    Case("upsample + add by the light 492x658x3", "upsample_scaled_add", 256,
         lambda r, n: (_u8(r, n, *FRAME), _u8(r, n, *FRAME[:2]), _f32(r, n, *CELLS, 3, scale=0.05), 8.0),
         _PIXELS * 7 / 3 + 4 * _CELL, 11.0 * _PIXELS, 1),
    Case("light by local colour 492x658x3", "local_light", 256,
         lambda r, n: (_u8(r, n, *FRAME), _f32(r, n, *CELLS, 4, scale=1), None, 0.0),
         _PIXELS * 7 / 3 + 4 * _CELL, 16.0 * _PIXELS / 3, 4e-3),
    Case("displace, a strip of 240x960x3", "displace", 144,
         lambda r, n: (_u8(r, n * STRIP, 960, 3), _f32(r, 2, n * STRIP // 8, 120, scale=3), (0.0, 0.0), (8.0, 8.0)),
         6.0 * STRIP * 960, 40.0 * 3 * STRIP * 960, 1),
    Case("pyramid down, a strip of 240x7680", "pyramid_down", 36, lambda r, n: (_strip(r, n),),
         5.0 * STRIP * WIDE, 12.5 * STRIP * WIDE, 2e-6),
    Case("pyramid up + add, a strip of 240x7680", "pyramid_up_add", 36,
         lambda r, n: (_strip(r, n), _strip(r, n)[::2, ::2].copy(), 2.0),
         9.0 * STRIP * WIDE, 12.0 * STRIP * WIDE, 4e-6),
    Case("phase summed over 1500 frames, a place", "accumulate_phase", 62_208,
         lambda r, n: (_f32(r, 1500, n), np.zeros(n)), 8 * 1500, 3.0 * 1500, 1e-5),
    Case("Riesz difference 480x640", "riesz_difference", 64, _quaternions, 40.0 * _MAP, 60.0 * _MAP, 1e-5),
    Case("Riesz shift 480x640", "riesz_shift", 64,
         lambda r, n: (_quaternions(r, n)[0], _f32(r, n, 2, *VGA), 2.0), 32.0 * _MAP, 60.0 * _MAP, 2e-5),
    Case("Riesz amplitude 480x640", "riesz_amplitude", 64, lambda r, n: (_quaternions(r, n)[0],),
         20.0 * _MAP, 8.0 * _MAP, 4e-6),
]  # fmt: skip
