"""python -m bench.gpu (make gpu): everything that needs a GPU, in one go of less than ten minutes, nothing installed.

Tests first, then the benchmarks, then compute-sanitizer where there is one, with what is left of the time. Logs and
records go into the folder named by OUT, or into bench/results; gpu.json says what ran, how long, and how it ended. It
is written after every step, and the record of the benchmarks after every row: an end from outside loses little.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.records import about
from fastmag import nvidia

ROOT = Path(__file__).parents[1]
TESTS = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/test_gpu.py", "tests/test_gpu_flow.py",
         "-p", "no:cacheprovider", "-o", "faulthandler_timeout=60", "--durations=10"]  # fmt: skip
WORKERS = 6  # processes for the tests where pytest-xdist is there: most of the time goes into compiling
SMALL = "test_kernel_equals_its_reference and (1x1 or 3x5 or 7x5 or 2x3x7 or 5x9 or 33x31 or 8x6 or 8x8)"
SHARED = f"{SMALL} and (downsample or smooth_space or smooth_amplitude or ascend_step)"  # kernels with barriers
TOOLS = {"memcheck": SMALL, "racecheck": SHARED, "synccheck": SHARED}
TOTAL, FEWEST = 565.0, 10.0  # seconds of it all; with less left than that a step is not begun
SECONDS = {"tests": 220, "bench": 270, "memcheck": 75, "racecheck": 40, "synccheck": 30}
PACKAGES = ("numpy", "numba", "numba-cuda", "cupy-cuda13x", "onnxruntime-gpu", "onnxruntime", "torch", "av", "pytest")
GRACE = 10  # seconds in which a step that is stopped may print what it has found
TAIL = 1500  # characters of a log that the summary repeats


def steps() -> dict[str, list[str]]:
    """What is run, in order."""
    spread = ["-n", str(WORKERS), "--dist", "load"] if importlib.util.find_spec("xdist") else []
    bench = [sys.executable, "-m", "bench", "cuda", "--limit", str(SECONDS["bench"] - 15)]
    commands = {"tests": [*TESTS, *spread, "--maxfail=60"], "bench": bench}
    if sanitizer():
        for tool, which in TOOLS.items():
            commands[tool] = [str(sanitizer()), "--tool", tool, "--error-exitcode", "9", *TESTS, "-k", which]
    return commands


def sanitizer() -> str | None:
    """compute-sanitizer, on the path or beside CUDA's compiler; None where it is not installed."""
    name = "compute-sanitizer"
    return shutil.which(name) or next((shutil.which(f"{root}/bin/{name}") for root in toolkit().values()), None)


def run(name: str, command: list[str], out: Path, seconds: float) -> dict[str, Any]:
    """One step: how it ended, how long it took, the end of its log."""
    began, log = time.perf_counter(), out / f"gpu-{name}.log"
    with log.open("w") as file:
        environment = {**toolkit(), **os.environ, **libraries(), "PYTHONUNBUFFERED": "1", "OUT": str(out)}
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True,
            preexec_fn=_hear if os.name == "posix" else None,
        )  # fmt: skip
        try:
            code: int | str = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = f"stopped after {seconds:.3g} s"
        finally:
            _end(process)
    took, text = round(time.perf_counter() - began, 1), log.read_text(errors="replace")
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", text[-TAIL:])}
    print(f"{name}: {'passed' if code == 0 else f'FAILED ({code})'} in {took} s {counts or ''} {log}", flush=True)
    return {"command": command[1:], "exit": code, "seconds": took, "counts": counts, "tail": text[-TAIL:]}


def _hear() -> None:
    """Let a step be interrupted, also where whatever started us may not be (a shell's background)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def toolkit() -> dict[str, str]:
    """Where CUDA's compiler is, for numba-cuda, which does not look beyond its packages and these variables."""
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    root = Path(nvcc).resolve().parents[1]
    return {name: str(root) for name in ("CUDA_PATH", "CUDA_HOME")} if (root / "nvvm").is_dir() else {}


def libraries() -> dict[str, str]:
    """Where the loader finds NVIDIA's libraries as pip installs them: an ONNX Runtime that was unpacked elsewhere looks
    for CUDA and cuDNN beside itself alone."""
    package = importlib.util.find_spec("nvidia")
    roots = list(package.submodule_search_locations or ()) if package else []
    found = [str(folder) for root in roots for folder in sorted(Path(root).glob("*/lib"))]
    name = "LD_LIBRARY_PATH"
    return {name: os.pathsep.join([*found, *filter(None, [os.environ.get(name)])])} if found else {}


def _end(process: subprocess.Popen) -> None:
    """Take a step's process, and those it started, away; one that still runs may first say what it has found."""
    if process.poll() is None and hasattr(signal, "SIGINT"):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def versions() -> dict[str, str]:
    """Of the packages that matter here; those that are absent are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> int:
    """All steps; 0 where all passed, 1 where one failed or there was no time for it, 2 where there is no GPU."""
    reason, end = nvidia.why_not(), time.monotonic() + TOTAL
    if reason is not None:
        print(f"there is nothing to run on: {reason}")
        return 2
    out = Path(os.environ.get("OUT") or ROOT / "bench" / "results").resolve()
    out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {**about(), "gpu": str(nvidia.find()), "packages": versions(), "steps": {}}
    for name, command in steps().items():
        left = end - time.monotonic()
        if left < FEWEST:
            summary["steps"][name] = {"command": command[1:], "exit": "not run: no time was left", "seconds": 0.0}
            print(f"{name}: not run: no time was left", flush=True)
        else:
            summary["steps"][name] = run(name, command, out, min(SECONDS[name], left))
        (out / "gpu.json").write_text(json.dumps(summary, indent=1) + "\n")
    return 0 if all(step["exit"] == 0 for step in summary["steps"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
