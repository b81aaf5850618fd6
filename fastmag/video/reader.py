"""A video file as a stream of planar frames."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from fastmag.errors import InputError
from fastmag.files import check_source
from fastmag.video.media import MAX_FPS, MIN_FPS, ColorTags, Frame, VideoInfo, check_fps, resolve_matrix
from fastmag.video.planes import delivered, planar_format, views

# newer releases of PyAV read damaged titles without being asked
LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_NOT_VIDEO = {"tty", "ffmetadata", "concat"}  # demuxers that take text for a video
_CUT = "data is missing or overwritten"
_REMEDY = "copy or record it again, or convert it with ffmpeg"


def _open(path: Path, hwaccel: Any = None) -> Any:
    """The demuxer of `path`; InputError where there is no video in it."""
    try:
        container = av.open(str(path), hwaccel=hwaccel, **LENIENT)
    except (av.error.FFmpegError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} is not a video that can be read, or it was cut short ({why}); expected a video file: {_REMEDY}"
        ) from error
    if container.format.name in _NOT_VIDEO:
        container.close()
        raise InputError(f"{path} is a text file; expected a video file: name a video")
    return container


def _video_stream(container: Any, path: Path) -> Any:
    """The main video stream (not a cover picture), set to decode on all cores."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    best = container.streams.best("video")
    stream = best if best in streams else next(iter(streams), None)
    if stream is None:
        holds = "only sound" if container.streams.audio else "no pictures"
        raise InputError(f"{path} holds {holds}; expected a video stream: name a file with pictures in it")
    if stream.codec_context is None:
        raise InputError(f"{path} uses a video codec unknown here; expected one that FFmpeg decodes: {_REMEDY}")
    stream.thread_type = "AUTO"
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all
    return stream


def _measured_rate(path: Path, index: int) -> Fraction | None:
    """Frames a second by the time stamps of the first packets: for files whose header tells nothing credible."""
    with _open(path) as container:
        stream, stamps = container.streams[index], []
        try:
            for packet in container.demux(stream):
                if packet.pts is not None:
                    stamps.append(packet.pts * packet.time_base)
                if len(stamps) >= 250:
                    break
        except av.error.FFmpegError:
            pass  # the decoder will report it
    span = max(stamps) - min(stamps) if stamps else 0
    return Fraction((len(stamps) - 1) / span).limit_denominator(1001) if span else None


def _frame_rate(stream: Any, path: Path) -> Fraction:
    def credible(rate: Fraction | None) -> bool:
        return rate is not None and MIN_FPS <= rate <= MAX_FPS

    if credible(stream.average_rate):
        return stream.average_rate
    measured = _measured_rate(path, stream.index)
    if credible(measured) or not credible(stream.guessed_rate):
        return check_fps(measured or stream.average_rate or stream.guessed_rate, str(path))
    return stream.guessed_rate


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    side: Any = frame.side_data
    with contextlib.suppress(KeyError, ValueError):
        return tuple(int(v) for v in np.frombuffer(side["DISPLAYMATRIX"], "<i4"))
    return None


