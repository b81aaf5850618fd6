"""Phase-based EVM and VAM: textures that move by known amounts."""

import numpy as np
import pytest

import fastmag
from fastmag.baselines import phase_evm
from fastmag.baselines.vam import acceleration, response
from fastmag.kernels import cpu, reference
from fastmag.sources import ArraySink, ArraySource
from fastmag.temporal import windowed
from fastmag.video import read_rgb, write_rgb

pytestmark = pytest.mark.filterwarnings("error")
SIZE = (64, 96)


def texture(seed=0, shortest=10.0, longest=32.0, slope=0.7):
    """Spectrum of a random texture that repeats beyond its edges, and its mask: waves of so many pixels, along x or at
    most atan(slope) from it, 35 degrees."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(SIZE[0])[:, None], np.fft.rfftfreq(SIZE[1])
    radius = np.hypot(y, x)
    mask = (radius > 1 / longest) & (radius < 1 / shortest) & (np.abs(y) <= slope * np.maximum(x, 1e-12))
    picture = np.fft.irfft2(np.where(mask, np.fft.rfft2(rng.normal(size=SIZE)), 0), SIZE)
    return np.fft.rfft2(120 + 35 * picture / picture.std()), mask


def moved(shift, seed=0, dither_seed=1, slope=0.7):
    """(T, H, W, 3) uint8: a texture at the positions `shift` (T,), pixels to the right, with a dither that stays."""
    spectrum, _ = texture(seed, slope=slope)
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(SIZE[1]) * np.asarray(shift)[:, None, None])
    pictures = np.fft.irfft2(spectrum * turns, SIZE)
    dither = np.random.default_rng(dither_seed).random((*SIZE, 3))
    return np.clip(np.floor(pictures[..., None] + dither), 0, 255).astype(np.uint8)


def shift_of(frames, seed=0, slope=0.7):
    """The texture's position (T,) by least squares on the phases of its waves, the mean removed."""
    _, mask = texture(seed, slope=slope)
    spectra = np.fft.rfft2(frames[..., 1].astype(float))[:, mask]
    f = np.broadcast_to(np.fft.rfftfreq(SIZE[1]), mask.shape)[mask]
    steps = np.angle(spectra[1:] * np.conj(spectra[:-1]))
    weight = np.abs(spectra[:-1]) ** 2
    step = -(weight * f * steps).sum(1) / (2 * np.pi * (weight * f * f).sum(1))
    position = np.r_[0, np.cumsum(step)]
    return position - position.mean()


def wave(count, hertz, size, fps=30.0):
    return size * np.sin(2 * np.pi * hertz * np.arange(count) / fps)


@pytest.mark.parametrize(
    ("pyramid", "temporal"),
    [*((p, t) for p in ("octave", "half-octave") for t in ("ideal", "fir")), ("quarter-octave", "ideal")],
)
def test_a_texture_moves_as_far_as_asked(pyramid, temporal):
    frames = moved(wave(60, 3.0, 0.1))
    params = fastmag.PhaseEvm(alpha=9, temporal=temporal, passband=(1.5, 4.5), pyramid=pyramid, sigma=2)
    before, after = shift_of(frames), shift_of(fastmag.magnify(frames, method=params, fps=30))
    assert before @ after / (before @ before) == pytest.approx(10, rel=0.05)
    assert np.corrcoef(before, after)[0, 1] > 0.998


def test_what_swings_outside_the_band_stays_or_is_held():
    slow, fast = wave(120, 0.5, 0.3), wave(120, 3.0, 0.1)
    frames = moved(slow + fast)
    for attenuate, expected in ((False, slow + 10 * fast), (True, 9 * fast)):
        params = fastmag.PhaseEvm(alpha=9, temporal="ideal", passband=(2, 4), attenuate=attenuate, sigma=2)
        after = shift_of(fastmag.magnify(frames, method=params, fps=30))
        assert expected @ after / (expected @ expected) == pytest.approx(1, rel=0.05)
        assert np.corrcoef(expected, after)[0, 1] > 0.99


def test_a_still_clip_keeps_its_bits():
    frames = np.repeat(moved([0.0]), 100, axis=0)
    out = fastmag.magnify(frames, method=fastmag.PhaseEvm(alpha=50, passband=(1, 2)), fps=30)
    np.testing.assert_array_equal(out, frames)


def same_as_reference(magnify, frames, params):
    """Assert that a pipeline over the fast kernels is, within rounding, that over the float64 ones, and not idle."""
    results = []
    for ops in (cpu, reference):
        source = ArraySource(frames, 30)
        sink = ArraySink(source)
        magnify(source, sink, params, ops)
        results.append(sink.array.astype(int))
    difference = results[0] - results[1]
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 2e-3
    assert np.abs(results[0] - frames).max() > 10


def test_the_pipeline_is_that_of_the_reference():
    frames = moved(wave(24, 2.0, 0.2))
    params = fastmag.PhaseEvm(alpha=9, temporal="butterworth", passband=(4, 8), sigma=1)
    same_as_reference(phase_evm.magnify, frames, params)


def test_files_and_arrays_agree(tmp_path):
    frames = moved(wave(80, 2.0, 0.1))
    params = fastmag.PhaseEvm(passband=(1, 4))
    write_rgb(tmp_path / "in.mkv", frames, 30, lossless=True)
    fastmag.magnify(tmp_path / "in.mkv", tmp_path / "out.mkv", params, lossless=True)
    difference = read_rgb(tmp_path / "out.mkv")[0].astype(int) - fastmag.magnify(frames, method=params, fps=30)
    assert np.abs(difference).max() <= 2 and (difference != 0).mean() < 0.03


def test_the_windowed_filter_keeps_the_middle_of_the_band():
    t = np.arange(300) / 30.0
    series = (40 + 3 * np.cos(2 * np.pi * 2.0 * t) + 5 * np.cos(2 * np.pi * 6.0 * t))[:, None]
    np.testing.assert_allclose(windowed((1.0, 3.0), series, 30.0)[:, 0], 3 * np.cos(2 * np.pi * 2.0 * t), atol=0.03)


def test_vam_leaves_steady_motion_and_magnifies_a_tremble_on_it():
    """A texture that drifts 12 pixels stays on its way; a tremble of 0.15 pixels on top grows by the response."""
    drift, tremble = 0.1 * np.arange(120), wave(120, 3.0, 0.15)
    params = fastmag.VamMotion(alpha=8, frequency=3, acceleration="int", sigma=2)
    steady = moved(drift)
    added = shift_of(fastmag.magnify(steady, method=params, fps=30)) - shift_of(steady)
    assert np.abs(added).max() < 0.05
    both = moved(drift + tremble)
    added = shift_of(fastmag.magnify(both, method=params, fps=30)) - shift_of(both)
    expected = 8 * response(acceleration(3, 30, "int"), 3, 30) * tremble
    inside = slice(12, -12)
    assert expected[inside] @ added[inside] / (expected[inside] @ expected[inside]) == pytest.approx(1, rel=0.05)
    assert np.corrcoef(expected[inside], added[inside])[0, 1] > 0.99
