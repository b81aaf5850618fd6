"""Every kernel of every backend against its float64 reference."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from kernel_rows import PULSE, ROWS, levels, normal

from fastmag.errors import InputError
from fastmag.kernels import cpu, plans, reference
from fastmag.pyramids import Steerable

BACKENDS = {"cpu": cpu}


SINGLE = {np.dtype(np.float64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.complex64)}


def parts(result: np.ndarray | tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return result if isinstance(result, tuple) else (result,)


def poisoned(expected: np.ndarray) -> np.ndarray:
    """An array to write into, full of what must not survive."""
    if expected.dtype in SINGLE:
        return np.full(expected.shape, np.nan, SINGLE[expected.dtype])
    return np.full(expected.shape, 0xAA, expected.dtype)


def copies(args: tuple) -> tuple:
    return tuple(
        copies(arg) if isinstance(arg, tuple) else arg.copy() if isinstance(arg, np.ndarray) else arg for arg in args
    )


def label(row: tuple[str, tuple, float]) -> str:
    words = []
    for arg in row[1]:
        if isinstance(arg, Steerable):
            words.append(f"{arg.shape[0]}x{arg.shape[1]}x{arg.orientations}")
        elif not isinstance(arg, tuple):
            words.append("x".join(map(str, arg.shape)) if isinstance(arg, np.ndarray) else str(arg))
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
        room = tuple(map(poisoned, parts(expected)))
        got = getattr(BACKENDS[backend], name)(*tested, out=room if isinstance(expected, tuple) else room[0])
        assert all(given is written for given, written in zip(room, parts(got), strict=True))
        for before, after in zip(args, tested, strict=True):  # state excepted, inputs are left alone
            for a, b in zip(parts(before), parts(after), strict=True):
                if isinstance(a, np.ndarray) and a.dtype != np.float64:
                    np.testing.assert_array_equal(a, b)
    for exact, found in zip(parts(expected), parts(got), strict=True):
        assert np.abs(exact).max() > 0, "the judge must have something to say"
        assert found.shape == exact.shape
        if tolerance:
            np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance)
        else:
            assert_equal_but_for_ties(args, exact, found)


def assert_equal_but_for_ties(args: tuple, expected: np.ndarray, got: np.ndarray) -> None:
    """Rounded levels are equal except where the sum lies within float32 rounding of a half."""
    apart = got != expected
    assert np.abs(got.astype(int) - expected)[apart].max(initial=0) <= 1
    if args[1].shape[:2] == args[0].shape[:2]:  # add_change, and enlargements by one
        change = args[1].reshape(args[1].shape + (1,) * (args[0].ndim - args[1].ndim)).astype(np.float64)
        assert np.abs((args[0] + change) % 1.0 - 0.5)[np.broadcast_to(apart, got.shape)].max(initial=0) < 1e-4
        return
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
