"""The breath's wave from y: in the passband, and whole, as it is magnified."""

from __future__ import annotations

import numpy as np
import pytest

from fastmag.kernels import cpu
from fastmag.motion.wave import beyond, breath

PASSBAND = 0.16, 0.5


def velocity(position: np.ndarray, fps: float) -> np.ndarray:
    """y, pixels per 0.1 s."""
    return np.diff(position) * fps / 10


def error(series: np.ndarray, truth: np.ndarray) -> float:
    """Relative, of series without their means."""
    truth = truth - truth.mean()
    return float(np.linalg.norm(series - series.mean() - truth) / np.linalg.norm(truth))


def test_breath_is_the_integral_of_y():
    t = np.arange(400) / 5.0
    position = 2 * np.sin(2 * np.pi * 0.3 * t)
    found = breath(velocity(position, 5.0), 5.0, PASSBAND, cpu)
    np.testing.assert_allclose(found.wave[50:-50], position[50:-50], atol=0.05)
    np.testing.assert_allclose(found.velocity[50:-50], np.diff(found.wave)[50:-50], atol=0.03)
    assert found.rate_hz == pytest.approx(0.3, abs=0.003)


@pytest.mark.parametrize("seconds", [8.0, 20.0, 90.0])
def test_what_is_magnified_has_whole_ends_and_slow_breaths(seconds):
    t = np.arange(round(10 * seconds)) / 10
    rate = np.where(t < 0.6 * seconds, 0.19, 0.25)  # near the passband's low end, then quicker
    position = np.sin(2 * np.pi * np.cumsum(rate) / 10 + 1) + 0.02 * t  # and adrift
    found, truth = breath(velocity(position, 10), 10, PASSBAND, cpu), position - 0.02 * t
    assert error(found.whole, truth) < 0.2
    assert error(found.whole, truth) < 0.6 * error(found.wave, truth)


def test_it_keeps_the_form_of_a_breath():
    t = np.arange(300) / 10
    truth = np.sin(2 * np.pi * 0.3 * t) + 0.3 * np.sin(4 * np.pi * 0.3 * t + 1)  # breathing out is slower than in
    found = breath(velocity(truth, 10), 10, PASSBAND, cpu)
    assert error(found.whole, truth) < 0.1 < 0.2 < error(found.wave, truth)


def test_what_the_passband_does_not_want_is_not_magnified():
    t = np.arange(600) / 10
    slow, quick = 3 * np.sin(2 * np.pi * 0.03 * t), 0.2 * np.sin(2 * np.pi * 2 * t)
    found = breath(velocity(np.sin(2 * np.pi * 0.3 * t) + slow + quick, 10), 10, PASSBAND, cpu)
    assert error(found.whole[100:-100], np.sin(2 * np.pi * 0.3 * t)[100:-100]) < 0.1


def test_a_clip_goes_on_as_it_was():
    t = np.arange(260) / 10
    position = np.sin(2 * np.pi * 0.25 * t) + 0.1 * t - 3
    np.testing.assert_allclose(beyond(position[:200], 60, 10.0), position[200:], atol=0.25)
    assert np.isfinite(beyond(np.zeros(30), 60, 10.0)).all() and len(beyond(np.arange(9.0), 40, 10.0)) == 40
