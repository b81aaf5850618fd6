"""The bench refuses to time what is wrong, survives a missing rival, and the loops it times are still vectorised."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from bench import rivals, runner
from bench.__main__ import table
from bench.cases import CASES, Case, Target
from fastmag.kernels import cpu, reference

SOS = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")


def small(rng: np.random.Generator) -> list[tuple]:
    return [(rng.integers(0, 256, (40, 50), np.uint8), (6, 6)) for _ in range(2)]


CASE = Case("small", "downsample_bicubic", small, ("Pillow", "nobody"), 1e-4, (Target("Pillow", 1e9),), "the limit")


@pytest.fixture
def inputs():
    yield small(np.random.default_rng(1))
    cpu.set_threads(None)


def test_a_wrong_kernel_is_not_timed(inputs, monkeypatch):
    monkeypatch.setattr(cpu, "downsample_bicubic", lambda *args, out=None: reference.downsample_bicubic(*args) + 0.01)
    result = runner.row(CASE, 1, inputs, 0.01)
    assert result["gate"].startswith("red")
    assert "times" not in result and "speedup" not in result
    assert result["error"] == pytest.approx(0.01, rel=1e-3)


def test_a_row_says_what_was_met_missed_and_missing(inputs):
    result = runner.row(CASE, 1, inputs, 0.01)
    assert result["gate"] == "green"
    assert set(result["times"]) == {"fastmag", "Pillow"}
    assert result["times"]["Pillow"]["p10_ms"] <= result["times"]["Pillow"]["median_ms"]
    assert "nobody" in result["missing"]
    assert result["targets"] == [{"rival": "Pillow", "at_least": 1e9, "met": False}]
    assert result["limit"] == "the limit"
    easy = replace(CASE, targets=(Target("Pillow", 0),))
    assert "limit" not in runner.row(easy, 2, inputs, 0.01), "the target is for one thread"
    record = {"commit": "abc", "date": "today", "machine": runner.machine(), "rows": [result]}
    text = table(json.loads(json.dumps(record)))
    assert "| small |" in text and "**missed**" in text and runner.machine()["cpu"] in text


def test_every_case_has_its_rivals_and_targets():
    for case in CASES:
        assert callable(case.ours()) and callable(case.judge())
        assert all((name, case.kernel) in rivals.RIVALS for name in case.rivals)
        assert {target.rival for target in case.targets} <= set(case.rivals)


def fastest(call, repeats: int = 40) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


FRAME = np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8)
SMALL = np.random.default_rng(2).normal(size=(36, 36, 3)).astype(np.float32)
SERIES = np.random.default_rng(3).uniform(1, 2, (64, 3888)).astype(np.float32)
LOOPS = {
    # name: (call, elements, limit), the limit in NumPy multiplications: about three times what was measured
    "downsample_bicubic": (lambda: cpu.downsample_bicubic(FRAME, (36, 36)), FRAME.size, 10),
    "upsample_add": (lambda: cpu.upsample_add(FRAME, SMALL), FRAME.size, 15),
    "normalized_difference": (lambda: cpu.normalized_difference(SERIES), SERIES.size, 7),
    "undo_normalized_difference": (
        lambda: cpu.undo_normalized_difference(SERIES[0], SERIES[1:] * 0.01),
        SERIES.size,
        15,
    ),
    "ascend_step": (lambda: cpu.ascend_step(SERIES, SERIES, 1e-6, "sign"), SERIES.size, 19),
    "bandpass": (lambda: cpu.bandpass(SERIES, SOS), SERIES.size, 110),
    "smooth_time": (lambda: cpu.smooth_time(SERIES, 9), SERIES.size, 13),
    "smooth_space": (lambda: cpu.smooth_space(SERIES.reshape(-1, 36, 36), 1.2), SERIES.size, 55),
}


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_vectorised(name, inputs):
    """Numba stops vectorising without a word; then a loop takes five to fifteen times as long."""
    call, elements, limit = LOOPS[name]
    cpu.set_threads(1)
    yardstick, out = np.ones(1 << 17, np.float32), np.empty(1 << 17, np.float32)
    unit = fastest(lambda: np.multiply(yardstick, yardstick, out=out)) / yardstick.size
    assert fastest(call) / elements / unit < limit
