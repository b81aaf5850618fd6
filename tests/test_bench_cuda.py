"""The bench of the GPU on arrays and events that stand for a GPU's: its gate, its counts, its tables; and make gpu."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types
from dataclasses import replace

import numpy as np
import pytest

from bench import cuda, gpu
from bench.cuda_cases import CASES
from fastmag import nvidia
from fastmag.kernels import cpu, reference

CEILING = {"copy_gb_per_s": 100.0, "float32_tflop_per_s": 1.0}


class Event:
    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    """NumPy in the place of CuPy, and the processor's clock in the place of the device's."""
    cupy = types.ModuleType("cupy")
    cupy.asarray = np.asarray
    cupy.cuda = types.SimpleNamespace(Event=Event, get_elapsed_time=lambda a, b: 1e3 * (b.at - a.at))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(cuda, "RIVALS", {"itself": itself, "absent": absent})
    monkeypatch.setattr(cuda, "ROUNDS", 2)


def itself(kernel, inputs):
    return lambda: getattr(cpu, kernel)(*inputs)


def absent(kernel, inputs):
    raise ImportError("no such library")


@pytest.mark.parametrize("name", ["normalised difference, 3888 cells", "amplitude 480x640"])
def test_a_row_counts_bytes_and_compares(name):
    case = replace(next(case for case in CASES if case.name == name), units=8)
    row = cuda.tried(case, cpu, CEILING)
    assert row["gate"] == "green" and row["error"] <= case.tolerance
    took = row["milliseconds"]["fastmag"]["median"]
    assert row["share_of_copy"] == pytest.approx(8 * case.bytes / took / 1e6 / 100)
    assert set(row["times_as_fast_as"]) == {"itself"} and "no such library" in row["missing"]["absent"]
    text = cuda.table({"rows": [row], "device": {"gpu": "Card, 80 GiB"}, "commit": "abc", "date": "today"})
    assert name in text and "Card" in text and "itself" in cuda.line(row)
    json.dumps(row)


def test_a_wrong_or_failing_kernel_is_not_timed():
    case = replace(CASES[5], units=8)
    wrong = types.SimpleNamespace(normalized_difference=lambda *a, out=None: reference.normalized_difference(*a) + 1e-3)
    row = cuda.tried(case, wrong, CEILING)
    assert row["gate"].startswith("red: 0.001") and "milliseconds" not in row
    row = cuda.tried(case, types.SimpleNamespace(), CEILING)
    assert row["gate"].startswith("red: AttributeError") and "red" in cuda.line(row)


def test_every_case_is_judged_by_a_reference():
    for case in CASES:
        assert callable(getattr(reference, case.kernel)) and case.bytes > 0 and case.flops > 0


def test_every_step_leaves_a_log_and_an_end(monkeypatch, tmp_path):
    programs = {"tests": "print('all well')", "memcheck": "raise SystemExit(9)", "bench": "import time; time.sleep(60)"}
    steps = {name: [sys.executable, "-c", program] for name, program in programs.items()}
    monkeypatch.setattr(gpu, "steps", lambda: steps)
    monkeypatch.setitem(gpu.SECONDS, "bench", 0.3)
    monkeypatch.setattr(nvidia, "why_not", lambda: None)
    monkeypatch.setattr(nvidia, "find", lambda: "Card")
    monkeypatch.setenv("OUT", str(tmp_path))
    assert gpu.main() == 1
    found = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert [found[name]["exit"] for name in steps] == [0, 9, "stopped after 0.3 s"]
    assert found["tests"]["tail"] == "all well\n" and (tmp_path / "gpu-bench.log").exists()


def test_without_a_gpu_it_says_why():
    if nvidia.why_not() is None:
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, "-m", "bench.gpu"], cwd=gpu.ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and nvidia.why_not() in done.stdout
