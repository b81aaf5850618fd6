"""The bench of the GPU on arrays and events that stand for a GPU's: its gate, its counts, its tables; and make gpu."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import types
from dataclasses import replace

import numpy as np
import pytest

from bench import cuda, cuda_motion, cuda_whole, gpu
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


def rows_of(monkeypatch, seconds: float = 1e9) -> tuple[dict, list[int]]:
    """What `run` records of two small cases with everything else standing by, and how often it was kept."""
    kept: list[int] = []
    named = {case.name: case for case in CASES}
    cases = [replace(named["normalised difference, 3888 cells"], units=4), replace(named["amplitude 480x640"], units=1)]
    monkeypatch.setattr(cuda, "CASES", cases)
    monkeypatch.setattr(cuda, "LATER", {"torch.compile": itself})
    monkeypatch.setattr(cuda, "device", lambda: {"gpu": "Card, 80 GiB"})
    monkeypatch.setattr(cuda, "ceilings", lambda: CEILING)
    monkeypatch.setattr("fastmag.backends.get", lambda name: cpu)
    sys.modules["cupy"].cuda.Stream = lambda non_blocking: contextlib.nullcontext()
    sys.modules["cupy"].get_default_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: None)
    for name in ("ascents", "host", "files"):
        monkeypatch.setattr(cuda.cuda_whole, name, lambda *args, name=name: iter([{name: 1}]))
    monkeypatch.setattr(cuda.cuda_motion, "motion", lambda late: iter([{"host": "riesz"}]))
    record = cuda.run([], lambda line: None, lambda record: kept.append(len(json.dumps(record))), seconds)
    return record, kept


def test_the_record_is_kept_after_every_row_and_a_part_that_fails_does_not_cost_the_others(monkeypatch):
    record, kept = rows_of(monkeypatch)
    assert [row["gate"] for row in record["rows"]] == ["green", "green"] and kept == sorted(kept) and len(kept) > 6
    assert record["host"] == [{"host": 1}] and "AttributeError" in record["analyses"][0]["missing"]
    assert "torch.compile" in record["rows"][0]["times_as_fast_as"], "compiled last, beside what was measured before"
    assert "torch.compile" not in record["rows"][1]["times_as_fast_as"], "amplitude is not compiled"
    assert "host" in cuda.table(record | {"commit": "abc", "date": "today"})


def test_what_there_is_no_time_for_is_said(monkeypatch):
    record, _ = rows_of(monkeypatch, 0.0)
    assert [row["gate"] for row in record["rows"]] == [cuda.LATE] * 2
    assert all(cuda.LATE in record[name][0]["missing"] for name in ("ascents", "host", "files", "analyses", "motion"))


def test_rates_leave_out_what_fails():
    def fails():
        raise OSError("no such decoder")

    found = cuda_whole.rate("files", {"one": lambda: time.sleep(0.002), "other": fails}, 10, 2)
    assert 0 < found["frames_per_s"]["one"] < 5000 and found["missing"] == {"other": "OSError: no such decoder"}


def test_motion_is_timed_behind_a_gate(monkeypatch):
    import fastmag

    real, wrong = fastmag.magnify, [0]

    def magnify(frames, method, fps, backend):
        """The CPU's in both places, some levels off for the one if asked."""
        return real(frames, method=method, fps=fps, backend="cpu") // 2 + (backend == "cuda") * wrong[0]

    monkeypatch.setattr(fastmag, "magnify", magnify)
    monkeypatch.setattr(cuda_motion, "methods", lambda: {"evm-motion": fastmag.EvmMotion(passband=(1.0, 3.0))})
    monkeypatch.setattr(cuda_motion, "SIZE", (40, 56))
    monkeypatch.setattr(cuda_motion, "SMALL", (32, 48))
    (good,), (late,) = (cuda_motion.motion(lambda late=late: late, 64) for late in (False, True))
    assert good["frames_per_s"]["overlapped"] > 0 and not good["missing"] and late["gate"] == cuda.LATE
    wrong[0] = 3
    (bad,) = cuda_motion.motion(lambda: False, 64)
    assert bad["gate"].startswith("red: 3 levels off")


