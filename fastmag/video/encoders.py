"""Which encoder writes which file, and how: the choice of codec, pixel format and options."""

from __future__ import annotations

from dataclasses import dataclass, field

import av

from fastmag.errors import InputError
from fastmag.video import hardware
from fastmag.video.media import VideoInfo
from fastmag.video.planes import nearest_format

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".m4v": "mp4", ".mkv": "matroska", ".webm": "webm", ".avi": "avi"}
_ALIASES = {
    "h264": "libx264", "avc": "libx264", "hevc": "libx265", "h265": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1",
    "nvenc": hardware.H264,
}  # fmt: skip
_TAKES_ODD = {"ffv1", "libvpx-vp9"}


@dataclass(frozen=True)
class Encoding:
    """An encoder's name, the pixel format it is fed, and its private options."""

    container: str
    encoder: str
    pix_fmt: str
    options: dict[str, str] = field(default_factory=dict)


def choose_encoding(
    extension: str, info: VideoInfo, codec: str | None, crf: float, preset: str, lossless: bool
) -> Encoding:
    """How to write frames of `info` into a file with `extension`.

    `codec`: None for the container's usual one, h264, hevc, vp9, av1, ffv1, nvenc or any FFmpeg encoder; "auto" for
    nvenc where it works and suits, else the usual one.
    Raises InputError where it is unknown, does not fit the container, or cannot be lossless for these frames."""
    container = CONTAINERS[extension]
    if codec == "auto":
        codec = "nvenc" if not why_not_nvenc(container, info, lossless) else None
    encoder = _ALIASES.get(codec, codec) if codec else _usual(container, info, lossless)
    formats = _formats(encoder)
    if encoder in hardware.FORMATS:
        if (reason := hardware.why_no_encoder(encoder)) is not None:
            raise InputError(f"{encoder} does not work here: {reason}; leave the codec out, or take auto")
        formats = [name for name in formats if name in hardware.FORMATS[encoder]]
    if encoder in ("libx264", "libx265") and not lossless:
        formats = [name for name in formats if not name.startswith("gray")]  # few players show H.264 without chroma
    odd = (info.height % 2 == 1, info.width % 2 == 1) if encoder not in _TAKES_ODD else (False, False)
    if lossless and encoder == "libx264" and info.kind == "gbr":
        encoder, formats = "libx264rgb", _formats("libx264rgb")
    pix_fmt = nearest_format(info.pixels, formats, odd, exact=lossless)
    if pix_fmt is None:
        raise InputError(
            f"{encoder} in {extension} cannot keep {info.width}x{info.height} {info.pix_fmt} lossless: "
            "choose an output name that ends in .mkv (FFV1) or leave lossless out"
        )
    options = _options(encoder, container, crf, preset, lossless)
    if encoder == "ffv1" and info.pixels.shift_x == 2:
        options = {"level": "1"}  # slices of FFV1 lose the last column of 4:1:1 where widths are not multiples of four
    return Encoding(container, encoder, pix_fmt, options)


def why_not_nvenc(container: str, info: VideoInfo, lossless: bool) -> str | None:
    """Why "auto" leaves NVENC alone for such a file; None where it takes it."""
    if lossless or container == "webm" or info.bit_depth > 8 or info.kind == "gbr" or info.height % 2 or info.width % 2:
        return "it writes H.264 of 8 bits, even sizes and YUV, and not lossless"
    return hardware.why_no_encoder(hardware.H264)


def _usual(container: str, info: VideoInfo, lossless: bool) -> str:
    if container == "webm":
        return "libvpx-vp9"
    return "ffv1" if lossless and container in ("matroska", "avi") else "libx264"


def _formats(encoder: str) -> list[str]:
    known = ", ".join(sorted(_ALIASES))
    try:
        codec = av.Codec(encoder, "w")
    except (ValueError, av.error.FFmpegError) as error:
        raise InputError(f"{encoder} is no encoder; expected one of {known}, ffv1: change the codec") from error
    if codec.type != "video":
        raise InputError(f"{encoder} does not encode video; expected one of {known}, ffv1: change the codec")
    return [f.name for f in codec.video_formats or []]


def _options(encoder: str, container: str, crf: float, preset: str, lossless: bool) -> dict[str, str]:
    quality = f"{crf:g}"
    if encoder in ("libx264", "libx264rgb"):
        options = {"preset": preset, **({"qp": "0"} if lossless else {"crf": quality})}
        return options | ({"bf": "0"} if container == "avi" else {})  # AVI stores no presentation times
    if encoder == "libx265":
        quiet = "log-level=none" + (":lossless=1" if lossless else "")
        return {"preset": preset, "x265-params": quiet, **({} if lossless else {"crf": quality})}
    if encoder == "libvpx-vp9":
        speed = {"deadline": "good", "cpu-used": "4", "row-mt": "1"}
        return speed | ({"lossless": "1"} if lossless else {"crf": quality})
    if encoder in hardware.FORMATS and not lossless:
        return hardware.options(crf) | ({"bf": "0"} if container == "avi" else {})
    if encoder == "libsvtav1" and not lossless:
        return {"crf": quality, "preset": "6"}
    if encoder == "ffv1":
        return {"level": "3", "slicecrc": "1"}
    if lossless:
        raise InputError(f"{encoder} has no lossless mode here: use ffv1 in .mkv, or h264, hevc or vp9")
    return {}
