"""The judges themselves: known answers."""

import numpy as np
import pytest
from conftest import beating_frames

from fastmag.errors import InputError
from fastmag.evaluation.clips import Target, boxes, judge_clip, table
from fastmag.evaluation.metrics import Similar, in_band, judge, psnr_of, ssim
from fastmag.video import write_rgb


def test_psnr_and_ssim_have_their_textbook_values():
    assert psnr_of(1.0) == pytest.approx(48.1308, abs=1e-4)
    assert psnr_of(0.0) == float("inf") and np.isnan(psnr_of(float("nan")))
    rng = np.random.default_rng(0)
    picture = rng.uniform(0, 255, (60, 70))
    assert ssim(picture, picture) == pytest.approx(1)
    flat = np.full((40, 40), 100.0)
    c1 = (0.01 * 255) ** 2
    assert ssim(flat, flat + 20) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))
    assert ssim(picture, picture + rng.normal(0, 10, picture.shape)) > ssim(
        picture, picture + rng.normal(0, 40, picture.shape)
    )


def test_similarity_in_float32_is_that_in_float64():
    rng = np.random.default_rng(4)
    plane = 128 + np.cumsum(rng.normal(0, 4, (90, 110)), 1)
    other = np.clip(plane + rng.normal(0, 30, plane.shape), 0, 255)
    fast = Similar(plane.astype(np.float32))(Similar(other.astype(np.float32)))
    assert ssim(plane, other) < 0.99 and fast == pytest.approx(ssim(plane, other), abs=1e-5)


def test_in_band_finds_a_sine_and_nothing_else():
    t = np.arange(600) / 30
    one = in_band(np.sin(2 * np.pi * 1.0 * t), 30, 1.0)
    two = in_band(3 * np.sin(2 * np.pi * 1.0 * t) + 5 * np.sin(2 * np.pi * 2.0 * t) + 7 + 0.5 * t, 30, 1.0)
    assert two.rms / one.rms == pytest.approx(3, rel=0.01)


def test_judge_returns_the_gain_and_leak_that_were_made():
    t = np.arange(600) / 30
    pulse, rng = np.sin(2 * np.pi * 1.1 * t), np.random.default_rng(1)
    before = np.stack([pulse, 2 * pulse, 0 * pulse], 1) + rng.normal(0, 0.01, (600, 3))
    after = before + np.stack([8 * pulse, 16 * pulse, 0.6 * pulse], 1)
    gain, correlation, leak = judge(before, after, 2, 30.0, 1.1)
    assert gain == pytest.approx(9, rel=0.01) and correlation > 0.999 and leak == pytest.approx(0.05, rel=0.02)


def test_judge_clip_reads_files(tmp_path):
    frames = beating_frames(150)
    before, after = tmp_path / "a.mkv", tmp_path / "b.mkv"
    mean = frames.mean(0)
    stronger = np.clip(np.rint(frames + 4 * (frames[:, 26:46, 36:60].mean((1, 2, 3)) - frames[:, 26:46, 36:60].mean())
                               [:, None, None, None] * (mean[..., :1] > 130)), 0, 255).astype(np.uint8)  # fmt: skip
    write_rgb(before, frames, 30, lossless=True)
    write_rgb(after, stronger, 30, lossless=True)
    target = Target(((36, 26, 60, 46),), ((0, 0, 8, 72),), 1.2)
    same, changed = judge_clip(before, before, target), judge_clip(before, after, target)
    assert same.gain == pytest.approx(1) and same.psnr == float("inf") and same.ssim == pytest.approx(1)
    assert changed.gain > 2 and changed.leak < 0.1 and 30 < changed.psnr < 60
    assert table([("same", same)]).count("\n") == 2
    small = tmp_path / "c.mkv"
    write_rgb(small, frames[:, :40], 30, lossless=True)
    with pytest.raises(InputError, match="differ in size"):
        judge_clip(before, small, target)


def test_boxes_are_read_and_checked():
    assert boxes("1,2,3,4;5,6,7,8") == ((1, 2, 3, 4), (5, 6, 7, 8))
    for wrong in ("", "1,2,3", "a,b,c,d", "3,2,1,4"):
        with pytest.raises(InputError, match="boxes must be"):
            boxes(wrong)
