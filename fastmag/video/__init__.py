"""Video files in and out: any container and codec that FFmpeg decodes, as planar frames (PyAV).

with Reader("in.mp4") as reader, Writer("out.mp4", reader.info, "in.mp4") as writer:
    for frame in reader:
        writer.write(frame)
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from fastmag.errors import InputError
from fastmag.video.media import ColorTags, Frame, VideoInfo, array_info
from fastmag.video.planes import PixelFormat, planar_format
from fastmag.video.reader import Reader
from fastmag.video.rgb import to_rgb
from fastmag.video.writer import DEFAULT_CRF, DEFAULT_PRESET, EXTENSIONS, Writer

__all__ = [
    "EXTENSIONS", "ColorTags", "Frame", "PixelFormat", "Reader", "VideoInfo", "Writer",
    "array_info", "planar_format", "probe", "read_rgb", "to_rgb", "write_rgb",
]  # fmt: skip


def probe(path: str | os.PathLike[str], fps: Fraction | float | None = None) -> VideoInfo:
    """What `path` holds, by its header and its first picture. Raises InputError as Reader does."""
    with Reader(path, fps) as reader:
        return reader.info


def read_rgb(path: str | os.PathLike[str], start: int = 0, count: int | None = None) -> tuple[np.ndarray, float]:
    """Frames `start` to `start + count` (to the end) of a short clip, whole in memory: (T, H, W, 3) uint8 and its fps.

    Colours follow the file's matrix and range; rotation is not applied. Raises InputError as Reader does."""
    frames: list[np.ndarray] = []
    with Reader(path) as reader:
        info = reader.info
        for index, frame in enumerate(reader):
            if count is not None and index >= start + count:
                break
            if index >= start:
                frames.append(to_rgb(frame, info))
    return np.array(frames, np.uint8).reshape(-1, info.height, info.width, 3), float(info.fps)


def write_rgb(
    destination: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    fps: Fraction | float,
    *,
    lossless: bool = False,
    pix_fmt: str | None = None,
    crf: float = DEFAULT_CRF,
    preset: str = DEFAULT_PRESET,
    overwrite: bool = False,
) -> None:
    """Writes RGB pictures, (T, H, W, 3) uint8 or any iterable of (H, W, 3), as a video of constant rate.

    `lossless` keeps every value (RGB H.264 or FFV1); else YUV 4:2:0, BT.709, limited range, or `pix_fmt`.
    Raises InputError for wrong shapes and types, an absurd fps, and as Writer does."""
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise InputError("there are no frames to write; expected (T, H, W, 3) uint8 with T >= 1: pass some")
    shape = np.shape(first)
    _check_rgb(first, shape)
    info = array_info(shape[0], shape[1], fps, "gbrp" if lossless else pix_fmt or "yuv420p")
    with Writer(destination, info, crf=crf, preset=preset, lossless=lossless, overwrite=overwrite) as writer:
        for picture in itertools.chain([first], pictures):
            _check_rgb(picture, shape)
            writer.write_rgb(picture)


def _check_rgb(picture: np.ndarray, shape: tuple[int, ...]) -> None:
    got = f"{np.shape(picture)} {getattr(picture, 'dtype', type(picture).__name__)}"
    if len(shape) != 3 or shape[2] != 3 or np.shape(picture) != shape or getattr(picture, "dtype", None) != np.uint8:
        expected = f"{shape} uint8" if len(shape) == 3 and shape[2] == 3 else "(H, W, 3) uint8"
        raise InputError(f"a frame is {got}; expected {expected}: frames are (T, H, W, 3) uint8 in RGB order")
