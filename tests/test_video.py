"""Reading and writing video files: samples, time, sound, orientation and colour survive."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.planes import delivered, new_frame, planar_format, views
from fastmag.video import Frame, Reader, Writer, array_info, probe, read_rgb, write_rgb

CLIPS = Path(__file__).parents[2] / "shared/data/clips"
QUICK = {"preset": "ultrafast"}
SIZE = (48, 64)


def shapes(pix_fmt: str, size: tuple[int, int] = SIZE) -> tuple[tuple[int, int], ...]:
    return planar_format(pix_fmt).shapes(*size)


def copy(source: Path, destination: Path, **options) -> Path:
    """Reader to Writer, every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Reader(source) as reader, Writer(destination, reader.info, source, **(QUICK | options)) as writer:
            for frame in reader:
                writer.write(frame)
    return destination


def copy_warned(source: Path, destination: Path, words: str, fps: float | None = None, **options) -> Path:
    """As `copy`, but a warning that matches `words` is due."""
    with (
        pytest.warns(UserWarning, match=words),
        Reader(source, fps) as reader,
        Writer(destination, reader.info, source, **(QUICK | options)) as writer,
    ):
        for frame in reader:
            writer.write(frame)
    return destination


def planes_of(path: Path) -> list[tuple[np.ndarray, ...]]:
    with Reader(path) as reader:
        return [frame.planes for frame in reader]


def assert_same(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        for p, q in zip(a, b, strict=True):
            assert p.dtype == q.dtype
            np.testing.assert_array_equal(p, q)


# --- reading ---------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p12le", "yuv444p16le",
     "gray", "gray10le", "gray16le", "gbrp10le", "gbrp16le"],
)  # fmt: skip
@pytest.mark.parametrize("size", [(48, 64), (47, 61)])
def test_planar_formats_arrive_as_they_are(tmp_path, pix_fmt, size):
    pixels = planar_format(pix_fmt)
    want = clips.scene(3, pixels.shapes(*size), pixels.peak)
    options = {"level": "1"} if pixels.shift_x == 2 else {}
    path = clips.make_clip(tmp_path / "a.mkv", want, pix_fmt, "ffv1", options=options)
    info = probe(path)
    assert (info.pix_fmt, info.bit_depth, info.height, info.width) == (pix_fmt, pixels.bits, *size)
    assert info.planes == pixels.shapes(*size)
    assert_same(planes_of(path), want)


@pytest.mark.parametrize("size", [(48, 64), (47, 61)])
@pytest.mark.parametrize(
    "pix_fmt, name",
    [("nv12", "yuv420p"), ("yuyv422", "yuv422p"), ("uyvy422", "yuv422p"), ("p010le", "yuv420p10le"), ("rgb24", "gbrp"),
     ("bgr24", "gbrp"), ("rgba", "gbrp"), ("bgr0", "gbrp"), ("rgb48le", "gbrp16le"), ("gray16be", "gray16le"),
     ("yuva420p", "yuv420p"), ("yuv420p10be", "yuv420p10le"), ("gbrap", "gbrp"), ("ya8", "gray")],
)  # fmt: skip
def test_other_formats_lose_nothing(pix_fmt, name, size):
    if pix_fmt in ("yuyv422", "uyvy422") and size[1] % 2:
        pytest.skip("packed chroma needs an even width")
    rng, (h, w) = np.random.default_rng(1), size
    pixels = planar_format(name)
    planes = [rng.integers(0, pixels.peak + 1, s).astype(pixels.dtype) for s in pixels.shapes(h, w)]
    source = picture_in(pix_fmt, planes, h, w)
    assert planar_format(pix_fmt) == pixels
    assert_same([views(delivered(source, pixels, full_range=False), pixels)], [planes])


def test_packed_files_are_read(tmp_path):
    rng = np.random.default_rng(6)
    planes = [rng.integers(0, 256, SIZE).astype(np.uint8) for _ in range(3)]
    path = tmp_path / "a.avi"  # stored bottom up, as BGR
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr24"
        container.mux(stream.encode(picture_in("bgr24", planes, *SIZE)))
        container.mux(stream.encode(None))
    assert probe(path).pix_fmt == "gbrp"
    assert_same(planes_of(path), [planes])


