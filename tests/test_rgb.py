"""RGB arrays in and out of video files."""

from __future__ import annotations

from fractions import Fraction

import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.video import probe, read_rgb, write_rgb


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.avi"])
def test_rgb_arrays_round_trip_lossless(tmp_path, name):
    frames = np.random.default_rng(5).integers(0, 256, (5, 33, 47, 3), dtype=np.uint8)
    write_rgb(tmp_path / name, frames, 25, lossless=True)
    got, fps = read_rgb(tmp_path / name)
    assert fps == 25
    np.testing.assert_array_equal(got, frames)
    np.testing.assert_array_equal(read_rgb(tmp_path / name, start=2, count=2)[0], frames[2:4])


@pytest.mark.parametrize("size", [(96, 128), (95, 127)])
def test_rgb_arrays_keep_their_colours_at_the_default_quality(tmp_path, size):
    colours = np.array([[200, 120, 90], [30, 60, 200], [250, 250, 250], [10, 160, 40]], np.uint8)
    frames = np.repeat(colours, 3, axis=0)[:, None, None] * np.ones((1, *size, 1), np.uint8)
    write_rgb(tmp_path / "b.mp4", iter(frames), Fraction(30000, 1001))
    got, fps = read_rgb(tmp_path / "b.mp4")
    assert fps == pytest.approx(29.97, abs=1e-3)
    np.testing.assert_allclose(got, frames, rtol=0, atol=3)
    info = probe(tmp_path / "b.mp4")
    assert (info.matrix, info.full_range, info.tags.space, info.tags.primaries) == ("bt709", False, 1, 1)


@pytest.mark.parametrize("space, matrix", [(1, "bt709"), (6, "bt601"), (9, "bt2020")])
@pytest.mark.parametrize("full", [1, 2])
def test_read_rgb_follows_matrix_and_range(tmp_path, space, matrix, full):
    planes = tuple(np.full(s, v, np.uint8) for s, v in zip(clips.shapes("yuv420p"), (120, 100, 160), strict=True))
    source = clips.make_clip(tmp_path / "a.mkv", [planes] * 2, options={"qp": "0"}, color_range=full, colorspace=space)
    luma, cb, cr = (120.0, -28.0, 32.0) if full == 2 else ((120 - 16) / 219 * 255, -28 / 224 * 255, 32 / 224 * 255)
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[matrix]
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    want = [red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue]
    np.testing.assert_allclose(read_rgb(source)[0][0, 10, 10], want, rtol=0, atol=1.01)


@pytest.mark.parametrize(
    "frames, fps, says",
    [
        (np.zeros((0, 4, 4, 3), np.uint8), 30, "no frames"),
        (np.zeros((3, 4, 4), np.uint8), 30, r"\(H, W, 3\) uint8"),
        (np.zeros((3, 4, 4, 4), np.uint8), 30, r"\(H, W, 3\) uint8"),
        (np.zeros((3, 4, 4, 3), np.float32), 30, r"float32; expected .* uint8"),
        (np.zeros((3, 4, 4, 3), np.uint8), 0, "--fps"),
        ([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)], 30, r"expected \(4, 4, 3\) uint8"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, frames, fps, says):
    with pytest.raises(InputError, match=says):
        write_rgb(tmp_path / "b.mp4", frames, fps)
    assert not list(tmp_path.iterdir())
