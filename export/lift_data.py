"""The data set of the lift network: rendered people, the evidence of where they breathe, and the truth."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from fastmag import models, phase, respiration
from fastmag.backends import get
from fastmag.export import respiration_data
from fastmag.export.pulse_data import held_out, in_parallel
from fastmag.gradients import InputGradient
from fastmag.motion import reading
from fastmag.motion.agreement import Agreement, swing
from fastmag.motion.wave import breath

SIZE = 246  # pixels of a side
PAPER_SHARE = 0.65  # of half of the clips show people as the paper films them
SLOWEST = 10.0  # breaths a minute: within the passband
USUAL, FASTER, FAST_HZ = (0.16, 0.5), (0.16, 0.9), 0.45  # passbands, and the rate from which the second is taken
WINDOWS = ((0.0, 1.0), (0.0, 0.6), (0.4, 1.0))  # of a clip, as sections of their own
INSTANTS = 8  # at which the truth of a clip is known
ALPHA = 4.0  # of the true magnified frames
TRUNK, BODY = 0.5, 0.002  # of what most of the trunk is moved: from there on it is trunk, and body at all
HEAD, CLOSE, EDGE = 2.0, 0.1, 0.05  # weights: of the head; of the ground that a body sweeps; and of that beside it
SWEPT, BESIDE = (1.0, 14.0), (1.5, 3.0)  # samples: least and most ground that is swept; more of it, and beside it
MOSTLY, HARDLY = 1.5, 0.2  # weight of what is mostly head; of what most of the trunk is moved, that is left out there
MOST = 6.0  # units of the evidence at which the truth is cut


@dataclass(frozen=True)
class Lesson:
    """A section of a clip: evidence (COUNT, 128, 128) float16 and its unit; moved (2, 128, 128) float16, how far places
    go along, in units, and weight (128, 128) float16; trunk (128, 128) bool; at some instants the luma and that of the
    true magnified frame (I, 246, 246) uint8, and the wave (I,), pixels; r: of the wave with the breath; its task, or
    "hard"."""

    evidence: np.ndarray
    unit: float
    moved: np.ndarray
    weight: np.ndarray
    trunk: np.ndarray
    seen: np.ndarray
    true: np.ndarray
    wave: np.ndarray
    r: float
    kind: str
    held_out: bool


def settings(seed: int, index: int) -> dict:
    """What clip `index` shows: ten clips as respiration_data.settings has them, but everybody breathes, and ten as the
    paper films people, in turn."""
    size = {"size": (SIZE, SIZE), "antialias": 2, "texture_rows": 256}
    if index // 10 % 2:
        return {"task": respiration_data.TASKS[index % len(respiration_data.TASKS)], "world": "paper", **size}
    options, rng = respiration_data.settings(seed, index) | size, np.random.default_rng([seed, index, 23])
    options["world"] = "paper" if rng.random() < PAPER_SHARE else "any"
    options["depth"] = options["depth"] or None
    options["breaths"] = options["breaths"] and max(options["breaths"], SLOWEST)
    if options["depth"] is None and options["world"] == "any":
        options["depth"] = float(rng.uniform(0.3, 1.0))
    return options


def make(folder: Path, seed: int, index: int, seconds: float) -> Path:
    """Render clip `index` and gather its evidence into the folder, unless it is there. The same arguments give the same
    numbers."""
    path, options = folder / f"clip-{index:05d}.npz", settings(seed, index)
    if not path.exists():
        clip, small = filmed(1000 * seed + index, seconds, options)
        kind = "hard" if options["world"] == "any" else options["task"]
        parts = [told(small, clip["breath"], clip["at"], clip["moved"], window) for window in WINDOWS]
        part = path.with_suffix(".part.npz")
        lessons: dict[str, Any] = {
            f"{name}{k}": value for k, found in enumerate(parts) for name, value in found.items()
        }
        np.savez(part, seen=clip["seen"], true=clip["true"], kind=np.array(kind), **lessons)
        os.replace(part, path)
    return path


def filmed(seed: int, seconds: float, options: dict) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A rendered clip and its truth, and the clip at the third scale (T, 123, 123) float32.

    breath (T,); at frames `at` (INSTANTS,): moved (I, 2, 128, 128), how far one unit of breath moves what the network's
    samples show, pixels of the working square; seen and true (I, 246, 246) uint8, the luma and that of the true
    magnified frame.
    """
    from fastmag.kernels import cpu
    from fastmag.synthetic import Settings, Shot

    shot = Shot(seed, Settings(seconds=seconds, fps=phase.ANALYSIS_FPS, detail=0.6, pulse=False, **options))
    deep = copy.copy(shot)
    deep.settings = replace(shot.settings, breath_factor=1 + ALPHA)
    at = ((np.arange(INSTANTS) + 0.5) * shot.n / INSTANTS).astype(int)
    small, seen = np.empty((shot.n, phase.SMALL, phase.SMALL), np.float32), []
    for t, (frame, _) in enumerate(shot.frames(threads=1)):
        luma = cpu.luma(frame, respiration_data.LUMA)
        small[t] = phase.shrink(luma[None])[0]
        if t in at:
            seen.append(luma)
    true = [cpu.luma(deep.frame(int(t))[0], respiration_data.LUMA) for t in at]
    weights, scale = _nodes(SIZE), phase.SIDE / SIZE
    clip = {
        "breath": shot.breath, "at": at,
        "moved": np.stack([weights @ (shot.displacement(int(t)) * scale) @ weights.T for t in at]),
        "seen": _bytes(seen), "true": _bytes(true),
    }  # fmt: skip
    return clip, small


