"""python -m bench.guitar CLIPS: how near EVM comes to MIT's own guitar_72_92_mit_result.mp4, and what is left.

CLIPS is the folder with MIT's guitar.mp4 and that file. Distances are root mean squares of full scale of what moves,
ours and the untouched source, delayed by so many frames, or as means of the frames one and two later; those of the luma
also within the band of 72-92 Hz and outside, where no gain reaches.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np

import fastmag
from fastmag.presets import PRESETS
from fastmag.video import read_rgb

FS, BAND, COUNT = 600.0, (72.0, 92.0), 289
INSIDE = slice(6, -9)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def delayed(x: np.ndarray, frames: float) -> np.ndarray:
    """x (T, ...) so many frames later, by its Fourier series."""
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(len(x)) * frames).astype(np.complex64)
    return np.fft.irfft(np.fft.rfft(x, axis=0) * turn[:, None, None], len(x), axis=0).astype(np.float32)


def between(x: np.ndarray) -> np.ndarray:
    """The means of the frames one and two later, the last two frames 0."""
    return np.concatenate([(x[1:-1] + x[2:]) / 2, np.zeros_like(x[:2])])


def power(x: np.ndarray) -> float:
    """Mean square of what moves."""
    x = x[INSIDE] - x[INSIDE].mean(axis=0)
    return float((x * x).mean())


def parts(x: np.ndarray) -> tuple[float, float]:
    """Root mean squares of what moves within the band, and outside."""
    spectrum, f = np.fft.rfft(x - x.mean(axis=0), axis=0), np.fft.rfftfreq(len(x), 1 / FS)
    squares = 2 * (np.abs(spectrum) ** 2).mean(axis=(1, 2)) / len(x) ** 2
    within = (f > BAND[0]) & (f < BAND[1])
    return float(squares[within].sum() ** 0.5), float(squares[~within].sum() ** 0.5)


def main() -> None:
    """Print the distances."""
    clips = Path(sys.argv[1])
    source, fps = read_rgb(clips / "guitar.mp4")
    theirs = read_rgb(clips / "guitar_72_92_mit_result.mp4")[0]
    params = dataclasses.replace(PRESETS["evm/guitar-e"], compat="mit", alpha=75)
    ours, source = fastmag.magnify(source, method=params, fps=fps), source[1 : 1 + COUNT]
    for name, align in {
        "delayed by 1.5 frames": lambda x: delayed(x, 1.5),
        "means of neighbours": between,
    }.items():
        distance = [
            sum(power(align(x[..., c] / np.float32(255)) - theirs[..., c] / np.float32(255)) / 3 for c in range(3))
            ** 0.5
            for x in (ours, source)
        ]
        nearer = 100 * (1 - distance[0] / distance[1])
        print(f"{name}: ours {distance[0]:.4f}, source {distance[1]:.4f}, {nearer:.1f} % nearer", flush=True)
    luma = [(x @ LUMA) / np.float32(255) for x in (ours, theirs)]
    for frames in (1.0, 1.25, 1.5, 1.75, 2.0):
        within, outside = parts(delayed(luma[0], frames) - luma[1])
        print(f"luma, delayed by {frames:g} frames: in the band {within:.4f}, outside {outside:.4f}", flush=True)


if __name__ == "__main__":
    main()
