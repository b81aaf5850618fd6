"""EVM for colour: the gain it was asked for, where it was asked for, and MIT's own result."""

import dataclasses
import functools

import numpy as np
import pytest

import fastmag
from fastmag.baselines.level import Level, attenuated
from fastmag.color import Picture
from fastmag.errors import InputError
from fastmag.kernels import cpu, reference
from fastmag.presets import PRESETS
from fastmag.video import read_rgb, write_rgb

pytestmark = pytest.mark.filterwarnings("error")
COLOR = np.array([150.0, 110.0, 90.0])


def patch(count=150, hertz=1.2, size=(96, 128), amplitude=0.006, fps=30.0, seed=0):
    """(T, H, W, 3) uint8: a shaded colour times 1 + amplitude sin.

    A dither that stays, and the shade, keep the means true though frames and changes are rounded.
    """
    wave = 1 + amplitude * np.sin(2 * np.pi * hertz * np.arange(count) / fps)
    shaded = COLOR * (1.3 - np.abs(np.linspace(-0.6, 0.6, size[1])))[:, None]
    dither = np.random.default_rng(seed).random((*size, 3))
    return np.floor(shaded * wave[:, None, None, None] + dither).astype(np.uint8)


def amplitudes(frames, hertz=1.2, fps=30.0):
    """Amplitude of each channel's mean at a frequency that the clip holds a whole number of times."""
    trace = frames.astype(float).mean(axis=(1, 2))
    return 2 * np.abs(np.exp(-2j * np.pi * hertz * np.arange(len(trace)) / fps) @ trace) / len(trace)


@pytest.mark.parametrize("alpha", [5.0, 20.0])
def test_a_colour_patch_gets_the_gain_that_was_asked_for(alpha):
    frames = patch()
    out = fastmag.magnify(frames, method=fastmag.EvmColor(alpha=alpha), fps=30)
    assert out.shape == frames.shape and out.dtype == np.uint8
    np.testing.assert_allclose(amplitudes(out) / amplitudes(frames), 1 + alpha, rtol=0.02)


def test_what_lies_outside_the_band_stays():
    frames = patch(hertz=4.0)
    out = fastmag.magnify(frames, method="evm-color", fps=30)
    np.testing.assert_allclose(amplitudes(out, 4.0), amplitudes(frames, 4.0), rtol=0.02)


def test_chroma_is_attenuated_and_luma_is_not():
    """With chroma 0 all channels move by the luma's amplitude."""
    frames = patch()
    out = fastmag.magnify(frames, method=fastmag.EvmColor(alpha=20, chroma=0), fps=30)
    added = amplitudes(out) - amplitudes(frames)
    np.testing.assert_allclose(added, 20 * amplitudes(frames) @ [0.299, 0.587, 0.114], rtol=0.02)


def test_mit_halves_the_amplitude_and_drops_ten_frames():
    frames = patch(160)
    out = fastmag.magnify(frames, method=fastmag.EvmColor(alpha=20, compat="mit"), fps=30)
    assert out.shape == (150, *frames.shape[1:])
    np.testing.assert_allclose(amplitudes(out) / amplitudes(frames[:150]), 1 + 20 / 2, rtol=0.02)


def test_fs_is_the_rate_of_the_camera():
    """24 Hz filmed at 600 a second looks like 1.2 Hz in a file of 30."""
    frames = patch()
    params = fastmag.EvmColor(alpha=9, passband=(20, 28), fs=600)
    out = fastmag.magnify(frames, method=params, fps=30)
    np.testing.assert_allclose(amplitudes(out) / amplitudes(frames), 10, rtol=0.02)


def test_a_spool_on_disk_gives_the_same(monkeypatch):
    frames = patch(300)
    frames[:, 20:60, 30:70] = patch(300, 1.0, (40, 40), 0.012, seed=1)
    expected = fastmag.magnify(frames, method="evm-color", fps=30)
    monkeypatch.setattr("fastmag.passes.Spool", functools.partial(fastmag.spool.Spool, budget=1000))
    monkeypatch.setattr("fastmag.columns.BLOCK_BYTES", 1)
    difference = fastmag.magnify(frames, method="evm-color", fps=30).astype(int) - expected
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 1e-4


