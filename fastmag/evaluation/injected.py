"""A known pulse in a real clip: real skin, motion, camera and codec, and a truth beside them.

Where the skin is (see skin.py) the frame is multiplied by 1 + amplitude * p(t) in green, and by .33/.77 and .53/.77 of
that in red and blue, and rounded to 8 bits with dither, as a camera's noise would have done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag.errors import InputError
from fastmag.evaluation.cases import Case, gathered
from fastmag.evaluation.skin import SkinColours
from fastmag.files import WholeFile

PULSE = np.array([0.33, 0.77, 0.53]) / 0.77  # of a pulse in R, G, B (Chen and McDuff 2018, section 5.1)
AMPLITUDE = 0.003  # standard deviation of green skin over its level: a plain pulse


@dataclass(frozen=True)
class Injection:
    """A clip file, and the pulse to put into it: bpm, amplitude (relative standard deviation of green skin), seed of
    wave and dither; the first `seconds` of it at most."""

    path: str
    bpm: float
    seed: int = 0
    amplitude: float = AMPLITUDE
    seconds: float = 20.0
    pulse = present = True

    @property
    def task(self) -> str:
        """The clip's name, under which its rows are put together."""
        return Path(self.path).stem

    @property
    def name(self) -> str:
        """What tells clips of one run apart."""
        return f"{self.task} {self.bpm:g} bpm, seed {self.seed}"

    def case(self) -> Case:
        """Read the clip and put the pulse into it. Raises InputError where there is no skin, or no such clip."""
        from fastmag.synthetic.physiology import pulse

        frames, fps = read(self.path, self.seconds)
        rng = np.random.default_rng([self.seed, round(self.bpm)])
        p, bpm = pulse(rng, len(frames), fps, self.bpm)[:2]
        pairs = injected(frames, p, self.amplitude, rng)
        case = gathered(self.name, pairs, frames.shape[:3], fps, (p, bpm, True))
        if not case.pulsation.any():
            raise InputError(f"no skin was found in {self.path}: choose a clip of a person, or look at its mask")
        return case


def rates(text: str) -> tuple[float, ...]:
    """Rates from "80,95,110". Raises InputError unless all are beats a minute within 42..150."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(42 <= bpm <= 150 for bpm in found):
        raise InputError(f"rates must be beats a minute within 42..150, as in 80,95,110; got {text!r}")
    return found


def read(path, seconds: float) -> tuple[np.ndarray, float]:
    """The first seconds of a file as (T, H, W, 3) uint8 RGB, and frames a second. Raises InputError as Reader does."""
    from fastmag.video import Reader, to_rgb

    with Reader(path) as reader:
        fps = float(reader.info.fps)
        wanted = max(2, round(seconds * fps))
        frames = []
        for frame in reader:
            frames.append(to_rgb(frame, reader.info))
            if len(frames) == wanted:
                break
    return np.stack(frames), fps


def injected(
    frames: np.ndarray, p: np.ndarray, amplitude: float, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(frame (H, W, 3) uint8 with the pulse p (T,) in its skin, pulsation (H, W, 3) float32 per unit of p)."""
    skin = SkinColours(frames)
    for frame, level in zip(frames, p, strict=True):
        share = np.float32(amplitude) * skin(frame)[..., None] * PULSE.astype(np.float32)
        pulsation = frame * share
        dither = rng.random(frame.shape, np.float32)
        yield np.clip(np.floor(frame + pulsation * np.float32(level) + dither), 0, 255).astype(np.uint8), pulsation


def draw_mask(picture, path, seconds: float = 20.0) -> None:
    """Three frames of a clip above their skin, into `picture` (.png): to be looked at before a figure is believed."""
    from matplotlib.image import imsave

    frames, _ = read(path, seconds)
    skin = SkinColours(frames)
    some = [frames[i] for i in np.linspace(0, len(frames) - 1, 3).astype(int)]
    marked = [(frame * skin(frame)[..., None]).astype(np.uint8) for frame in some]
    step = max(1, frames.shape[1] // 480)
    sheet = np.concatenate([np.concatenate(some, 1), np.concatenate(marked, 1)], 0)[::step, ::step]
    file = WholeFile(Path(picture))
    imsave(file.path, np.ascontiguousarray(sheet), format="png")
    file.commit()
