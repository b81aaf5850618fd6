"""Small clips made with PyAV alone, so that fastmag's reader and writer are judged by something else, and copies
made with them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.video import Reader, Writer
from fastmag.video.planes import planar_format

QUICK = {"preset": "ultrafast"}
SIZE = (48, 64)


def scene(n: int, sizes: Sequence[tuple[int, int]], peak: int = 255, seed: int = 0) -> list[tuple[np.ndarray, ...]]:
    """`n` pictures of noise that drifts, as planes of the given shapes with values 0 to `peak`."""
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if peak <= 255 else np.uint16
    base = [rng.integers(0, peak + 1, shape).astype(dtype) for shape in sizes]
    return [tuple(np.roll(plane, t, axis=1) for plane in base) for t in range(n)]


def smooth(n: int, sizes: Sequence[tuple[int, int]] = ((48, 64), (24, 32), (24, 32))) -> list[tuple[np.ndarray, ...]]:
    """`n` pictures of slow waves: what an encoder is made for."""
    pictures = []
    for t in range(n):
        planes = []
        for index, (h, w) in enumerate(sizes):
            y, x = np.mgrid[:h, :w] / max(h, w)
            planes.append(np.uint8(128 + (8 if index else 60) * np.sin(6 * x + 0.2 * t) * np.cos(5 * y)))
        pictures.append(tuple(planes))
    return pictures


def picture(planes: Sequence[np.ndarray], pix_fmt: str) -> av.VideoFrame:
    """An FFmpeg frame whose memory is filled plane by plane, by bytes."""
    h, w = planes[0].shape[:2]
    frame = av.VideoFrame(w, h, pix_fmt)
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.shape[0], target.line_size), np.uint8)
        raw = np.ascontiguousarray(plane).view(np.uint8).reshape(plane.shape[0], -1)
        rows[:, : raw.shape[1]] = raw
        target.update(rows.tobytes())
    return frame


def make_clip(
    path: Path,
    pictures: Sequence[Sequence[np.ndarray]],
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    *,
    stamps: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    fps: Fraction | int = 30,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: str | None = None,
    sound_start: float = 0.0,
    rotation: int = 0,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    **tags: int,
) -> Path:
    """Encodes `pictures` at `stamps` (units of `time_base`), with a tone in codec `sound` from `sound_start` on."""
    if options is None:
        options = {"preset": "ultrafast", "crf": "18"} if codec == "libx264" else {}
    height, width = pictures[0][0].shape[:2]
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = stream.time_base = time_base
        for name, value in (tags | ({"sample_aspect_ratio": aspect} if aspect else {})).items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        elif matrix:
            stream.set_display_matrix(matrix)
        audio = container.add_stream(sound, rate=48000) if sound else None
        if audio:
            sing(container, audio, len(pictures) / float(fps), sound_start)
        for index, planes in enumerate(pictures):
            frame = picture(planes, pix_fmt)
            for name, value in tags.items():
                setattr(frame, name, value)
            frame.pts, frame.time_base = (stamps[index] if stamps else index), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def sing(container: av.container.OutputContainer, audio: av.AudioStream, seconds: float, start: float) -> None:
    kind = audio.codec_context.format.name
    size = audio.codec_context.frame_size or 1024
    for first in range(0, int(seconds * 48000), size):
        tone = np.sin(2 * np.pi * 440 * (np.arange(first, first + size) / 48000))
        scale, dtype = {"flt": (0.5, np.float32), "s32": (1e9, np.int32), "s16": (20000, np.int16)}[kind[:3]]
        wave = (tone * scale).astype(dtype)
        data = np.stack([wave, wave]) if kind.endswith("p") else np.repeat(wave, 2)[None]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(data), format=kind, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first + round(start * 48000), Fraction(1, 48000)
        container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def packets(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """(time in seconds, bytes) of every packet of the first stream of `kind`."""
    with av.open(str(path)) as container:
        stream = next((s for s in container.streams if s.type == kind), None)
        if stream is None:
            return []
        return [(p.pts * p.time_base, bytes(p)) for p in container.demux(stream) if p.size]


def times(path: Path) -> np.ndarray:
    """Seconds of every decoded picture, on the container's clock."""
    with av.open(str(path)) as container:
        return np.array([float(f.pts * f.time_base) for f in container.decode(video=0)])


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


def refused(action, *says: str) -> str:
    """The InputError of `action`: one line that holds each of `says`."""
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    for words in says:
        assert words in message
    return message


def noise(path: Path, n: int = 60, **options) -> Path:
    """A clip whose bytes are mostly pictures."""
    quality = {"preset": "ultrafast", "crf": "25", "g": "10"}
    return make_clip(path, scene(n, shapes("yuv420p")), options=quality, **options)
