"""File to file: `fastmag magnify` against a plain transcode with the same codec settings, and peak memory over length.

The gate: the rate that was magnified is the rendered one within 1 bpm, and no frame is lost.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

import fastmag
from fastmag.synthetic.command import render
from fastmag.video import Reader, Writer, probe
from fastmag.video.writer import DEFAULT_CRF, DEFAULT_PRESET

FRAMES, FPS, SIZE = 300, 30, (480, 640)
TARGETS = {"coherent": 1.5, "paper": 4.0}  # times a plain transcode
MEMORY_TARGET_MB = 1000


def transcode(source: Path, destination: Path) -> None:
    """Decode and encode, nothing else: bare PyAV, all cores on both sides, the codec settings of `fastmag magnify`."""
    with av.open(str(source)) as a, av.open(str(destination), "w") as b:
        old = a.streams.video[0]
        old.thread_type = "AUTO"
        options = {"preset": DEFAULT_PRESET, "crf": str(DEFAULT_CRF)}
        new = b.add_stream("libx264", rate=old.average_rate, options=options)
        new.width, new.height, new.pix_fmt, new.thread_type = old.width, old.height, "yuv420p", "AUTO"
        for frame in a.decode(old):
            frame.pict_type = 0
            b.mux(new.encode(frame))
        b.mux(new.encode(None))


def sample(folder: Path) -> tuple[Path, float]:
    """A rendered clip of 300 frames at 640x480 as a camera would store it, and its true rate."""
    path = folder / "sample.mp4"
    truth = render(path, seconds=FRAMES / FPS, fps=FPS, size=SIZE, seed=11)
    return path, float(np.load(truth)["bpm"])


def repeated(source: Path, times: int, folder: Path) -> Path:
    """The same clip `times` times over, forward and backward in turn, so that it has no cuts."""
    path = folder / f"sample-{times}.mp4"
    with Reader(source) as reader:
        info, frames = reader.info, list(reader)
    step = round(1 / (info.fps * info.time_base))
    with Writer(path, info, overwrite=True, preset="veryfast") as writer:
        for i in range(times * len(frames)):
            turn, k = divmod(i, len(frames))
            frame = frames[k if turn % 2 == 0 else len(frames) - 1 - k]
            writer.write(dataclasses.replace(frame, pts=i * step, time=i / FPS))
    return path


def turns(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every call, in turns, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if k:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def peak_mb(*command: str) -> float:
    """Peak memory (resident) of a command in MiB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    out = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return float(out.stdout)


def run(rounds: int = 5) -> dict[str, Any]:
    """The record: times, ratios by pairs, targets, peak memory of 300 and 3000 frames."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, bpm = sample(folder)
        out = folder / "out.mp4"
        report = fastmag.magnify(source, out, overwrite=True)
        if report.frames != FRAMES or probe(out).n_frames != FRAMES or abs((report.rate_bpm or 0) - bpm) > 1:
            return {"gate": f"red: {report.frames} frames, {report.rate_bpm} bpm instead of {bpm:.1f}"}
        calls = {
            "transcode": lambda: transcode(source, out),
            "coherent": lambda: fastmag.magnify(source, out, overwrite=True),
            "paper": lambda: fastmag.magnify(source, out, fastmag.Pulse(form="paper"), overwrite=True),
        }
        seconds = turns(calls, rounds)
        long = repeated(source, 10, folder)
        command = [sys.executable, "-m", "fastmag.cli", "magnify", "--overwrite"]
        memory = {str(n): peak_mb(*command, str(path), str(out)) for n, path in ((300, source), (3000, long))}
        processes = {
            "transcode": lambda: _whole_transcode(source, out),
            "coherent": lambda: subprocess.run([*command, source, out], check=True, capture_output=True),
        }
        whole = turns(processes, 3)
    return {"gate": "green", "codec": {"crf": DEFAULT_CRF, "preset": DEFAULT_PRESET}, "seconds": spread(seconds),
            "times_transcode": against(seconds), "targets": TARGETS, "whole_process_seconds": spread(whole),
            "peak_mb": memory, "peak_target_mb": MEMORY_TARGET_MB, "frames": FRAMES, "size": SIZE}  # fmt: skip


def _whole_transcode(source: Path, out: Path) -> None:
    code = "import sys; from bench.pipeline import transcode; transcode(*sys.argv[1:])"
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, source, out], check=True, cwd=root, env={**os.environ})


def spread(seconds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Median, minimum and maximum by name."""
    return {name: {"median": float(np.median(v)), "min": min(v), "max": max(v)} for name, v in seconds.items()}


def against(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Median over the rounds of each form's time over the transcode's of the same round."""
    base = np.array(seconds["transcode"])
    return {name: float(np.median(np.array(v) / base)) for name, v in seconds.items() if name != "transcode"}


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    if record["gate"] != "green":
        return f"pipeline: gate {record['gate']}"
    lines = [
        "| file to file, 640x480, 300 frames | seconds | times a transcode | target |",
        "| --- | --- | --- | --- |",
    ]
    for name, s in record["seconds"].items():
        ratio = record["times_transcode"].get(name)
        limit = record["targets"].get(name)
        target = f"<= {limit:g}: {'met' if ratio <= limit else '**missed**'}" if limit else ""
        lines.append(f"| {name} | {s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f}) | {ratio or 1:.2f} | {target} |")
    memory = ", ".join(f"{n} frames {mb:.0f} MB" for n, mb in record["peak_mb"].items())
    whole = ", ".join(f"{n} {s['median']:.2f} s" for n, s in record["whole_process_seconds"].items())
    return "\n".join([*lines, "", f"Peak memory: {memory}. Whole processes, start-up included: {whole}."])
