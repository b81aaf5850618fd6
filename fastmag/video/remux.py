"""Sound and subtitles travel from the input to the output as they are: packets copied, none decoded."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from fastmag.video.encoders import CONTAINERS
from fastmag.video.reader import LENIENT

_STALE = {"encoder", "major_brand", "minor_version", "compatible_brands", "duration"}


def _roomy(source: Path, container: Any) -> str:
    """An extension whose container takes what `source` holds: its own, where that can be written."""
    own = source.suffix.lower()
    return own if CONTAINERS.get(own, container.format.name) != container.format.name else ".mkv"


class Passengers:
    """The streams of `source` that are copied beside the new video into the open output `container`.

    `origin`: the time in seconds of the source at which the output's clock starts."""

    def __init__(self, source: Path, container: Any):
        self._input = av.open(str(source), **LENIENT)
        self._target: dict[int, Any] = {}
        self._shift: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self.origin = Fraction(0)
        try:
            self._board(source, container)
        except BaseException:
            self.close()
            raise
        self._packets = self._input.demux([self._input.streams[i] for i in self._target]) if self._target else iter(())
        self._next = self._advance()
        self._container = container
        self._together = False
        if container.format.name == "avi" and self._next is not None and self._next.duration:
            # AVI derives its clock from the bit rate, which headers of old codecs state wrongly.
            seconds = self._next.duration * self._next.time_base
            self._target[self._next.stream_index].codec_context.bit_rate = round(8 * self._next.size / seconds)

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
                    f"out: choose an output name that ends in {_roomy(source, container)} to keep it",
                    stacklevel=5,
                )
                continue
            stream.discard = av.stream.Discard.default
            target.disposition = stream.disposition
            target.metadata.update({k: v for k, v in stream.metadata.items() if k.lower() in ("language", "title")})
            self._target[stream.index] = target
        if chapters := self._input.chapters():
            container.set_chapters(chapters)

    def start_clock(self, first: Fraction, time_base: Fraction) -> int:
        """Fixes the origin, given the time of the first picture in seconds: the earliest start of any stream that is
        copied, as a whole number of the video's `time_base`, which is returned."""
        copied = [self._input.streams[i] for i in self._target]
        times = [s.start_time * s.time_base for s in copied if s.start_time is not None and s.time_base]
        # A start a little below zero is the lead-in of the sound's codec, which players skip: no reason to shift.
        early = min([first, *times])
        shift = 0 if -Fraction(1, 10) < early < 0 <= first else round(early / time_base)
        self.origin = shift * time_base
        for stream in copied:
            self._shift[stream.index] = round(self.origin / (stream.time_base or time_base))
        return shift

    def start_together(self, first: Fraction) -> None:
        """For containers without start times: every stream begins at zero, whatever its own start."""
        self.origin = first
        self._together = True
        for stream in (self._input.streams[index] for index in self._target):
            late = first - (stream.start_time or 0) * (stream.time_base or 0)
            if abs(late) > Fraction(1, 10):
                warnings.warn(
                    f"the sound moves by {float(late):.2f} s: this container stores no start times; "
                    "choose an .mp4 or .mkv name to keep it in step",
                    stacklevel=6,
                )

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
            self._ride(packet)
            self._next = self._advance()

    def _ride(self, packet: Any) -> None:
        """Writes `packet`, its times moved to the output's clock and kept strictly increasing in the output's ticks,
        which can be coarser than the input's."""
        index = packet.stream_index
        target = self._target[index]
        if self._together and index not in self._shift:
            self._shift[index] = packet.dts or 0
        shift = self._shift.get(index, 0)
        ratio = packet.time_base / target.time_base
        if packet.pts is not None:
            packet.pts = round((packet.pts - shift) * ratio)
        if packet.dts is not None:
            packet.dts = round((packet.dts - shift) * ratio)
            last = self._last.get(index)
            if last is not None and packet.dts <= last and target.type == "audio":
                packet.dts = last + 1
                packet.pts = None if packet.pts is None else max(packet.pts, packet.dts)
            self._last[index] = packet.dts
        packet.duration = round((packet.duration or 0) * ratio)
        packet.time_base, packet.stream = target.time_base, target
        self._container.mux(packet)

    def close(self) -> None:
        self._input.close()
