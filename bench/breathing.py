"""File to file: `fastmag magnify --method respiration` at 640x480, in frames a second, and its memory over length.

The gate: breathing is found at the rendered rate within 1 a minute, and no frame is lost.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastmag
from bench.pipeline import FPS, SIZE, against, peak_mb, repeated, spread, transcode, turns
from fastmag.coherent.wave import mean_rate
from fastmag.synthetic.command import render
from fastmag.video import probe

FRAMES, PASSBAND = 450, (0.16, 0.5)
TARGET, STRETCH, MEMORY_TARGET_MB = 12, 25, 1500  # frames a second on two cores, megabytes


def run(rounds: int = 3) -> dict[str, Any]:
    """The record: seconds and frames a second of every rendering, peak memory of 450 and 4500 frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, out = folder / "sample.mp4", folder / "out.mp4"
        truth = np.load(render(source, seconds=FRAMES / FPS, fps=FPS, size=SIZE, seed=11))
        rate = 60 * mean_rate(truth["breath"].astype(float), FPS, PASSBAND)
        report = fastmag.magnify(source, out, "respiration", overwrite=True)
        if probe(out).n_frames != FRAMES or abs((report.rate_bpm or 0) - rate) > 1:
            return {"gate": f"red: {report.frames} frames, {report.rate_bpm} a minute instead of {rate:.1f}"}
        calls: dict = {"transcode": lambda: transcode(source, out)}
        for kind in ("warp", "phase", "phase-fast"):
            params = fastmag.Respiration(rendering=kind)
            calls[kind] = lambda params=params: fastmag.magnify(source, out, params, overwrite=True)
        seconds = turns(calls, rounds)
        command = [sys.executable, "-m", "fastmag.cli", "magnify", "--method", "respiration", "--overwrite"]
        clips = {FRAMES: source, 10 * FRAMES: repeated(source, 10, folder)}
        memory = {str(n): peak_mb(*command, str(path), str(out)) for n, path in clips.items()}
    rates = {name: FRAMES / float(np.median(times)) for name, times in seconds.items()}
    return {"gate": "green", "seconds": spread(seconds), "frames_a_second": rates, "times_transcode": against(seconds),
            "target": TARGET, "stretch": STRETCH, "peak_mb": memory, "peak_target_mb": MEMORY_TARGET_MB,
            "frames": FRAMES, "size": SIZE}  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    if record["gate"] != "green":
        return f"breathing: gate {record['gate']}"
    lines = [
        f"| breathing, file to file, 640x480, {record['frames']} frames | seconds | frames/s | target |",
        "| --- | --- | --- | --- |",
    ]
    for name, s in record["seconds"].items():
        speed = record["frames_a_second"][name]
        goal = (
            "" if name == "transcode" else f">= {record['target']}: {'met' if speed >= record['target'] else 'missed'}"
        )
        lines.append(f"| {name} | {s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f}) | {speed:.1f} | {goal} |")
    memory = ", ".join(f"{n} frames {mb:.0f} MB" for n, mb in record["peak_mb"].items())
    return "\n".join([*lines, "", f"Peak memory: {memory} (at most {record['peak_target_mb']} MB)."])
