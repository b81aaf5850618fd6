"""VAM: what is linear over time stays as it is, what swings grows by the filter's response."""

import numpy as np
import pytest
from test_baselines_evm import COLOR, amplitudes, patch

import fastmag
from fastmag.baselines.vam import acceleration, centred, response

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("kind", ["dog", "int"])
@pytest.mark.parametrize(("frequency", "fps"), [(1.3, 30.0), (4.0, 30.0), (0.28, 30.0), (10 / 3, 60.0)])
def test_the_filter_answers_to_accelerations_alone(kind, frequency, fps):
    taps = acceleration(frequency, fps, kind)
    lag = int(np.ceil(fps / (4 * frequency)))
    assert len(taps) == 4 * lag + 1 and np.abs(taps).sum() == pytest.approx(1)
    t = np.arange(200.0)[:, None]
    np.testing.assert_allclose(centred(0.3 * t - 7, taps), 0, atol=1e-12)
    np.testing.assert_allclose(centred(t**2, taps)[2 * lag : -2 * lag].std(), 0, atol=1e-9)
    wave = np.cos(2 * np.pi * frequency / fps * t)
    expected = response(taps, frequency, fps) * wave
    np.testing.assert_allclose(centred(wave, taps)[2 * lag : -2 * lag], expected[2 * lag : -2 * lag], atol=1e-12)
    assert response(taps, frequency, fps) > 0.45


@pytest.mark.parametrize("kind", ["dog", "int"])
def test_a_colour_patch_gets_the_gain_of_the_response(kind):
    frames = patch(hertz=1.2)
    params = fastmag.VamColor(alpha=12, frequency=1.2, acceleration=kind)
    out = fastmag.magnify(frames, method=params, fps=30)
    expected = 1 + 12 * response(acceleration(1.2, 30, kind), 1.2, 30)
    np.testing.assert_allclose(amplitudes(out) / amplitudes(frames), expected, rtol=0.02)


def test_light_that_rises_steadily_is_left_alone():
    """A ramp of 60 levels in five seconds: EVM changes it by as much, VAM by the rounding of 8 bits."""
    ramp = np.linspace(0.8, 1.2, 150)[:, None, None, None] * COLOR * np.linspace(0.8, 1.2, 128)[:, None]
    dither = np.random.default_rng(4).random((96, 128, 3))
    frames = np.floor(ramp + dither).astype(np.uint8)
    vam = fastmag.magnify(frames, method=fastmag.VamColor(alpha=20), fps=30).astype(float) - frames
    evm = fastmag.magnify(frames, method=fastmag.EvmColor(alpha=20), fps=30).astype(float) - frames
    assert np.sqrt((vam**2).mean()) < 0.5 < 20 < np.sqrt((evm**2).mean())
    assert np.abs(vam.mean(axis=(1, 2))).max() < 0.2
