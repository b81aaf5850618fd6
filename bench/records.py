"""Records: what was measured, on what, of which commit; some rows measured anew do not throw the others away."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy", "scipy", "numba", "llvmlite", "pillow", "opencv-python-headless", "torch", "pyrtools", "plenoptic",
    "onnxruntime", "openvino",
)  # fmt: skip
CODE = ("fastmag", "kernels", "bench")  # folders whose changes are said beside a commit


def commit() -> str:
    """The commit that was measured, marked where the code differs from it."""
    root = Path(__file__).parents[1]
    try:
        said = [
            subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", *CODE])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    changed = [line for line in said[1].splitlines() if not line.endswith(".json")]
    return said[0] + (" + changes" if changed else "")


def machine() -> dict[str, Any]:
    """What was measured on: processor, cores, system, versions, and how busy it was."""
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    system = platform.platform()
    return {"cpu": name, "cores": cores, "system": system, "load": os.getloadavg()[0], "versions": versions}


def about() -> dict[str, Any]:
    """The head of a record."""
    return {"commit": commit(), "date": time.strftime("%Y-%m-%d"), "machine": machine()}


def merged(old: dict[str, Any], new: dict[str, Any], keys: tuple[str, ...], valid: list[Any] | None) -> dict[str, Any]:
    """The new record with the old one's rows that were not measured again, each with its own commit and date.

    Rows are the same where all `keys` are. valid: values of the first key that there still are, in their order.
    Raises SystemExit where the old record is of another processor: such rows do not belong side by side.
    """
    if old["machine"]["cpu"] != new["machine"]["cpu"]:
        raise SystemExit(f"the record is of {old['machine']['cpu']}: measure all rows (leave --only out)")
    stamp = {"commit": old["commit"], "date": old["date"]}
    rows = {tuple(row[key] for key in keys): {**row, "of": row.get("of", stamp)} for row in old["rows"]}
    rows |= {tuple(row[key] for key in keys): row for row in new["rows"]}
    chosen = [row for name, row in rows.items() if valid is None or name[0] in valid]
    if valid is not None:
        chosen.sort(key=lambda row: valid.index(row[keys[0]]))
    return {**new, "rows": chosen}


def update(
    path: Path, record: dict[str, Any], keys: tuple[str, ...], some: bool, valid: list[Any] | None = None
) -> dict[str, Any]:
    """Write a record; where `some` rows alone were measured, into the one that is there. Returns what was written."""
    if some and path.exists():
        record = merged(json.loads(path.read_text()), record, keys, valid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{path}\n")
    return record