def test_frames_one_after_the_other_leave_the_backend_as_it_was():
    ops = types.SimpleNamespace(Lanes=1)
    assert cuda_whole._without(ops, lambda: hasattr(ops, "Lanes")) is False and ops.Lanes == 1


@pytest.mark.parametrize("name", [
    "normalised difference, 3888 cells", "amplitude 480x640", "band-pass of 10 frames with its state, a place",
])  # fmt: skip
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
    programs = {"tests": "print('5 passed')", "memcheck": "raise SystemExit(9)", "bench": "import time; time.sleep(60)"}
    steps = {name: [sys.executable, "-c", program] for name, program in programs.items()}
    monkeypatch.setattr(gpu, "steps", lambda: steps)
    monkeypatch.setitem(gpu.SECONDS, "bench", 0.3)
    monkeypatch.setattr(nvidia, "why_not", lambda: None)
    monkeypatch.setattr(nvidia, "find", lambda: "Card")
    monkeypatch.setenv("OUT", str(tmp_path))
    assert gpu.main() == 1
    found = json.loads((tmp_path / "gpu.json").read_text())["steps"]
    assert [found[name]["exit"] for name in steps] == [0, 9, "stopped after 0.3 s"]
    assert found["tests"]["tail"] == "5 passed\n" and found["tests"]["counts"] == {"passed": 5}
    assert (tmp_path / "gpu-bench.log").exists()
    monkeypatch.setattr(gpu, "TOTAL", 0.0)
    assert gpu.main() == 1
    assert json.loads((tmp_path / "gpu.json").read_text())["steps"]["tests"]["exit"] == "not run: no time was left"


def test_the_steps_fit_into_one_call_and_begin_with_the_tests():
    assert gpu.TOTAL <= 575 and list(gpu.steps())[:2] == ["tests", "bench"]
    assert gpu.SECONDS["tests"] + gpu.SECONDS["bench"] < gpu.TOTAL, "the sanitizer gets something, too"
    assert set(gpu.TOOLS) <= set(gpu.SECONDS)


def test_the_compiler_of_a_toolkit_is_pointed_at(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu.shutil, "which", lambda name: str(tmp_path / "bin" / "nvcc"))
    assert gpu.toolkit() == {}, "a compiler without what numba-cuda needs"
    (tmp_path / "nvvm").mkdir()
    assert gpu.toolkit() == {"CUDA_PATH": str(tmp_path), "CUDA_HOME": str(tmp_path)}


def test_a_step_takes_what_it_started_along_when_it_is_stopped(tmp_path):
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).wait()"
    began = time.perf_counter()
    assert gpu.run("tests", [sys.executable, "-c", child], tmp_path, 0.7)["exit"] == "stopped after 0.7 s"
    assert time.perf_counter() - began < 20


def test_a_step_that_is_stopped_says_what_it_has_found(tmp_path):
    words = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('what failed so far')"
    assert "what failed so far" in gpu.run("tests", [sys.executable, "-c", words], tmp_path, 1.0)["tail"]


def test_libraries_that_pip_installed_are_found(monkeypatch, tmp_path):
    (tmp_path / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "before")
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    assert str(tmp_path / "nvidia" / "cudnn" / "lib") in gpu.libraries()["LD_LIBRARY_PATH"].split(":")
    assert gpu.libraries()["LD_LIBRARY_PATH"].endswith(":before")


def test_without_a_gpu_it_says_why():
    if nvidia.why_not() is None:
        pytest.skip("there is a GPU")
    done = subprocess.run([sys.executable, "-m", "bench.gpu"], cwd=gpu.ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and nvidia.why_not() in done.stdout
