"""python -m bench.rivals_video: whole methods against other packages, arrays in memory, one thread each.

The rivals are vidmag (its CPU code) and pyeulervid (imports as pyevm), where they can be imported. Seconds are those of
the processor, so that a busy machine disturbs less; contenders take turns, and the first turn is not counted.
The gate: the known change in the frames is magnified as asked, within 10 %.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULT = Path(__file__).parent / "results" / "rivals-video.json"
SIZE, FPS, HERTZ = (480, 640), 30.0, 3.0
TARGETS = {"EVM colour": {"best": 10}, "phase-based EVM": {"pyeulervid": 4, "vidmag": 12}}
PACKAGES = ("vidmag", "pyeulervid")
Run = Callable[[np.ndarray], np.ndarray]


def frames_of(count: int) -> np.ndarray:
    """(count, 480, 640, 3) uint8: a texture that sways 0.1 pixels while its light swings by 0.6 %, at 3 Hz."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    swing = np.sin(2 * np.pi * HERTZ * np.arange(count) / FPS)
    dither = rng.random((*SIZE, 3)).astype(np.float32)
    out = np.empty((count, *SIZE, 3), np.uint8)
    for t, s in enumerate(swing):
        luma = 120 + 30 * np.sin(2 * np.pi * (x - 0.1 * s) / 20) + 15 * np.sin(2 * np.pi * y / 31)
        out[t] = np.floor(luma[..., None] * (1 + 0.006 * s) * np.array([1, 0.9, 0.8]) + dither)
    return out


def gain_of(before: np.ndarray, after: np.ndarray, kind: str) -> float:
    """How many times as strong the light swings, or the texture sways, after as before."""
    swing = np.exp(-2j * np.pi * HERTZ * np.arange(len(before)) / FPS)
    traces = []
    for frames in (before, after):
        rows = frames[:, 200:280, 160:480, 1].mean(axis=1, dtype=np.float64)
        if kind == "light":
            traces.append(rows.mean(axis=1))
        else:
            traces.append(np.unwrap(np.angle(rows @ np.exp(-2j * np.pi * np.arange(320) / 20))))
    old, new = (abs(swing @ (trace - trace.mean())) for trace in traces)
    return float(new / old)


def ours(**options: Any) -> Run:
    """The door, with params of the name given as `method`."""
    import fastmag
    from fastmag.kernels import cpu

    cpu.set_threads(1)
    params = getattr(fastmag, options.pop("method"))(**options)
    return lambda frames: fastmag.magnify(frames, method=params, fps=FPS)


def vidmag(core: str, **options: Any) -> Run:
    from vidmag.cpu import magnify, phase_magnify

    function = getattr(magnify, core, None) or getattr(phase_magnify, core)
    return lambda frames: np.asarray(function(frames[..., ::-1], FPS, **options))[..., ::-1]


