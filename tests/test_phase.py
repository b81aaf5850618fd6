"""Local phase: how exact the fast angle and sine are, and what must hold for any subband."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmag.errors import InputError
from fastmag.kernels import cpu, reference, scalars
from fastmag.kernels.cpu._jit import exact_scalar, kernel, scalar

OPS = pytest.mark.parametrize("ops", [reference, cpu], ids=["reference", "cpu"])

arctangent, sine_cosine = scalar(scalars.arctangent), exact_scalar(scalars.sine_cosine)


@kernel
def _arctangents(y, x, result):
    for i in range(result.shape[0]):
        result[i] = arctangent(y[i], x[i])


@kernel
def _sines_cosines(x, sines, cosines):
    for i in range(x.shape[0]):
        sines[i], cosines[i] = sine_cosine(x[i])


def angle_of(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    result = np.full(y.shape, np.nan, np.float32)
    _arctangents(y, x, result)
    return result


def waves(*shape: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(shape).normal(0, 1, (2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def test_arctangent_is_as_exact_as_it_says():
    rng = np.random.default_rng(1)
    angle, size = rng.uniform(-np.pi, np.pi, 400_000), 10 ** rng.uniform(-12, 12, 400_000)
    x, y = (size * np.cos(angle)).astype(np.float32), (size * np.sin(angle)).astype(np.float32)
    x[:1000], y[1000:2000], x[2000:3000] = 0, 0, -y[2000:3000]  # the axes and a diagonal
    found = angle_of(y, x)
    exact = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    assert np.abs(found - exact).max() <= 5e-7
    assert found.astype(np.float64).max() <= np.pi and found.astype(np.float64).min() > -np.pi


def test_arctangent_on_the_axes_and_at_the_origin():
    y = np.float32([0, -0.0, 0, 1, -1, -1e-30, 0])
    x = np.float32([-1, -1, 1, 0, 0, -1, 0])
    half = np.pi / 2
    np.testing.assert_allclose(angle_of(y, x), [np.pi, np.pi, 0, half, -half, -np.pi, 0], atol=2e-7)


@pytest.mark.parametrize("most", [1e-3, 1, 100, 8192])
def test_sine_and_cosine_are_as_exact_as_they_say(most):
    x = np.random.default_rng(2).uniform(-most, most, 400_000).astype(np.float32)
    x[:3] = 0, most, -most
    sines, cosines = np.empty_like(x), np.empty_like(x)
    _sines_cosines(x, sines, cosines)
    assert np.abs(sines - np.sin(x.astype(np.float64))).max() <= 2e-7
    assert np.abs(cosines - np.cos(x.astype(np.float64))).max() <= 2e-7
    assert sines[0] == 0 and cosines[0] == 1


def test_the_scalars_are_plain_python_too():
    """Every backend compiles them for itself, so they may use nothing that only one of them has."""
    assert scalars.arctangent(np.float32(1), np.float32(-1)) == pytest.approx(3 * np.pi / 4, abs=5e-7)
    sine, cosine = scalars.sine_cosine(np.float32(10))
    assert (sine, cosine) == (pytest.approx(np.sin(10), abs=2e-7), pytest.approx(np.cos(10), abs=2e-7))
    assert isinstance(sine, np.float32) and isinstance(scalars.arctangent(sine, cosine), np.float32)


@OPS
def test_phase_differences_are_wrapped(ops):
    before, turn = waves(5, 400), np.linspace(-9, 9, 400)
    found = ops.phase_difference((before * np.exp(1j * turn)).astype(np.complex64), before)
    apart = (found - turn + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(apart).max() < 2e-6
    assert found.astype(np.float64).max() <= np.pi and found.astype(np.float64).min() > -np.pi
    opposite = ops.phase_difference(np.complex64([[-1, -1, 1j, 0, 3]]), np.complex64([[1, 1 - 0j, -1j, 2, 0]]))
    np.testing.assert_allclose(opposite, [[np.pi, np.pi, np.pi, 0, 0]], atol=2e-7)


@OPS
def test_a_shift_turns_back_by_the_opposite_shift(ops):
    subbands, delta = waves(3, 4, 50), np.random.default_rng(3).uniform(-9, 9, (3, 4, 50)).astype(np.float32)
    once = subbands + ops.shift_phase(subbands, delta, 2.0)
    np.testing.assert_allclose(np.abs(once), np.abs(subbands), rtol=2e-6)
    again = once + ops.shift_phase(once, delta, -2.0)
    np.testing.assert_allclose(again, subbands, atol=2e-5)
    small = np.full(subbands.shape, 1e-6, np.float32)
    np.testing.assert_allclose(ops.shift_phase(subbands, small), 1e-6j * subbands, rtol=2e-6)


def test_a_shift_may_be_written_over_the_subbands():
    subbands, delta = waves(3, 4, 50), np.ones((3, 4, 50), np.float32)
    expected = cpu.shift_phase(subbands, delta)
    assert cpu.shift_phase(subbands, delta, out=subbands) is subbands
    np.testing.assert_array_equal(subbands, expected)


@settings(max_examples=20, deadline=None)
@given(cut=st.integers(0, 40))
def test_phase_in_two_chunks_accumulates_as_the_whole(cut):
    steps = np.random.default_rng(4).uniform(-3, 3, (40, 3, 700)).astype(np.float32)
    state, whole = np.zeros((3, 700)), cpu.accumulate_phase(steps, np.zeros((3, 700)))
    pieces = [cpu.accumulate_phase(steps[:cut], state), cpu.accumulate_phase(steps[cut:], state)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_allclose(state, steps.sum(0, dtype=np.float64), atol=1e-12)


def test_accumulated_phase_does_not_drift():
    """A float32 sum of an hour of small steps is off by what magnification makes visible; the state is float64."""
    steps, state = np.full((20_000, 1), 0.1, np.float32), np.zeros(1)
    last = cpu.accumulate_phase(steps, state)[-1]
    assert abs(last[0] - 20_000 * np.float64(np.float32(0.1))) < 1e-4
    assert abs(np.cumsum(steps, axis=0, dtype=np.float32)[-1, 0] - 2000) > 1e-2


@OPS
def test_weighted_smoothing_keeps_what_is_even_and_ignores_what_is_weak(ops):
    amplitude = np.abs(waves(2, 30, 41))
    even = np.full((2, 30, 41), -1.25, np.float32)
    np.testing.assert_allclose(ops.smooth_amplitude_weighted(even, amplitude, 2.0), -1.25, rtol=1e-6)
    wild = even.copy()
    amplitude[:, 10:12, 7:9], wild[:, 10:12, 7:9] = 0, 3.0
    np.testing.assert_allclose(ops.smooth_amplitude_weighted(wild, amplitude, 2.0), -1.25, rtol=1e-6)
    assert not ops.smooth_amplitude_weighted(even, 0 * amplitude, 2.0).any(), "no amplitude, no phase"
    np.testing.assert_allclose(
        ops.smooth_amplitude_weighted(wild, np.ones_like(wild), 2.0), ops.smooth_space(wild, 2.0), atol=1e-6
    )


def test_smoothing_may_be_written_over_either_input():
    phase, amplitude = np.angle(waves(3, 20, 31)), np.abs(waves(3, 20, 31))
    expected = cpu.smooth_amplitude_weighted(phase, amplitude, 1.5)
    for over in (phase.copy(), amplitude.copy()):
        inputs = (over, amplitude) if (over == phase).all() else (phase, over)
        assert cpu.smooth_amplitude_weighted(*inputs, 1.5, out=over) is over
        np.testing.assert_array_equal(over, expected)


def test_bad_arguments_are_refused_in_the_callers_terms():
    subbands = waves(3, 4, 5)
    with pytest.raises(InputError, match="before must be"):
        cpu.phase_difference(subbands, subbands[:2])
    with pytest.raises(InputError, match="state must be"):
        cpu.accumulate_phase(subbands.real, np.zeros((4, 5), np.float32))
    with pytest.raises(InputError, match="delta must be"):
        cpu.shift_phase(subbands, np.zeros((4, 5)))
    with pytest.raises(InputError, match="amplitude must be"):
        cpu.smooth_amplitude_weighted(subbands.real, np.ones((4, 5)), 1.0)
