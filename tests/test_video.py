"""Reading and writing video files: time, orientation, pixel shape and colour survive."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.video import Reader, probe

CLIPS = Path(__file__).parents[2] / "shared/data/clips"


@pytest.mark.skipif(not CLIPS.is_dir(), reason=f"the real clips are not at {CLIPS}")
@pytest.mark.parametrize(
    "name, n, width, height, fps, codec",
    [
        ("baby.mp4", 301, 960, 544, 30, "h264"),
        ("bottle_moving.avi", 180, 568, 320, 30, "msmpeg4v2"),
        ("cat_toy_640x360.mp4", 601, 640, 360, 30, "h264"),
        ("face.mp4", 301, 528, 592, 30, "h264"),
        ("face_mit_result.mp4", 291, 528, 592, 30, "h264"),
        ("guitar.mp4", 300, 432, 192, Fraction(30000, 1001), "h264"),
        ("guitar_72_92_mit_result.mp4", 289, 432, 192, Fraction(30000, 1001), "h264"),
        ("shadow.mp4", 180, 960, 624, 30, "h264"),
        ("syn_ball.avi", 325, 622, 490, 30, "mjpeg"),
        ("talking_d0.mp4", 78, 512, 512, 25, "h264"),
        ("talking_d13.mp4", 352, 720, 1280, 30, "h264"),
        ("talking_d9.mp4", 587, 512, 480, 30, "h264"),
        ("wrist.mp4", 894, 640, 352, 30, "h264"),
    ],
)
def test_real_clips_are_read(name, n, width, height, fps, codec):
    with Reader(CLIPS / name) as reader:
        info = reader.info
        first = next(iter(reader))
    assert (info.width, info.height, info.fps, info.codec, info.n_frames) == (width, height, fps, codec, n)
    assert info.pix_fmt == "yuv420p" and info.bit_depth == 8 and info.kind == "yuv"
    assert info.full_range == (name in ("cat_toy_640x360.mp4", "syn_ball.avi"))
    assert [p.shape for p in first.planes] == list(info.planes)
    assert first.planes[0].std() > 5


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])  # medium has B-frames
@pytest.mark.parametrize("extension", [".mp4", ".mov"])
def test_variable_rate_keeps_its_time_stamps(tmp_path, extension, preset):
    steps = np.random.default_rng(2).integers(700, 9000, 40)
    stamps = [4321, *(4321 + np.cumsum(steps)).tolist()]
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(41), stamps=stamps, time_base=Fraction(1, 90000))
    with Reader(source) as reader:
        read = [f.time for f in reader]
    want = (np.array(stamps) - stamps[0]) / 90000
    np.testing.assert_allclose(read, want, rtol=0, atol=1e-9)
    got = clips.times(clips.copy(source, tmp_path / f"b{extension}", preset=preset))
    np.testing.assert_allclose(got - got[0], want, rtol=0, atol=1e-9)


def test_matroska_keeps_time_stamps_to_its_millisecond(tmp_path):
    stamps = np.cumsum(np.random.default_rng(3).integers(700, 9000, 20)).tolist()
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(20), stamps=stamps, time_base=Fraction(1, 90000))
    got = clips.times(clips.copy(source, tmp_path / "b.mkv"))
    np.testing.assert_allclose(got - got[0], (np.array(stamps) - stamps[0]) / 90000, rtol=0, atol=1.1e-3)
    again = clips.times(clips.copy(tmp_path / "b.mkv", tmp_path / "c.mp4"))
    np.testing.assert_allclose(again - again[0], got - got[0], rtol=0, atol=1e-9)


def test_ntsc_rate_and_duration_survive(tmp_path):
    fps = Fraction(30000, 1001)
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(30), time_base=1 / fps, fps=fps)
    info = probe(clips.copy(source, tmp_path / "b.mp4"))
    assert info.fps == fps and info.n_frames == 30
    assert info.duration == pytest.approx(30 / float(fps), abs=1e-4)


def test_avi_says_that_it_rounds_a_variable_rate(tmp_path):
    stamps = [0, 1, 2, 3, 9, 10, 11, 17, 18, 19]
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10), stamps=stamps)
    clips.copy_warned(source, tmp_path / "b.avi", r"constant rate only.*\.mkv")
    assert len(clips.planes_of(tmp_path / "b.avi")) == 10


def test_missing_and_repeated_time_stamps_are_repaired(tmp_path):
    path = tmp_path / "a.h264"  # an elementary stream has none at all
    clips.make_clip(path, clips.smooth(12), options={"preset": "ultrafast", "bf": "0"})
    with Reader(path) as reader:
        read = [f.time for f in reader]
    np.testing.assert_allclose(np.diff(read), 1 / float(reader.info.fps), atol=1e-6)
    assert len(read) == 12


def test_fps_overrides_the_time_stamps(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10), sound="aac")
    with Reader(source, fps=60) as reader:
        assert reader.info.fps == 60 and reader.info.duration == pytest.approx(10 / 60)
    clips.copy_warned(source, tmp_path / "b.mp4", "sound .* left out", fps=60)
    np.testing.assert_allclose(clips.times(tmp_path / "b.mp4"), np.arange(10) / 60, atol=1e-9)
    with Reader(source, fps=30) as reader:
        assert not reader.info.retimed


@pytest.mark.parametrize("fps", [0, -5, 0.5, 2000, float("nan"), float("inf"), "fast"])
def test_absurd_fps_is_refused(tmp_path, fps):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(2))
    with pytest.raises(InputError, match=r"expected 1 to 1000 frames a second: give it with --fps") as error:
        Reader(source, fps=fps)
    assert "\n" not in str(error.value)


def test_file_with_an_absurd_rate_asks_for_fps(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(4), stamps=[0, 120, 240, 360], fps=1)
    with pytest.raises(InputError, match=r"frame rate of 0\.25.*--fps"):
        probe(source)
    assert probe(source, fps=25).fps == 25


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_rotation_is_kept(tmp_path, rotation, extension):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3), rotation=rotation)
    info = probe(source)
    assert abs(info.rotation) == abs(rotation) and (info.width, info.height) == (64, 48)
    with av.open(str(clips.copy(source, tmp_path / f"b{extension}"))) as container, av.open(str(source)) as original:
        turns = [next(c.decode(video=0)).rotation for c in (container, original)]
    assert turns[0] == turns[1] and abs(turns[0]) == abs(rotation)


def test_mirroring_is_kept(tmp_path):
    matrix = (-65536, 0, 0, 0, 65536, 0, 64 << 16, 0, 1 << 30)
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3), matrix=matrix)
    assert probe(source).display_matrix == matrix
    assert probe(clips.copy(source, tmp_path / "b.mp4")).display_matrix == matrix


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "full, space, trc, primaries, matrix",
    [(1, 1, 1, 1, "bt709"), (2, 1, 1, 1, "bt709"), (1, 6, 6, 6, "bt601"), (2, 5, 6, 5, "bt601"),
     (1, 9, 16, 9, "bt2020"), (0, 2, 2, 2, "bt601")],
)  # fmt: skip
def test_colour_tags_are_kept(tmp_path, full, space, trc, primaries, matrix, extension):
    tags = {"color_range": full, "colorspace": space, "color_trc": trc, "color_primaries": primaries}
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3), **tags)
    info = probe(source)
    assert (info.matrix, info.full_range) == (matrix, full == 2)
    result = clips.copy(source, tmp_path / f"b{extension}")
    assert probe(result).tags == info.tags
    with av.open(str(result)) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries) == (
        full, space, trc, primaries,
    )  # fmt: skip


def test_untagged_large_pictures_are_taken_for_bt709(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(1, clips.shapes("yuv420p", (720, 64))))
    assert probe(source).matrix == "bt709"


def test_motion_jpeg_is_full_range_and_stays_so(tmp_path):
    source = clips.make_clip(tmp_path / "a.avi", clips.smooth(3), "yuvj420p", "mjpeg")
    info = probe(source)
    assert (info.pix_fmt, info.full_range) == ("yuv420p", True)
    result = clips.copy(source, tmp_path / "b.mp4", lossless=True)
    assert probe(result).full_range
    clips.assert_same(clips.planes_of(result), clips.planes_of(source))


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".avi"])
def test_pixel_shape_is_kept(tmp_path, extension):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3), aspect=Fraction(16, 15))
    assert probe(clips.copy(source, tmp_path / f"b{extension}")).sample_aspect_ratio == Fraction(16, 15)


def test_what_a_container_cannot_hold_is_said(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3), aspect=Fraction(2), rotation=90)
    for name, lossless, lost in (("b.avi", False, "rotation"), ("b.mkv", True, "pixel shape")):
        clips.copy_warned(source, tmp_path / name, rf"cannot store the {lost}: choose an \.mp4", lossless=lossless)
