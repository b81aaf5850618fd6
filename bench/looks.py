"""python -m bench.looks CLIPS [OUT]: pictures of what the rivals make of their authors' own clips, to look at.

CLIPS is a folder with those of baby.mp4, guitar.mp4, face.mp4 and their results (MIT), cat_toy_640x360.mp4 and
bottle_moving.avi (Zhang et al. 2017) that there are; none may be passed on with the project. A picture shows a frame,
and one of its lines, or a part of it, over time: untouched, and as each method leaves it. Most frames are halved, or
the line is not seen.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastmag
from bench.guitar import as_read
from fastmag.presets import PRESETS, method
from fastmag.video import read_rgb


@dataclass(frozen=True)
class Look:
    """One picture: the clip, its line (an axis and a place in the halved frame), the frames shown, methods, the
    authors' result (all frames are magnified then, as theirs were), whether frames are halved, the part of the line."""

    clip: str
    axis: str
    at: int
    frames: int
    methods: tuple[str, ...]
    other: str | None = None
    halve: bool = True
    part: tuple[int, int | None] = (0, None)


GUITAR = "evm/guitar-e, as MIT ran it"
NAMED = {
    GUITAR: dataclasses.replace(PRESETS["evm/guitar-e"], compat="mit", alpha=75),
    "evm/face, as MIT ran it": dataclasses.replace(PRESETS["evm/face"], compat="mit"),
    "phase-evm, 3-5 Hz": fastmag.PhaseEvm(alpha=8, passband=(3, 5)),
    "riesz, alpha 20": fastmag.Riesz(alpha=20, temporal="iir", rates=(0.4, 0.04)),
}
LOOKS = (
    Look("baby.mp4", "column", 250, 240, ("phase/baby", "riesz, alpha 20", "evm/baby")),
    Look("face.mp4", "column", 260, 240, ("evm/face, as MIT ran it",), "face_mit_result.mp4", False),
    Look("guitar.mp4", "column", 175, 120, ("phase/guitar", GUITAR), "guitar_72_92_mit_result.mp4", False, (40, 130)),
    Look("cat_toy_640x360.mp4", "row", 90, 160, ("vam/cat-toy", "phase-evm, 3-5 Hz")),
    Look("bottle_moving.avi", "row", 80, 160, ("vam/bottle", "phase-evm, 3-5 Hz")),
)


def halved(frames: np.ndarray) -> np.ndarray:
    """Every 2 x 2 pixels as one, frame by frame."""
    out = []
    for frame in frames:
        h, w = (n // 2 * 2 for n in frame.shape[:2])
        out.append((frame[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean(axis=(1, 3)) + 0.5).astype(np.uint8))
    return np.stack(out)


def scan(frames: np.ndarray, look: Look) -> np.ndarray:
    """The line over time, time to the right: (length, T, 3)."""
    line = frames[: look.frames, :, look.at] if look.axis == "column" else frames[: look.frames, look.at]
    return np.swapaxes(line[:, slice(*look.part)], 0, 1)


def magnified(name: str, frames: np.ndarray, fps: float) -> np.ndarray:
    """The frames by the method or preset of a name; MIT's guitar as MIT's reader had it."""
    given = as_read(frames) if name == GUITAR else frames
    return fastmag.magnify(given, method=NAMED.get(name) or method(name), fps=fps)


def draw(look: Look, shown: dict[str, np.ndarray], path: Path) -> None:
    """The picture of a clip and its results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    first = next(iter(shown.values()))
    figure, axes = pyplot.subplots(1, 1 + len(shown), figsize=(3.2 * (1 + len(shown)), 4), layout="constrained")
    axes[0].imshow(first[len(first) // 2])
    (axes[0].axvline if look.axis == "column" else axes[0].axhline)(look.at, color="yellow", linewidth=1)
    axes[0].set_title(look.clip)
    for axis, (name, frames) in zip(axes[1:], shown.items(), strict=True):
        axis.imshow(scan(frames, look), aspect="auto")
        axis.set_title(name)
    for axis in axes:
        axis.axis("off")
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def main() -> None:
    """Draw what can be drawn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=Path("looks"))
    parser.add_argument("--only", default="", help="words of the clip's name")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for look in LOOKS:
        if options.only not in look.clip or not (options.clips / look.clip).exists():
            continue
        frames, fps = read_rgb(options.clips / look.clip)
        frames = frames if look.other else frames[: look.frames]
        frames = halved(frames) if look.halve else frames
        shown = {"untouched": frames} | {name: magnified(name, frames, fps) for name in look.methods}
        if look.other and (options.clips / look.other).exists():
            theirs = read_rgb(options.clips / look.other)[0]
            shown["the authors' result"] = halved(theirs) if look.halve else theirs
        path = options.out / (Path(look.clip).stem + ".png")
        draw(look, shown, path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
