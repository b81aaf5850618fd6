"""EVM for motion: shifts that are known, filters that are known, and MIT's own result."""

import dataclasses

import numpy as np
import pytest
from scipy import signal

import fastmag
from bench import guitar
from fastmag.baselines import evm
from fastmag.baselines.laplacian import amplified, gains
from fastmag.baselines.layers import Layers
from fastmag.baselines.level import attenuated
from fastmag.color import Picture
from fastmag.kernels import cpu, reference
from fastmag.presets import PRESETS
from fastmag.sources import ArraySink, ArraySource
from fastmag.temporal import butterworth_difference, iir_difference
from fastmag.video import read_rgb, write_rgb

pytestmark = pytest.mark.filterwarnings("error")
WAVELENGTH = 32.0  # pixels


def swaying(shift, size=(96, 128), seed=0):
    """(T, H, W, 3) uint8: a wave along x that is shifted by `shift` (T,) pixels, with a dither that stays."""
    x = np.arange(size[1])
    rows = 110 + 60 * np.sin(2 * np.pi * (x - np.asarray(shift)[:, None]) / WAVELENGTH)
    dither = np.random.default_rng(seed).random((*size, 3))
    return np.floor(rows[:, None, :, None] * np.array([1.0, 0.9, 0.8]) + dither).astype(np.uint8)


def shift_of(frames, inside=np.s_[:, 24:72, 32:96, 1]):
    """The wave's shift (T,) in pixels, in the middle of the picture."""
    rows = frames[inside].astype(float).mean(axis=1)
    x = np.arange(128)[inside[2]]
    angle = np.unwrap(np.angle(rows @ np.exp(-2j * np.pi * x / WAVELENGTH)))
    return -(angle - angle.mean()) * WAVELENGTH / (2 * np.pi)


def wave(count, hertz, size, fps=30.0):
    return size * np.sin(2 * np.pi * hertz * np.arange(count) / fps)


@pytest.mark.parametrize("chroma", [0, 0.5])
def test_a_small_shift_grows_as_asked(chroma):
    frames = swaying(wave(150, 1.0, 0.05))
    params = fastmag.EvmMotion(alpha=9, lambda_c=8, temporal="ideal", passband=(0.6, 1.4), chroma=chroma)
    before, after = shift_of(frames), shift_of(fastmag.magnify(frames, method=params, fps=30))
    assert np.dot(after, before) / np.dot(before, before) == pytest.approx(
        10, rel=0.08
    )  # both ends of the pyramid stay
    assert np.corrcoef(before, after)[0, 1] > 0.999


def test_gains_follow_the_bound_on_wavelengths():
    """alpha for long waves, 2 (lambda / (8 delta) - 1) for shorter ones, nothing at both ends."""
    gain = gains((192, 432), 75, 10)
    wavelength = np.hypot(192, 432) / 3 / 2.0 ** np.arange(6, -1, -1)
    assert len(gain) == 7 and gain[0] == gain[-1] == 0
    np.testing.assert_allclose(gain[1], 2 * (wavelength[1] * 76 / 10 - 1))
    np.testing.assert_allclose(gain[2:-1], 75)
    assert (gains((192, 432), 20, 900) >= 0).all() and gains((192, 432), 20, 900, negative=True).min() < 0


def test_a_gain_of_one_everywhere_changes_nothing():
    image = np.random.default_rng(1).normal(size=(53, 78)).astype(np.float32)
    np.testing.assert_allclose(amplified(image, np.ones(5), cpu), image, atol=1e-5)
    some = np.array([0, 3.0, 1.0, 7.0, 0])
    np.testing.assert_allclose(
        amplified(image, some, cpu), amplified(image.astype(np.float64), some, reference), atol=2e-5
    )


def test_filters_are_differences_of_low_passes():
    series = np.random.default_rng(2).normal(size=200)
    low, high = (signal.lfilter(*signal.butter(1, corner, fs=30), series) for corner in (0.5, 2.0))
    np.testing.assert_allclose(signal.sosfilt(butterworth_difference((0.5, 2.0), 30), series), high - low, atol=1e-12)
    slow, fast = np.zeros(201), np.zeros(201)
    for t, x in enumerate(series):
        fast[t + 1], slow[t + 1] = fast[t] + 0.4 * (x - fast[t]), slow[t] + 0.05 * (x - slow[t])
    np.testing.assert_allclose(signal.sosfilt(iir_difference((0.4, 0.05)), series), (fast - slow)[1:], atol=1e-12)


@pytest.mark.parametrize("temporal", ["iir", "butterworth", "ideal"])
def test_the_pipeline_is_that_of_the_reference(temporal):
    band = None if temporal == "iir" else (0.6, 1.4)
    params = fastmag.EvmMotion(alpha=9, lambda_c=8, temporal=temporal, passband=band, chroma=0.3)
    frames, results = swaying(wave(120, 1.0, 0.15), (40, 56)), []
    for ops in (cpu, reference):
        source = ArraySource(frames, 30)
        sink = ArraySink(source)
        assert evm.magnify_motion(source, sink, params, ops).frames == 120
        results.append(sink.array.astype(int))
    difference = results[0] - results[1]
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 2e-3
    assert np.abs(results[0] - frames).max() > 4


