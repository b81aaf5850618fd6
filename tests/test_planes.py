"""Every pixel format arrives as planes, and none loses a sample on the way."""

from __future__ import annotations

import av
import clips
import numpy as np
import pytest

from fastmag.video import Frame, Reader, Writer, array_info, probe
from fastmag.video.planes import delivered, new_frame, planar_format, views


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
    clips.assert_same(clips.planes_of(path), want)


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
    clips.assert_same([views(delivered(source, pixels, full_range=False), pixels)], [planes])


def test_packed_files_are_read(tmp_path):
    rng = np.random.default_rng(6)
    planes = [rng.integers(0, 256, clips.SIZE).astype(np.uint8) for _ in range(3)]
    path = tmp_path / "a.avi"  # stored bottom up, as BGR
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr24"
        container.mux(stream.encode(picture_in("bgr24", planes, *clips.SIZE)))
        container.mux(stream.encode(None))
    assert probe(path).pix_fmt == "gbrp"
    clips.assert_same(clips.planes_of(path), [planes])


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
    path = clips.make_clip(tmp_path / "a.mp4", clips.smooth(40))
    with Reader(path) as reader:
        held, copies = [], []
        for frame in reader:
            held.append(frame.planes)
            copies.append([p.copy() for p in frame.planes])
    clips.assert_same(held, copies)
    with pytest.raises(ValueError, match="read-only"):
        held[0][0][:] = 0
    assert np.shares_memory(held[0][0], np.frombuffer(memoryview(held[0][0].base), np.uint8))


def test_wrong_planes_are_refused(tmp_path):
    wrong = Frame((np.zeros((48, 64), np.uint16),) * 3)
    with (
        pytest.raises(ValueError, match=r"must be \(48, 64\) uint8"),
        Writer(tmp_path / "b.mp4", array_info(48, 64, 30)) as writer,
    ):
        writer.write(wrong)
    with pytest.raises(ValueError, match="gray plane"):
        new_frame([np.zeros((4, 4))], planar_format("gray"))
