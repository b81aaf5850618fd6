"""Between planar frames and RGB arrays (swscale): for pictures and for frames from memory, not for the fast path."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from fastmag.video.media import Frame, VideoInfo
from fastmag.video.planes import EXACT, gray_as_yuv, new_frame, planar_format

SWS_MATRIX = {"bt601": 5, "bt709": 1, "bt2020": 9}  # swscale's own numbers
LIMITED, FULL = 1, 2
YUV444 = planar_format("yuv444p")


def to_rgb(frame: Frame, info: VideoInfo) -> np.ndarray:
    """A frame in RGB, (H, W, 3) uint8, by the matrix and range of `info`."""
    if info.kind == "gray":
        planes = gray_as_yuv(frame.planes[0], info.pixels, YUV444)
        picture = new_frame(planes, YUV444)
    else:
        picture = new_frame(frame.planes, info.pixels)
    return convert(picture, "rgb24", info, full_range=True).to_ndarray()


def from_rgb(rgb: np.ndarray) -> VideoFrame:
    """(H, W, 3) uint8 as an FFmpeg picture. Raises ValueError for other shapes and types."""
    return VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")


def convert(picture: VideoFrame, name: str, info: VideoInfo, full_range: bool) -> VideoFrame:
    """`picture` in the pixel format `name`, by the matrix of `info`; `full_range` of the result."""
    matrix = SWS_MATRIX[info.matrix]
    source_full = info.full_range or not picture.format.name.startswith("yuv")
    return picture.reformat(
        format=name, interpolation=EXACT, src_colorspace=matrix, dst_colorspace=matrix,
        src_color_range=FULL if source_full else LIMITED, dst_color_range=FULL if full_range else LIMITED,
    )  # fmt: skip
