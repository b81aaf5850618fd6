"""Planar frames into a video file that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from fastmag.errors import InputError
from fastmag.files import WholeFile, check_destination, is_full, write_error
from fastmag.threads import Behind
from fastmag.video.encoders import CONTAINERS, choose_encoding
from fastmag.video.media import SPACES, Frame, VideoInfo
from fastmag.video.planes import gray_as_yuv, new_frame, planar_format
from fastmag.video.remux import Passengers
from fastmag.video.rgb import convert, from_rgb

EXTENSIONS = tuple(CONTAINERS)
DEFAULT_CRF, DEFAULT_PRESET = 8, "faster"


class Writer:
    """Encodes frames of `info` into `destination`: a context manager.

    Times, rotation, colour tags and pixel shape are those of `info`; sound and subtitles are copied from `source`.
    The file is written under a temporary name in the same folder and takes its name on a clean exit; any exception,
    KeyboardInterrupt too, removes it.
    `codec`: None for the container's usual (H.264; VP9 in .webm), h264, hevc, vp9, av1, ffv1, or an FFmpeg encoder;
    nvenc for NVIDIA's H.264, auto for that one where it works here.
    `crf`: constant quality, smaller is better. `lossless`: every sample is kept, or InputError.
    `threads`: of the encoder, 0 for its own choice; with 1 the same frames always give the same file.
    `queued`: pictures that may wait for a thread that encodes them, 0 to encode each at once. What goes wrong there is
    raised by a later call.
    Raises InputError before work starts where the destination or the encoding is impossible."""

    def __init__(
        self,
        destination: str | os.PathLike[str],
        info: VideoInfo,
        source: str | os.PathLike[str] | None = None,
        *,
        codec: str | None = None,
        crf: float = DEFAULT_CRF,
        preset: str = DEFAULT_PRESET,
        lossless: bool = False,
        overwrite: bool = False,
        threads: int = 0,
        queued: int = 0,
    ):
        inputs = [p for p in (source, info.path) if p is not None]
        self.destination = check_destination(destination, inputs, EXTENSIONS, overwrite)
        self.info = info
        self.source = Path(source) if source is not None else None
        self._overwrite, self._threads, self._queued = overwrite, threads, queued
        self._behind: Behind | None = None
        self._encoding = choose_encoding(self.destination.suffix.lower(), info, codec, crf, preset, lossless)
        self._target = planar_format(self._encoding.pix_fmt)
        self._grid = self._encoding.container == "avi"
        self._time_base = 1 / info.fps if self._grid else info.time_base
        self._file: WholeFile | None = None
        self._container: Any = None
        self._passengers: Passengers | None = None
        self._count = self._shift = 0
        self._last: int | None = None
        self._warned = False

    @property
    def encoder(self) -> str:
        """FFmpeg's name of the encoder."""
        return self._encoding.encoder

    def __enter__(self) -> Writer:
        self._file = WholeFile(self.destination)
        try:
            with self._explained():
                self._open(self._file.path)
            self._behind = Behind(self._encode, self._queued) if self._queued else None
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is not None:
            self._abandon()
            return
        try:
            if self._behind is not None:
                self._behind.finish()
            if not self._count:
                raise InputError(f"no frame to write to {self.destination}; expected one or more: check the input")
            with self._explained():
                self._finish()
        except BaseException:
            self._abandon()
            raise

    def write(self, frame: Frame) -> None:
        """Encodes one frame, whose planes must be as `info.planes`, in order of time."""
        pixels, planes = self.info.pixels, frame.planes
        if pixels.kind == "gray" != self._target.kind:
            planes, pixels = gray_as_yuv(planes[0], pixels, self._target), self._target
        self._take(new_frame(planes, pixels), frame.pts, frame.duration)

    def write_rgb(self, rgb: np.ndarray) -> None:
        """Encodes one RGB picture, (H, W, 3) uint8, at the next time of the constant rate `info.fps`."""
        self._take(from_rgb(rgb), None, 0)

    def _take(self, picture: VideoFrame, pts: int | None, duration: int) -> None:
        """Encodes a picture of our own, now or later."""
        if self._behind is not None:
            self._behind.put(picture, pts, duration)
        else:
            self._encode(picture, pts, duration)

    def _open(self, path: Path) -> None:
        info, plan = self.info, self._encoding
        # Start offsets are stored in this unit, by default in milliseconds.
        fine = {"movie_timescale": "90000"} if plan.container in ("mp4", "mov") else {}
        self._container = av.open(str(path), "w", format=plan.container, options=fine)
        try:
            stream = self._container.add_stream(plan.encoder, rate=info.fps, options=dict(plan.options))
        except ValueError as error:
            raise InputError(
                f"{plan.encoder} does not fit into {self.destination.suffix}: choose another codec or an .mkv name"
            ) from error
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, plan.pix_fmt
        stream.thread_type, stream.thread_count = "AUTO", self._threads
        stream.codec_context.flags |= int(av.codec.context.Flags.frame_duration)
        stream.codec_context.time_base = stream.time_base = self._time_base
        self._tag(stream)
        self._shape(stream)
        self._stream = stream
        if self.source is not None and not info.retimed:
            self._passengers = Passengers(self.source, self._container)
        elif self.source is not None and info.has_audio:
            warnings.warn(f"the sound of {self.source} is left out: --fps changes the pictures' speed", stacklevel=4)
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            if is_full(error):
                raise
            raise InputError(
                f"{plan.encoder} cannot write {info.width}x{info.height} {plan.pix_fmt} into {self.destination.name} "
                f"({error.strerror}): choose another codec or preset, or an .mkv name"
            ) from error

    def _shape(self, stream: Any) -> None:
        """How players turn the stored picture: its rotation or mirroring, and the shape of its pixels."""
        info, plan = self.info, self._encoding
        if info.display_matrix:
            stream.set_display_matrix(info.display_matrix)
        elif info.rotation:
            stream.set_display_rotation(info.rotation)
        aspect = info.sample_aspect_ratio
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        in_stream = plan.encoder.startswith("libx26")  # other codecs leave it to the container
        lost = [("rotation", info.rotation)] if plan.container == "avi" else []
        if not in_stream and plan.container not in ("mp4", "mov"):
            lost.append(("pixel shape", aspect not in (None, 1)))
        for what in (name for name, there in lost if there):
            warnings.warn(f"{self.destination.name} cannot store the {what}: choose an .mp4 name", stacklevel=5)

    def _tag(self, stream: Any) -> None:
        """The colour description: the source's own, except where RGB becomes YUV or the reverse."""
        info, to_gbr = self.info, self._target.kind == "gbr"
        kept = to_gbr == (info.kind == "gbr")
        self._full = info.full_range if kept else to_gbr
        context, tags = stream.codec_context, info.tags
        context.color_range = tags.range if kept else (2 if self._full else 1)
        context.colorspace = tags.space if kept else (0 if to_gbr else SPACES[info.matrix])
        context.color_trc, context.color_primaries = tags.trc, tags.primaries

    def _encode(self, picture: VideoFrame, pts: int | None, duration: int) -> None:
        stamp = self._stamp(pts)
        if picture.format.name != self._encoding.pix_fmt:
            picture = convert(picture, self._encoding.pix_fmt, self.info, self._full)
        context = self._stream.codec_context
        picture.color_range, picture.colorspace = context.color_range, context.colorspace
        picture.pts, picture.time_base, picture.pict_type = stamp, self._time_base, 0
        picture.duration = round(duration * self.info.time_base / self._time_base)
        with self._explained():
            self._mux(self._stream.encode(picture))
        self._count += 1

    def _stamp(self, pts: int | None) -> int:
        """The output's time stamp of the next frame, later than the last one's."""
        info, ticks = self.info, self._time_base
        if pts is None:
            stamp = round(self._count / (info.fps * ticks))
        else:
            if self._count == 0:
                self._shift = self._start(pts * info.time_base)
            stamp = (pts if ticks == info.time_base else round(pts * info.time_base / ticks)) - self._shift
        if self._last is not None and stamp <= self._last:
            if not self._grid:
                raise ValueError(f"frames must come in order of time; got pts {pts} after {self._last + self._shift}")
            stamp = self._last + 1
        self._last = stamp
        if self._grid and pts is not None:
            self._check_grid(pts * info.time_base - (stamp + self._shift) * ticks)
        return stamp

    def _start(self, first: Fraction) -> int:
        """Where the output's clock starts, in its ticks, for a first picture at `first` seconds."""
        if self._passengers and not self._grid:
            return self._passengers.start_clock(first, self._time_base)
        if self._passengers:
            self._passengers.start_together(first)
        return round(first / self._time_base)

    def _check_grid(self, error: Fraction) -> None:
        if not self._warned and abs(error) > self._time_base:
            self._warned = True
            warnings.warn(
                f"{self.destination.name} holds a constant rate only, and the input's varies: time stamps are rounded "
                "to it; choose an .mp4 or .mkv name to keep them",
                stacklevel=5,
            )

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            if self._passengers and packet.dts is not None:
                self._passengers.until(packet.dts * packet.time_base)
            self._container.mux(packet)

    def _finish(self) -> None:
        assert self._file is not None
        self._mux(self._stream.encode(None))
        if self._passengers:
            self._passengers.until(None)
            self._passengers.close()
        self._container.close()
        if self.destination.exists() and not self._overwrite:
            raise InputError(f"{self.destination} appeared meanwhile: choose another name or pass --overwrite")
        self._file.commit()

    def _abandon(self) -> None:
        if self._behind is not None:
            self._behind.stop()
        for part in (self._passengers, self._container):
            if part is not None:
                with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):
                    part.close()
        if self._file is not None:
            self._file.discard()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Faults of the disk and the encoder, in the user's terms."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise write_error(error, self.destination) from error