def picture_in(pix_fmt: str, p: list[np.ndarray], h: int, w: int) -> av.VideoFrame:
    """Planes `p` interleaved by hand as `pix_fmt` wants them."""
    alpha = np.full((h, w), 77, np.uint8)

    def pack(*channels):
        return np.stack(channels, -1).reshape(channels[0].shape[0], -1)

    memory = {
        "nv12": lambda: [p[0], pack(p[1], p[2])],
        "p010le": lambda: [p[0] << 6, pack(p[1], p[2]) << 6],
        "yuyv422": lambda: [pack(p[0][:, ::2], p[1], p[0][:, 1::2], p[2])],
        "uyvy422": lambda: [pack(p[1], p[0][:, ::2], p[2], p[0][:, 1::2])],
        "rgb24": lambda: [pack(p[2], p[0], p[1])],
        "bgr24": lambda: [pack(p[1], p[0], p[2])],
        "rgba": lambda: [pack(p[2], p[0], p[1], alpha)],
        "bgr0": lambda: [pack(p[1], p[0], p[2], alpha)],
        "rgb48le": lambda: [pack(p[2], p[0], p[1])],
        "gray16be": lambda: [p[0].byteswap()],
        "yuv420p10be": lambda: [q.byteswap() for q in p],
        "yuva420p": lambda: [*p, alpha],
        "gbrap": lambda: [*p, alpha],
        "ya8": lambda: [pack(p[0], alpha)],
    }[pix_fmt]()
    frame = av.VideoFrame(w, h, pix_fmt)
    for target, plane in zip(frame.planes, memory, strict=True):
        rows = np.zeros((plane.shape[0], target.line_size), np.uint8)
        raw = np.ascontiguousarray(plane).view(np.uint8)
        rows[:, : raw.shape[1]] = raw
        target.update(rows.tobytes())
    return frame


def test_planes_outlive_the_reader_and_are_read_only(tmp_path):
    path = clips.make_clip(tmp_path / "a.mp4", clips.smooth(40, shapes("yuv420p")))
    with Reader(path) as reader:
        held, copies = [], []
        for frame in reader:
            held.append(frame.planes)
            copies.append([p.copy() for p in frame.planes])
    assert_same(held, copies)
    with pytest.raises(ValueError, match="read-only"):
        held[0][0][:] = 0
    assert np.shares_memory(held[0][0], np.frombuffer(memoryview(held[0][0].base), np.uint8))


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])  # medium has B-frames
@pytest.mark.parametrize("extension", [".mp4", ".mov"])
def test_variable_rate_keeps_its_time_stamps(tmp_path, extension, preset):
    steps = np.random.default_rng(2).integers(700, 9000, 40)
    stamps = [4321, *(4321 + np.cumsum(steps)).tolist()]
    source = clips.make_clip(
        tmp_path / "a.mp4", clips.smooth(41, shapes("yuv420p")), stamps=stamps, time_base=Fraction(1, 90000)
    )
    with Reader(source) as reader:
        read = [f.time for f in reader]
    want = (np.array(stamps) - stamps[0]) / 90000
    np.testing.assert_allclose(read, want, rtol=0, atol=1e-9)
    got = clips.times(copy(source, tmp_path / f"b{extension}", preset=preset))
    np.testing.assert_allclose(got - got[0], want, rtol=0, atol=1e-9)


def test_matroska_keeps_time_stamps_to_its_millisecond(tmp_path):
    stamps = np.cumsum(np.random.default_rng(3).integers(700, 9000, 20)).tolist()
    source = clips.make_clip(
        tmp_path / "a.mp4", clips.smooth(20, shapes("yuv420p")), stamps=stamps, time_base=Fraction(1, 90000)
    )
    got = clips.times(copy(source, tmp_path / "b.mkv"))
    np.testing.assert_allclose(got - got[0], (np.array(stamps) - stamps[0]) / 90000, rtol=0, atol=1.1e-3)
    again = clips.times(copy(tmp_path / "b.mkv", tmp_path / "c.mp4"))
    np.testing.assert_allclose(again - again[0], got - got[0], rtol=0, atol=1e-9)


def test_ntsc_rate_and_duration_survive(tmp_path):
    fps = Fraction(30000, 1001)
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(30, shapes("yuv420p")), time_base=1 / fps, fps=fps)
    info = probe(copy(source, tmp_path / "b.mp4"))
    assert info.fps == fps and info.n_frames == 30
    assert info.duration == pytest.approx(30 / float(fps), abs=1e-4)


