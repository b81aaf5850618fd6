"""Waves that go on beyond the ends of a clip."""

import numpy as np
import pytest

from fastmag.coherent import ends
from fastmag.coherent.wave import comb

FPS = 30.0


def beats(seconds, rate=1.2, start=0.0):
    """A wave with a second harmonic (T,)."""
    phase = 2 * np.pi * rate * (start + np.arange(int(seconds * FPS)) / FPS)
    return np.cos(phase) + 0.4 * np.cos(2 * phase - 0.9)


def test_what_is_foretold_is_what_comes():
    wave = beats(16) + np.random.default_rng(0).normal(0, 0.02, 480)
    ahead = ends.foretold(wave[:420], 60, 60)
    assert np.corrcoef(ahead, beats(2, start=14))[0, 1] > 0.99


@pytest.mark.parametrize("rate", [0.75, 1.2, 2.4])
def test_both_ends_are_continued_and_unsure_samples_replaced(rate):
    wave = beats(12, rate)
    broken = wave.copy()
    broken[:10], broken[-10:] = 3.0, -3.0
    longer = ends.continued(np.stack([broken, wave]), 90, FPS)
    truth = beats(18, rate, start=-3)
    assert longer.shape == (2, 540)
    assert np.abs(longer - truth).max() < 0.3
    np.testing.assert_array_equal(longer[0, 100:-100], broken[10:-10])


def test_what_is_foretold_never_grows():
    noise = np.random.default_rng(1).normal(size=400)
    noise *= np.linspace(0.1, 3, 400)  # a series that has been growing all the time
    assert np.abs(ends.foretold(noise, 2000, 60)[1000:]).max() < np.abs(noise).max()


@pytest.mark.parametrize("count", [1, 12, 25, 100])
def test_short_and_dead_series_are_survived(count):
    short = ends.continued(np.random.default_rng(2).normal(size=(3, count)), 150, FPS)
    assert short.shape == (3, count + 300) and not short[:, :150].any()
    assert not ends.continued(np.zeros((1, 600)), 150, FPS).any()


def test_the_comb_is_as_right_at_the_ends_as_within():
    wave = beats(20) + np.random.default_rng(3).normal(0, 0.3, 600)
    off = comb(wave, FPS, 1.2) - beats(20)
    at_ends, within = np.concatenate([off[:30], off[-30:]]).std(), off[90:-90].std()
    assert at_ends < 3 * within and at_ends < 0.15
