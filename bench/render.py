"""Rendered people: frames a second on one thread, by processor time and by the clock, behind a gate.

The gate: a frame is the same after others were rendered, and a beating frame less a still one is p times the pulsation.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from fastmag.synthetic import Settings, Shot, cast, reduce_to_cells

PAPER = {"size": (492, 658)}
TRAINING = {"size": (144, 192), "texture_rows": 256, "antialias": 3, "framing": "any", "lively": True}
CASES: dict[str, dict[str, Any]] = {
    **{f"658x492, task {task}": {"task": task, **PAPER} for task in "ABCD"},
    "658x492, task A, moving background": {"task": "A", "background": "wild", **PAPER},
    "192x144 to cells, task T": {"task": "T", **TRAINING},
}
TARGET = 30.0  # frames a second at 658x492
PERSON = next(i for i, member in enumerate(cast(0, 25)) if member.glasses)


def gate(shot: Shot) -> bool:
    """Whether the frames are reproducible and linear in the pulse."""
    first, pulsation = shot.frame(3)
    shot.frame(50)
    again, _ = shot.frame(3)
    still = Shot(shot.seed, Settings(**{**vars(shot.settings), "pulse_factor": 0.0})).frame(3)[0]
    inside = (first > 0) & (first < 255)
    off = np.abs(first.astype(np.float32) - still - shot.p[3] * pulsation)[inside]
    return bool(np.array_equal(first, again) and off.max() <= 1.01 and pulsation.any())


def measure(options: dict[str, Any], rounds: int, frames: int = 30) -> dict[str, Any]:
    """Frames a second: medians, minima and maxima over the rounds, of processor time and of the clock."""
    settings = Settings(seconds=10, amplitude=0.02, person=cast(0, 25)[PERSON], **options)
    shot, cells = Shot(7, settings), "texture_rows" in options
    if not gate(shot):
        return {"gate": "red"}
    buffers = shot._buffers()
    rates: dict[str, list[float]] = {"processor": [], "clock": []}
    for k in range(rounds + 1):
        began = time.thread_time(), time.perf_counter()
        for t in range(frames):
            frame, pulsation = shot.frame((37 * t + k) % shot.n, buffers)
            if cells:
                reduce_to_cells(frame), reduce_to_cells(pulsation)
        if k:  # the first warms up
            rates["processor"].append(frames / (time.thread_time() - began[0]))
            rates["clock"].append(frames / (time.perf_counter() - began[1]))
    spread = {name: {"median": float(np.median(v)), "min": min(v), "max": max(v)} for name, v in rates.items()}
    target = {} if cells else {"target": TARGET, "met": spread["processor"]["median"] >= TARGET}
    return {"gate": "green", "frames_per_second": spread, **target}


def run(rounds: int = 5) -> dict[str, Any]:
    """The record of every case."""
    return {"threads": 1, "rows": [{"case": name, **measure(options, rounds)} for name, options in CASES.items()]}


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = [
        "| rendering, one thread | frames/s of processor time | by the clock | target |",
        "| --- | --- | --- | --- |",
    ]
    for row in record["rows"]:
        if row["gate"] != "green":
            lines.append(f"| {row['case']} | gate {row['gate']} | | |")
            continue
        rates = row["frames_per_second"]
        cells = [f"{r['median']:.1f} ({r['min']:.1f}-{r['max']:.1f})" for r in (rates["processor"], rates["clock"])]
        said = f">= {row['target']:g}: {'met' if row['met'] else '**missed**'}" if "target" in row else ""
        lines.append(f"| {row['case']} | {cells[0]} | {cells[1]} | {said} |")
    where = record["machine"]
    lines += ["", f"{where['cpu']}, {where['cores']} cores, load {where['load']:.1f} while measuring; commit "
              f"{record['commit']}, {record['date']}."]  # fmt: skip
    return "\n".join(lines)