def test_avi_says_that_it_rounds_a_variable_rate(tmp_path):
    stamps = [0, 1, 2, 3, 9, 10, 11, 17, 18, 19]
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10, shapes("yuv420p")), stamps=stamps)
    copy_warned(source, tmp_path / "b.avi", r"constant rate only.*\.mkv")
    assert len(planes_of(tmp_path / "b.avi")) == 10


def test_missing_and_repeated_time_stamps_are_repaired(tmp_path):
    path = tmp_path / "a.h264"  # an elementary stream has none at all
    clips.make_clip(path, clips.smooth(12, shapes("yuv420p")), options={"preset": "ultrafast", "bf": "0"})
    with Reader(path) as reader:
        read = [f.time for f in reader]
    np.testing.assert_allclose(np.diff(read), 1 / float(reader.info.fps), atol=1e-6)
    assert len(read) == 12


def test_fps_overrides_the_time_stamps(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10, shapes("yuv420p")), sound="aac")
    with Reader(source, fps=60) as reader:
        assert reader.info.fps == 60 and reader.info.duration == pytest.approx(10 / 60)
    copy_warned(source, tmp_path / "b.mp4", "sound .* left out", fps=60)
    np.testing.assert_allclose(clips.times(tmp_path / "b.mp4"), np.arange(10) / 60, atol=1e-9)
    with Reader(source, fps=30) as reader:
        assert not reader.info.retimed


@pytest.mark.parametrize("fps", [0, -5, 0.5, 2000, float("nan"), float("inf"), "fast"])
def test_absurd_fps_is_refused(tmp_path, fps):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(2, shapes("yuv420p")))
    with pytest.raises(InputError, match=r"expected 1 to 1000 frames a second: give it with --fps") as error:
        Reader(source, fps=fps)
    assert "\n" not in str(error.value)


def test_file_with_an_absurd_rate_asks_for_fps(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(4, shapes("yuv420p")), stamps=[0, 120, 240, 360], fps=1)
    with pytest.raises(InputError, match=r"frame rate of 0\.25.*--fps"):
        probe(source)
    assert probe(source, fps=25).fps == 25


# --- sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.0, 0.35])
@pytest.mark.parametrize(
    "extension, codec, target",
    [(".mp4", "aac", ".mp4"), (".mp4", "aac", ".mov"), (".mp4", "aac", ".mkv"), (".mkv", "libmp3lame", ".mp4"),
     (".mkv", "libopus", ".webm"), (".mkv", "pcm_s16le", ".avi"), (".mov", "pcm_s16le", ".mkv"),
     (".mkv", "flac", ".mkv"),
     (".mp4", "aac", ".avi")],
)  # fmt: skip
def test_sound_is_copied_bit_by_bit_and_stays_in_step(tmp_path, extension, codec, target, start):
    source = tmp_path / f"a{extension}"
    clips.make_clip(source, clips.smooth(45, shapes("yuv420p")), sound=codec, sound_start=start)
    if target == ".avi" and start:
        copy_warned(source, tmp_path / "b.avi", "sound moves by .*mkv")
        return
    result = copy(source, tmp_path / f"b{target}")
    old, new = clips.packets(source, "audio"), clips.packets(result, "audio")
    assert len(old) > 14 and b"".join(b for _, b in new) == b"".join(b for _, b in old)
    lag = (new[0][0] - clips.times(result)[0]) - (old[0][0] - clips.times(source)[0])
    tick = {".avi": 1 / 30, ".mkv": 1.1e-3, ".webm": 1.1e-3}  # what these containers can tell apart
    assert abs(lag) <= max(tick.get(extension, 0), tick.get(target, 0)) + 1e-6
    assert probe(result).has_audio


def test_start_of_a_broadcast_recording_moves_to_zero_with_its_sound(tmp_path):
    stamps = list(range(60, 105))
    source = clips.make_clip(
        tmp_path / "a.ts", clips.smooth(45, shapes("yuv420p")), stamps=stamps, sound="aac", sound_start=2.2
    )
    assert clips.times(source)[0] == 2
    result = copy(source, tmp_path / "b.mp4")
    assert -0.1 < clips.times(result)[0] < 0.1

    def lag(path):
        return float(clips.packets(path, "audio")[0][0]) - clips.times(path)[0]

    assert lag(result) == pytest.approx(lag(source), abs=1e-4)


