"""Sound and subtitles travel from the input to the output as they are: packets copied, none decoded."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

_STALE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}


class Passengers:
    """The streams of `source` that are copied beside the new video into the open output `container`.

    `origin`: the time in seconds of the source at which the output's clock starts."""

    def __init__(self, source: Path, container: Any):
        self._input = av.open(str(source), metadata_errors="replace")
        self._target: dict[int, Any] = {}
        self._shift: dict[int, int] = {}
        self.origin = Fraction(0)
        try:
            self._board(source, container)
        except BaseException:
            self.close()
            raise
        self._packets = self._input.demux([self._input.streams[i] for i in self._target]) if self._target else iter(())
        self._next = self._advance()
        self._container = container

    def _board(self, source: Path, container: Any) -> None:
        container.metadata.update({k: v for k, v in self._input.metadata.items() if k.lower() not in _STALE})
        for stream in self._input.streams:
            stream.discard = av.stream.Discard.all
            if stream.type not in ("audio", "subtitle"):
                continue
            try:
                target = container.add_stream_from_template(stream, opaque=True)
            except (ValueError, av.error.FFmpegError, AttributeError):
                name = getattr(stream.codec_context, "name", "unknown")
                warnings.warn(
                    f"the {stream.type} of {source} ({name}) does not fit into {container.format.name} and is left "
                    "out: choose an output name that ends in .mkv to keep it",
                    stacklevel=5,
                )
                continue
            stream.discard = av.stream.Discard.default
            target.disposition = stream.disposition
            target.metadata.update({k: v for k, v in stream.metadata.items() if k.lower() in ("language", "title")})
            self._target[stream.index] = target

    def start_clock(self, first: Fraction, time_base: Fraction) -> int:
        """Fixes the origin, given the time of the first picture in seconds: the earliest start of any copied stream,
        a whole number of the video's `time_base`, which is returned."""
        starts = [self._input.streams[i] for i in self._target]
        times = [s.start_time * s.time_base for s in starts if s.start_time is not None and s.time_base]
        shift = round(min([first, *times]) / time_base)
        self.origin = shift * time_base
        for stream in starts:
            self._shift[stream.index] = round(self.origin / (stream.time_base or time_base))
        self._copy_chapters()
        return shift

    def _copy_chapters(self) -> None:
        chapters = self._input.chapters()
        if chapters and not self.origin:
            self._container.set_chapters(chapters)

    def _advance(self) -> Any:
        try:
            for packet in self._packets:
                if packet.size:
                    return packet
        except av.error.FFmpegError as error:
            warnings.warn(f"the sound breaks off: {error.strerror}", stacklevel=4)
        return None

    def until(self, time: Fraction | None) -> None:
        """Writes the packets due before `time` (seconds in the output), or all that are left for None."""
        while self._next is not None:
            packet = self._next
            stamp = packet.dts if packet.dts is not None else packet.pts
            due = Fraction(0) if stamp is None else stamp * packet.time_base - self.origin
            if time is not None and due > time:
                return
            shift = self._shift.get(packet.stream_index, 0)
            if packet.pts is not None:
                packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
            packet.stream = self._target[packet.stream_index]
            self._container.mux(packet)
            self._next = self._advance()

    def close(self) -> None:
        self._input.close()
