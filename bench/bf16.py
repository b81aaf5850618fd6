"""File to file with the network in bfloat16 on OpenVINO: pulse in both forms and breathing, against a plain transcode.

The gate: both rates are found within 1 a minute of the rendered ones, and no frame is lost, in bfloat16 as in float32.
Whole calls are timed: a model is loaded, compiled and compared with the CPU's in each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastmag
from bench import breathing, pipeline
from bench.pipeline import FPS, SIZE, against, spread, transcode, turns
from fastmag.coherent.wave import mean_rate
from fastmag.errors import InputError
from fastmag.synthetic.command import render
from fastmag.video import probe

SEED = 11
FRAMES = {"pulse": pipeline.FRAMES, "respiration": breathing.FRAMES}
ROUGH: dict[str, Any] = {"provider": "openvino", "precision": "bf16"}
CASES = {
    "pulse": {
        "coherent": fastmag.Pulse(), "coherent, bf16": fastmag.Pulse(**ROUGH),
        "paper, bf16": fastmag.Pulse(form="paper", **ROUGH),
    },
    "respiration": {"warp": fastmag.Respiration(), "warp, bf16": fastmag.Respiration(**ROUGH)},
}  # fmt: skip
TARGETS = {"coherent, bf16": 1.2, "paper, bf16": 2.0}  # times a plain transcode
RATE_TARGET = 15  # frames a second of breathing in bfloat16


def run(rounds: int = 3) -> dict[str, Any]:
    """The record: seconds of every case, in turns, and the ratio to the transcode of the same clip and round."""
    with tempfile.TemporaryDirectory() as name:
        out, sources = Path(name) / "out.mp4", {}
        for method in CASES:
            sources[method] = Path(name) / f"{method}.mp4"
            truth = np.load(render(sources[method], seconds=FRAMES[method] / FPS, fps=FPS, size=SIZE, seed=SEED))
            for wrong in _wrong(method, sources[method], out, truth):
                return {"gate": f"red: {wrong}"}
        seconds = {method: turns(_calls(method, sources[method], out), rounds) for method in CASES}
    return {"gate": "green", "size": SIZE, "frames": FRAMES, "rounds": rounds,
            "seconds": {method: spread(times) for method, times in seconds.items()},
            "times_transcode": {method: against(times) for method, times in seconds.items()},
            "targets": TARGETS, "rate_target": RATE_TARGET}  # fmt: skip


def _calls(method: str, source: Path, out: Path) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {"transcode": lambda: transcode(source, out)}
    for name, params in CASES[method].items():
        calls[name] = lambda params=params: fastmag.magnify(source, out, params, overwrite=True)
    return calls


def _wrong(method: str, source: Path, out: Path, truth: Any) -> Iterator[str]:
    """What is wrong with each case: the rate that was found (the paper's form looks for none), or lost frames."""
    rate = float(truth["bpm"])
    if method == "respiration":
        rate = 60 * mean_rate(truth["breath"].astype(float), FPS, breathing.PASSBAND)
    for name, params in CASES[method].items():
        try:
            report = fastmag.magnify(source, out, params, overwrite=True)
        except InputError as error:
            yield str(error)
            return
        if probe(out).n_frames != FRAMES[method]:
            yield f"{method}, {name}: frames are missing"
        if params.form == "coherent" and not abs((report.rate_bpm or 0) - rate) <= 1:
            yield f"{method}, {name}: {report.rate_bpm} a minute instead of {rate:.1f}"


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    if record["gate"] != "green":
        return f"bf16: gate {record['gate']}"
    lines = [
        "| file to file, 640x480 | seconds | times a transcode | frames/s | target |",
        "| --- | --- | --- | --- | --- |",
    ]
    for method, cases in record["seconds"].items():
        for name, s in cases.items():
            ratio = record["times_transcode"][method].get(name, 1.0)
            speed = record["frames"][method] / s["median"]
            limit, target = record["targets"].get(name), ""
            if limit:
                target = f"<= {limit:g} times: {'met' if ratio <= limit else '**missed**'}"
            elif name == "warp, bf16":
                target = (
                    f">= {record['rate_target']} frames/s: {'met' if speed >= record['rate_target'] else '**missed**'}"
                )
            spent = f"{s['median']:.2f} ({s['min']:.2f}-{s['max']:.2f})"
            lines.append(f"| {method}: {name} | {spent} | {ratio:.2f} | {speed:.0f} | {target} |")
    return "\n".join([*lines, "", f"Load {record['machine']['load']:.1f} while measuring; commit {record['commit']}."])
