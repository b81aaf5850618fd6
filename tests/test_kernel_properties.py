"""What must hold for any input: properties of the kernels, and the rules of the ascent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal

from fastmag.kernels import cpu, reference

PULSE = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")


def normal(shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(shape).normal(mean, scale, shape).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 89), max_size=5), backward=st.booleans())
def test_chunks_in_turn_equal_the_whole(cuts, backward):
    X = normal((90, 131), 1.0, 3.0)
    run = cpu.bandpass_backward if backward else cpu.bandpass_forward
    whole = run(X, PULSE, np.zeros((3, 2, 131)))
    state, out = np.zeros((3, 2, 131)), np.full_like(X, np.nan)
    edges = sorted({0, 90, *cuts})
    pieces = list(itertools.pairwise(edges))
    for start, stop in reversed(pieces) if backward else pieces:
        run(X[start:stop], PULSE, state, out=out[start:stop])
    np.testing.assert_array_equal(out, whole)


frames = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))
small = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=40, deadline=None)
@given(level=st.integers(0, 255), shape=small, size=small, channels=st.sampled_from([(), (1,), (3,), (4,)]))
def test_a_constant_frame_stays_constant(level, shape, size, channels):
    frame = np.full((*shape, *channels), level, np.uint8)
    np.testing.assert_allclose(cpu.downsample_bicubic(frame, size), level, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(frame=frames, size=small)
def test_no_change_leaves_a_frame_bit_exact(frame, size):
    np.testing.assert_array_equal(cpu.upsample_add(frame, np.zeros(size, np.float32), 16, 235), frame)
    almost = np.full(size, 0.4, np.float32)
    almost[0, 0] = -0.4  # a change too small to round, so that the loops run
    np.testing.assert_array_equal(cpu.upsample_add(frame, almost / 3, 16, 235), frame)


@settings(max_examples=40, deadline=None)
@given(frame=frames, change=st.floats(-300, 300, width=32))
def test_limits_hold_and_never_move_a_pixel_against_the_change(frame, change):
    got = cpu.upsample_add(frame, np.full((3, 4), change, np.float32), 16, 235).astype(int)
    inside = (frame >= 16) & (frame <= 235)
    assert ((got[inside] >= 16) & (got[inside] <= 235)).all()
    moved = got - frame.astype(int)
    assert (moved * np.sign(change) >= 0).all()
    assert (np.abs(moved) <= abs(change) + 0.51).all()


@settings(max_examples=40, deadline=None)
@given(C=hnp.arrays(np.float32, (6, 5), elements=st.floats(2, 255, width=32)), delta=st.sampled_from([0.0, 0.5, 4.0]))
def test_undo_is_the_inverse_of_the_normalised_difference(C, delta):
    X = cpu.normalized_difference(C, delta)
    np.testing.assert_allclose(cpu.undo_normalized_difference(C[0], X, delta), C, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("ops", [reference, cpu])
def test_black_pixels_and_wild_differences_stay_finite(ops):
    black = np.array([[0, 0, -3, 5], [0, 2, 1, -9], [0, 0, 4, 4]], np.float32)
    X = ops.normalized_difference(black)
    np.testing.assert_array_equal(X[:, 0], 0)
    assert X[0, 2] == 0, "a negative denominator has no meaning"
    assert np.isfinite(X).all()
    wild = np.array([[2, -2, 1, -1]], np.float32)
    end = ops.undo_normalized_difference(np.ones(4, np.float32), wild, limit=0.5)[1]
    np.testing.assert_allclose(end, [3, 1 / 3, 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("ops", [reference, cpu])
@pytest.mark.parametrize("rule", ["vanilla", "l1", "sign", "coherent"])
def test_ascend_step_leaves_what_it_must(ops, rule):
    X, G = normal((3, 50)), normal((3, 50), 0.1)
    X[1, ::7] = 0.0
    G[2] = 0.0
    weight = np.array([1, -2, 3], np.float32)
    before = X.copy()
    assert ops.ascend_step(X, G, 0.1, rule, weight) is X, "in place"
    np.testing.assert_array_equal(X[2], before[2], "an all-zero gradient leaves its sample")
    assert (X[0] != before[0]).all()
    if rule == "sign":
        np.testing.assert_array_equal(X[1, ::7], 0.0)
        assert (np.abs(X[:2]) >= np.abs(before[:2])).all(), "a step only moves away from 0"
    if rule == "coherent":
        assert (X[1] < before[1]).all(), "the weight alone decides the direction"
    if rule != "vanilla":  # the mean is taken per sample: scaling one sample's gradient changes nothing
        again, G[0] = before.copy(), G[0] * 1000
        np.testing.assert_allclose(ops.ascend_step(again, G, 0.1, rule, weight), X, atol=1e-6)