def _bytes(pictures: list[np.ndarray]) -> np.ndarray:
    return np.rint(np.stack(pictures)).clip(0, 255).astype(np.uint8)


def told(
    small: np.ndarray, air: np.ndarray, at: np.ndarray, moved: np.ndarray, window: tuple[float, float]
) -> dict[str, np.ndarray]:
    """A Lesson's parts, of a window of a clip (T, 123, 123) as the coherent form sees it with the shipped respiration
    network, and its truth: see `filmed`. use: which of the instants are in it."""
    start, stop = (round(share * (len(small) - 1)) for share in window)
    small, air = small[start : stop + 1], air[start : stop + 1] - air[start : stop + 1].mean()
    body, wave = evidence(small, passband_of(air))
    use = np.flatnonzero((at >= start) & (at <= stop))
    r = float(np.corrcoef(air, wave)[0, 1]) if wave.any() else 0.0
    per_wave = float(air @ wave / max(wave @ wave, 1e-12))  # what is best where the wave is not exactly the breath
    truth, weight, trunk = target(moved[use] * per_wave / body.unit, swing(wave, ALPHA) * body.unit)
    return {
        "evidence": body.evidence.astype(np.float16), "unit": np.float32(body.unit), "moved": truth.astype(np.float16),
        "weight": weight.astype(np.float16), "trunk": trunk, "use": use,
        "wave": wave[at[use] - start].astype(np.float32), "r": np.float32(abs(r)),
    }  # fmt: skip


class _Frames:
    """Frames in memory, read as those of a spool."""

    def __init__(self, small: np.ndarray):
        self._small = small

    def read(self, start: int, stop: int) -> np.ndarray:
        return self._small[start:stop]


def evidence(small: np.ndarray, passband: tuple[float, float]) -> tuple[Agreement, np.ndarray]:
    """What the coherent form finds in a section (T, 123, 123), and its wave (T,)."""
    fps, network, ops = phase.ANALYSIS_FPS, _network(), get("cpu")
    frames = _Frames(small)
    y = reading.read(frames.read, len(small), fps, passband, network, ops).astype(np.float32)
    found = breath(y, fps, passband, ops)
    motion = respiration.observe(frames, 0, len(small), fps, network, ops)  # type: ignore[arg-type]
    return Agreement(motion, found.velocity, swing(found.wave, ALPHA), passband, fps, ops), found.wave


