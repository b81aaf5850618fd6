"""y, dy/dX and the paper's ascent of 19 steps on every provider, against torch, behind a gate: batches and threads.

The gate: the median over the samples of the relative L2 error against torch in float64. Contenders take turns; a
ratio is the median over the rounds of torch eager's time over the contender's in the same round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench import change
from bench.records import machine
from fastmag import backends, models, providers
from fastmag.ascent import ascend
from fastmag.errors import InputError
from fastmag.providers.blocks import Blocks

STEPS, EAGER = 20, "torch eager"
CASES = {"y": (8,), "gradient": (1, 4, 8, 16, 32), "ascent": (8, 32)}  # batches of each
COMPILED = 8  # the one batch that torch compiles for: that takes a minute of the processor
SHAPES = {"pulse": (3, 36, 36), "respiration": (4, 128, 128)}
SIZES = {"pulse": 3e-3, "respiration": 0.3}  # about the standard deviation of X
CLOCKS = {1: "processor_ms_each", 2: "least_ms_each"}  # whichever others who use the machine disturb least
GATES = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 0.15}
TARGETS = {  # of the ascent, times torch eager on the same threads
    ("pulse", "cpu fp32"): 1.45, ("respiration", "cpu fp32"): 1.3, ("pulse", "openvino fp32"): 1.8,
    ("respiration", "openvino fp32"): 1.9, ("pulse", "openvino bf16"): 7.0, ("respiration", "openvino bf16"): 7.0,
}  # fmt: skip
Slope = Callable[[np.ndarray], np.ndarray]


def networks(only: list[str]) -> Iterator[tuple[str, bytes, Path]]:
    """(name, gradient model, file of the network) of those that ship; torch gets the network as it was trained."""
    for name in SHAPES:
        if not only or name in only:
            yield name, models.path(f"{name}_gradient").read_bytes(), models.path(name)


def ours(name: str, content: bytes, batch: int, threads: int, what: str) -> tuple[dict[str, Slope], dict[str, str]]:
    """dy/dX, or y, by every provider and precision here, in blocks of so many samples; why the others are missing."""
    network, calls, missing = providers.Network(content, name, SHAPES[name], batch), {}, {}
    for provider in providers.NAMES:
        for precision in providers.PRECISIONS if provider != "cpu" else ("fp32",):
            try:
                blocks = Blocks(providers.start(provider, network, precision, threads))
                calls[f"{provider} {precision}"] = blocks.predict if what == "y" else _slope(blocks)
            except InputError as reason:
                missing[f"{provider} {precision}"] = str(reason)
    return calls, missing


def _slope(blocks: Blocks) -> Slope:
    return lambda X: blocks.gradient(X)[1]


def torchs(path: Path, batch: int, threads: int, what: str) -> tuple[dict[str, Slope], dict[str, str]]:
    """The same by torch in each of its ways, on so many threads."""
    from bench import networks as rivals

    rivals.torch.set_num_threads(threads)
    module, calls, missing = rivals.as_torch(path), {}, {}
    for name, make in rivals.RIVALS.items():
        if name == "torch compile" and (batch != COMPILED or what == "y"):
            continue
        try:
            slope = make(module, forward=what == "y")
            slope(np.zeros((batch, *module_shape(path)), np.float32))
            calls[name] = _in_blocks(slope, batch)
        except Exception as reason:  # no compiler, or an operator that bf16 lacks: a gap in the table
            missing[name] = f"{type(reason).__name__}: {str(reason)[:200]}"
    return calls, missing


def module_shape(path: Path) -> tuple[int, ...]:
    return SHAPES[path.stem]


def _in_blocks(slope: Slope, batch: int) -> Slope:
    return lambda X: np.concatenate([slope(X[k : k + batch]) for k in range(0, len(X), batch)])


def truth(path: Path, X: np.ndarray, what: str = "gradient") -> np.ndarray:
    """dy/dX, or y, by torch in float64."""
    import torch

    from bench.networks import as_torch, eager

    return eager(as_torch(path), torch.float64, forward=what == "y")(X)


def error(G: np.ndarray, true: np.ndarray) -> float:
    """The median over the samples of the relative L2 error; of y (n,) or (n, 1) the error of all together."""
    if true.size == len(true):
        G, true = G.reshape(1, -1), true.reshape(1, -1)
    apart, size = (np.linalg.norm(v.reshape(len(v), -1).astype(np.float64), axis=1) for v in (G - true, true))
    return float(np.median(apart / size))


def ascent(slope: Slope) -> Slope:
    """The paper's ascent of 19 updates (Eq. 3) over a gradient."""
    ops = backends.get("cpu")

    def climb(X: np.ndarray) -> np.ndarray:
        def gradient(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.ones(len(x), np.float32), slope(x)

        return ascend(X, gradient, ops, step_size=6e-5, n_steps=STEPS, rule="sign")

    return climb


def turns(calls: dict[str, Slope], X: np.ndarray, rounds: int) -> dict[str, np.ndarray]:
    """(rounds, 2) seconds of the clock and of the processor, by contender, in turns after one round of warm-up."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for k in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter(), time.process_time()
            call(X)
            if k:
                seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {name: np.array(values) for name, values in seconds.items()}


def row(name: str, content: bytes, path: Path, batch: int, threads: int, rounds: int, what: str) -> dict[str, Any]:
    """Judge and time one network at one batch size on so many threads: "y", its "gradient" or the "ascent"."""
    calls, missing = torchs(path, batch, threads, what)
    mine, absent = ours(name, content, batch, threads, what)
    calls |= mine
    random = np.random.default_rng(1)
    count = batch * threads * (1 if what == "ascent" else max(1, 16 // batch))
    X = (random.standard_normal((count, *SHAPES[name])) * SIZES[name]).astype(np.float32)
    true, errors, red = truth(path, X, what), {}, {}
    for who in list(calls):
        errors[who] = error(calls[who](X), true)
        limit = GATES.get(who.split()[-1], GATES["fp32"])
        if not errors[who] <= limit:
            red[who] = f"red: {errors[who]:.3g} is above {limit:g}; not timed"
            calls.pop(who)
    seconds = turns({who: ascent(call) for who, call in calls.items()} if what == "ascent" else calls, X, rounds)
    base = seconds[EAGER]
    result: dict[str, Any] = {
        "network": name, "what": what, "batch": batch, "threads": threads,
        "samples": count, "rounds": rounds, "errors": errors, "red": red, "missing": missing | absent,
    }  # fmt: skip
    result["times"] = {
        who: {"ms_each": 1e3 * float(np.median(t[:, 0])) / count, "least_ms_each": 1e3 * float(t[:, 0].min()) / count,
              "processor_ms_each": 1e3 * float(np.median(t[:, 1])) / count,
              "times_eager": float(np.median(base[:, 0] / t[:, 0])),
              "times_eager_processor": float(np.median(base[:, 1] / t[:, 1]))}
        for who, t in seconds.items()
    }  # fmt: skip
    return result


def run(only: list[str], rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The record: dy/dX over batch sizes, and the ascent, on one and two threads."""
    rows, cores = [], machine()["cores"]
    for name, content, path in networks(only):
        for threads in (1, 2):
            if threads > cores:
                continue
            for what, batch in ((what, batch) for what, batches in CASES.items() for batch in batches):
                one = row(name, content, path, batch, threads, rounds, what)
                rows.append(one)
                said = ", ".join(f"{who} {t['times_eager']:.2f}" for who, t in one["times"].items())
                say(f"{name} {one['what']}, batch {batch}, {threads} thread(s): {said}")
    return {"rows": rows, "changes": change.run()}


def table(record: dict[str, Any]) -> str:
    """The record as Markdown: each contender at its best batch, and over the batch sizes."""
    lines = []
    for name in SHAPES:
        for threads in (1, 2):
            rows = [r for r in record["rows"] if (r["network"], r["threads"]) == (name, threads)]
            if rows:
                lines += ["", *_one_table(name, threads, rows)]
    where = record["machine"]
    if "changes" in record:
        lines += ["", change.table(record["changes"])]
    versions = ", ".join(f"{k} {where['versions'][k]}" for k in ("onnxruntime", "openvino", "torch"))
    return "\n".join([*lines, "", f"{where['cpu']}, {where['cores']} cores, load {where['load']:.1f} while measuring; "
                      f"{versions}; commit {record['commit']}, {record['date']}."]).lstrip()  # fmt: skip


def _one_table(name: str, threads: int, rows: list[dict[str, Any]]) -> Iterator[str]:
    of = {what: [r for r in rows if r["what"] == what] for what in CASES}
    batches = " / ".join(str(r["batch"]) for r in of["gradient"])
    yield (
        f"| {name}, {threads} thread{'s'[: threads - 1]} | processor ms a gradient, batch {batches} | times eager, "
        f"each at its best batch: y / gradient / ascent | ascent, batch {COMPILED}: by the clock / by the processor "
        "| error | target (ascent, the least) |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    best = {what: _best(rows, CLOCKS[threads]) for what, rows in of.items()}
    for who in best["gradient"]:
        each = " / ".join(
            f"{r['times'][who]['processor_ms_each']:.2f}" if who in r["times"] else "-" for r in of["gradient"]
        )
        ratios = {what: ms[EAGER] / ms[who] for what, ms in best.items() if who in ms}
        times = next((r["times"] for r in of["ascent"] if r["batch"] == COMPILED), {}).get(who)
        said = f"{times['times_eager']:.2f} / {times['times_eager_processor']:.2f}" if times else "-"
        all_best = " / ".join(f"{ratios[what]:.2f}" if what in ratios else "-" for what in CASES)
        off, limit = max(r["errors"][who] for r in of["gradient"] if who in r["errors"]), TARGETS.get((name, who))
        reached = min(ratios.get("ascent", 0.0), times["times_eager"] if times else 0.0)
        target = f">= {limit:g}: {'met' if reached >= limit else '**missed**'} ({reached:.2f})" if limit else ""
        yield f"| {who} | {each} | {all_best} | {said} | {off:.1g} | {target} |"


def _best(rows: list[dict[str, Any]], clock: str) -> dict[str, float]:
    """Milliseconds a sample of each contender at the batch that suits it best."""
    found = {(r["batch"], who): t[clock] for r in rows for who, t in r["times"].items()}
    return {who: min(ms for (_, other), ms in found.items() if other == who) for _, who in found}
