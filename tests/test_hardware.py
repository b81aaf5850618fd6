"""NVIDIA's decoder and encoder: taken only where they work, and why not said; frames read ahead and written behind."""

from __future__ import annotations

import logging

import clips
import numpy as np
import pytest
from conftest import beating_frames

import fastmag
from fastmag import doctor, flow
from fastmag.errors import InputError
from fastmag.video import Reader, Writer, array_info, decoders, hardware, write_rgb
from fastmag.video.decoders import open_reader
from fastmag.video.encoders import choose_encoding
from fastmag.video.planes import delivered, planar_format, views

BAND = (1.0, 3.0)


@pytest.fixture(autouse=True)
def forget():
    yield
    hardware.why_no_decoder.cache_clear()
    hardware.why_no_encoder.cache_clear()


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "a.mp4"
    write_rgb(path, beating_frames(70, 30, 48, 64), 30)
    return path


@pytest.fixture
def card(monkeypatch):
    """A card whose decoder is the processor's."""
    monkeypatch.setattr(hardware, "_no_card", lambda: None)
    monkeypatch.setattr(hardware, "accelerator", lambda: None)


def broken(monkeypatch, reason: str):
    def fails():
        raise OSError(1, reason)

    monkeypatch.setattr(hardware, "_no_card", lambda: None)
    monkeypatch.setattr(hardware, "accelerator", fails)


def test_a_decoder_that_works_is_taken_and_named(card, clip):
    for name in ("cuda", "auto"):
        reader, used = open_reader(clip, None, name)
        with reader, Reader(clip) as expected:
            assert used == "cuda" and reader.info == expected.info
            for one, other in zip(reader, expected, strict=True):
                assert (one.time, one.pts) == (other.time, other.pts)
                assert all(map(np.array_equal, one.planes, other.planes))
    assert hardware.why_no_decoder() is None


def test_a_decoder_that_fails_is_left_where_auto_was_asked(monkeypatch, clip, caplog):
    broken(monkeypatch, "no capable device")
    with caplog.at_level(logging.INFO, "fastmag"):
        reader, used = open_reader(clip, None, "auto")
    with reader:
        assert used == "cpu" and len(list(reader)) == 70
    assert caplog.messages == ["decoder cpu; not cuda: no capable device"]
    with pytest.raises(InputError, match=r"the GPU does not decode .*a\.mp4: no capable device; use the decoder cpu"):
        open_reader(clip, None, "cuda")
    assert hardware.why_no_decoder() == "no capable device"
    with pytest.raises(InputError, match="decoder must be one of cpu, auto, cuda; got 'gpu'"):
        open_reader(clip, None, "gpu")


@pytest.mark.parametrize("what", ["planes", "time"])
def test_a_decoder_whose_first_picture_differs_is_left(monkeypatch, clip, what):
    class Off(Reader):
        def __init__(self, path, fps=None, *hwaccel):
            super().__init__(path, fps)
            self.off = bool(hwaccel)

        def first(self):
            stamp, planes = super().first()
            if self.off and what == "time":
                return stamp + 1, planes
            return stamp, (planes[0] ^ np.uint8(self.off), *planes[1:])

    monkeypatch.setattr(hardware, "accelerator", lambda: None)
    monkeypatch.setattr(decoders, "Reader", Off)
    reader, used = open_reader(clip, None, "auto")
    with reader:
        assert used == "cpu" and len(list(reader)) == 70
    with pytest.raises(InputError, match="its first picture differs from the processor's"):
        open_reader(clip, None, "cuda")


@pytest.mark.parametrize("name, depth", [("nv12", 8), ("p010le", 10)])
def test_pictures_as_cards_store_them_are_delivered_sample_by_sample(tmp_path, name, depth):
    """Luma, then the two chroma samples of each place side by side; 10 bits in the upper bits of 16."""
    dtype, shift = (np.uint8, 0) if depth == 8 else (np.uint16, 6)
    random = np.random.default_rng(2)
    y, u, v = (random.integers(0, 1 << depth, shape, dtype) for shape in ((48, 64), (24, 32), (24, 32)))
    picture = clips.picture((y << shift, np.stack([u, v], axis=-1).reshape(24, 64) << shift), name)
    pixels = planar_format(name)
    assert pixels.name == ("yuv420p" if depth == 8 else "yuv420p10le")
    clips.assert_same([views(delivered(picture, pixels, False), pixels)], [(y, u, v)])


