"""The nouns of video input and output: what is known about a clip, and one of its pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from fastmag.errors import InputError
from fastmag.video.planes import Kind, PixelFormat, planar_format

MIN_FPS, MAX_FPS = 1, 1000
UNSPECIFIED = 2  # of colour space, transfer and primaries, in FFmpeg's and ITU-T H.273's numbering
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020"}
SPACES = {"bt601": 6, "bt709": 1, "bt2020": 9}


@dataclass(frozen=True)
class ColorTags:
    """The colour description of a stream, as FFmpeg's (ITU-T H.273) numbers; range 1 is limited, 2 full, 0 unknown."""

    range: int = 0
    space: int = UNSPECIFIED
    trc: int = UNSPECIFIED
    primaries: int = UNSPECIFIED


@dataclass(frozen=True)
class VideoInfo:
    """A clip: its geometry, time, colour and origin.

    `width`, `height`: of the stored picture, before `rotation` (counter-clockwise degrees, multiple of 90).
    `fps`: average frames a second. `n_frames`, `duration` (seconds): best estimates, or None.
    `pix_fmt`: the planar format in which frames are delivered; `planes`: (h, w) of each.
    `matrix`, `full_range`: how YUV relates to RGB, resolved where the file says nothing.
    `time_base`: seconds per unit of `Frame.pts`."""

    path: Path
    width: int
    height: int
    fps: Fraction
    n_frames: int | None
    duration: float | None
    pix_fmt: str
    matrix: str
    full_range: bool
    time_base: Fraction
    rotation: int = 0
    codec: str = ""
    has_audio: bool = False
    retimed: bool = False
    tags: ColorTags = ColorTags()
    sample_aspect_ratio: Fraction | None = None
    display_matrix: tuple[int, ...] | None = None

    @property
    def pixels(self) -> PixelFormat:
        return planar_format(self.pix_fmt)

    @property
    def bit_depth(self) -> int:
        return self.pixels.bits

    @property
    def kind(self) -> Kind:
        return self.pixels.kind

    @property
    def planes(self) -> tuple[tuple[int, int], ...]:
        return self.pixels.shapes(self.height, self.width)


@dataclass
class Frame:
    """A picture: `planes` ((h, w) uint8 or uint16, as VideoInfo.planes), `time` in seconds from the first frame.

    Planes that come from a Reader are read-only views, valid for as long as they are held; make a changed picture with
    `frame.with_planes(...)`. `pts` and `duration` count VideoInfo.time_base."""

    planes: tuple[np.ndarray, ...]
    time: float = 0.0
    pts: int | None = None
    duration: int = 0

    def with_planes(self, planes: tuple[np.ndarray, ...]) -> Frame:
        """The same moment with other samples."""
        return dataclasses.replace(self, planes=tuple(planes))


def check_fps(fps: Fraction | float | str | None, what: str) -> Fraction:
    """`fps` as a fraction within [1, 1000]. Raises InputError, naming `what`, otherwise."""
    try:
        rate = Fraction(fps).limit_denominator(100_000) if fps is not None else None
    except (ValueError, OverflowError, ZeroDivisionError, TypeError):
        rate = None
    if rate is None or not MIN_FPS <= rate <= MAX_FPS:
        shown = "no frame rate" if fps is None else f"a frame rate of {fps if rate is None else f'{float(rate):g}'}"
        raise InputError(f"{what} has {shown}; expected {MIN_FPS} to {MAX_FPS} frames a second: give it with --fps")
    return rate


def resolve_matrix(space: int, height: int) -> str:
    """The YUV matrix of a stream; where it says nothing, what players assume: BT.709 from 720 lines on, else BT.601."""
    return _MATRICES.get(space) or ("bt709" if height >= 720 else "bt601")


def array_info(height: int, width: int, fps: Fraction | float, pix_fmt: str = "yuv420p") -> VideoInfo:
    """The VideoInfo of frames that come from memory: constant rate, BT.709, limited range (full if gray or RGB).

    `pix_fmt`: how they are to be written, such as yuv420p, yuv444p or gbrp."""
    pixels = planar_format(pix_fmt)
    rate = check_fps(fps, "the array")
    full = pixels.kind != "yuv"
    tags = ColorTags(range=2 if full else 1, space=0 if pixels.kind == "gbr" else 1, trc=1, primaries=1)
    return VideoInfo(
        path=Path("array"),
        width=width,
        height=height,
        fps=rate,
        n_frames=None,
        duration=None,
        pix_fmt=pixels.name,
        matrix="bt709",
        full_range=full,
        time_base=1 / rate,
        tags=tags,
    )
