"""Judge magnified versions of a real clip against its source: gain, correlation, leak, PSNR, SSIM, one row each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fastmag.errors import InputError
from fastmag.evaluation.metrics import Judgement, judge, luma, psnr_of, ssim
from fastmag.video import Reader, to_rgb

Box = tuple[int, int, int, int]  # x0, y0, x1, y1


@dataclass(frozen=True)
class Target:
    """Where to look in a clip: boxes on the target, boxes off it, and the target's rate in hertz."""

    on: tuple[Box, ...]
    off: tuple[Box, ...]
    rate_hz: float
    channel: int = 1


# MIT's face.mp4: forehead and both cheeks; the grey wall at the right
FACE = Target(((200, 80, 330, 140), (150, 280, 220, 340), (300, 280, 370, 340)), ((450, 250, 520, 400),), 0.88)


def boxes(text: str) -> tuple[Box, ...]:
    """Boxes from "x0,y0,x1,y1;x0,y0,x1,y1". Raises InputError for anything else."""
    try:
        found = [tuple(int(v) for v in part.split(",")) for part in text.split(";")]
    except ValueError:
        found = []
    if not found or any(len(b) != 4 or b[0] >= b[2] or b[1] >= b[3] or min(b) < 0 for b in found):
        raise InputError(f"boxes must be x0,y0,x1,y1;... with x0 < x1 and y0 < y1; got {text!r}")
    return tuple((b[0], b[1], b[2], b[3]) for b in found)


def judge_clip(source, magnified, target: Target, ssim_every: int = 10) -> Judgement:
    """Compare two files of one size, frame by frame, in bounded memory; SSIM on the luma of every tenth frame.

    Raises InputError when the pictures differ in size.
    """
    traces: tuple[list, list] = ([], [])
    squares, similar = [], []
    with Reader(source) as a, Reader(magnified) as b:
        if (a.info.width, a.info.height) != (b.info.width, b.info.height):
            raise InputError(f"{source} and {magnified} differ in size: compare a clip with its own magnified version")
        fps = float(a.info.fps)
        for i, (one, other) in enumerate(zip(a, b, strict=False)):
            old, new = to_rgb(one, a.info), to_rgb(other, b.info)
            for rows, picture in zip(traces, (old, new), strict=True):
                rows.append([_mean(picture, box, target.channel) for box in target.on + target.off])
            squares.append(np.mean((new.astype(np.float32) - old) ** 2))
            if i % ssim_every == 0:
                similar.append(ssim(luma(old), luma(new)))
    gain, correlation, leak = judge(np.array(traces[0]), np.array(traces[1]), len(target.on), fps, target.rate_hz)
    return Judgement(gain, correlation, leak, psnr_of(float(np.mean(squares))), float(np.mean(similar)))


def _mean(picture: np.ndarray, box: Box, channel: int) -> float:
    x0, y0, x1, y1 = box
    return float(picture[y0:y1, x0:x1, channel].mean())


def table(rows: Iterable[tuple[str, Judgement]]) -> str:
    """Rows (name, judgement) as a Markdown table."""
    lines = ["| | gain | correlation | leak | PSNR to source, dB | SSIM |", "| --- | --- | --- | --- | --- | --- |"]
    for name, j in rows:
        lines.append(f"| {name} | {j.gain:.2f} | {j.correlation:.3f} | {j.leak:.3f} | {j.psnr:.1f} | {j.ssim:.4f} |")
    return "\n".join(lines)
