"""The data set of the respiration network: rendered people at the third scale, one small file a clip."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag import phase
from fastmag.export.pulse_data import held_out, in_parallel
from fastmag.motion import reading

SIZE, FINE, FINE_SHARE = 246, 492, 0.1  # pixels of a side; 246 hold all of the third scale; so many clips are larger
WORLD_SHARE = 0.45  # of clips are of the world "any"
SHALLOWEST = 0.3  # breath of the world "any": below, it is less than the sway
HELD = 0.12  # of clips without breath
TASKS = "ABCDTBCDBD"  # where head and body move as much as the breath there is more to learn
LUMA = (0.299, 0.587, 0.114)
LOWEST, STEPS = np.float32(64), np.float32(128)  # of stored luma: added to it; steps of a grey level
BATCH = 16  # frames that are looked at together


@dataclass(frozen=True)
class BreathFile:
    """One rendered clip: moved (T - 1, 2, 32, 32) float16, the velocities of places, and texture (T - 1, 2, 64, 64)
    float16, see fastmag.motion.reading.places; y, way as in `make`; kind: its task, or "hard" in the world "any"."""

    moved: np.ndarray
    texture: np.ndarray
    y: np.ndarray
    way: np.ndarray
    kind: str
    held_out: bool


def settings(seed: int, index: int) -> dict:
    """What clip `index` shows; everything not said here is drawn by the renderer from the same seed."""
    rng = np.random.default_rng([seed, index, 17])
    fine, world = rng.random() < FINE_SHARE, rng.random() < WORLD_SHARE
    side = FINE if fine else SIZE
    options: dict = {"task": TASKS[index % len(TASKS)], "size": (side, side), "world": "any" if world else "paper"}
    options["framing"] = "any" if rng.random() < 0.4 else "portrait"
    options["lively"] = bool(rng.random() < (0.6 if world else 0.3))
    background = rng.choice(["own", "pattern", "plain", "black", "moving"], p=[0.45, 0.3, 0.1, 0.1, 0.05])
    options["background"] = None if background == "own" else str(background)
    options["noise"] = float(np.exp(rng.uniform(np.log(0.15), np.log(0.9)))) * (1.0 if fine else 0.7)
    options["crf"] = int(rng.integers(14, 28)) if rng.random() < 0.4 else 0
    depth, breaths = float(np.exp(rng.uniform(np.log(0.15), np.log(1.2)))), float(rng.uniform(7, 36))
    depth = max(depth, SHALLOWEST) if world else depth
    options["depth"] = 0.0 if rng.random() < HELD else depth if rng.random() < 0.6 else None
    options["breaths"] = breaths if rng.random() < 0.5 else None
    options |= {"antialias": 2, "texture_rows": 512} if fine else {"antialias": 3, "texture_rows": 256}
    return options


def render(folder: Path, seed: int, index: int, seconds: float) -> Path:
    """Render clip `index` into the folder, unless it is there. The same arguments give the same numbers."""
    path = folder / f"clip-{index:05d}.npz"
    if not path.exists():
        small, y, way, task = make(1000 * seed + index, seconds, settings(seed, index))
        part = path.with_suffix(".part.npz")
        np.savez(part, small=packed(small), y=y, way=way, task=task)
        os.replace(part, path)
    return path


def packed(small: np.ndarray) -> np.ndarray:
    """Luma -64..447 as uint16: half the room, and steps below every camera's noise."""
    return np.clip(np.rint((small + LOWEST) * STEPS), 0, 65535).astype(np.uint16)


def unpacked(small: np.ndarray) -> np.ndarray:
    """The luma, float32, that was packed."""
    return small.astype(np.float32) / STEPS - LOWEST


def make(seed: int, seconds: float, options: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """A rendered clip at the third scale, and what the network should answer.

    Returns small (T, 123, 123) float32 luma; y (T - 1,) float32, how far the breath moves the trunk from frame to
    frame, in pixels of the working square; way (2,): the mean direction of that motion when y > 0, right and down; the
    task.
    """
    from fastmag.kernels import cpu
    from fastmag.synthetic import Settings, Shot

    shot = Shot(seed, Settings(seconds=seconds, fps=phase.ANALYSIS_FPS, detail=0.6, pulse=False, **options))
    height, width = shot.settings.size
    top, left, side = phase.working_square(height, width)
    small = np.empty((shot.n, phase.SMALL, phase.SMALL), np.float32)
    for t, (frame, _) in enumerate(shot.frames(threads=1)):
        small[t] = phase.shrink(cpu.luma(frame[top : top + side, left : left + side].copy(), LUMA)[None])[0]
    moved = shot.excursion() * (phase.SIDE / side)
    reach = float(np.percentile(np.linalg.norm(moved, axis=1), 75)) if len(moved) else 0.0
    way = moved.mean(0) if len(moved) else np.zeros(2)
    return small, (reach * np.diff(shot.breath)).astype(np.float32), way, shot.settings.task


def shown(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """moved and texture, as a BreathFile has them, of squares at the third scale (T, 123, 123)."""
    from fastmag.kernels import cpu

    parts = []
    for start in range(0, len(small) - 1, BATCH):
        maps = reading.halved(reading.looked(small[start : start + BATCH + 1], 1.0, cpu))
        parts.append((reading.places(maps), maps[:, 2:]))
    moved, texture = (np.concatenate(part).astype(np.float16) for part in zip(*parts, strict=True))
    return moved, texture


def render_all(
    folder: Path, seed: int, clips: int, seconds: float, jobs: int | None, step: Callable[[], None]
) -> list[Path]:
    """All clips, by `jobs` processes; `step` is called after each."""
    return in_parallel(folder, [(render, seed, i, seconds) for i in range(clips)], jobs, step)


def load(path: Path, seed: int, index: int) -> BreathFile:
    """Read clip `index` of a seed."""
    data = np.load(path)
    kind = "hard" if settings(seed, index)["world"] == "any" else str(data["task"])
    return BreathFile(*shown(unpacked(data["small"])), data["y"], data["way"], kind, held_out(index))
