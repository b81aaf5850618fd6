"""Pixel formats as planes: what FFmpeg decodes into, seen as NumPy arrays.

fastmag works on planar pictures only: Y, U, V (any chroma subsampling), gray, or G, B, R in that order, with 8 bits
in uint8 or 9 to 16 bits in the low bits of uint16. Everything else is rewritten by swscale into the nearest of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation

Kind = Literal["yuv", "gray", "gbr"]

_SUBSAMPLING = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_DEPTHS = (8, 9, 10, 12, 14, 16)
# One-tap, unshifted conversion: swscale's defaults are faster but off by one level and blur chroma.
EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class PixelFormat:
    """A planar format: `bits` per sample, chroma planes smaller by 2**shift_x and 2**shift_y (0 unless yuv)."""

    name: str
    kind: Kind
    bits: int
    shift_x: int = 0
    shift_y: int = 0

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def peak(self) -> int:
        """The largest sample value."""
        return (1 << self.bits) - 1

    def shapes(self, height: int, width: int) -> tuple[tuple[int, int], ...]:
        """(h, w) of each plane of a picture; chroma sizes round up, as FFmpeg's do."""
        if self.kind == "gray":
            return ((height, width),)
        chroma = (-(-height >> self.shift_y), -(-width >> self.shift_x))
        return ((height, width), chroma, chroma)


@cache
def planar_format(name: str) -> PixelFormat:
    """The planar format in which pictures of FFmpeg's pixel format `name` are delivered: the nearest that keeps
    the colours (alpha is dropped)."""
    source = av.VideoFormat(name, 64, 64)
    colours = [c for c in source.components if not c.is_alpha]
    if not colours:
        raise ValueError(f"{name} has no picture samples in memory")
    depth = max(c.bits for c in colours)
    bits = next((b for b in _DEPTHS if b >= depth), 16)
    suffix = "" if bits == 8 else f"{bits}le"
    if source.is_rgb or source.has_palette or source.is_bayer or name.startswith("xyz"):
        return PixelFormat(f"gbrp{suffix}", "gbr", bits)
    if len(colours) == 1:
        return PixelFormat(f"gray{suffix}", "gray", bits)
    shift = (6 - source.chroma_width(64).bit_length() + 1, 6 - source.chroma_height(64).bit_length() + 1)
    if shift not in _SUBSAMPLING or (bits > 8 and shift[0] == 2) or (bits not in (8, 10, 12) and shift == (0, 1)):
        shift = (0, 0)
    return PixelFormat(f"yuv{_SUBSAMPLING[shift]}p{suffix}", "yuv", bits, *shift)


def is_direct(name: str) -> bool:
    """True where memory in format `name` already holds the delivered planes first (alpha may follow them)."""
    plain = name.replace("yuvj", "yuv").replace("yuva", "yuv").replace("gbrap", "gbrp").replace("gray8", "gray")
    return plain == planar_format(name).name


def delivered(picture: VideoFrame, pixels: PixelFormat, full_range: bool) -> VideoFrame:
    """`picture` itself where its memory holds the planes of `pixels`, else rewritten by swscale without loss."""
    name = picture.format.name
    if name == pixels.name or (is_direct(name) and planar_format(name) == pixels):
        return picture
    both = 2 if full_range else 1
    return picture.reformat(format=pixels.name, interpolation=EXACT, src_color_range=both, dst_color_range=both)


def views(frame: VideoFrame, pixels: PixelFormat, writeable: bool = False) -> tuple[np.ndarray, ...]:
    """The planes of `frame` as (h, w) arrays on the frame's own memory, without row padding.

    Each array keeps the frame alive. They are read-only by default: a decoder predicts later pictures from them."""
    planes = []
    for plane, (h, w) in zip(frame.planes, pixels.shapes(frame.height, frame.width), strict=False):
        rows = np.frombuffer(memoryview(plane), pixels.dtype).reshape(h, -1)[:, :w]
        if plane.line_size < 0:
            rows = rows[::-1]
        rows.flags.writeable = writeable
        planes.append(rows)
    return tuple(planes)


def new_frame(planes: Sequence[np.ndarray], pixels: PixelFormat) -> VideoFrame:
    """A fresh frame that holds copies of `planes`."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height, pixels.name)
    for target, plane in zip(views(frame, pixels, writeable=True), planes, strict=True):
        if plane.shape != target.shape or plane.dtype != target.dtype:
            raise ValueError(
                f"a {pixels.name} plane must be {target.shape} {target.dtype}; got {plane.shape} {plane.dtype}"
            )
        target[...] = plane
    return frame


def gray_as_yuv(gray: np.ndarray, source: PixelFormat, target: PixelFormat) -> tuple[np.ndarray, ...]:
    """A gray plane as YUV planes of `target` with neutral chroma, of the same range: swscale takes all gray for full
    range and would squeeze it."""
    drop = source.bits - target.bits
    luma: np.ndarray = gray.astype(np.uint32)
    luma = np.minimum((luma + (1 << drop >> 1)) >> drop, target.peak) if drop > 0 else luma << -drop
    luma = luma.astype(target.dtype)
    chroma = np.full(target.shapes(*gray.shape)[1], (target.peak + 1) // 2, target.dtype)
    return luma, chroma, chroma


def _losses(source: PixelFormat, target: PixelFormat) -> tuple[int, ...]:
    """How much is lost (then: how much is wasted) by writing `source` as `target`: smaller is better."""
    colour = {("yuv", "gbr"): 2, ("gbr", "yuv"): 1}.get((source.kind, target.kind), 0)
    chroma = max(target.shift_x - source.shift_x, 0) + max(target.shift_y - source.shift_y, 0)
    if source.kind == "gray":
        chroma = 0
    waste = max(source.shift_x - target.shift_x, 0) + max(source.shift_y - target.shift_y, 0)
    waste += (source.kind == "gray" and target.kind != "gray") * (5 - target.shift_x - target.shift_y)
    return (colour, max(source.bits - target.bits, 0), chroma, waste, max(target.bits - source.bits, 0))


def nearest_format(source: PixelFormat, names: Iterable[str], odd: tuple[bool, bool], exact: bool) -> str | None:
    """The encoder format in `names` that loses least of `source`; with `exact`, one that loses nothing, or None.

    `odd` (height, width): True excludes formats that subsample chroma along that axis."""
    best: tuple[tuple[int, ...], str] | None = None
    for name in names:
        parts = av.VideoFormat(name, 64, 64).components
        if not parts or any(c.is_alpha for c in parts) or "f16" in name or "f32" in name or "msb" in name:
            continue
        target = planar_format(name)
        if (odd[0] and target.shift_y) or (odd[1] and target.shift_x) or name.startswith("yuvj"):
            continue
        if target.kind == "gray" and source.kind != "gray":
            continue
        if exact and target != source:
            continue
        score = (*_losses(source, target), int(not is_direct(name)))
        if best is None or score < best[0]:
            best = (score, name)
    return best[1] if best else None
