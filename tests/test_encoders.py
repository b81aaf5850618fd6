"""What is written: every sample where that was asked for, else the nearest format in good quality."""

from __future__ import annotations

import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.video import Frame, Writer, array_info, probe, read_rgb
from fastmag.video.planes import planar_format


@pytest.mark.parametrize(
    "extension, pix_fmt, size",
    [(".mp4", "yuv420p", (48, 64)), (".mp4", "yuv422p", (48, 64)), (".mov", "yuv444p", (47, 61)),
     (".mp4", "yuv420p10le", (48, 64)), (".mp4", "yuv444p10le", (48, 64)), (".mp4", "gray", (48, 64)),
     (".mp4", "gbrp", (47, 61)), (".mov", "gbrp", (48, 64)),
     (".mkv", "yuv420p", (47, 61)), (".mkv", "gbrp", (47, 61)), (".mkv", "gbrp10le", (48, 64)),
     (".mkv", "gray16le", (48, 64)), (".mkv", "yuv411p", (47, 61)), (".mkv", "yuv420p10le", (47, 61)),
     (".mkv", "yuv444p16le", (47, 61)), (".avi", "yuv420p", (48, 64)), (".avi", "gbrp", (48, 64)),
     (".webm", "yuv420p", (47, 61)), (".webm", "gbrp", (48, 64))],
)  # fmt: skip
def test_lossless_keeps_every_sample(tmp_path, extension, pix_fmt, size):
    pixels = planar_format(pix_fmt)
    want = clips.scene(4, pixels.shapes(*size), pixels.peak)
    info = array_info(*size, 30, pix_fmt)
    result = tmp_path / f"b{extension}"
    with Writer(result, info, lossless=True, **clips.QUICK) as writer:
        for planes in want:
            writer.write(Frame(planes))
    got = probe(result)
    if (extension, pix_fmt) == (".mp4", "gray"):  # decoders of H.264 add a neutral chroma
        assert got.pix_fmt == "yuv420p"
        want = [(luma, *(np.full(s, 128, np.uint8) for s in got.planes[1:])) for (luma,) in want]
    else:
        assert got.pix_fmt == pix_fmt
    assert (got.height, got.width) == size
    clips.assert_same(clips.planes_of(result), want)
    if extension != ".avi" and pixels.kind == "yuv":
        assert got.tags == info.tags


@pytest.mark.parametrize("pix_fmt, size", [("gray16le", (48, 64)), ("gbrp10le", (48, 64)), ("yuv420p", (47, 61))])
def test_lossless_that_is_impossible_names_matroska(tmp_path, pix_fmt, size):
    with pytest.raises(InputError, match=r"cannot keep .* lossless: choose an output name that ends in \.mkv"):
        Writer(tmp_path / "b.mp4", array_info(*size, 30, pix_fmt), lossless=True)


@pytest.mark.parametrize(
    "extension, pix_fmt, written, size",
    [(".mp4", "yuv420p", "yuv420p", (48, 64)), (".mp4", "yuv420p", "yuv444p", (47, 61)),
     (".mp4", "yuv420p", "yuv422p", (47, 64)), (".mp4", "yuv420p", "yuv444p", (48, 61)),
     (".mp4", "yuv411p", "yuv422p", (48, 64)), (".mp4", "yuv420p12le", "yuv420p10le", (48, 64)),
     (".mp4", "yuv422p10le", "yuv422p10le", (48, 64)), (".mp4", "gbrp", "yuv444p", (48, 64)),
     (".mp4", "gray16le", "yuv420p10le", (48, 64)), (".webm", "yuv420p", "yuv420p", (47, 61)),
     (".mkv", "gray", "yuv420p", (48, 64)), (".avi", "yuv420p", "yuv420p", (48, 64))],
)  # fmt: skip
def test_default_output_has_the_nearest_format_and_looks_the_same(tmp_path, extension, pix_fmt, written, size):
    pixels = planar_format(pix_fmt)
    scale = (pixels.peak + 1) // 256
    pictures = [[p.astype(pixels.dtype) * scale for p in f] for f in clips.smooth(5, pixels.shapes(*size))]
    result = tmp_path / f"b{extension}"
    with Writer(result, array_info(*size, 30, pix_fmt), **clips.QUICK) as writer:
        for planes in pictures:
            writer.write(Frame(tuple(planes)))
    info = probe(result)
    assert (info.pix_fmt, info.height, info.width) == (written, *size)
    before = [clips.rgb(planes, array_info(*size, 30, pix_fmt)) for planes in pictures]
    np.testing.assert_allclose(read_rgb(result)[0], before, rtol=0, atol=9)
    assert np.abs(read_rgb(result)[0] - np.float64(before)).mean() < 1.5


def test_a_flicker_of_one_level_survives_the_default_output(tmp_path):
    rng = np.random.default_rng(4)
    still = np.clip(rng.normal(128, 4, (96, 128)), 0, 255)
    wave = np.sin(2 * np.pi * np.arange(60) / 30)
    info = array_info(96, 128, 30)
    with Writer(tmp_path / "b.mp4", info) as writer:
        for value in wave:
            luma = np.uint8(np.floor(still + value + rng.random((96, 128))))
            writer.write(Frame((luma, np.full((48, 64), 128, np.uint8), np.full((48, 64), 128, np.uint8))))
    means = np.array([p[0].mean() for p in clips.planes_of(tmp_path / "b.mp4")])
    gain = np.dot(means - means.mean(), wave) / np.dot(wave, wave)
    assert 0.85 < gain < 1.15


@pytest.mark.parametrize("codec, name", [("hevc", "hevc"), ("vp9", "vp9"), ("ffv1", "ffv1"), ("av1", "libdav1d")])
def test_other_codecs(tmp_path, codec, name):
    info = array_info(64, 64, 30)
    with Writer(tmp_path / "b.mkv", info, codec=codec, preset="ultrafast") as writer:
        for planes in clips.smooth(4, info.planes):
            writer.write(Frame(planes))
    assert probe(tmp_path / "b.mkv").codec in (name, codec)
    assert len(clips.planes_of(tmp_path / "b.mkv")) == 4
