"""Filter design and the time axis."""

import numpy as np
import pytest
from scipy.signal import sosfreqz

from fastmag.errors import InputError
from fastmag.temporal import butterworth, check_passband, ideal, resample, shortest


def test_butterworth_has_six_poles_and_half_power_at_the_edges():
    sections = butterworth((0.7, 2.5), 30.0)
    assert sections.shape == (3, 6)
    _, response = sosfreqz(sections, [0.7, 1.3, 2.5, 0.1, 10.0], fs=30.0)
    gain = np.abs(response) ** 2
    np.testing.assert_allclose(gain[[0, 2]], 0.5, rtol=1e-6)
    assert gain[1] > 0.99 and gain[3:].max() < 1e-3


@pytest.mark.parametrize(
    ("passband", "word"), [((2.5, 0.7), "swap"), ((0.0, 1.0), "above 0"), ((0.7, 15.0), "half the frame rate")]
)
def test_a_passband_that_does_not_fit_is_refused(passband, word):
    with pytest.raises(InputError, match=word):
        check_passband(passband, 30.0)


def test_shortest_is_two_periods_of_the_low_end():
    assert shortest((0.5, 2.0), 30.0) == 121


def test_resample_is_exact_on_straight_lines_and_holds_the_ends():
    times = np.array([0.0, 0.1, 0.35, 0.4])
    series = np.stack([3 * times, -times], 1).astype(np.float32)
    at = np.array([-1.0, 0.05, 0.2, 0.4, 2.0])
    held = np.clip(at, 0, 0.4)
    np.testing.assert_allclose(resample(series, times, at), np.stack([3 * held, -held], 1), atol=1e-6)
    np.testing.assert_array_equal(resample(series[:1], times[:1], at), np.repeat(series[:1], 5, axis=0))


def test_the_ideal_filter_keeps_the_amplitude_of_the_band_alone():
    t = np.arange(300) / 30.0
    series = (50 + 3 * np.cos(2 * np.pi * 1.0 * t + 0.4) + 2 * np.cos(2 * np.pi * 3.0 * t)).astype(np.float32)[:, None]
    expected = (3 * np.cos(2 * np.pi * 1.0 * t + 0.4))[:, None]
    np.testing.assert_allclose(ideal((1.0, 2.0), series, 30.0), expected, atol=1e-4)
    np.testing.assert_allclose(ideal((0.9, 2.0), series, 30.0, one_sided=True), expected / 2, atol=1e-4)
    np.testing.assert_allclose(ideal((0.9, 2.0), series[:299], 30.0)[30:-30], expected[30:269], atol=0.3)
    with pytest.raises(InputError, match="longer clip"):
        ideal((1.0, 1.05), series, 30.0, one_sided=True)
