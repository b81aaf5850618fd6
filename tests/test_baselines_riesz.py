"""Riesz pyramids: waves whose phase and direction are known, and textures that move by known amounts."""

import functools

import numpy as np
import pytest
from test_baselines_phase import SIZE, moved, same_as_reference, shift_of, wave

import fastmag
from fastmag.baselines import riesz as method
from fastmag.errors import InputError
from fastmag.kernels import cpu, reference
from fastmag.pyramids import riesz
from fastmag.spool import Spool
from fastmag.video import Reader

pytestmark = pytest.mark.filterwarnings("error")
OPS = pytest.mark.parametrize("ops", [cpu, reference], ids=["cpu", "reference"])


def grating(down, across, phase=0.0, size=SIZE):
    """A wave of so many cycles a frame, (1, H, W) float32."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.cos(2 * np.pi * (down * y / size[0] + across * x / size[1]) + phase)[None].astype(np.float32)


@OPS
@pytest.mark.parametrize("size", [(64, 96), (33, 47)])
@pytest.mark.parametrize("octaves", [1, 0.5])
def test_the_bands_and_the_residual_are_the_frame(ops, size, octaves):
    frame = np.random.default_rng(1).normal(size=(1, *size)).astype(np.float32)
    plan, rest = riesz(size, octaves=octaves), np.zeros((1, size[0], size[1] // 2 + 1), np.complex64)
    subbands = ops.steerable_analysis(frame, plan, residual=rest)
    bands = [np.ascontiguousarray(s[:, :1].real.astype(s.dtype)) for s in subbands]
    np.testing.assert_allclose(ops.steerable_synthesis(bands, plan.bands(), residual=rest), frame, atol=4e-6)


@OPS
@pytest.mark.parametrize("cycles", [(0, 13), (7, 0), (6, 9), (6, -9), (9, 20)])
def test_every_level_that_sees_a_wave_knows_its_phase_and_direction(ops, cycles):
    """At both ends of a level, too: where it passes a hundredth of the wave, the phase is right within 1 %."""
    plan, turn = riesz(SIZE), 0.4
    before, now = (ops.steerable_analysis(grating(*cycles, phase), plan) for phase in (0.0, turn))
    direction = np.array([cycles[1] / SIZE[1], cycles[0] / SIZE[0]]) / np.hypot(
        cycles[1] / SIZE[1], cycles[0] / SIZE[0]
    )
    seen = 0
    for b, n in zip(before, now, strict=True):
        amplitude = ops.riesz_amplitude(n)
        if amplitude.mean() < 0.01:
            continue
        seen += 1
        np.testing.assert_allclose(amplitude, amplitude.mean(), rtol=1e-3)
        expected = np.broadcast_to(turn * direction[:, None, None], n.shape[1:])
        np.testing.assert_allclose(ops.riesz_difference(n, b)[0], expected, atol=0.01 * turn)
    assert seen >= 1


@OPS
def test_a_shift_of_phase_moves_a_wave(ops):
    plan, turn = riesz(SIZE), 0.7
    before, after = grating(6, 9), grating(6, 9, turn)
    subbands = ops.steerable_analysis(before, plan)
    direction = np.array([9 / 96, 6 / 64]) / np.hypot(9 / 96, 6 / 64)
    deltas = [np.broadcast_to(0.1 * turn * direction[:, None, None], s.shape).astype(np.float32) for s in subbands]
    shifts = [ops.riesz_shift(s, d, 10.0) for s, d in zip(subbands, deltas, strict=True)]
    np.testing.assert_allclose(ops.steerable_synthesis(shifts, plan.bands()), after - before, atol=2e-3)
    assert not ops.riesz_shift(subbands[1], 0 * deltas[1], 40.0).any()


@OPS
def test_equal_subbands_have_no_difference(ops):
    subbands = ops.steerable_analysis(np.random.default_rng(2).normal(size=(1, *SIZE)).astype(np.float32), riesz(SIZE))
    assert not any(ops.riesz_difference(s, s.copy()).any() for s in subbands)


def test_shapes_that_do_not_fit_are_refused():
    subbands = np.ones((1, 2, 3, 5), np.complex64)
    for call in (
        lambda: cpu.riesz_amplitude(subbands[:, :1]),
        lambda: cpu.riesz_difference(subbands, subbands[0]),
        lambda: cpu.riesz_shift(subbands, np.zeros((1, 1, 3, 5))),
    ):
        with pytest.raises(InputError, match="must be"):
            call()


@pytest.mark.parametrize("pyramid", ["octave", "half-octave"])
@pytest.mark.parametrize("temporal", ["ideal", "fir"])
def test_waves_across_their_motion_move_as_far_as_asked(pyramid, temporal):
    frames = moved(wave(60, 3.0, 0.1), slope=0.2)
    params = fastmag.Riesz(alpha=9, temporal=temporal, passband=(2, 4), pyramid=pyramid)
    before, after = shift_of(frames, slope=0.2), shift_of(fastmag.magnify(frames, method=params, fps=30), slope=0.2)
    assert before @ after / (before @ before) == pytest.approx(10, rel=0.05)
    assert np.corrcoef(before, after)[0, 1] > 0.998


@pytest.mark.parametrize(
    ("slope", "sigma", "expected"), [(0.7, 0, 9.6), (0.7, 2, 9.06), (np.inf, 0, 8.55), (np.inf, 2, 6.3)]
)
def test_waves_of_several_directions_lose_what_is_documented(slope, sigma, expected):
    frames = moved(wave(60, 3.0, 0.1), slope=slope)
    params = fastmag.Riesz(alpha=9, temporal="ideal", passband=(2, 4), sigma=sigma)
    before, after = (shift_of(f, slope=slope) for f in (frames, fastmag.magnify(frames, method=params, fps=30)))
    assert before @ after / (before @ before) == pytest.approx(expected, abs=0.15)


def test_what_swings_outside_the_band_stays_or_is_held():
    slow, fast = wave(120, 0.5, 0.3), wave(120, 3.0, 0.1)
    frames = moved(slow + fast, slope=0.2)
    for attenuate, expected in ((False, slow + 10 * fast), (True, 9 * fast)):
        params = fastmag.Riesz(alpha=9, temporal="ideal", passband=(2, 4), attenuate=attenuate)
        after = shift_of(fastmag.magnify(frames, method=params, fps=30), slope=0.2)
        assert expected @ after / (expected @ expected) == pytest.approx(1, rel=0.05)
        assert np.corrcoef(expected, after)[0, 1] > 0.99


@pytest.mark.parametrize("temporal", ["fir", "butterworth"])
def test_a_still_clip_keeps_its_bits(temporal):
    frames = np.repeat(moved([0.0]), 70, axis=0)
    out = fastmag.magnify(frames, method=fastmag.Riesz(alpha=50, temporal=temporal, passband=(1, 2)), fps=30)
    np.testing.assert_array_equal(out, frames)


def test_the_pipeline_is_that_of_the_reference():
    frames = moved(wave(24, 2.0, 0.2), slope=0.2)
    params = fastmag.Riesz(alpha=9, temporal="butterworth", passband=(4, 8), sigma=1)
    same_as_reference(method.magnify, frames, params)


@pytest.mark.parametrize(
    "params",
    [
        fastmag.Riesz(temporal="ideal", passband=(2, 4)),
        fastmag.PhaseEvm(passband=(2, 4)),
        fastmag.EvmMotion(temporal="ideal", passband=(2, 4)),
        fastmag.VamMotion(frequency=3),
        fastmag.VamColor(frequency=3, level=2),
    ],
    ids=lambda params: type(params).__name__,
)
def test_a_spool_on_disk_does_not_change_the_result(params, monkeypatch):
    frames = moved(wave(40, 3.0, 0.1), slope=0.2)
    whole = fastmag.magnify(frames, method=params, fps=30)
    monkeypatch.setattr("fastmag.passes.Spool", functools.partial(Spool, budget=1000))
    monkeypatch.setattr("fastmag.columns.BLOCK_BYTES", 4000)
    np.testing.assert_array_equal(fastmag.magnify(frames, method=params, fps=30), whole)
    assert (whole != frames).any()


def test_a_real_breath_grows(real_clip):
    """baby.mp4, the zip over the belly: its motion up and down, by least squares on the brightness, in the band."""
    with Reader(real_clip("baby.mp4")) as reader:
        luma = np.stack([frame.planes[0][224:320, 496:624] for frame in reader])
    params = fastmag.Riesz(alpha=3, temporal="ideal", passband=(0.4, 0.8))
    after = fastmag.magnify(np.repeat(luma[..., None], 3, axis=3), method=params, fps=30)[..., 1]
    slope = np.gradient(luma.mean(axis=0), axis=0)
    moved = [-((x - luma.mean(axis=0)) * slope).sum(axis=(1, 2)) / (slope**2).sum() for x in (luma, after)]
    spectra, hertz = np.fft.rfft(moved, axis=1), np.fft.rfftfreq(len(luma), 1 / 30)
    band = (hertz > 0.4) & (hertz < 0.8)
    before, after = (np.fft.irfft(np.where(band, spectrum, 0), len(luma)) for spectrum in spectra)
    assert 2.5 < before @ after / (before @ before) < 4.4, "4 times was asked"
    assert np.corrcoef(before, after)[0, 1] > 0.95
    still = (hertz > 4) & (hertz < 14)
    assert np.abs(spectra[1][still]).sum() < 1.5 * np.abs(spectra[0][still]).sum()


def test_settings_that_cannot_be():
    for wrong, said in (({"sigma": -1}, "at least 0"), ({"pyramid": "quarter-octave"}, "half-octave; got"),
                        ({"rates": (0.4, 0.1)}, "fir"),
                        ({"attenuate": 1}, "True or False"), ({"passband": (2, 1)}, "LOW < HIGH")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            fastmag.Riesz(**wrong)
    with pytest.raises(InputError, match="longer clip"):
        fastmag.magnify(moved(np.zeros(20)), method="riesz", fps=30)
    with pytest.raises(InputError, match="at least 8 pixels"):
        fastmag.magnify(moved(np.zeros(20)), method=fastmag.Riesz(roi=(0, 0, 5, 5)), fps=30)
