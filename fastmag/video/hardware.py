"""NVIDIA's video units through FFmpeg, NVDEC to decode and NVENC to encode: whether they work here is found by trying.

Cards for computing (A100, H100) have no NVENC.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame

from fastmag import nvidia

H264, HEVC = "h264_nvenc", "hevc_nvenc"
# What is fed to them: 8 bits, and 10 bits where all cards that have the encoder take it.
FORMATS = {H264: ("yuv420p", "yuv444p"), HEVC: ("yuv420p", "yuv444p", "p010le")}
SIZE, APART = 256, 6  # of the picture that is tried, and levels by which it may come back changed


def accelerator() -> HWAccel:
    """NVDEC for av.open, never replaced by software; pictures come back to the memory of the host."""
    return HWAccel("cuda", allow_software_fallback=False)


@lru_cache(maxsize=1)
def why_no_decoder() -> str | None:
    """Why NVDEC does not decode H.264 here, in one line; None where it gives what the processor gives."""
    clip = _no_card() or _clip("libx264", {"qp": "4"})
    if isinstance(clip, str):
        return clip
    try:
        pictures = [_first(clip, hwaccel) for hwaccel in (None, accelerator())]
    except Exception as error:  # PyAV has a class for each of FFmpeg's and the driver's faults
        return said(error)
    return None if (pictures[0] == pictures[1]).all() else "its pictures differ from the processor's"


@lru_cache(maxsize=len(FORMATS))
def why_no_encoder(name: str) -> str | None:
    """Why an NVENC encoder does not work here, in one line; None where a picture went through it and came back."""
    if (reason := _no_card()) is not None:
        return reason
    clip = _clip(name, options(4.0))
    if isinstance(clip, str):
        return f"{clip} (cards for computing, such as A100 and H100, have no encoder)"
    apart = np.abs(_first(clip, None).astype(int) - _ramp()).max()
    return None if apart <= APART else f"a picture came back {apart} levels off"


def options(crf: float) -> dict[str, str]:
    """Constant quality, on x264's scale of quantisers, which is the same."""
    return {"preset": "p4", "rc": "constqp", "qp": f"{min(max(round(crf), 0), 51)}"}


def _no_card() -> str | None:
    try:
        nvidia.find()
    except nvidia.Unusable as reason:
        return str(reason)
    return None


def said(error: Exception) -> str:
    """What PyAV said, in one short line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:160]


def _ramp() -> np.ndarray:
    return (np.add.outer(np.arange(SIZE), np.arange(SIZE)) // 4 + 40).astype(np.uint8)


def _clip(encoder: str, settings: dict[str, str]) -> bytes | str:
    """Two pictures by an encoder, as a file; or why that cannot be."""
    room = io.BytesIO()
    try:
        with av.open(room, "w", format="matroska") as container:
            stream: Any = container.add_stream(encoder, rate=30, options=settings)
            stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
            planes = np.concatenate([_ramp(), np.full((SIZE // 2, SIZE), 128, np.uint8)])
            for _ in range(2):
                container.mux(stream.encode(VideoFrame.from_ndarray(planes, format="yuv420p")))
            container.mux(stream.encode(None))
    except Exception as error:  # as above
        return said(error)
    return room.getvalue()


def _first(clip: bytes, hwaccel: HWAccel | None) -> np.ndarray:
    """The luma of a clip's first picture."""
    with av.open(io.BytesIO(clip), "r", hwaccel=hwaccel) as container:
        picture = next(container.decode(video=0))
        return picture.reformat(format="gray", src_color_range=2, dst_color_range=2).to_ndarray()
