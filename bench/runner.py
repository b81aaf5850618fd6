"""Correct first, then timed: gate against the float64 reference, warm-up, rivals in turns, median and spread."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bench import ceilings, rivals
from bench.cases import CASES, Case
from bench.records import about
from fastmag.kernels import cpu

OURS = "fastmag"
Call = Callable[[], Any]


def fresh(inputs: tuple) -> tuple:
    """The inputs with states of their own: a kernel updates these (float64) in place."""
    return tuple(one.copy() if isinstance(one, np.ndarray) and one.dtype == np.float64 else one for one in inputs)


def error(case: Case, inputs: tuple) -> float:
    """The largest error against the float64 reference; for rounded levels the share of pixels that are one off."""
    if case.kernel == "ascend_step":
        exact = case.judge()(inputs[0].astype(np.float64), *inputs[1:])
        got = case.ours()(inputs[0].copy(), *inputs[1:])
    else:
        exact, got = case.judge()(*fresh(inputs)), case.ours()(*fresh(inputs))
    if isinstance(got, tuple):
        return max(_apart(a, b) for a, b in zip(got, exact, strict=True))
    return _apart(got, exact)


def _apart(got: np.ndarray, exact: np.ndarray) -> float:
    if got.dtype.kind in "fc":
        return float(np.abs(got - exact).max())
    apart = np.abs(got.astype(np.float64) - exact)
    return float((apart > 0).mean()) if apart.max() <= 1 else float("inf")


def call(case: Case, inputs: tuple) -> Call:
    """One call of our kernel with everything it needs allocated beforehand."""
    kernel, inputs = case.ours(), fresh(inputs)
    if case.kernel == "ascend_step":
        X = inputs[0].copy()
        return lambda: kernel(X, *inputs[1:])
    out = kernel(*inputs)
    return lambda: kernel(*inputs, out=out)


def contenders(case: Case, inputs: list[tuple]) -> tuple[dict[str, list[Call]], dict[str, str]]:
    """The calls of each contender, one an input, and why a rival is missing."""
    calls: dict[str, list[Call]] = {OURS: [call(case, one) for one in inputs]}
    missing: dict[str, str] = {}
    for name in case.rivals:
        try:
            calls[name] = [rivals.RIVALS[name, case.kernel](*one) for one in inputs]
            calls[name][0]()
        except Exception as reason:  # an absent or too old rival is a gap in the table, no reason to stop
            calls.pop(name, None)
            missing[name] = f"{type(reason).__name__}: {reason}"
    return calls, missing


def turns(
    calls: dict[str, list[Call]], pool: ThreadPoolExecutor, threads: int, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds a call, by contender and round; the contenders take turns so that a noisy moment hits them all."""
    shares = {name: [list_[k::threads] for k in range(threads)] for name, list_ in calls.items()}

    def once(name: str) -> float:
        start = time.perf_counter()
        if threads == 1 or len(calls[name]) == 1:
            for one in calls[name]:
                one()
        else:
            for _ in pool.map(lambda share: [one() for one in share], shares[name]):
                pass
        return (time.perf_counter() - start) / len(calls[name])

    for name in calls:
        once(name)
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < 5 or (time.perf_counter() < end and len(rounds) < 200):
        rounds.append([once(name) for name in calls])
    return dict(zip(calls, np.array(rounds).T, strict=True))


def summary(times: np.ndarray) -> dict[str, float]:
    low, middle, high = np.percentile(times * 1e3, (10, 50, 90))
    return {"median_ms": round(middle, 4), "p10_ms": round(low, 4), "p90_ms": round(high, 4), "rounds": len(times)}


def row(case: Case, threads: int, inputs: list[tuple], seconds: float) -> dict[str, Any]:
    """Judge and time one case on so many threads."""
    cpu.set_threads(threads)
    rivals.threads_of_torch(1 if case.per_frame else threads)
    wrong = error(case, inputs[0])
    result: dict[str, Any] = {"case": case.name, "kernel": case.kernel, "threads": threads, "error": wrong}
    if not wrong <= case.tolerance:
        return {**result, "gate": f"red: {wrong:.3g} is above {case.tolerance:.3g}; not timed"}
    calls, missing = contenders(case, inputs)
    with ThreadPoolExecutor(threads) as pool:
        times = turns(calls, pool, threads, seconds)
    ratios = {name: round(float(np.median(times[name] / times[OURS])), 3) for name in calls if name != OURS}
    targets = [
        {"rival": t.rival, "at_least": t.factor, "met": ratios[t.rival] >= t.factor}
        for t in case.targets
        if t.threads == threads and t.rival in ratios
    ]
    result |= {"gate": "green", "times": {name: summary(t) for name, t in times.items()}, "speedup": ratios}
    result |= {"targets": targets, "missing": missing}
    if not all(t["met"] for t in targets):
        result["limit"] = case.limit
    return result


def run(names: list[str], seconds: float, say: Callable[[str], None], cases: list[Case] = CASES) -> dict[str, Any]:
    """Measure the cases whose name contains one of `names` (all without any): the record that becomes JSON."""
    rivals.one_thread_each()
    record = about()
    record["ceilings_gb_per_s"] = ceilings.measure()
    record["rows"] = []
    for case in cases:
        if names and not any(name in case.name for name in names):
            continue
        inputs = case.make(np.random.default_rng(1))
        for threads in (1, 2):
            if threads > record["machine"]["cores"]:
                continue
            result = row(case, threads, inputs, seconds)
            record["rows"].append(result)
            ours = result["times"][OURS]["median_ms"] if "times" in result else float("nan")
            ratios = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in result.get("speedup", {}).items())
            say(f"{case.name:34} {threads}t {ours:9.3f} ms  {ratios}  {result['gate']}")
    cpu.set_threads(None)
    return record
