"""How every CPU kernel is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from fastmag.kernels import scalars

# "contract" allows fused multiply-adds; "reassoc" lets sums run in vector lanes. The other fast-math flags would let
# the compiler assume that NaN and infinity never occur, and drop the guards that keep them out.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}


def _stamp() -> tuple[float, ...]:
    stats = [file.stat() for file in (Path(scalars.__file__), Path(__file__).with_name("_lanes.py"))]
    return tuple(number for stat in stats for number in (stat.st_mtime, stat.st_size))


def kernel(function: Callable) -> Any:
    """Compile a loop over arrays on first use and keep the machine code on disk for the next process."""
    compiled: Any = numba.njit(**_OPTIONS)(function)
    with contextlib.suppress(RuntimeError):  # no folder can be written: compile once per process
        compiled.enable_caching()
        # Numba looks only at the kernel's own file to see whether its cache is stale; these two are inlined into it.
        file: Any = getattr(compiled._cache, "_cache_file", None)
        if hasattr(file, "_source_stamp"):
            file._source_stamp = (file._source_stamp, _stamp())
    return compiled


def scalar(function: Callable) -> Any:
    """Compile the arithmetic of one element so that it is inlined into the loop that calls it."""
    return numba.njit(forceinline=True, **_OPTIONS)(function)


def uncontracted_scalar(function: Callable) -> Any:
    """As `scalar`, every product rounded by itself: where equal products are to cancel exactly."""
    return numba.njit(forceinline=True, **{**_OPTIONS, "fastmath": {"nsz"}})(function)


def exact_scalar(function: Callable) -> Any:
    """As `scalar`, in the order of operations that was written: where rounding errors are made to cancel."""
    return numba.njit(forceinline=True, **{**_OPTIONS, "fastmath": {"contract"}})(function)
