"""Damaged videos give what they hold and say so; what is no video is refused in one line with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from fastmag.video import Reader, probe
from fastmag.video.planes import planar_format

FRONT = {"movflags": "faststart"}


def count(path: Path) -> tuple[int, str | None]:
    with Reader(path) as reader:
        return sum(1 for _ in reader), reader.damage


@pytest.mark.parametrize("name, options", [("a.mp4", FRONT), ("a.mkv", {})])
@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_a_file_that_was_cut_gives_what_it_has_and_says_so(tmp_path, name, options, keep):
    whole = clips.noise(tmp_path / name, container_options=options)
    assert count(whole) == (60, None)
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep)])
    n, damage = count(cut)
    assert 60 * keep - 8 <= n <= 60 * keep + 2
    assert damage and f"after {n} of" in damage and "\n" not in damage


def test_a_few_frames_short_is_no_damage(tmp_path):
    whole = clips.noise(tmp_path / "a.mp4", container_options=FRONT)
    sizes = [len(b) for _, b in clips.packets(whole, "video")]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size - sizes[-1] - sizes[-2]])
    assert count(cut) == (58, None)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_reading_stops_at_the_first_damaged_picture(tmp_path, name):
    whole = clips.noise(tmp_path / name, container_options=FRONT if name == "a.mp4" else {})
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    bad = tmp_path / f"bad_{name}"
    bad.write_bytes(data)
    n, damage = count(bad)
    assert 20 <= n <= 32 and damage and f"after {n} " in damage
    good = [p[0].copy() for p in frames(whole)][:n]
    for got, want in zip((p[0] for p in frames(bad)), good, strict=True):
        np.testing.assert_array_equal(got, want)  # nothing half decoded is handed out


def frames(path: Path) -> list[tuple[np.ndarray, ...]]:
    with Reader(path) as reader:
        return [f.planes for f in reader]


def test_a_recording_that_starts_between_key_frames_is_read(tmp_path):
    whole = clips.noise(tmp_path / "a.ts", n=40)
    cut = tmp_path / "cut.ts"
    data = whole.read_bytes()
    cut.write_bytes(data[188 * (len(data) // 188 // 8) :])
    n, damage = count(cut)
    assert n >= 28 and damage is None


def test_a_change_of_picture_size_ends_the_clip(tmp_path):
    path = tmp_path / "a.h264"
    big = clips.make_clip(tmp_path / "1.h264", clips.smooth(5))
    small = clips.make_clip(tmp_path / "2.h264", clips.smooth(5, planar_format("yuv420p").shapes(32, 32)))
    path.write_bytes(big.read_bytes() + small.read_bytes())
    n, damage = count(path)
    assert n == 5 and damage and "size changes from 64x48 to 32x32" in damage


def test_missing_input(tmp_path):
    clips.refused(lambda: probe(tmp_path / "no.mp4"), "no.mp4 does not exist", "expected a video", "check the name")


def test_directory_as_input(tmp_path):
    clips.refused(lambda: probe(tmp_path), "is a directory", "name one of the files in it")


def test_empty_input(tmp_path):
    (tmp_path / "a.mp4").touch()
    clips.refused(lambda: probe(tmp_path / "a.mp4"), "is empty", "copy or record it again")


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.csv", "a", "a.srt"])
def test_text_as_input(tmp_path, name):
    (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nnot a film\n" * 200)
    clips.refused(lambda: probe(tmp_path / name), name, "expected a video")


def test_noise_as_input(tmp_path):
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    clips.refused(lambda: probe(tmp_path / "a.mp4"), "expected a", "copy or record it again, or convert it")


def test_sound_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        clips.sing(container, container.add_stream("aac", rate=48000), 1, 0)
    clips.refused(lambda: probe(tmp_path / "a.m4a"), "holds only sound", "name a file with pictures")


def test_header_without_pictures(tmp_path):
    whole = clips.noise(tmp_path / "a.mp4", container_options=FRONT)
    data = whole.read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: data.index(b"mdat") + 100])
    clips.refused(lambda: probe(tmp_path / "b.mp4"), "no picture that decodes", "copy or record it again")


def test_recording_whose_index_was_never_written(tmp_path):
    whole = clips.noise(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    clips.refused(lambda: probe(tmp_path / "b.mp4"), "cut short", "copy or record it again")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable_input(tmp_path):
    source = clips.noise(tmp_path / "a.mp4", n=3)
    source.chmod(0)
    clips.refused(lambda: probe(source), "cannot be read", "check its permissions")