def pyeulervid(kind: str, **options: Any) -> Run:
    import torch
    from pyevm import ColorMagnifier, MotionMagnifier, PhaseMagnifier

    torch.set_num_threads(1)
    kinds = {"color": ColorMagnifier, "motion": MotionMagnifier, "phase": PhaseMagnifier}

    def run(frames: np.ndarray) -> np.ndarray:
        stream = (torch.from_numpy(f).permute(2, 0, 1).float() / 255 for f in frames)
        out = np.empty_like(frames)
        for t, frame in enumerate(kinds[kind](**options).process_stream(stream, FPS, len(frames))):
            out[t] = (frame.permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()
        return out

    return run


def cases() -> list[dict[str, Any]]:
    """Each method, its frames and what is asked of each contender."""
    band = (2.0, 4.0)
    corners, named = {"fl": band[0], "fh": band[1]}, {"freq_low": band[0], "freq_high": band[1]}
    return [
        {"name": "EVM colour", "frames": 60, "gain": 11.0, "kind": "light", "contenders": {
            "fastmag": functools.partial(ours, method="EvmColor", alpha=10, passband=band),
            "vidmag": functools.partial(vidmag, "color_gdown_ideal_core", alpha=10, level=4, **corners),
            "pyeulervid": functools.partial(pyeulervid, "color", alpha=10, chrom_attenuation=1, **named)}},
        {"name": "EVM motion, Butterworth", "frames": 40, "gain": None, "kind": "sway", "contenders": {
            "fastmag": functools.partial(ours, method="EvmMotion", alpha=10, passband=(2, 4), chroma=0.1),
            "vidmag": functools.partial(vidmag, "motion_lpyr_butter_core", alpha=10, lambda_c=16,
                                        chrom_attenuation=0.1, **corners),
            "pyeulervid": functools.partial(pyeulervid, "motion", alpha=10, lambda_c=16, **named)}},
        {"name": "phase-based EVM", "frames": 40, "gain": None, "kind": "sway", "contenders": {
            "fastmag": functools.partial(ours, method="PhaseEvm", alpha=10, passband=(2, 4), sigma=0,
                                         temporal="butterworth"),
            "vidmag": functools.partial(vidmag, "phase_magnify", alpha=10, scales=4, orientations=4, **corners),
            "pyeulervid": functools.partial(pyeulervid, "phase", factor=10, n_scales=4, n_orientations=4, **named)}},
        {"name": "Riesz pyramid", "frames": 40, "gain": None, "kind": "sway", "contenders": {
            "fastmag": functools.partial(ours, method="Riesz", alpha=10, passband=(2, 4), sigma=0,
                                         temporal="butterworth"),
            "fastmag phase-evm": functools.partial(ours, method="PhaseEvm", alpha=10, passband=(2, 4), sigma=0,
                                                   temporal="butterworth")}},
    ]  # fmt: skip


def row(case: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Judge and time one method."""
    frames, runs, missing = frames_of(case["frames"]), {}, {}
    for name, make in case["contenders"].items():
        try:
            runs[name] = make()
        except Exception as reason:  # an absent rival is a gap in the table
            missing[name] = f"{type(reason).__name__}: {reason}"
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    gains = {}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            began = time.process_time()
            out = run(frames)
            if turn:
                seconds[name].append((time.process_time() - began) / len(frames))
            else:
                gains[name] = round(gain_of(frames, out, case["kind"]), 2)
    rates = {name: round(1 / float(np.median(s)), 2) for name, s in seconds.items()}
    result = {"case": case["name"], "frames": case["frames"], "gain": gains, "frames_per_second": rates}
    result |= {"spread_ms": {n: [round(1e3 * v, 2) for v in (min(s), max(s))] for n, s in seconds.items()}}
    asked = case["gain"]
    if (asked and not abs(gains["fastmag"] / asked - 1) < 0.1) or gains["fastmag"] < 2:
        return {**result, "gate": f"red: gain {gains['fastmag']} where {asked} was asked"}
    speed = {name: round(rates["fastmag"] / rate, 2) for name, rate in rates.items() if name != "fastmag"}
    result |= {"gate": "green", "speedup": speed, "missing": missing}
    targets = TARGETS.get(case["name"], {})
    worst = min(speed.values(), default=float("nan"))
    result["targets"] = [
        {"rival": rival, "at_least": factor, "met": (worst if rival == "best" else speed.get(rival, worst)) >= factor}
        for rival, factor in targets.items()
    ]
    return result


def main() -> None:
    """Run all cases, print them, write the record."""
    from bench.records import about, update

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="words of the case's name")
    options = parser.parse_args()
    record = {**about(), "size": SIZE}
    record["seconds"] = f"processor time of one thread; load of the machine {os.getloadavg()[0]:.1f}"
    record["rows"] = []
    for case in cases():
        if options.only in case["name"]:
            record["rows"].append(row(case, options.rounds))
            print(json.dumps(record["rows"][-1]), flush=True)
    update(RESULT, record, ("case",), bool(options.only), [case["name"] for case in cases()])


if __name__ == "__main__":
    main()
