"""The coherent form step by step, on series whose answer is known."""

import numpy as np
import pytest

from fastmag import deepmag
from fastmag.coherent import amplitude, regression, seed
from fastmag.coherent.estimate import estimate
from fastmag.coherent.skin import SkinColour, skin_map
from fastmag.coherent.wave import comb, dominant_rate, filtered, mean_rate, pulse_wave
from fastmag.kernels import cpu
from fastmag.temporal import butterworth

FPS, BAND = 30.0, (0.7, 2.5)


def heart(seconds=20.0, rate=1.15, drift=0.0):
    """A pulse wave with a second harmonic: (T,), unit standard deviation, and its mean rate."""
    t = np.arange(int(seconds * FPS)) / FPS
    phase = 2 * np.pi * (rate * t + drift * t**2 / 2)
    wave = np.cos(phase) + 0.4 * np.cos(2 * phase - 0.9)
    return wave / wave.std(), (phase[-1] - phase[0]) / (2 * np.pi * t[-1])


@pytest.mark.parametrize("rate", [0.75, 1.15, 1.9, 2.4])
@pytest.mark.parametrize("drift", [0.0, 0.004])
def test_rates_are_read_to_half_a_beat(rate, drift):
    wave, truth = heart(rate=rate, drift=drift)
    noisy = wave + np.random.default_rng(0).normal(0, 0.3, len(wave))
    assert 60 * abs(mean_rate(noisy, FPS, (0.7, 2.7)) - truth) < 0.5
    assert 60 * abs(dominant_rate(noisy, FPS, (0.7, 2.7)) - truth) < 4


def test_the_comb_finds_the_wave_in_noise_that_a_passband_keeps():
    wave, _ = heart()
    rng = np.random.default_rng(1)
    y = np.diff(wave) + rng.normal(0, 0.25, len(wave) - 1)
    found = pulse_wave(y, FPS, BAND, cpu.bandpass)
    plain = filtered(np.concatenate([[0], np.cumsum(y - y.mean())]), BAND, FPS, cpu.bandpass)
    assert found.p.std() == pytest.approx(1, abs=1e-6)
    assert np.corrcoef(found.p, wave)[0, 1] > max(0.97, np.corrcoef(plain, wave)[0, 1] + 0.02)
    assert 60 * found.rate_hz == pytest.approx(69, abs=0.5)


def test_confidence_is_low_for_noise_and_high_for_a_pulse():
    rng = np.random.default_rng(2)
    noise = [pulse_wave(rng.normal(size=599), FPS, BAND, cpu.bandpass).confidence for _ in range(8)]
    wave, _ = heart()
    pulse = pulse_wave(np.diff(wave) + rng.normal(0, 0.1, len(wave) - 1), FPS, BAND, cpu.bandpass).confidence
    assert np.median(noise) < 0.75 < 0.9 < pulse


def test_the_comb_keeps_nothing_between_the_teeth():
    t = np.arange(900) / FPS
    between = np.sin(2 * np.pi * 1.75 * t)
    assert np.std(comb(between, FPS, 1.2)) < 0.05


def test_solve_is_the_inverse():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(4, 5, 3, 3))
    s = root @ root.transpose(0, 1, 3, 2) + 0.1 * np.eye(3)
    entries = {(a, b): s[..., a, b] for a in range(3) for b in range(a, 3)}
    expected = np.linalg.solve(s, np.broadcast_to(regression.V, (4, 5, 3))[..., None])[..., 0]
    np.testing.assert_allclose(np.stack(regression.solve(entries), -1), expected, rtol=1e-6)


@pytest.mark.parametrize("n", [100, 101])
def test_quadrature_turns_cosines_into_sines(n):
    t = 2 * np.pi * 7 * np.arange(n) / n
    np.testing.assert_allclose(amplitude.quadrature(np.cos(t)), np.sin(t), atol=1e-12)


def test_skin_colour_is_the_mean_of_its_colour():
    """Two colours, one of them seeded in half of its cells: both halves get the same answer, the other colour none."""
    cells = np.full((8, 12, 12, 3), (90.0, 95.0, 100.0), np.float32)
    cells[:, :, 6:] = (190.0, 140.0, 115.0)
    start = np.zeros((8, 12, 12), np.float32)
    start[:, :6, 6:] = 1
    rng = np.random.default_rng(4)
    found = SkinColour(np.log(cells * (1 + rng.normal(0, 0.01, cells.shape)).astype(np.float32)))(start)
    assert found[:, :, 6:].min() > 0.3 and found[:, :, :6].max() < 0.05
    spread = skin_map(start, np.ones_like(start), SkinColour(np.log(cells)))
    assert spread[:, 6:, 6:].min() > 0.8 and spread[:, :, :6].max() < 0.05


def scene(beta=(0.0012, 0.003, 0.0019), sway=0.0, noise=0.25, seconds=20.0):
    """Cells of a shaded disc of skin on a wall, whose pulse has relative amplitudes beta, and that may sway with it."""
    rng = np.random.default_rng(5)
    wave, _ = heart(seconds)
    y, x = np.mgrid[:36, :36].astype(float)
    cells = np.empty((len(wave), 36, 36, 3), np.float32)
    for t, p in enumerate(wave):
        centre = 17.5 + sway * p
        inside = np.clip((11 - np.hypot(y - 18, x - centre)) / 2 + 0.5, 0, 1)[..., None]
        shade = (1 + 0.02 * (x - centre) + 0.1 * np.cos(0.6 * (x - centre)))[..., None]
        skin = np.array([190.0, 140.0, 115.0]) * shade * (1 + np.array(beta) * p)
        cells[t] = inside * skin + (1 - inside) * np.array([80.0, 90.0, 100.0])
    mask = np.hypot(y - 18, x - 17.5) < 10
    return cells + rng.normal(0, noise, cells.shape).astype(np.float32), wave, mask