def encoding(codec, pix_fmt="yuv420p", extension=".mp4", lossless=False, size=(48, 64)):
    return choose_encoding(extension, array_info(*size, 30, pix_fmt), codec, 8.0, "faster", lossless)


def test_an_encoder_is_taken_only_where_it_works(monkeypatch):
    monkeypatch.setattr(hardware, "why_no_encoder", lambda name: None)
    for codec in ("nvenc", "auto"):
        plan = encoding(codec)
        assert (plan.encoder, plan.pix_fmt, plan.options["qp"]) == ("h264_nvenc", "yuv420p", "8")
    assert encoding("hevc_nvenc", "yuv420p10le").pix_fmt == "p010le"
    assert encoding("nvenc", "yuv420p10le").pix_fmt == "yuv420p", "not all cards write H.264 of 10 bits"
    for other in (
        encoding("auto", "yuv420p10le"), encoding("auto", extension=".webm"), encoding("auto", lossless=True),
        encoding("auto", size=(47, 64)), encoding(None),
    ):  # fmt: skip
        assert other.encoder in ("libx264", "libvpx-vp9")
    with pytest.raises(InputError, match="h264_nvenc has no lossless mode"):
        encoding("nvenc", lossless=True)
    monkeypatch.setattr(hardware, "why_no_encoder", lambda name: "no capable devices found")
    assert encoding("auto").encoder == "libx264"
    with pytest.raises(
        InputError, match="h264_nvenc does not work here: no capable devices found; leave the codec out"
    ):
        encoding("nvenc")


def test_an_encoder_is_tried_by_a_picture_that_has_to_come_back(monkeypatch):
    monkeypatch.setattr(hardware, "_no_card", lambda: None)
    monkeypatch.setattr(hardware, "options", lambda crf: {})
    assert hardware.why_no_encoder("libx264") is None
    monkeypatch.setattr(hardware, "APART", -1)
    assert "levels off" in str(hardware.why_no_encoder("mpeg4"))
    assert "have no encoder" in str(hardware.why_no_encoder("h264_nothing"))


def test_doctor_says_whether_and_why_not(monkeypatch):
    monkeypatch.setattr(hardware, "_no_card", lambda: "no NVIDIA driver is installed")
    assert doctor.video_lines()[-2:] == [
        "decoding by the GPU (NVDEC): not available: no NVIDIA driver is installed",
        "encoding by the GPU (NVENC): not available: no NVIDIA driver is installed",
    ]


def test_frames_read_ahead_and_written_behind_are_the_same(monkeypatch, card, clip, tmp_path):
    method = fastmag.EvmColor(passband=BAND)
    fastmag.magnify(clip, tmp_path / "b.mp4", method, crf=0)
    monkeypatch.setattr(flow, "queued", lambda ops: 4)
    report = fastmag.magnify(clip, tmp_path / "c.mp4", method, crf=0, decoder="auto")
    assert report.message.endswith("; decoded by the GPU")
    clips.assert_same(clips.planes_of(tmp_path / "b.mp4"), clips.planes_of(tmp_path / "c.mp4"))


def test_what_fails_while_writing_behind_is_said_and_nothing_is_left(tmp_path):
    class Failing(Writer):
        def _encode(self, picture, pts, duration):
            if self._count == 3:
                raise InputError("the disk is full")
            super()._encode(picture, pts, duration)

    info = array_info(48, 64, 30)
    with pytest.raises(InputError, match="the disk is full"), Failing(tmp_path / "b.mp4", info, queued=2) as writer:
        for planes in clips.scene(40, info.planes):
            writer.write(fastmag.video.Frame(planes))
    with pytest.raises(KeyboardInterrupt), Writer(tmp_path / "b.mp4", info, queued=2) as writer:
        writer.write(fastmag.video.Frame(clips.scene(1, info.planes)[0]))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
