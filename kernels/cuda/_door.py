"""From the caller's arrays to the device and back, and what is said when the device fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastmag.errors import DeviceFull, InputError
from fastmag.kernels.cuda import _device as device

_GONE = "run it again; if it happens again, use the backend cpu and look at the driver's log (dmesg)"


def door(updates: tuple[str, ...] = (), keep: tuple[str, ...] = (), batch: tuple[str, ...] = ()) -> Callable:
    """Let a wrapper of device arrays take arrays of the host, and of anything with DLPack, as well.

    The result is where the first argument is, or in `out`. updates: arguments that are changed in place; keep: those
    that stay as they are; batch: those whose samples along axis 0 do not depend on each other, so that host arrays are
    worked on in halves where device memory is short.
    """

    def wrap(function: Callable) -> Callable:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            try:
                try:
                    return _passed(function, given, updates, keep)
                except device.Exhausted:
                    device.release()
                halves = _halved(call, given, batch)
                return _passed(function, given, updates, keep) if halves is None else halves
            except device.Exhausted as error:
                raise DeviceFull(
                    f"the GPU is out of memory in {function.__name__} ({_line(error)}): close what else runs on it, "
                    "take smaller frames, or use the backend cpu"
                ) from error
            except device.Lost as error:
                raise gone(function.__name__, error) from error

        return call

    return wrap


def _passed(function: Callable, given: dict[str, Any], updates: tuple[str, ...], keep: tuple[str, ...]) -> Any:
    """Call with everything on the device; bring back what came from the host."""
    moved = {name: x if name in keep else _moved(x) for name, x in given.items()}
    host, out = not _on_device(next(iter(given.values()))), given.get("out")
    if out is not None and not _on_device(out):
        moved["out"] = None
    result = function(**moved)
    for name in updates:
        if given.get(name) is not None and not _on_device(given[name]):
            device.down(moved[name], given[name])
            result = given[name] if result is moved[name] else result
    if out is not None:
        return out if _on_device(out) else _down(result, out)
    return _down(result) if host else result


def _moved(x: Any) -> Any:
    """x on the device, where it is an array or several."""
    if isinstance(x, device.Array):
        return x
    if isinstance(x, np.ndarray):
        return device.up(x)
    if isinstance(x, tuple | list) and x and any(_is_array(one) for one in x):
        return type(x)(map(_moved, x))
    if hasattr(x, "__dlpack__"):
        on_host = int(x.__dlpack_device__()[0]) == 1
        return device.up(np.from_dlpack(x)) if on_host or device.SIMULATED else device.xp.from_dlpack(x)
    return x


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | device.Array) or hasattr(x, "__dlpack__")


def _on_device(x: Any) -> bool:
    """Whether an array, or the first of several, is on the device already."""
    first = x[0] if isinstance(x, tuple | list) and len(x) else x
    if isinstance(first, device.Array | np.ndarray) or not hasattr(first, "__dlpack__"):
        return isinstance(first, device.Array)
    return int(first.__dlpack_device__()[0]) != 1


def _down(result: Any, out: Any = None) -> Any:
    if isinstance(result, tuple):
        return tuple(device.down(x, into) for x, into in zip(result, out or [None] * len(result), strict=True))
    return device.down(result, out) if isinstance(result, device.Array) else result


def _halved(call: Callable, given: dict[str, Any], batch: tuple[str, ...]) -> Any:
    """The two halves of a batch of host arrays, one after the other; None where it cannot be cut."""
    first = next(iter(given.values()))
    lead = first[0] if isinstance(first, tuple | list) else first
    if not batch or _on_device(first) or lead.ndim < 3 or len(lead) < 2:
        return None
    parts = []
    for half in (slice(0, len(lead) // 2), slice(len(lead) // 2, None)):
        cut = {n: _cut(x, half, lead) if n in batch or n == "out" else x for n, x in given.items()}
        parts.append(call(**cut))
    if given.get("out") is not None:
        return given["out"]
    if np.may_share_memory(parts[0][0], lead):  # changed in place
        return lead
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(pair) for pair in zip(*parts, strict=True))
    return np.concatenate(parts)


def _cut(x: Any, half: slice, lead: Any) -> Any:
    if isinstance(x, tuple | list):
        return type(x)(one[half] for one in x)
    return x[half] if _is_array(x) and (x.ndim == 1 or x.ndim == lead.ndim) else x


def reading(x: Any, dtype: DTypeLike = np.float32) -> Any:
    """A device array as a contiguous one of a type."""
    return device.xp.ascontiguousarray(x, dtype)


def writing(out: Any, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
    """`out` if it fits, or a new array: compiled loops do not look where they write."""
    if out is None:
        return device.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous:
        raise InputError(f"out must be contiguous {shape} {np.dtype(dtype)}; got {out.shape} {out.dtype}: allocate it")
    return out


def apart(x: Any, out: Any) -> Any:
    """x, or a copy of it where out lies over it: some loops read what others have already written over."""
    return x.copy() if device.overlap(x, out) else x


def same(name: str, x: Any, shape: tuple[int, ...]) -> None:
    """Refuse an argument of another shape than the first one's."""
    if x.shape != shape:
        raise InputError(f"{name} must be {shape}; got {x.shape}: reshape it")


def gone(where: str, error: Exception) -> InputError:
    """What to say of a device that failed."""
    return InputError(f"the GPU failed in {where} ({_line(error)}): {_GONE}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