def answers(wave, mask, clutter=0.2):
    """y and the share of |dy/dX| of a fair network: a noisy derivative, and a map that is half right."""
    rng = np.random.default_rng(6)
    y = np.diff(wave) + rng.normal(0, 0.15, len(wave) - 1)
    share = mask * rng.uniform(0.3, 2.5, (len(wave), 36, 36)) + clutter * rng.uniform(0, 1, (len(wave), 36, 36))
    return y.astype(np.float32), (share / share.mean((1, 2), keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("beta", [(0.0012, 0.003, 0.0019), (0.0004, 0.0012, 0.0009)])
@pytest.mark.parametrize("sway", [0.0, 0.03])
def test_the_estimate_finds_amplitude_and_place(beta, sway):
    """alpha means what it says: in green within 15 %, or 25 % where a head that sways with the beat mimics a pulse."""
    cells, wave, mask = scene(beta, sway)
    found = estimate(cells, *answers(wave, mask), FPS, BAND, cpu)
    change = found.change(cells, 10.0)
    assert found.presence == 1 and np.corrcoef(found.wave.p, wave)[0, 1] > 0.97
    relative = change[:, mask] / np.maximum(cells[:, mask], 1)
    for c in range(3):
        gain = relative[..., c].mean(1) @ wave / (wave @ wave) / (10 * beta[c])
        apart = (0.25 if sway else 0.15) if c == 1 else 0.5
        assert abs(gain - 1) < apart, (c, gain)
    assert np.sqrt((change[:, ~mask] ** 2).mean()) < 0.25 * np.sqrt((change[:, mask] ** 2).mean())


def test_alpha_scales_the_change_and_zero_is_none():
    cells, wave, mask = scene(seconds=10.0)
    found = estimate(cells, *answers(wave, mask), FPS, BAND, cpu)
    np.testing.assert_allclose(found.change(cells, 20.0), 2 * found.change(cells, 10.0), rtol=1e-5)
    assert not found.change(cells, 0.0).any()


def test_without_a_pulse_nothing_to_speak_of_is_added():
    cells, wave, mask = scene(beta=(0, 0, 0))
    rng = np.random.default_rng(7)
    _, share = answers(wave, mask)
    found = estimate(cells, rng.normal(size=len(wave) - 1).astype(np.float32), share, FPS, BAND, cpu)
    assert np.sqrt((found.change(cells, 10.0) ** 2).mean()) < 0.1


def test_black_frames_and_dead_gradients_are_survived():
    cells = np.zeros((200, 36, 36, 3), np.float32)
    found = estimate(cells, np.zeros(199, np.float32), np.zeros((200, 36, 36), np.float32), FPS, BAND, cpu)
    assert found.presence == 0 and not found.change(cells, 10.0).any()


def test_cells_below_black_are_survived():
    """A bicubic undershoots beside an edge to black, by more than the offset of the logarithm."""
    cells, wave, mask = scene(seconds=10.0)
    cells[:, :4] = -6.0
    found = estimate(cells, *answers(wave, mask), FPS, BAND, cpu)
    assert np.isfinite(found.beta).all() and np.isfinite(found.change(cells, 10.0)).all() and found.presence == 1


def test_saturate_and_gate_stay_in_range():
    share = np.random.default_rng(8).exponential(1, (40, 36, 36)).astype(np.float32)
    share[:, :, :20] *= 0.05
    start = seed.saturate(seed.nearness(share, cpu))
    assert start.min() >= 0 and start.max() <= 1 and start.std() > 0.05
    near = seed.gate(start, cpu)
    assert near.min() >= 0 and near.max() <= 1


def test_evidence_prefers_the_pulse_over_light():
    """The combined signal keeps the pulse's colour and drops a flicker of the light that is ten times as strong."""
    cells, wave, mask = scene(noise=0.1)
    rng = np.random.default_rng(9)
    flicker = filtered(rng.normal(size=len(wave)), BAND, FPS, cpu.bandpass)
    cells = cells * (1 + 0.03 * flicker / flicker.std())[:, None, None, None].astype(np.float32)
    log_band = cpu.bandpass(np.log(cells + np.float32(4)), butterworth(BAND, FPS))
    p = filtered(wave, BAND, FPS, cpu.bandpass)
    evidence = regression.weigh(cells, log_band, p, FPS, cpu)
    combined = (evidence.combined / evidence.precision)[:, mask].mean(1)
    assert np.corrcoef(combined, p)[0, 1] > 0.9 > 0.3 > np.corrcoef(log_band[:, mask].mean((1, 2)), p)[0, 1]


class Sum:
    """A network whose y is the mean of X: odd in X, with the same slope everywhere."""

    def predict(self, x):
        assert len(x), "a network is never asked about no frames"
        return x.mean(axis=(1, 2, 3))

    def gradient(self, x):
        return self.predict(x), np.full_like(x, 1 / x[0].size)


@pytest.mark.parametrize("count", [64, 65, 66, 67, 68, 129, 130, 450])
def test_any_number_of_frames_is_read(count):
    cells = np.random.default_rng(count).uniform(20, 200, (count, 36, 36, 3)).astype(np.float32)
    y, share = deepmag.read_pulse(cells, FPS, Sum(), cpu)
    assert share.shape == (count, 36, 36) and np.allclose(share, 1, atol=1e-5)
    assert np.allclose(y, deepmag.differences(cells, cpu).mean(axis=(1, 2, 3)), atol=1e-6)
