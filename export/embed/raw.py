"""raw.py read CLIP > FRAMES, raw.py write CLIP WxH FPS < FRAMES: a clip as raw rgb24 frames and back.

read says on standard error what --size and --fps are. write makes lossless FFV1 for .mkv, H.264 for anything else.
"""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import numpy as np

from fastmag.video import Reader, to_rgb


def read(path: str) -> None:
    """The frames of a clip, to standard output."""
    with Reader(path) as reader:
        height, width, fps = reader.info.height, reader.info.width, float(reader.info.fps)
        print(f"--size {width}x{height} --fps {fps:g}", file=sys.stderr)
        for planes in reader:
            sys.stdout.buffer.write(to_rgb(planes, reader.info).tobytes())


def write(path: str, size: str, fps: str) -> None:
    """A clip of the frames on standard input."""
    width, height = map(int, size.split("x"))
    lossless = path.endswith(".mkv")
    with av.open(path, "w") as container:
        stream = container.add_stream(
            "ffv1" if lossless else "libx264",
            rate=Fraction(fps).limit_denominator(1001),
            options={} if lossless else {"crf": "16"},
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0" if lossless else "yuv420p"
        while data := sys.stdin.buffer.read(width * height * 3):
            frame = av.VideoFrame.from_ndarray(np.frombuffer(data, np.uint8).reshape(height, width, 3), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "read":
        read(sys.argv[2])
    elif len(sys.argv) == 5 and sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        sys.exit(f"usage: {__doc__}")