def test_files_and_arrays_agree(tmp_path):
    frames = patch()
    write_rgb(tmp_path / "in.mkv", frames, 30, lossless=True)
    report = fastmag.magnify(tmp_path / "in.mkv", tmp_path / "out.mkv", "evm-color", lossless=True)
    assert report.frames == 150 and report.rate_bpm is None and "11 times" in report.message
    difference = read_rgb(tmp_path / "out.mkv")[0].astype(int) - fastmag.magnify(frames, method="evm-color", fps=30)
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.03


@pytest.mark.parametrize("shapes", [((90, 121),) * 3, ((90, 121), (45, 61), (45, 61)), ((90, 121), (90, 61), (90, 61))])
@pytest.mark.parametrize("roi", [None, (31, 13, 55, 44)])
def test_a_smooth_change_comes_back_where_it_was(shapes, roi):
    """Represent, then reconstruct with a gain of one: the frame's slow waves are doubled, in place."""
    picture = Picture("yuv", shapes, 8, "bt601", False, roi=roi)
    level = Level(picture, cpu, 3, np.eye(3))
    planes = []
    for h, w in shapes:
        y, x = np.mgrid[:h, :w] * np.array([90 / h, 121 / w])[:, None, None]
        planes.append(np.round(120 + 30 * np.sin(x / 19 + y / 23)).astype(np.uint8))
    cells = level.represent(tuple(planes))
    assert cells.shape == (*level.size, 3)
    out = level.reconstruct(tuple(planes), cells - cells.mean(axis=(0, 1)))
    inside = np.s_[8:-8, 8:-8] if roi is None else np.s_[24:46, 42:74]
    mean = planes[0][inside].mean()
    error = out[0][inside] - mean - 2 * (planes[0][inside] - mean)
    assert np.abs(error - error.mean()).max() < 3 and np.ptp(planes[0][inside]) > 20
    if roi is not None:
        changed = np.argwhere(out[0] != planes[0])
        assert (changed.min(0) >= (12, 30)).all() and (changed.max(0) < (58, 88)).all()


def test_the_level_is_that_of_the_reference():
    picture = Picture("rgb", ((50, 70),))
    frame = np.random.default_rng(2).integers(0, 256, (50, 70, 3), np.uint8)
    got, exact = (Level(picture, ops, 2, attenuated(0.3)).represent((frame,)) for ops in (cpu, reference))
    np.testing.assert_allclose(got, exact, atol=1e-4)


def test_a_level_finer_than_the_chroma_is_refused():
    picture = Picture("yuv", ((64, 64), (64, 16), (64, 16)))
    with pytest.raises(InputError, match="larger level"):
        Level(picture, cpu, 1, np.eye(3))


def test_a_band_between_two_frequencies_is_refused():
    with pytest.raises(InputError, match="longer clip"):
        fastmag.magnify(patch(80), method=fastmag.EvmColor(passband=(1.14, 1.15)), fps=30)


SKIN = ((200, 80, 330, 140), (150, 280, 220, 340), (300, 280, 370, 340))  # forehead and cheeks


def test_mits_own_result(real_clip):
    """face.mp4 by MIT's settings and quirks against MIT's file: what moves, not its static colour cast."""
    (source, fps), (theirs, _) = (read_rgb(real_clip(name)) for name in ("face.mp4", "face_mit_result.mp4"))
    params = dataclasses.replace(PRESETS["evm/face"], compat="mit")
    ours = fastmag.magnify(source, method=params, fps=fps)
    assert ours.shape == theirs.shape
    moving = [x[: len(theirs)].astype(np.float32) / 255 for x in (ours, theirs, source)]
    moving = [x - x.mean(axis=0) for x in moving]
    distance = [float(np.sqrt(((x - moving[1]) ** 2).mean())) for x in (moving[0], moving[2])]
    assert distance[0] <= 0.0112 < distance[1]
    for x0, y0, x1, y1 in SKIN:
        a, b = (x[:, y0:y1, x0:x1, 1].mean(axis=(1, 2)) for x in moving[:2])
        assert np.corrcoef(a, b)[0, 1] >= 0.995
        assert 0.9 <= a.std() / b.std() <= 1.1
