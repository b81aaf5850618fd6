"""Three witnesses make one wave: better than the best of them, at the right size, and blind to the worst."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fastmag.coherent import amplitude, fusion, regression
from fastmag.coherent.wave import filtered, mean_rate, wide
from fastmag.kernels import cpu
from fastmag.temporal import butterworth

FPS, BAND = 30.0, (0.7, 2.5)
IN_BAND = partial(filtered, passband=BAND, fps=FPS, bandpass=cpu.bandpass)


def heart(rng, seconds=20.0, rate=1.15):
    """A wave with a second harmonic whose rate wanders by a few percent: (T,), unit standard deviation."""
    n = int(seconds * FPS)
    wander = np.convolve(rng.normal(size=n + 120), np.hanning(120) / 60, "valid")[:n] * 0.04
    phase = 2 * np.pi * np.cumsum(rate * (1 + wander)) / FPS
    wave = np.cos(phase) + 0.4 * np.cos(2 * phase - 0.9)
    return wave / wave.std()


def agreement(a, b):
    return np.corrcoef(a[15:-15], b[15:-15])[0, 1]


def in_the_pulse_range(rng, n, size):
    noise = filtered(rng.normal(size=n), (0.6, 8.0), FPS, cpu.bandpass)
    return size * noise / noise.std()


@pytest.mark.parametrize("seed", range(3))
def test_the_fused_wave_is_better_than_every_witness(seed):
    rng = np.random.default_rng(seed)
    wave = heart(rng)
    series = np.stack([wave + in_the_pulse_range(rng, len(wave), size) for size in (0.8, 0.5, 0.6)])
    fused = fusion.fuse(series, wave, IN_BAND, FPS, mean_rate(wave, FPS, BAND))
    best = max(agreement(s, wave) for s in series)
    assert best < 0.92
    assert agreement(fused, wave) > 0.97
    assert np.std(fused) == pytest.approx(1, abs=0.12)


def test_without_noise_the_wave_is_kept_as_it_is():
    """Its wandering rate and its harmonics too: the comb opens where nothing has to be kept out."""
    wave = heart(np.random.default_rng(5))
    fused = fusion.fuse(np.stack([wave, wave, wave]), wave, IN_BAND, FPS, 1.15)
    assert agreement(fused, wave) > 0.998


def test_a_witness_that_knows_nothing_is_not_heard():
    rng = np.random.default_rng(6)
    wave = heart(rng)
    good = np.stack([wave + in_the_pulse_range(rng, len(wave), 0.3) for _ in range(2)])
    liar = 0.05 * wave + in_the_pulse_range(rng, len(wave), 1.0)
    alone = fusion.fuse(good, wave, IN_BAND, FPS, 1.15)
    all_three = fusion.fuse(np.stack([*good, liar]), wave, IN_BAND, FPS, 1.15)
    assert agreement(all_three, wave) > agreement(alone, wave) - 0.003


def test_witnesses_are_brought_to_one_size():
    """Units do not matter: each witness is scaled to the first p."""
    rng = np.random.default_rng(7)
    wave = heart(rng)
    series = np.stack([wave + in_the_pulse_range(rng, len(wave), 0.4) for _ in range(3)])
    one = fusion.fuse(series, wave, IN_BAND, FPS, 1.15)
    other = fusion.fuse(series * np.array([[1.0], [1e-3], [40.0]]), wave, IN_BAND, FPS, 1.15)
    np.testing.assert_allclose(other, one, atol=1e-6)


@pytest.mark.parametrize("rate", [0.72, 2.4])
def test_slow_and_fast_hearts_have_surroundings_too(rate):
    rng = np.random.default_rng(8)
    wave = heart(rng, rate=rate)
    series = np.stack([wave + in_the_pulse_range(rng, len(wave), 0.5) for _ in range(3)])
    fused = fusion.fuse(series, wave, IN_BAND, FPS, rate)
    assert np.isfinite(fused).all() and agreement(fused, wave) > 0.94


def test_nothing_in_gives_the_first_p_back():
    p = heart(np.random.default_rng(9))
    np.testing.assert_array_equal(fusion.fuse(np.zeros((3, len(p))), p, IN_BAND, FPS, 1.15), p)


def test_least_noise_is_the_minimum_variance_of_independent_noises():
    rng = np.random.default_rng(10)
    size = np.array([1.0, 2.0, 4.0])
    gap = size[:, None] * (rng.normal(size=(3, 4000)) + 1j * rng.normal(size=(3, 4000)))
    share = fusion.least_noise(gap, np.zeros((3, 5)))
    np.testing.assert_allclose(share, size**-2 / (size**-2).sum(), atol=0.02)


@pytest.mark.parametrize(
    ("agrees", "z", "rate", "expected"),
    [
        (0.98, 30.0, 1.1, 1.0),
        (0.4, 4.0, 1.1, 0.0),
        (0.98, 30.0, 0.71, 0.0),
        (0.98, 30.0, 2.45, 0.0),
        (0.85, 1.1, 1.1, 0.5),
    ],
)
def test_a_pulse_is_present_where_cells_follow_the_network(agrees, z, rate, expected):
    assert amplitude.presence(agrees, z, rate, BAND) == pytest.approx(expected, abs=0.01)


def test_an_instrument_takes_out_the_noise_that_p_shares_with_the_skin():
    """p that took half of the noise of the skin is followed too well; another witness tells the true size."""
    rng = np.random.default_rng(11)
    wave = IN_BAND(heart(rng, seconds=60.0))
    noise, other = (IN_BAND(in_the_pulse_range(rng, len(wave), 2.0)) for _ in range(2))
    p, witness, weight = wave + 0.5 * noise, wave + other, np.ones(len(wave))
    signal = 0.003 * (wave + noise)[:, None] * regression.V
    too_large, right = (amplitude.regress(signal, weight, p, FPS, by)[0][1] / 0.003 for by in (None, witness))
    assert too_large > 1.15 > 1.08 > right > 0.92


def test_a_filter_around_what_is_known_is_not_disturbed_by_the_ends():
    """Cells that beat, and drift, filtered with a wave and a slope that are only about right."""
    rng = np.random.default_rng(9)
    wave = heart(rng)
    truth = 0.01 * wave[:, None, None, None] * np.ones((1, 2, 3, 3))
    log = (truth + 0.002 * np.linspace(-1, 1, len(wave))[:, None, None, None] + 4).astype(np.float32)
    skin, slope, read = np.ones((len(wave), 2, 3), np.float32), np.full(3, 0.008), wave + rng.normal(0, 0.1, len(wave))

    def off(found):
        return np.sqrt(np.mean((found - truth)[[*range(10), *range(-10, 0)]] ** 2))

    alone = cpu.bandpass(log, butterworth(wide(FPS), FPS))
    assert off(fusion.around(log.copy(), read, skin, slope, FPS, cpu)) < 0.5 * off(alone)