def test_mit_drops_frames_and_is_one_late():
    frames = swaying(wave(160, 1.0, 0.15))
    params = fastmag.EvmMotion(alpha=9, lambda_c=8, temporal="ideal", passband=(0.6, 1.4), chroma=0, compat="mit")
    out = fastmag.magnify(frames, method=params, fps=30)
    assert len(out) == 149
    before, after = shift_of(frames[:150]), shift_of(out)
    expected = before[1:] + 4.5 * before[:-1]
    assert np.dot(after, expected) / np.dot(expected, expected) == pytest.approx(1, rel=0.08)
    assert np.corrcoef(after, expected)[0, 1] > 0.999 > np.corrcoef(after, before[1:])[0, 1]


def test_files_and_arrays_agree(tmp_path):
    frames = swaying(wave(150, 1.0, 0.05))
    params = fastmag.EvmMotion(passband=(0.6, 2.0), chroma=0.5)
    write_rgb(tmp_path / "in.mkv", frames, 30, lossless=True)
    fastmag.magnify(tmp_path / "in.mkv", tmp_path / "out.mkv", params, lossless=True)
    difference = read_rgb(tmp_path / "out.mkv")[0].astype(int) - fastmag.magnify(frames, method=params, fps=30)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.01


@pytest.mark.parametrize("kind", ["rgb", "gbr", "yuv", "gray"])
@pytest.mark.parametrize("chroma", [0.0, 0.4])
def test_layers_split_and_merge(kind, chroma):
    """A change of the images arrives in RGB: luma whole, the rest times chroma."""
    rng = np.random.default_rng(3)
    rgb = rng.integers(60, 190, (40, 52, 3), np.uint8)
    shapes = {"rgb": ((40, 52),), "gray": ((40, 52),)}.get(kind, ((40, 52),) * 3)
    picture = Picture(kind, shapes, 8, "bt601", True)
    channels = {"gbr": (1, 2, 0), "yuv": (0, 1, 2), "gray": (0,)}
    planes = (rgb,) if kind == "rgb" else tuple(np.ascontiguousarray(rgb[..., c]) for c in channels[kind])
    layers = Layers(picture, cpu, chroma)
    images = layers.split(layers.parts(planes))
    assert len(images) == (3 if chroma and kind != "gray" else 1) and all(i.dtype == np.float32 for i in images)
    if kind in ("rgb", "gbr") and not chroma:
        np.testing.assert_allclose(images[0], rgb @ np.array([0.299, 0.587, 0.114]), atol=1e-4)
    changes = [np.full((40, 52), 10.0 * (i + 1), np.float32) for i in range(len(images))]
    out = layers.whole(planes, layers.merge(layers.parts(planes), changes))
    added = [np.mean(o.astype(float) - p, axis=(0, 1)) for o, p in zip(out, planes, strict=True)]
    if kind in ("yuv", "gray"):
        expected = [10, 20 * chroma, 30 * chroma][: len(planes)]
    elif chroma:
        change = np.array([10.0, 20.0, 30.0]) if kind == "rgb" else np.array([30.0, 10.0, 20.0])
        mixed = attenuated(chroma) @ change
        expected = [mixed] if kind == "rgb" else list(mixed[[1, 2, 0]])
    else:
        expected = [10.0] * len(planes)
    for a, e in zip(added, expected, strict=True):
        np.testing.assert_allclose(a, e, atol=0.51)


def test_mits_own_result(real_clip):
    """guitar.mp4 by MIT's settings and quirks against MIT's file, from the frames that MIT's reader gave."""
    (source, fps), (theirs, _) = (read_rgb(real_clip(name)) for name in ("guitar.mp4", "guitar_72_92_mit_result.mp4"))
    read = guitar.as_read(source)
    params = dataclasses.replace(PRESETS["evm/guitar-e"], compat="mit", alpha=75)
    ours, nothing = fastmag.magnify(read, method=params, fps=fps), read[1:290]
    assert ours.shape == theirs.shape
    distance = [guitar.distance(x, theirs) for x in (ours, nothing, source[2:291])]
    assert distance[0] <= 0.6 * distance[1] and distance[1] < distance[2]
    ours, theirs, nothing = (x[..., 1].astype(np.float32) for x in (ours, theirs, nothing))
    change = (ours - nothing).reshape(289, 48, 4, 108, 4).mean(axis=(2, 4)).std(axis=0)
    for patch in np.argsort(-change.ravel())[:20]:  # 4 x 4 pixels each, where the strings swing most
        y, x = 4 * np.array(divmod(patch, 108))
        a, b = (guitar.band_of(clip[:, y : y + 4, x : x + 4].mean(axis=(1, 2)))[6:-9] for clip in (ours, theirs))
        assert np.corrcoef(a, b)[0, 1] >= 0.99
        assert 0.95 <= a.std() / b.std() <= 1.2


def test_the_frames_that_mits_reader_gave_show_outside_the_band(real_clip):
    """Nothing is magnified there: 288 of 289 frames are most like the one that the rule names."""
    source, theirs = (
        read_rgb(real_clip(name))[0] @ guitar.LUMA for name in ("guitar.mp4", "guitar_72_92_mit_result.mp4")
    )
    rule = guitar.as_read(np.arange(300))[1:290]
    np.testing.assert_array_equal(rule[:7], [3, 3, 5, 6, 6, 8, 9])
    assert (guitar.places(theirs, source) == rule).sum() >= 285
