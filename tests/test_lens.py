"""What the respiration network is shown, and the way back from its slope to dy/dX."""

import numpy as np
import pytest

from fastmag import phase
from fastmag.backends import get
from fastmag.motion import lens

OPS = get("cpu")


def waves(shift):
    """Frames (T, 123, 123) of waves of two wavelengths, left and right, that all move by shift (T, 2) samples."""
    y, x = np.mgrid[:123, :123].astype(np.float64)
    frames = []
    for dx, dy in shift:
        fine = np.cos(2 * np.pi * (x - dx) * 38 / 123) + np.cos(2 * np.pi * (y - dy) * 40 / 123)
        coarse = np.cos(2 * np.pi * (x - dx) * 22 / 123) + np.cos(2 * np.pi * (y - dy) * 24 / 123)
        frames.append(100 + 20 * np.where(x < 61, fine, coarse))
    return np.array(frames, np.float32)


def test_fine_and_coarse_texture_tell_the_same_velocity():
    x, through = lens.look(phase.analyse(waves([(0, 0), (0.05, -0.03)]), OPS), OPS)
    shown = lens.seen(x, through, OPS)[0]
    assert shown.shape == phase.SHAPE
    left, right = shown[:2, 20:-20, 16:48], shown[:2, 20:-20, 80:112]
    expected = np.array([0.05, -0.03]) * 4 / lens.UNIT
    for half in (left, right):
        np.testing.assert_allclose(np.median(half, axis=(1, 2)), expected, rtol=0.1)
    turned = np.abs(x[0, 0, 20:-20])
    assert np.median(turned[:, 16:48]) > 1.4 * np.median(turned[:, 80:112])  # the phases themselves do not


def test_it_shows_the_flow_and_where_there_is_texture():
    frames = waves([(0, 0), (0.1, 0.05), (0.1, 0.2)])
    frames[:, :60] = 100
    subbands = phase.analyse(frames, OPS)
    x, through = lens.look(subbands, OPS)
    shown = lens.seen(x, through, OPS)
    moved, power = lens.flow(subbands, OPS)
    np.testing.assert_allclose(shown[:, :2] * lens.UNIT, moved, atol=1e-4)
    np.testing.assert_allclose(np.expm1(shown[:, 2:]).sum(1) * lens.RIDGE, power, rtol=1e-3, atol=1e-3)
    assert shown[:, 2:, 80:110].min() > 2 and shown[:, 2:, 20:40].max() < 0.5
    assert np.abs(shown[:, :2, 20:40]).max() < 0.3
    np.testing.assert_allclose(lens.seen(-x, through, OPS), shown * np.array([-1, -1, 1, 1])[:, None, None], atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_back_is_the_transpose(seed):
    rng = np.random.default_rng(seed)
    frames = 100 + 10 * rng.standard_normal((3, 123, 123)).astype(np.float32)
    x, through = lens.look(phase.analyse(frames, OPS), OPS)
    x = np.clip(x, -0.7, 0.7)
    slope, step = (rng.standard_normal(x.shape).astype(np.float32) for _ in range(2))
    ahead, behind = (lens.seen(x + sign * 0.05 * step, through, OPS).astype(np.float64) for sign in (1, -1))
    expected = (slope * (ahead - behind)).sum() / 0.1
    got = (lens.back(slope, x, through, OPS) * step).sum(dtype=np.float64)
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-2)
    assert not lens.back(slope, np.full_like(x, 1.5), through, OPS).any()  # where X is cut y does not follow it
