"""Kernels, gradient and whole analyses on a GPU: correct first, then timed by the device's own events.

Every row counts the bytes and operations that the work cannot avoid; its share is that of the copy measured beforehand.
Inputs are larger than the caches. Rivals are torch eager and torch.compile on the same arrays, in turns with ours.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench import cuda_motion, cuda_whole
from bench.cuda_cases import CASES, Case
from bench.cuda_rivals import COMPILED, LATER, RIVALS
from bench.records import about
from fastmag import nvidia
from fastmag.kernels import reference

PER_FRAME = (
    "downsample_bicubic", "downsample_gaussian", "upsample_add", "upsample_scaled_add", "local_light", "luma",
    "add_change",
)  # fmt: skip
SETTINGS = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,temperature.gpu"
ROUNDS, FEWEST_SECONDS = 25, 8.0  # of a row; with less time left than that a row is not begun
SHARE = 0.8  # of the copy, for kernels
LATE = "not measured: no time was left"
Say = Callable[[str], None]
Keep = Callable[[dict[str, Any]], None]


def device() -> dict[str, Any]:
    """The GPU and its clocks as they are found; nothing of them is changed."""
    gpu, found = nvidia.find(), {}
    query = ["nvidia-smi", f"--query-gpu={SETTINGS}", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()[0]
        found = dict(zip(SETTINGS.split(","), map(str.strip, said.split(",")), strict=True))
    except (OSError, subprocess.SubprocessError) as error:
        found = {"nvidia-smi": f"{type(error).__name__}: {error}"}
    return {"gpu": str(gpu), "settings": found}


def milliseconds(calls: dict[str, Callable[[], Any]], seconds: float = 1.0) -> dict[str, dict[str, float]]:
    """Median, 10th and 90th percentile of a call, by contender; they take turns, each timed between two events."""
    import cupy

    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        for _ in range(3):
            call()
        repeats[name] = max(1, int(4.0 / max(_between(cupy, call, 1), 1e-3)))  # at least 4 ms between the events
    left = 1e3 * seconds * len(calls)
    while left > 0 and len(times[next(iter(times))]) < ROUNDS:
        for name, call in calls.items():
            took = _between(cupy, call, repeats[name])
            times[name].append(took)
            left -= took * repeats[name]
    return {name: dict(zip(("p10", "median", "p90"), np.percentile(t, (10, 50, 90)).tolist(), strict=True))
            for name, t in times.items()}  # fmt: skip


def _between(cupy: Any, call: Callable[[], Any], repeats: int) -> float:
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(repeats):
        call()
    stop.record()
    stop.synchronize()
    return cupy.cuda.get_elapsed_time(start, stop) / repeats


def ceilings() -> dict[str, float]:
    """What the card does at best: bytes a second of a copy, read and written, and operations of a matrix product."""
    import cupy

    x, y = cupy.ones(1 << 28, np.float32), cupy.empty(1 << 28, np.float32)
    x[...] = cupy.arange(len(x))
    copied = milliseconds({"copy": partial(cupy.copyto, y, x)})["copy"]["median"]
    a = cupy.asarray(np.random.default_rng(1).standard_normal((8192, 8192), np.float32))
    product = milliseconds({"product": partial(cupy.matmul, a, a)})["product"]["median"]
    return {"copy_gb_per_s": 2 * 4 * (1 << 28) / copied / 1e6, "float32_tflop_per_s": 2 * 8192**3 / product / 1e9}


def error(case: Case, ops: Any) -> float:
    """The largest error on a few units against the float64 reference."""
    inputs = case.make(np.random.default_rng(2), 3)
    judge, kernel = getattr(reference, case.kernel), getattr(ops, case.kernel)
    if case.kernel == "ascend_step":
        exact, got = judge(inputs[0].astype(np.float64), *inputs[1:]), kernel(inputs[0].copy(), *inputs[1:])
    elif case.kernel in ("accumulate_phase", "bandpass_forward"):  # their state is changed in place
        exact, got = (call(*(x.copy() for x in inputs)) for call in (judge, kernel))
    elif case.kernel in PER_FRAME:
        frames = [[x[k] if isinstance(x, np.ndarray) else x for x in inputs] for k in range(3)]
        exact, got = np.stack([judge(*frame) for frame in frames]), kernel(*inputs)
    else:
        exact, got = judge(*inputs), kernel(*inputs)
    pairs = zip(exact, got, strict=True) if isinstance(exact, tuple) else [(exact, got)]
    return max(float(np.abs(a - (b.astype(np.float64) if b.dtype.kind == "u" else b)).max()) for a, b in pairs)


def row(case: Case, ops: Any, ceiling: dict[str, float], rivals: dict[str, Any]) -> dict[str, Any]:
    """Judge and time one case."""
    import cupy

    wrong = error(case, ops)
    result: dict[str, Any] = {"case": case.name, "kernel": case.kernel, "units": case.units, "error": wrong}
    if not wrong <= case.tolerance:
        return {**result, "gate": f"red: {wrong:.3g} is above {case.tolerance:.3g}; not timed"}
    random = np.random.default_rng(1)
    inputs = [_up(cupy, x) if i not in case.keep else x for i, x in enumerate(case.make(random, case.units))]
    kernel = getattr(ops, case.kernel)
    out = {} if case.kernel == "ascend_step" else {"out": kernel(*inputs)}
    calls, missing = {"fastmag": lambda: kernel(*inputs, **out)}, {}
    for name, rival in rivals.items():
        try:
            calls[name] = rival(case.kernel, inputs)
            calls[name]()
        except Exception as reason:  # a rival that cannot is a gap in the table, no reason to stop
            calls.pop(name, None)
            missing[name] = f"{type(reason).__name__}: {str(reason)[:120]}"
    times = milliseconds(calls)
    took = times["fastmag"]["median"]
    moved = case.bytes * case.units / took / 1e6
    return {
        **result, "gate": "green", "milliseconds": times, "missing": missing,
        "bytes": case.bytes * case.units, "flops": case.flops * case.units, "gb_per_s": moved,
        "share_of_copy": moved / ceiling["copy_gb_per_s"], "share_target": SHARE,
        "tflop_per_s": case.flops * case.units / took / 1e9,
        "times_as_fast_as": {name: t["median"] / took for name, t in times.items() if name != "fastmag"},
    }  # fmt: skip


def _up(cupy: Any, x: Any) -> Any:
    if isinstance(x, tuple) and x and isinstance(x[0], np.ndarray):
        return tuple(map(cupy.asarray, x))
    return cupy.asarray(x) if isinstance(x, np.ndarray) else x


def run(only: list[str], say: Say, keep: Keep = lambda record: None, seconds: float = float("inf")) -> dict[str, Any]:
    """The record of this GPU, all of it on one stream; kept after every row, so that an end from outside loses little.

    Raises InputError where there is no GPU.
    """
    from fastmag import backends

    ops, end = backends.get("cuda"), time.monotonic() + seconds
    import cupy

    method = {"timer": "CUDA events around at least 4 ms of calls, 3 calls of warm-up", "rounds": ROUNDS,
              "bytes": "each input read once, each result written once",
              "host, files and motion": "the clock, contenders in turns after a round of warm-up"}  # fmt: skip
    with cupy.cuda.Stream(non_blocking=True):
        record: dict[str, Any] = {**about(), "device": device(), "method": method, "ceilings": ceilings(), "rows": []}
        say(f"{record['device']['gpu']}; copy {record['ceilings']['copy_gb_per_s']:.0f} GB/s")
        for case in CASES:
            if only and not any(word in case.name for word in only):
                continue
            late = time.monotonic() + FEWEST_SECONDS > end
            record["rows"].append({"case": case.name, "gate": LATE} if late else tried(case, ops, record["ceilings"]))
            say(line(record["rows"][-1]))
            keep(record)
            cupy.get_default_memory_pool().free_all_blocks()
        if not only:
            whole(ops, record, say, keep, end)
        compiled(ops, record, say, keep, end)
    return {**record, "device_after": device()}


def whole(ops: Any, record: dict[str, Any], say: Say, keep: Keep, end: float) -> None:
    """What is more than a kernel, into the record; a part that fails says why and does not cost the others."""
    import cupy

    parts = {
        "ascents": lambda: cuda_whole.ascents(ops, milliseconds), "host": lambda: cuda_whole.host(ops),
        "files": lambda: cuda_whole.files(ops), "analyses": lambda: cuda_whole.analyses(ops, milliseconds),
        "motion": lambda: cuda_motion.motion(lambda: time.monotonic() + FEWEST_SECONDS > end),
    }  # fmt: skip
    for name, part in parts.items():
        record[name] = []
        try:
            if time.monotonic() + FEWEST_SECONDS > end:
                raise TimeoutError(LATE)
            for found in part():
                record[name].append(found)
                say(str(found))
                keep(record)
        except Exception as error:
            record[name].append({"missing": cuda_whole.reason(error)})
            say(f"{name}: {record[name][-1]['missing']}")
        keep(record)
        cupy.get_default_memory_pool().free_all_blocks()


def compiled(ops: Any, record: dict[str, Any], say: Say, keep: Keep, end: float) -> None:
    """The rows again beside torch.compile, last, because a compilation takes many seconds."""
    cases = {case.name: case for case in CASES}
    for one in record["rows"]:
        if one["gate"] != "green" or one["kernel"] not in COMPILED or time.monotonic() + 2 * FEWEST_SECONDS > end:
            continue
        again = tried(cases[one["case"]], ops, record["ceilings"], LATER)
        one["times_as_fast_as"] |= again.get("times_as_fast_as", {})
        one["missing"] |= again.get("missing", {})
        one["beside_compiled"] = again.get("milliseconds", again["gate"])
        say(line(one))
        keep(record)


def tried(case: Case, ops: Any, ceiling: dict[str, float], rivals: dict[str, Any] | None = None) -> dict[str, Any]:
    """One row; a kernel that fails must not cost the record of the others."""
    try:
        return row(case, ops, ceiling, RIVALS if rivals is None else rivals)
    except Exception as reason:
        return {"case": case.name, "gate": f"red: {type(reason).__name__}: {str(reason)[:200]}"}


def line(result: dict[str, Any]) -> str:
    """One row, for people."""
    if result["gate"] != "green":
        return f"{result['case']:44} {result['gate']}"
    rivals = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in result["times_as_fast_as"].items())
    took = result["milliseconds"]["fastmag"]["median"]
    share = f"{result['gb_per_s']:6.0f} GB/s {result['share_of_copy']:5.0%} of copy"
    return f"{result['case']:44} {took:9.3f} ms {share} {result['tflop_per_s']:6.2f} Tflop/s  {rivals}"


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    lines = [
        "| kernel on the GPU | ms | GB/s | share of copy (target 80 %) | times as fast as |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in record["rows"]:
        if one["gate"] != "green":
            lines.append(f"| {one['case']} | {one['gate']} | | | |")
            continue
        rivals = ", ".join(f"{name} {ratio:.3g}" for name, ratio in one["times_as_fast_as"].items())
        lines.append(f"| {one['case']} | {one['milliseconds']['fastmag']['median']:.3g} | {one['gb_per_s']:.0f} "
                     f"| {one['share_of_copy']:.0%} | {rivals} |")  # fmt: skip
    for name in ("ascents", "analyses", "host", "files", "motion"):
        lines += ["", *(f"- {one}" for one in record.get(name, []))]
    return "\n".join([*lines, "", f"{record['device']['gpu']}; commit {record['commit']}, {record['date']}."])
