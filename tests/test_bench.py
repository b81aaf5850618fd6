"""The bench refuses to time what is wrong, survives a missing rival, and the loops it times are still vectorised."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import signal

from bench import pyramid, records, rivals, runner, views
from bench.__main__ import table
from bench.cases import CASES, Case, Target
from bench.rivals_pyramid import TorchPyramid
from fastmag.kernels import cpu, reference
from fastmag.pyramids import steerable

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
    record = {"commit": "abc", "date": "today", "machine": records.machine(), "rows": [result]}
    text = table(json.loads(json.dumps(record)))
    assert "| small |" in text and "**missed**" in text and records.machine()["cpu"] in text


def test_some_rows_measured_anew_leave_the_others_in_the_record(tmp_path, capsys):
    def record(commit, **times):
        rows = [{"case": case, "threads": 1, "time": time} for case, time in times.items()]
        return {"commit": commit, "date": "today", "machine": records.machine(), "rows": rows}

    path, keys = tmp_path / "a" / "record.json", ("case", "threads")
    records.update(path, record("one", luma=1, gone=2, phase=3), keys, False)
    records.update(path, record("two", phase=4, new=5), keys, True, ["new", "luma", "phase"])
    records.update(path, record("three", new=6), keys, True, ["new", "luma", "phase"])
    kept = json.loads(path.read_text())
    assert [(row["case"], row["time"]) for row in kept["rows"]] == [("new", 6), ("luma", 1), ("phase", 4)]
    assert kept["commit"] == "three" and "of" not in kept["rows"][0]
    assert [row["of"]["commit"] for row in kept["rows"][1:]] == ["one", "two"], "each row keeps the commit it is of"
    assert "earlier commits: one, today; two, today" in table(kept)
    records.update(path, record("four", luma=7), keys, False, ["luma"])
    assert len(json.loads(path.read_text())["rows"]) == 1, "all rows measured: a new record"
    path.write_text(json.dumps({**record("old", luma=1), "machine": {"cpu": "another"}}))
    with pytest.raises(SystemExit, match="another"):
        records.update(path, record("five", luma=7), keys, True)
    assert json.loads(path.read_text())["commit"] == "old"


def test_every_case_has_its_rivals_and_targets():
    cases = [*CASES, *views.CASES, *pyramid.CASES]
    there_and_back = {"steerable_analysis", "steerable_synthesis"}
    kernels = set(cpu.__all__) - {"threads", "set_threads", "bandpass_backward"}  # which is the forward one, mirrored
    assert kernels - there_and_back <= {case.kernel for case in cases}, "every kernel has a row"
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert callable(case.ours()) and callable(case.judge())
        assert all((name, case.kernel) in rivals.RIVALS for name in case.rivals)
        assert {target.rival for target in case.targets} <= set(case.rivals)


def test_a_kernel_of_several_arrays_or_with_a_state_is_judged_and_timed():
    def frames(rng: np.random.Generator) -> list[tuple]:
        return [(rng.uniform(0, 1, (2, 40, 50)).astype(np.float32), steerable((40, 50)))]

    case = replace(CASE, kernel="steerable_analysis", make=frames, rivals=("torch",), targets=(), tolerance=8e-7)
    result = runner.row(case, 1, frames(np.random.default_rng(1)), 0.01)
    assert result["gate"] == "green" and set(result["times"]) == {"fastmag", "torch"}
    inputs = [(np.ones((5, 30), np.float32), np.zeros(30))]
    sums = replace(CASE, kernel="accumulate_phase", rivals=(), targets=(), tolerance=1e-6)
    for _ in range(2):  # the second time, the state must still be the one that was given
        assert runner.row(sums, 1, inputs, 0.01)["gate"] == "green"
    assert not inputs[0][1].any()


def test_the_pyramids_rivals_compute_the_same(inputs):
    rng = np.random.default_rng(1)
    frames, plan = rng.uniform(0, 1, (2, 41, 50)).astype(np.float32), steerable((41, 50))
    rival = TorchPyramid(plan)
    subbands, spectrum = rival.analysis(torch.from_numpy(frames))
    for ours, theirs in zip(reference.steerable_analysis(frames, plan), subbands, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=1e-6)
    np.testing.assert_allclose(rival.synthesis(subbands, spectrum), frames, atol=2e-6)


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
WAVES = (SMALL[..., :2].reshape(-1) + 1j).astype(np.complex64).repeat(40)
ANGLES = np.random.default_rng(4).uniform(-1, 1, WAVES.size).astype(np.float32)
MAPS = np.abs(ANGLES).reshape(4, 144, -1)
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
    "phase_difference": (lambda: cpu.phase_difference(WAVES[None], WAVES[None]), WAVES.size, 20),
    "shift_phase": (lambda: cpu.shift_phase(WAVES, ANGLES, 2.0), WAVES.size, 22),
    "amplitude": (lambda: cpu.amplitude(WAVES), WAVES.size, 8),
    "smooth_amplitude_weighted": (lambda: cpu.smooth_amplitude_weighted(MAPS, MAPS, 3.0), MAPS.size, 200),
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