def test_sound_that_does_not_fit_is_left_out_with_a_word(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(10, shapes("yuv420p")), sound="aac")
    copy_warned(source, tmp_path / "b.webm", r"aac.* left out: choose .*\.mp4")
    info = probe(tmp_path / "b.webm")
    assert info.codec == "vp9" and not info.has_audio


def test_titles_and_subtitles_are_kept(tmp_path):
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,100 --> 00:00:00,600\nhello\n\n2\n00:00:00,700 --> 00:00:01,200\nworld\n")
    bare = clips.make_clip(tmp_path / "bare.mp4", clips.smooth(45, shapes("yuv420p")))
    source = tmp_path / "a.mkv"
    with av.open(str(bare)) as film, av.open(str(words)) as text, av.open(str(source), "w") as container:
        container.metadata["title"] = "a test"
        pairs = [(i, i.streams[0], container.add_stream_from_template(i.streams[0], opaque=True)) for i in (film, text)]
        for origin, stream, target in pairs:
            for packet in origin.demux(stream):
                if packet.size:
                    packet.stream = target
                    container.mux(packet)
    result = copy(source, tmp_path / "b.mkv")
    assert clips.packets(result, "subtitle") == clips.packets(source, "subtitle") != []
    with av.open(str(result)) as container:
        assert container.metadata["title"] == "a test"


# --- orientation, shape and colour -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_rotation_is_kept(tmp_path, rotation, extension):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3, shapes("yuv420p")), rotation=rotation)
    info = probe(source)
    assert abs(info.rotation) == abs(rotation) and (info.width, info.height) == (64, 48)
    with av.open(str(copy(source, tmp_path / f"b{extension}"))) as container, av.open(str(source)) as original:
        turns = [next(c.decode(video=0)).rotation for c in (container, original)]
    assert turns[0] == turns[1] and abs(turns[0]) == abs(rotation)


def test_mirroring_is_kept(tmp_path):
    matrix = (-65536, 0, 0, 0, 65536, 0, 64 << 16, 0, 1 << 30)
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3, shapes("yuv420p")), matrix=matrix)
    assert probe(source).display_matrix == matrix
    assert probe(copy(source, tmp_path / "b.mp4")).display_matrix == matrix


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    "full, space, trc, primaries, matrix",
    [(1, 1, 1, 1, "bt709"), (2, 1, 1, 1, "bt709"), (1, 6, 6, 6, "bt601"), (2, 5, 6, 5, "bt601"),
     (1, 9, 16, 9, "bt2020"), (0, 2, 2, 2, "bt601")],
)  # fmt: skip
def test_colour_tags_are_kept(tmp_path, full, space, trc, primaries, matrix, extension):
    tags = {"color_range": full, "colorspace": space, "color_trc": trc, "color_primaries": primaries}
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3, shapes("yuv420p")), **tags)
    info = probe(source)
    assert (info.matrix, info.full_range) == (matrix, full == 2)
    result = copy(source, tmp_path / f"b{extension}")
    assert probe(result).tags == info.tags
    with av.open(str(result)) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries) == (
        full, space, trc, primaries,
    )  # fmt: skip


def test_untagged_large_pictures_are_taken_for_bt709(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(1, shapes("yuv420p", (720, 64))))
    assert probe(source).matrix == "bt709"


def test_motion_jpeg_is_full_range_and_stays_so(tmp_path):
    source = clips.make_clip(tmp_path / "a.avi", clips.smooth(3, shapes("yuv420p")), "yuvj420p", "mjpeg")
    info = probe(source)
    assert (info.pix_fmt, info.full_range) == ("yuv420p", True)
    result = copy(source, tmp_path / "b.mp4", lossless=True)
    assert probe(result).full_range
    assert_same(planes_of(result), planes_of(source))


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".avi"])
def test_pixel_shape_is_kept(tmp_path, extension):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3, shapes("yuv420p")), aspect=Fraction(16, 15))
    assert probe(copy(source, tmp_path / f"b{extension}")).sample_aspect_ratio == Fraction(16, 15)


def test_what_a_container_cannot_hold_is_said(tmp_path):
    source = clips.make_clip(tmp_path / "a.mp4", clips.smooth(3, shapes("yuv420p")), aspect=Fraction(2), rotation=90)
    for name, lossless, lost in (("b.avi", False, "rotation"), ("b.mkv", True, "pixel shape")):
        copy_warned(source, tmp_path / name, rf"cannot store the {lost}: choose an \.mp4", lossless=lossless)


