"""From a backend's name to its kernels, and why one is not available."""

from __future__ import annotations

import importlib
import logging
from functools import lru_cache

import numpy as np

from fastmag import nvidia
from fastmag.errors import InputError
from fastmag.ops import Ops

NAMES = ("cuda", "cpu")  # fastest first, for "auto"
BY_NAME_ONLY = {"cuda": "it has not been measured on a GPU yet, so it is taken by name only"}

_log = logging.getLogger("fastmag")


def get(name: str = "auto") -> Ops:
    """The kernels module of a backend: "cuda", "cpu", or "auto" for the first that works here and is proven.

    Never another than the one named. What auto took, and why not the others, goes to the log "fastmag" (level INFO).
    Raises InputError when the backend is unknown or not available here.
    """
    if name == "auto":
        chosen, said = choice()
        _log.info(said)
        return importlib.import_module(f"fastmag.kernels.{chosen}")
    if name not in NAMES:
        raise InputError(f"backend must be one of auto, {', '.join(NAMES)}; got {name!r}")
    reason = why_not(name)
    if reason is not None:
        raise InputError(f"backend {name} is not available: {reason}")
    return importlib.import_module(f"fastmag.kernels.{name}")


def choice() -> tuple[str, str]:
    """What "auto" takes, and a line that says so and why not another. Raises InputError where there is nothing."""
    passed: list[str] = []
    for name in NAMES:
        reason = why_not(name) or BY_NAME_ONLY.get(name)
        if reason is None:
            return name, f"backend {name}" + "".join(f"; not {other}" for other in passed)
        passed.append(f"{name}: {reason}")
    raise InputError("no backend is available: " + "; ".join(passed))


@lru_cache(maxsize=len(NAMES))
def why_not(name: str) -> str | None:
    """Why a backend cannot be used here; None when it can. Found out once: a GPU has to run a kernel, and rightly."""
    if name == "cuda" and (reason := nvidia.why_not()) is not None:
        return reason
    try:
        ops = importlib.import_module(f"fastmag.kernels.{name}")
        return None if name == "cpu" or runs_rightly(ops) else "a kernel's result is wrong: update driver and packages"
    except ImportError as error:
        return str(error)
    except Exception as error:  # whatever driver, compiler or linker raise
        first = " ".join(str(error).split())[:160]
        return f"a kernel does not run ({type(error).__name__}: {first}): update driver and packages"


def runs_rightly(ops: Ops) -> bool:
    """Whether one small kernel answers what it must: an import alone proves little."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    cells = ops.downsample_bicubic(ramp, (12, 16))
    return bool(np.abs(cells[2:-2, 2:-2] - np.add.outer(4 * np.arange(2, 10), 4 * np.arange(2, 14)) - 3).max() < 1e-3)
