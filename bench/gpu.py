"""python -m bench.gpu (make gpu): everything that needs a GPU, in one go of less than ten minutes, nothing installed.

Tests, then compute-sanitizer where there is one, then the benchmarks. Logs and records go into the folder named by OUT,
or into bench/results; gpu.json says what ran, how long, and how it ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.records import about
from fastmag import nvidia

ROOT = Path(__file__).parents[1]
TESTS = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/test_gpu.py", "-p", "no:cacheprovider", "--maxfail=30"]
SMALL = "test_kernel_equals_its_reference and (1x1 or 3x5 or 7x5 or 2x3x7 or 5x9 or 33x31 or 8x6 or 8x8)"
TOOLS = ("memcheck", "racecheck", "synccheck")
SECONDS = {"tests": 240, "memcheck": 60, "racecheck": 60, "synccheck": 30, "bench": 200}
TAIL = 1500  # characters of a log that the summary repeats


def steps() -> dict[str, list[str]]:
    """What is run, in order."""
    commands = {"tests": TESTS}
    if shutil.which("compute-sanitizer"):
        for tool in TOOLS:
            commands[tool] = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", *TESTS, "-k", SMALL]
    return {**commands, "bench": [sys.executable, "-m", "bench", "cuda"]}


def run(name: str, command: list[str], out: Path) -> dict[str, Any]:
    """One step: how it ended, how long it took, where its log is."""
    began, log = time.perf_counter(), out / f"gpu-{name}.log"
    with log.open("w") as file:
        try:
            environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
            code: int | str = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=SECONDS[name], env=environment
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"stopped after {SECONDS[name]} s"
    seconds = round(time.perf_counter() - began, 1)
    print(f"{name}: {'passed' if code == 0 else f'FAILED ({code})'} in {seconds} s, {log}", flush=True)
    return {"command": command[1:], "exit": code, "seconds": seconds, "tail": log.read_text(errors="replace")[-TAIL:]}


def main() -> int:
    """All steps; 0 where all passed, 2 where there is no GPU."""
    reason = nvidia.why_not()
    if reason is not None:
        print(f"there is nothing to run on: {reason}")
        return 2
    out = Path(os.environ.get("OUT") or ROOT / "bench" / "results").resolve()
    out.mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {**about(), "gpu": str(nvidia.find()), "steps": {}}
    for name, command in steps().items():
        summary["steps"][name] = run(name, command, out)
        (out / "gpu.json").write_text(json.dumps(summary, indent=1) + "\n")
    return 0 if all(step["exit"] == 0 for step in summary["steps"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
