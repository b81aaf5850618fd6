"""Every kernel of every backend against its float64 reference."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy import signal

from fastmag.errors import InputError
from fastmag.kernels import cpu, plans, reference

BACKENDS = {"cpu": cpu}
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
]


def poisoned(expected: np.ndarray, dtype: type) -> np.ndarray:
    """An array to write into, full of what must not survive."""
    if np.issubdtype(dtype, np.floating):
        return np.full(expected.shape, np.nan, dtype)
    return np.full(expected.shape, 0xAA, dtype)


def copies(args: tuple) -> tuple:
    return tuple(arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args)


def label(row: tuple[str, tuple, float]) -> str:
    words = ["x".join(map(str, arg.shape)) if isinstance(arg, np.ndarray) else str(arg) for arg in row[1]]
    return "-".join([row[0], *words])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=label)
def test_kernel_equals_its_reference(row, backend):
    name, args, tolerance = row
    judged, tested = copies(args), copies(args)
    if name == "ascend_step":  # works in place: the judge gets float64
        expected = reference.ascend_step(judged[0].astype(np.float64), *judged[1:])
        expected, got = expected - args[0], BACKENDS[backend].ascend_step(*tested) - np.float64(args[0])
    else:
        expected = getattr(reference, name)(*judged)
        dtype = np.float32 if expected.dtype == np.float64 else expected.dtype
        got = getattr(BACKENDS[backend], name)(*tested, out=poisoned(expected, dtype))
        assert got.dtype == dtype
        for before, after in zip(args, tested, strict=True):  # state excepted, inputs are left alone
            if isinstance(before, np.ndarray) and before.dtype != np.float64:
                np.testing.assert_array_equal(before, after)
    assert np.abs(expected).max() > 0, "the judge must have something to say"
    assert got.shape == expected.shape
    if tolerance:
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)
    else:
        assert_equal_but_for_ties(args, expected, got)


def assert_equal_but_for_ties(args: tuple, expected: np.ndarray, got: np.ndarray) -> None:
    """Rounded levels are equal except where the sum lies within float32 rounding of a half."""
    apart = got != expected
    assert np.abs(got.astype(int) - expected)[apart].max(initial=0) <= 1
    spacing = args[4] if len(args) > 4 else (None, None)
    rows = plans.interpolating(args[1].shape[0], args[0].shape[0], spacing[0])
    columns = plans.interpolating(args[1].shape[1], args[0].shape[1], spacing[1])
    change = args[1].astype(np.float64)
    change = np.einsum("yk,yk...->y...", rows[1], change[rows[0]])
    change = np.einsum("xk,yxk...->yx...", columns[1], change[:, columns[0]])
    off_tie = np.abs((args[0] + change) % 1.0 - 0.5)
    assert off_tie[apart].max(initial=0) < np.spacing(np.float32(args[0].max() + np.abs(change).max())) * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_backends_have_the_same_doors(backend):
    for name in reference.__all__:
        assert inspect.signature(getattr(BACKENDS[backend], name)) == inspect.signature(getattr(reference, name))
    assert {row[0] for row in ROWS} == set(reference.__all__), "every kernel needs a row in the table"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["bandpass_forward", "bandpass_backward"])
def test_state_is_carried(backend, name):
    X, state, expected = normal((50, 7), 1.0, 3.0), np.ones((3, 2, 7)), np.ones((3, 2, 7))
    getattr(BACKENDS[backend], name)(X, PULSE, state)
    getattr(reference, name)(X, PULSE, expected)
    np.testing.assert_allclose(state, expected, atol=1e-12)


def test_the_result_may_be_written_over_the_input():
    X, maps, frame, change = normal((70, 411)), normal((9, 20, 30)), levels((60, 70)), normal((5, 6), 9.0)
    state = np.zeros((3, 2, 411))
    calls: list[tuple] = [
        (cpu.bandpass, X, (PULSE,)),
        (cpu.bandpass_forward, X, (PULSE, state)),
        (cpu.bandpass_backward, X, (PULSE, state)),
        (cpu.smooth_time, X, (9,)),
        (cpu.smooth_space, maps, (1.2,)),
        (cpu.upsample_add, frame, (change,)),
    ]
    for kernel, x, rest in calls:
        expected = kernel(x, *copies(rest))
        over = x.copy()
        assert kernel(over, *copies(rest), out=over) is over
        np.testing.assert_array_equal(over, expected)


def test_threads_do_not_change_the_result():
    X, maps = normal((70, 4111)), normal((300, 36, 36))
    try:
        results = []
        for count in (1, 3):
            cpu.set_threads(count)
            results.append(
                [
                    cpu.bandpass(X, PULSE),
                    cpu.undo_normalized_difference(X[0], X * 0.01),
                    cpu.normalized_difference(X),
                    cpu.ascend_step(X.copy(), X, 0.1, "sign"),
                    cpu.smooth_time(X, 9),
                    cpu.smooth_space(maps, 1.2),
                ]
            )
    finally:
        cpu.set_threads(None)
    for one, several in zip(*results, strict=True):
        np.testing.assert_array_equal(one, several)


def test_bad_arguments_are_refused_in_the_callers_terms():
    frame, X = levels((4, 4)), normal((3, 4))
    with pytest.raises(InputError, match="uint8 or uint16"):
        cpu.downsample_bicubic(frame.astype(np.float32), (2, 2))
    with pytest.raises(InputError, match="channels"):
        cpu.upsample_add(frame, normal((2, 2, 3)))
    with pytest.raises(InputError, match="rule must be one of"):
        cpu.ascend_step(X, X, 0.1, "l2")
    with pytest.raises(InputError, match="out must be"):
        cpu.ascend_step(X.astype(np.float64), X, 0.1, "l1")
    with pytest.raises(InputError, match="out must be"):
        cpu.bandpass(X, PULSE, out=np.empty((4, 3), np.float32))
    with pytest.raises(InputError, match="state must be"):
        cpu.bandpass_forward(X, PULSE, np.zeros((3, 2, 5)))
    with pytest.raises(InputError, match="odd"):
        cpu.smooth_time(X, 4)
    with pytest.raises(InputError, match="first"):
        cpu.undo_normalized_difference(X[0, :3], X)
