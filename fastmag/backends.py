"""From a backend's name to its kernels, and why one is not available."""

from __future__ import annotations

import importlib

from fastmag.errors import InputError
from fastmag.ops import Ops

NAMES = ("cpu",)  # fastest first, for "auto"


def get(name: str = "auto") -> Ops:
    """The kernels module of a backend: "cpu", or "auto" for the fastest available. Never another than the one named.

    Raises InputError when it is unknown or not available here.
    """
    if name == "auto":
        for candidate in NAMES:
            if why_not(candidate) is None:
                return get(candidate)
        raise InputError("no backend is available: " + "; ".join(f"{n}: {why_not(n)}" for n in NAMES))
    if name not in NAMES:
        raise InputError(f"backend must be one of auto, {', '.join(NAMES)}; got {name!r}")
    reason = why_not(name)
    if reason is not None:
        raise InputError(f"backend {name} is not available: {reason}")
    return importlib.import_module(f"fastmag.kernels.{name}")


def why_not(name: str) -> str | None:
    """Why a backend cannot be used here; None when it can."""
    try:
        importlib.import_module(f"fastmag.kernels.{name}")
    except ImportError as error:
        return str(error)
    return None
