"""The cases of the table test: every kernel, with odd shapes and the error that is allowed."""

from __future__ import annotations

import numpy as np
from scipy import signal

from fastmag.pyramids import Steerable, riesz, steerable

PULSE = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")
BREATH = signal.butter(2, 0.5, "lowpass", fs=10, output="sos")


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([7, *seed])


def levels(shape: tuple[int, ...], dtype: type = np.uint8, high: int = 255) -> np.ndarray:
    return rng(*shape).integers(0, high, shape, dtype, endpoint=True)


def normal(shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
    return rng(*shape).normal(mean, scale, shape).astype(np.float32)


def bright(shape: tuple[int, ...]) -> np.ndarray:
    return rng(*shape).uniform(1, 255, shape).astype(np.float32)


def waves(shape: tuple[int, ...], *seed: int) -> np.ndarray:
    """Complex coefficients of every size and angle."""
    real, imaginary = rng(*shape, *seed).normal(0, 1, (2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def angles(shape: tuple[int, ...], most: float) -> np.ndarray:
    return rng(*shape, 1).uniform(-most, most, shape).astype(np.float32)


def turned(shape: tuple[int, ...], shared: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, and those before them, less than half a turn apart: none on the cut, where both signs are right."""
    before = waves(shape[1:] if shared else shape)
    return (before * np.exp(1j * angles(shape, 3.13))).astype(np.complex64), before


def subbands(shape: tuple[int, ...], plan: Steerable, levels: list[int]) -> tuple:
    return tuple(waves((shape[0], plan.orientations, *plan.sizes[level])) for level in levels), plan, levels


def quaternions(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Subbands of a Riesz pyramid, both with the same real part, and those before them: no half turns."""
    now, before = waves(shape), waves(shape, 1)
    now[:, 1].real, before[:, 1].real = now[:, 0].real, before[:, 0].real
    return now, before


PYRAMIDS = [
    # the smallest, odd and even, slow lengths (41, 47), several orientations, half octaves, some levels only
    ((1, 8, 8), {}, None),
    ((2, 9, 8), {"orientations": 2}, [0]),
    ((3, 33, 47), {"orientations": 3}, [2, 0]),
    ((2, 41, 94), {"octaves": 0.5, "orientations": 8}, None),
    ((2, 41, 94), {"octaves": 0.25, "orientations": 8}, None),
    ((2, 123, 123), {}, [0]),
    ((1, 123, 125), {}, None),
    ((2, 240, 320), {"depth": 3}, None),
]

# One row per case: kernel, its arguments, the largest error allowed. Tolerances are about twice what was measured.
ROWS: list[tuple[str, tuple, float]] = [
    # Smaller and larger than the frame, one pixel, odd sizes, several channels, wider than a block of columns, 16 bits.
    *[
        ("downsample_bicubic", (levels(shape), size), 1e-4)
        for shape, size in [
            ((1, 1), (1, 1)),
            ((1, 1, 3), (5, 4)),
            ((7, 5), (3, 2)),
            ((5, 9), (11, 20)),
            ((33, 31, 3), (36, 36)),
            ((101, 203, 3), (36, 36)),
            ((24, 18, 4), (5, 7)),
            ((240, 320), (36, 36)),
            ((480, 640), (36, 36)),
            ((37, 1300), (3, 36)),
            ((492, 658, 3), (36, 36)),
        ]
    ],
    ("downsample_bicubic", (levels((61, 75), np.uint16, 1023), (13, 11)), 4e-4),
    ("downsample_bicubic", (levels((61, 75, 3), np.uint16, 65535), (13, 11)), 2.5e-2),
    *[
        ("normalized_difference", (bright(shape), delta), 3e-7)
        for shape, delta in [((2, 1), 0.0), ((5, 7, 3), 0.0), ((9, 36, 36, 3), 4.0), ((300, 1111), 4.0)]
    ],
    *[
        ("undo_normalized_difference", (bright(shape[1:]), normal(shape, scale), delta), tolerance)
        for shape, scale, delta, tolerance in [
            ((1, 1), 0.01, 0.0, 1e-5),
            ((7, 5, 3), 0.3, 0.0, 2e-4),
            ((40, 36, 36, 3), 0.003, 4.0, 3e-5),
            ((300, 1111), 0.003, 4.0, 6e-5),
        ]
    ],
    *[
        ("ascend_step", (normal(shape), normal(shape, 0.1), 0.01, rule, weight), 1e-6)
        for rule in ("vanilla", "l1", "sign", "coherent")
        for shape, weight in [
            ((1, 1), None),
            ((3, 3, 7, 5), normal((3,))),
            ((5, 3, 36, 36), normal((5,))),
            ((70, 4111), None),
        ]
    ],
    *[
        (name, (normal(shape, 1.0, 3.0), sos, np.ones((len(sos), 2, shape[1]))), 2e-6)
        for name in ("bandpass_forward", "bandpass_backward")
        for sos in (PULSE, BREATH)
        for shape in [(1, 1), (7, 5), (8, 128), (43, 300), (90, 3001)]
    ],
    *[
        ("bandpass", (normal(shape, 1.0, 3.0), sos), 2e-6)
        for sos in (PULSE, BREATH)
        for shape in [(1, 1), (2, 3), (5, 7, 3), (64, 128), (75, 300), (90, 31, 97)]
        if shape[0] > 1 or sos is BREATH  # one frame alone has nothing in the pulse's band
    ],
    *[
        ("upsample_add", (levels(shape), normal((*size, *shape[2:]), 9.0)), 0)
        for shape, size in [
            ((1, 1), (1, 1)),
            ((2, 3, 3), (5, 7)),
            ((9, 7), (36, 36)),
            ((35, 37, 3), (36, 36)),
            ((101, 203, 3), (36, 36)),
            ((24, 18, 4), (5, 7)),
            ((240, 320), (36, 36)),
            ((37, 1300), (3, 36)),
            ((480, 640), (36, 36)),
        ]
    ],
    *[
        ("upsample_add", (levels(shape), normal((*size, *shape[2:]), 9.0), 0, 255, spacing), 0)
        for shape, size, spacing in [
            ((1, 1), (1, 1), (2, 4)),
            ((35, 37, 3), (3, 5), (16, 8)),
            ((101, 203, 3), (101, 26), (1, 8)),
            ((480, 640), (30, 40), (16, 16)),
        ]
    ],
    *[
        ("downsample_gaussian", (levels(shape), count), 1e-4)
        for shape, count in [
            ((1, 1), (0, 0)),
            ((1, 2, 3), (3, 1)),
            ((7, 5), (2, 1)),
            ((35, 37, 3), (1, 1)),
            ((101, 203, 3), (4, 5)),
            ((240, 321), (3, 4)),
            ((480, 640, 3), (4, 4)),
            ((37, 1300), (9, 2)),
        ]
    ],
    ("downsample_gaussian", (levels((61, 75), np.uint16, 65535), (2, 3)), 2.5e-2),
    *[
        ("pyramid_down", (normal(shape, 1.0, 3.0),), 2e-6)
        for shape in [(1, 1), (1, 2), (3, 1), (2, 2), (7, 5), (8, 6), (101, 203), (480, 640)]
    ],
    *[
        ("pyramid_up_add", (normal(shape), normal((-(-shape[0] // 2), -(-shape[1] // 2))), gain), 2e-6)
        for shape, gain in [
            ((1, 1), 2.0),
            ((1, 2), 0.0),
            ((3, 1), 1.0),
            ((2, 2), 1.0),
            ((7, 5), 3.0),
            ((8, 6), 1.0),
            ((101, 203), 1.0),
            ((480, 640), 0.0),
        ]
    ],
    *[
        ("luma", (levels(shape, dtype), (0.299, 0.587, 0.114)), tolerance)
        for shape, dtype, tolerance in [
            ((1, 1, 3), np.uint8, 1e-4),
            ((33, 31, 3), np.uint8, 1e-4),
            ((48, 64, 3), np.uint16, 1e-4),
        ]
    ],
    *[
        ("add_change", (levels(shape), normal(shape[:ndim], 60.0), low, high), 0)
        for shape, ndim, low, high in [
            ((1, 1), 2, 0, 255),
            ((33, 31), 2, 16, 235),
            ((33, 31, 3), 2, 0, 255),
            ((33, 31, 3), 3, 0, 255),
            ((9, 7, 4), 2, 0, 255),
        ]
    ],
    ("add_change", (levels((48, 64), np.uint16, 1023), normal((48, 64), 300.0), 64, 940), 0),
    *[  # a sum that float32 rounds to the other side of a half is one level off
        ("displace", (levels(shape), normal((2, *size), 3.0), offset, step), 1)
        for shape, size, offset, step in [
            ((1, 1), (1, 1), (0.0, 0.0), (1.0, 1.0)),
            ((33, 31), (9, 8), (-3.5, 2.25), (3.84, 3.84)),
            ((9, 130, 3), (2, 40), (0.0, 0.0), (8.0, 3.3)),
        ]
    ],
    ("displace", (levels((48, 64), np.uint16, 1023), normal((2, 12, 16), 9.0), (0.0, 0.0), (4.0, 4.0), 1023), 1),
    *[
        ("upsample_scaled_add", (levels(shape), levels(shape[:2]), normal((*size, *shape[2:]), 0.1), offset), 0)
        for shape, size, offset in [
            ((1, 1), (1, 1), 0.0),
            ((2, 3, 3), (5, 7), 8.0),
            ((35, 37, 3), (36, 36), -16.0),
            ((24, 18, 4), (5, 7), 0.5),
            ((37, 1300), (3, 36), -7.125),
            ((101, 203, 3), (36, 36), 8.0),
            ((480, 640), (36, 36), -8.0),
        ]
    ],
    (
        "upsample_scaled_add",
        (levels((61, 75), np.uint16, 1023), levels((61, 75), np.uint16, 1023), normal((9, 8), 0.2), -64.0, 64, 940),
        0,
    ),
    *[
        ("local_light", (levels(shape), normal((*size, shape[2] + 1 if len(shape) > 2 else 2)), base, low), 4e-3)
        for shape, size, base, low in [
            ((1, 1), (1, 1), None, -np.inf),
            ((2, 3, 3), (5, 7), normal((1, 2), 9.0), 0.0),
            ((35, 37, 3), (36, 36), None, 0.0),
            ((24, 18, 4), (5, 7), normal((12, 9), 99.0), 3.0),
            ((37, 1300), (3, 36), normal((19, 650), 99.0), 0.0),
            ((51, 69), (36, 36), normal((26, 35), 99.0), -5.0),
            ((101, 203, 3), (36, 36), None, -np.inf),
        ]
    ],
    ("local_light", (levels((61, 75), np.uint16, 1023), normal((9, 8, 2)), normal((61, 75), 99.0), 0.0), 4e-3),
    ("upsample_add", (levels((61, 75, 3)), normal((9, 8, 3), 60.0), 16, 235), 0),
    ("upsample_add", (levels((61, 75), np.uint16, 1023), normal((9, 8), 90.0), 64, 940), 0),
    ("upsample_add", (levels((61, 75), np.uint16, 65535), normal((9, 8), 900.0), 0, 65535), 0),
    *[
        ("smooth_time", (normal(shape, 1.0, 3.0), width), 1e-6)
        for shape in [(1, 1), (7, 5), (40, 1296), (300, 1111)]
        for width in (1, 3, 15, 91)
    ],
    *[
        ("smooth_space", (normal(shape, 1.0, 3.0), sigma), 3e-6)
        for shape in [(1, 1, 1), (2, 3, 7), (5, 36, 36), (2, 129, 67), (210, 36, 36)]
        for sigma in (0.0, 1.0, 1.2, 4.0)
    ],
    *[
        ("steerable_analysis", (normal(shape), steerable(shape[1:], **options), levels), 8e-7)
        for shape, options, levels in PYRAMIDS
    ],
    *[
        ("steerable_analysis", (levels((2, 37, 29), dtype), steerable((37, 29)), [0, 1]), tolerance)
        for dtype, tolerance in [(np.uint8, 5e-5), (np.uint16, 5e-5)]
    ],
    *[
        ("steerable_synthesis", subbands(shape, plan, levels or list(range(plan.depth))), 1.5e-6)
        for shape, options, levels in PYRAMIDS
        for plan in [steerable(shape[1:], **options)]
    ],
    *[
        ("phase_difference", turned(shape, shared), 7e-7)
        for shape in [(1, 1), (3, 5), (2, 4, 7, 9), (5, 3001)]
        for shared in (False, True)
    ],
    *[
        ("accumulate_phase", (normal(shape), np.ones(shape[1:])), 4e-6)
        for shape in [(1, 1), (7, 4, 3, 5), (43, 300), (90, 3001)]
    ],
    *[
        ("shift_phase", (waves(shape), angles(shape, most), factor), tolerance)
        for shape in [(1,), (3, 5), (2, 4, 7, 9), (5, 3001)]
        for most, factor, tolerance in [(1e-3, 1.0, 7e-10), (3.2, 1.0, 2e-6), (3.2, 50.0, 6e-5)]
    ],
    *[
        ("amplitude", (waves(shape), squared), 2e-6)
        for shape in [(1,), (3, 5), (2, 4, 7, 9), (5, 3001)]
        for squared in (False, True)
    ],
    *[
        ("riesz_difference", quaternions(shape), 5e-6)  # beside half a turn, where the direction hangs by a thread
        for shape in [(1, 2, 1, 1), (1, 2, 3, 5), (2, 2, 7, 9), (3, 2, 61, 67)]
    ],
    *[
        ("riesz_shift", (quaternions(shape)[0], angles(shape, most), factor), tolerance)
        for shape in [(1, 2, 1, 1), (1, 2, 3, 5), (2, 2, 7, 9), (3, 2, 61, 67)]
        for most, factor, tolerance in [(1e-3, 1.0, 7e-10), (2.2, 1.0, 2e-6), (2.2, 50.0, 6e-5)]
    ],
    *[("riesz_amplitude", (quaternions(shape)[0],), 2e-6) for shape in [(1, 2, 1, 1), (1, 2, 3, 5), (3, 2, 61, 67)]],
    *[
        ("steerable_analysis", (normal(shape), riesz(shape[1:], octaves=octaves), None), 8e-7)
        for shape, octaves in [((1, 8, 8), 1), ((2, 33, 47), 1), ((1, 64, 96), 0.5)]
    ],
    *[
        ("steerable_synthesis", subbands(shape, riesz(shape[1:]).bands(), list(range(riesz(shape[1:]).depth))), 1.5e-6)
        for shape in [(1, 8, 8), (2, 33, 47), (1, 64, 96)]
    ],
    *[
        ("smooth_amplitude_weighted", (angles(shape, 3.0), np.abs(waves(shape)), sigma), 1e-6)
        for shape in [(1, 1), (2, 3, 7), (2, 4, 36, 37), (2, 129, 67)]
        for sigma in (0.0, 1.0, 2.0, 5.0)
    ],
]