@lru_cache(maxsize=1)
def _network() -> InputGradient:
    return InputGradient(models.path("respiration_gradient"), threads=1, expect=(4, *phase.SHAPE[1:]))


def passband_of(air: np.ndarray) -> tuple[float, float]:
    """The passband that somebody would choose for a breath (T,) without a mean."""
    power = np.abs(np.fft.rfft(air, 4096))
    return FASTER if np.fft.rfftfreq(4096, 1 / phase.ANALYSIS_FPS)[power.argmax()] > FAST_HZ else USUAL


def target(moved: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network should answer (2, h, w), how much that counts (h, w), and where the trunk is (h, w), of how far
    places are moved at some instants (I, 2, h, w), in units of the evidence.

    A field has to say for the ground, too, that it goes along, as far as the trunk's edge swings over it: reach, pixels
    of the largest motion. There it counts little, as it does where it has to end.
    """
    length = np.sqrt((moved**2).sum(1))
    some = length[length > 1e-3 * length.max()]
    usual = np.percentile(some, 90) if len(some) else 1e-3
    trunk, body = length > TRUNK * usual, length > BODY * usual
    swept = np.clip(reach * usual * phase.SHAPE[1] / phase.SIDE, *SWEPT) + BESIDE[0]
    fields, weights = moved.copy(), np.where(body & ~trunk, HEAD, 1.0)
    for field, weight, on, near in zip(fields, weights, trunk, ~body, strict=True):
        if on.any():
            away, (rows, columns) = distance_transform_edt(~on, return_indices=True)
            close = near & (away < swept)
            field[:, close] = field[:, rows[close], columns[close]]
            weight[close] = CLOSE
            weight[near & (away >= swept) & (away < swept + BESIDE[1])] = EDGE
    truth = np.clip((fields * weights[:, None]).sum(0) / np.maximum(weights.sum(0), 1e-6), -MOST, MOST)
    return stilled(truth, weights.mean(0), trunk.mean(0) > 0.5)


def stilled(truth: np.ndarray, weight: np.ndarray, trunk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network should answer, with heads at rest: a head rises a little with the breath, and nobody wants
    to see that magnified."""
    length = np.hypot(*truth)
    usual = np.percentile(length[trunk], 90) if trunk.any() else 0.0
    return np.where((weight > MOSTLY) & (length < HARDLY * usual), 0, truth), weight, trunk


def _nodes(side: int) -> np.ndarray:
    """(128, side) float32: the mean of the pixels around each sample of the network, nearer ones counting more."""
    count = phase.SHAPE[1]
    step = side / count
    weights = np.maximum(1 - np.abs(np.arange(count)[:, None] * step - np.arange(side)) / step, 0)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def make_all(
    folder: Path, seed: int, clips: int, seconds: float, jobs: int | None, step: Callable[[], None]
) -> list[Path]:
    """All clips, by `jobs` processes; `step` is called after each."""
    return in_parallel(folder, [(make, seed, i, seconds) for i in range(clips)], jobs, step)


def load(path: Path, index: int) -> list[Lesson]:
    """The lessons of clip `index`; one clip in ten is held out."""
    data, lessons = np.load(path), []
    seen, true, kind = data["seen"], data["true"], str(data["kind"])
    for k in range(len(WINDOWS)):
        parts = [data[f"{name}{k}"] for name in ("evidence", "unit", "moved", "weight", "trunk", "use", "wave", "r")]
        maps, unit, moved, weight, trunk, use, wave, r = parts
        lesson = Lesson(
            maps, float(unit), moved, weight, trunk, seen[use], true[use], wave, float(r), kind, held_out(index)
        )
        lessons.append(lesson)
    return lessons
