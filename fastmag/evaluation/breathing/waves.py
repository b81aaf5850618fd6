"""How well breathing is read, and nothing else: by the network and by the judge without one, people in the hard world
too."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastmag import phase
from fastmag.coherent.wave import filtered, mean_rate
from fastmag.evaluation.tables import markdown
from fastmag.motion import reading
from fastmag.motion.lower_half import lower_half
from fastmag.motion.wave import breath
from fastmag.processes import pool

TASKS = "ABCD"
HARD = "hard"
SEEDS_APART = 1000  # from the first person of a task, or of the hard world, to that of the next
CRF = 23  # of every other clip of the hard world
LUMA = (0.299, 0.587, 0.114)
PASSBAND = (0.16, 0.5)
BATCH = 32


@dataclass(frozen=True)
class Ask:
    """A clip of a person: a task, or HARD; its seed, and other fields of Settings."""

    kind: str
    seed: int
    render: dict

    @property
    def settings(self) -> dict:
        """Fields of Settings."""
        if self.kind != HARD:
            return {"task": self.kind, **self.render}
        task = TASKS[self.seed % len(TASKS)]
        crf = CRF if self.seed // len(TASKS) % 2 else 0
        return {"task": task, "world": "any", "lively": True, "crf": crf, **self.render}


@dataclass(frozen=True)
class WaveRow:
    """One clip: the correlation of each wave with the true breath in the passband, up to sign, and the error of its
    rate, a minute; of the network (r, off) and of the lower half (plain_r, plain_off)."""

    kind: str
    seed: int
    r: float
    off: float
    plain_r: float
    plain_off: float


def asks(people: int, hard: int, seed: int, render: dict) -> list[Ask]:
    """`people` a task, and `hard` in the hard world."""
    kinds = [(task, people) for task in TASKS] + [(HARD, hard)]
    return [Ask(kind, seed + SEEDS_APART * i + k, render) for i, (kind, n) in enumerate(kinds) for k in range(n)]


def seen(ask: Ask, keep: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The clip at the network's scale (T, 123, 123) and its breath (T,); kept in a folder, or taken from there."""
    path = keep and keep / f"{ask.kind}-{ask.seed}.npz"
    if path and path.exists():
        data = np.load(path)
        return data["small"], data["breath"]
    from fastmag.kernels import cpu
    from fastmag.synthetic import Settings, Shot

    shot = Shot(ask.seed, Settings(fps=phase.ANALYSIS_FPS, pulse=False, **ask.settings))
    top, left, side = phase.working_square(*shot.settings.size)
    square = (slice(top, top + side), slice(left, left + side))
    small = np.stack([phase.shrink(cpu.luma(frame[square].copy(), LUMA)[None])[0] for frame, _ in shot.frames(1)])
    if path:
        part = path.with_suffix(".part.npz")
        np.savez(part, small=small, breath=shot.breath)
        os.replace(part, path)
    return small, shot.breath


def read(small: np.ndarray, network: Any, ops: Any) -> tuple[np.ndarray, np.ndarray]:
    """The network's y (T - 1,), and that of the lower half."""
    plain = []
    for start in range(0, len(small) - 1, BATCH):
        subbands = phase.analyse(small[start : start + BATCH + 1], ops)
        plain.append(lower_half(subbands, ops))
    y = reading.read(lambda a, b: small[a:b], len(small), phase.ANALYSIS_FPS, PASSBAND, network, ops)
    return y, np.concatenate(plain)


def compare(y: np.ndarray, true: np.ndarray, ops: Any) -> tuple[float, float]:
    """Correlation, up to sign, of the wave of y (T - 1,) with the true breath (T,) in the passband; error of the rate a
    minute."""
    fps, true = phase.ANALYSIS_FPS, true - true.mean()
    found, truth = breath(y, fps, PASSBAND, ops), filtered(true, PASSBAND, fps, ops.bandpass)
    r = abs(float(np.corrcoef(found.wave, truth)[0, 1])) if found.wave.any() else 0.0
    return r, 60 * abs(found.rate_hz - mean_rate(true, fps, PASSBAND))


def judge(ask: Ask, model: str | None, keep: Path | None = None) -> WaveRow:
    """Render one clip and read it."""
    from fastmag.backends import get
    from fastmag.evaluation.breathing.reading import network_of

    ops = get("cpu")
    small, true = seen(ask, keep)
    y, plain = read(small, network_of(model), ops)
    return WaveRow(ask.kind, ask.seed, *compare(y, true, ops), *compare(plain, true, ops))


def judge_all(
    clips: Sequence[Ask], model: str | None, jobs: int | None, keep: Path | None, step: Callable[[], None]
) -> list[WaveRow]:
    """Every clip, by `jobs` processes; `step` is called after each."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    rows = []
    with pool(jobs) as workers:
        for future in as_completed([workers.submit(judge, ask, model, keep) for ask in clips]):
            rows.append(future.result())
            step()
    return sorted(rows, key=lambda row: (row.kind, row.seed))


def table(rows: Sequence[WaveRow]) -> str:
    """What was read, by kind, as Markdown."""
    lines = []
    for kind in dict.fromkeys(row.kind for row in rows):
        r, off, plain_r, plain_off = np.array(
            [(row.r, row.off, row.plain_r, row.plain_off) for row in rows if row.kind == kind]
        ).T
        lines.append((kind, len(r), f"{r.mean():.3f} / {np.median(r):.3f} / {r.min():.2f}", f"{np.median(off):.2f}",
                      f"{plain_r.mean():.3f} / {np.median(plain_r):.3f}", f"{np.median(plain_off):.2f}"))  # fmt: skip
    head = ("people", "clips", "network: r of the wave, mean / median / lowest", "rate off a minute, median",
            "lower half: r, mean / median", "rate off, median")  # fmt: skip
    return markdown(head, lines)