# --- samples ---------------------------------------------------------------------------------------------------------


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
    with Writer(result, info, lossless=True, **QUICK) as writer:
        for planes in want:
            writer.write(Frame(planes))
    got = probe(result)
    if (extension, pix_fmt) == (".mp4", "gray"):  # decoders of H.264 add a neutral chroma
        assert got.pix_fmt == "yuv420p"
        want = [(luma, *(np.full(s, 128, np.uint8) for s in got.planes[1:])) for (luma,) in want]
    else:
        assert got.pix_fmt == pix_fmt
    assert (got.height, got.width) == size
    assert_same(planes_of(result), want)
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
    with Writer(result, array_info(*size, 30, pix_fmt), **QUICK) as writer:
        for planes in pictures:
            writer.write(Frame(tuple(planes)))
    info = probe(result)
    assert (info.pix_fmt, info.height, info.width) == (written, *size)
    before = [rgb(planes, array_info(*size, 30, pix_fmt)) for planes in pictures]
    np.testing.assert_allclose(read_rgb(result)[0], before, rtol=0, atol=9)
    assert np.abs(read_rgb(result)[0] - np.float64(before)).mean() < 1.5


def rgb(planes, info) -> np.ndarray:
    """RGB by the textbook formula, from planes of the given description."""
    pixels, peak = info.pixels, info.pixels.peak
    full = [np.float64(p) for p in planes]
    if pixels.kind == "gbr":
        return np.stack([full[2], full[0], full[1]], -1) * 255 / peak
    unit = (peak + 1) / 256
    if pixels.kind == "gray":
        return np.stack([full[0] * 255 / peak] * 3, -1)
    luma = (full[0] / unit - 16) / 219 * 255
    kr, kb = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}[info.matrix]
    big = [np.kron(p, np.ones((1 << pixels.shift_y, 1 << pixels.shift_x)))[: luma.shape[0], : luma.shape[1]]
           for p in full[1:]]  # fmt: skip
    cb, cr = ((p / unit - 128) / 224 * 255 for p in big)
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    return np.clip(np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], -1), 0, 255)


def test_a_flicker_of_one_level_survives_the_default_output(tmp_path):
    rng = np.random.default_rng(4)
    still = np.clip(rng.normal(128, 4, (96, 128)), 0, 255)
    wave = np.sin(2 * np.pi * np.arange(60) / 30)
    info = array_info(96, 128, 30)
    with Writer(tmp_path / "b.mp4", info) as writer:
        for value in wave:
            luma = np.uint8(np.floor(still + value + rng.random((96, 128))))
            writer.write(Frame((luma, np.full((48, 64), 128, np.uint8), np.full((48, 64), 128, np.uint8))))
    means = np.array([p[0].mean() for p in planes_of(tmp_path / "b.mp4")])
    gain = np.dot(means - means.mean(), wave) / np.dot(wave, wave)
    assert 0.85 < gain < 1.15


@pytest.mark.parametrize("codec, name", [("hevc", "hevc"), ("vp9", "vp9"), ("ffv1", "ffv1"), ("av1", "libdav1d")])
def test_other_codecs(tmp_path, codec, name):
    info = array_info(64, 64, 30)
    with Writer(tmp_path / "b.mkv", info, codec=codec, preset="ultrafast") as writer:
        for planes in clips.smooth(4, info.planes):
            writer.write(Frame(planes))
    assert probe(tmp_path / "b.mkv").codec in (name, codec)
    assert len(planes_of(tmp_path / "b.mkv")) == 4


# --- arrays ----------------------------------------------------------------------------------------------------------


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
    planes = tuple(np.full(s, v, np.uint8) for s, v in zip(shapes("yuv420p"), (120, 100, 160), strict=True))
    source = clips.make_clip(
        tmp_path / "a.mkv", [planes] * 2, options={"qp": "0"}, color_range=full, colorspace=space
    )
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


def test_wrong_planes_are_refused(tmp_path):
    wrong = Frame((np.zeros((48, 64), np.uint16),) * 3)
    with (
        pytest.raises(ValueError, match=r"must be \(48, 64\) uint8"),
        Writer(tmp_path / "b.mp4", array_info(48, 64, 30)) as writer,
    ):
        writer.write(wrong)
    with pytest.raises(ValueError, match="gray plane"):
        new_frame([np.zeros((4, 4))], planar_format("gray"))