class Reader:
    """Decodes a video file frame by frame: a context manager that is iterated once.

    `info` describes the clip. `damage` is None, or one line when the stream broke off before its end: iteration then
    stops after the last sound frame. `fps` overrides the file's time stamps by a constant rate.
    `hwaccel`: PyAV's, to decode by hardware (see fastmag.video.decoders).
    Raises InputError where the file is missing, not a video, or holds no picture that decodes."""

    def __init__(self, path: str | os.PathLike[str], fps: Fraction | float | None = None, hwaccel: Any = None):
        self.path = check_source(path)
        self._constant = None if fps is None else check_fps(fps, f"the request for {self.path}")
        self.damage: str | None = None
        self._broken = ""
        self._count = self._packets = self._start = self._last = 0
        self._container = _open(self.path, hwaccel)
        try:
            self._stream = _video_stream(self._container, self.path)
            self._pictures = self._decode()
            first = next(self._pictures, None)
            if first is None:
                why = f" ({self._broken})" if self._broken else ""
                raise InputError(f"{self.path} holds no picture that decodes{why}; expected a whole video: {_REMEDY}")
            self._first: VideoFrame | None = first
            self.describe_as(self._describe(first))
        except BaseException:
            self._container.close()
            raise

    def describe_as(self, info: VideoInfo) -> None:
        """Deliver pictures in the format of `info`, of the same file, from now on."""
        self.info, self._pixels = info, info.pixels
        self._step = max(1, round(1 / (info.fps * info.time_base)))

    def first(self) -> tuple[int | None, tuple[np.ndarray, ...]]:
        """Time stamp and planes of the first picture, before iteration has begun; it will come again."""
        assert self._first is not None
        picture = delivered(self._first, self._pixels, self.info.full_range)
        return self._first.pts, views(picture, self._pixels)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._pictures.close()
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        picture, self._first = self._first, None
        picture = picture or next(self._pictures, None)
        while picture is not None and self._fits(picture):
            yield self._deliver(picture)
            picture = next(self._pictures, None)

    def _decode(self) -> Generator[VideoFrame]:
        """Sound pictures in display order until the end or the first damage, which is noted.

        Damage before the first sound picture is passed over: recordings of broadcasts start between key frames."""
        seen, broken = 0, ""
        for event in self._events():
            if isinstance(event, str):
                broken = event
                if seen:
                    break
            else:
                seen, broken = seen + 1, ""
                yield event
        if seen and broken == _CUT:  # the decoder has been given sound data only: take what it still holds
            with contextlib.suppress(av.error.FFmpegError):
                for picture in self._stream.decode(None):
                    seen += 1
                    yield picture
        self._broken = broken
        if seen:
            self.damage = self._damage(seen)

    def _events(self) -> Iterator[VideoFrame | str]:
        """Every picture that the decoder gives, and in words what went wrong between them."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
            except av.error.FFmpegError:
                yield _CUT
                return
            self._packets += packet.size > 0
            if packet.is_corrupt:
                yield _CUT
                continue
            try:
                pictures = packet.decode()
            except av.error.FFmpegError as error:
                yield (error.strerror or str(error)).lower()
                continue
            for picture in pictures:
                yield "a picture is corrupt" if picture.is_corrupt else picture

    def _damage(self, seen: int) -> str | None:
        """What is known to be missing after `seen` sound pictures, the last of which has been delivered."""
        promised = self._stream.frames
        if self._broken:
            of = f" of about {promised}" if promised else ""
            return f"{self.path} breaks off after {seen}{of} frames: {self._broken}"
        missing = promised - self._packets
        if not promised:
            promised = round((self._promised_seconds() or 0) * self.info.fps)
            missing = promised - round((self._last - self._start) * self.info.time_base * self.info.fps) - 1
        if missing > max(2, promised / 100):
            return f"{self.path} breaks off after {seen} of {promised} frames: the rest of the file is missing"
        return None

    def _promised_seconds(self) -> float | None:
        """The length that a Matroska header states for the pictures; other formats that count none state none."""
        if "matroska" not in self._container.format.name or self._constant:
            return None
        with contextlib.suppress(KeyError, ValueError):
            hours, minutes, seconds = self._stream.metadata["DURATION"].split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        alone = len(self._container.streams) == 1 and self._container.duration
        return self._container.duration / 1e6 if alone else None

    def _describe(self, frame: VideoFrame) -> VideoInfo:
        stream, name, fps = self._stream, frame.format.name, self._constant
        rate = fps or _frame_rate(stream, self.path)
        n_frames, duration = stream.frames or None, None
        if stream.duration and stream.time_base:
            duration = float(stream.duration * stream.time_base)
        elif self._container.duration:
            duration = self._container.duration / 1e6
        if n_frames is None and duration:
            n_frames = max(1, round(duration * rate))
        if fps is not None:
            duration = n_frames / float(fps) if n_frames else None
        retimed = fps is not None and abs(fps / (stream.average_rate or 1) - 1) > 1e-3
        pixels = planar_format(name)
        # FFmpeg takes gray for full range; so does this, unless the file says otherwise.
        full = name.startswith("yuvj") or frame.color_range == 2 or (pixels.kind == "gray" and frame.color_range != 1)
        context = stream.codec_context
        tags = ColorTags(2 if full else frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries)
        return VideoInfo(
            path=self.path,
            width=frame.width,
            height=frame.height,
            fps=rate,
            n_frames=n_frames,
            duration=duration,
            pix_fmt=pixels.name,
            matrix=resolve_matrix(frame.colorspace, frame.height),
            full_range=full or pixels.kind == "gbr",
            time_base=1 / fps if fps else stream.time_base,
            rotation=round(frame.rotation / 90) * 90,
            codec=context.name,
            has_audio=bool(self._container.streams.audio),
            retimed=retimed,
            tags=tags,
            sample_aspect_ratio=stream.sample_aspect_ratio or None,
            display_matrix=_display_matrix(frame),
        )

    def _fits(self, picture: VideoFrame) -> bool:
        size, first = (picture.width, picture.height), (self.info.width, self.info.height)
        if size != first:
            self.damage = (
                f"{self.path} breaks off after {self._count} frames: the picture size changes from "
                f"{first[0]}x{first[1]} to {size[0]}x{size[1]}"
            )
        return size == first

    def _deliver(self, picture: VideoFrame) -> Frame:
        pixels, stamp, duration = self._pixels, picture.pts, picture.duration
        picture = delivered(picture, pixels, self.info.full_range)
        if self._constant:
            if self._count == 0:
                self._start = round((stamp or 0) * self._stream.time_base * self._constant)
            stamp, duration = self._start + self._count, 1
        elif stamp is None or (self._count and stamp <= self._last):
            stamp = self._last + self._step if stamp is None else self._last + 1
        if self._count == 0:
            self._start = stamp
        self._last, self._count = stamp, self._count + 1
        time = float((stamp - self._start) * self.info.time_base)
        return Frame(views(picture, pixels), time, stamp, duration)
