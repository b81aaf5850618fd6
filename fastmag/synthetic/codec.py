"""Frames through a real H.264 encoder and decoder, in memory: its flicker is part of what a network must learn to
ignore."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np


def through_h264(
    frames: Iterable[np.ndarray], fps: float, crf: int, gop: int = 250, preset: str = "veryfast"
) -> Iterator[np.ndarray]:
    """Yield each (H, W, 3) uint8 frame as a decoder would show it; H and W even.

    crf: 18 (fine) .. 32 (coarse); gop: frames between key frames; preset: as x264 names them.
    """
    encoder = av.CodecContext.create("libx264", "w")
    decoder = av.CodecContext.create("h264", "r")
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 1000)
    encoder.options = {"crf": str(crf), "g": str(gop), "preset": preset}
    encoder.thread_count = 1  # the same bits on any machine
    decoder.thread_count = 1

    def decoded(packets: list) -> Iterator[np.ndarray]:
        for packet in packets:
            for picture in decoder.decode(packet):
                yield picture.to_ndarray(format="rgb24")

    for index, frame in enumerate(frames):
        if index == 0:
            encoder.height, encoder.width = frame.shape[:2]
            encoder.framerate = Fraction(fps).limit_denominator(1001)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture.pts = round(1000 * index / fps)
        yield from decoded(encoder.encode(picture))
    yield from decoded(encoder.encode(None))
    for picture in decoder.decode(None):
        yield picture.to_ndarray(format="rgb24")
