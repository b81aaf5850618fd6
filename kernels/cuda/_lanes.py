"""Three streams of a GPU, for blocks that go up, are worked on and come down at the same time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmag.errors import DeviceFull, InputError
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import gone, reading

ANY_DIRECTION = 4  # cudaMemcpyDefault: which side is the device shows from the addresses


class Lanes:
    """Room on both sides, copies and work in order of events. In Numba's simulator all of it happens at once."""

    Full: Any = (device.Exhausted, DeviceFull)
    Lost: Any = device.Lost

    def __init__(self) -> None:
        if not device.SIMULATED:
            self._up, self._work, self._down = (device.xp.cuda.Stream(non_blocking=True) for _ in range(3))

    there = staticmethod(device.up)  # a copy on the device, in the order of the current stream
    here = staticmethod(device.down)  # a copy on the host; waits for it

    @staticmethod
    def holds(x: Any) -> bool:
        """Whether an array is in device memory."""
        return isinstance(x, device.Array)

    @staticmethod
    def whole(x: Any) -> Any:
        """A device array, contiguous, in the order of the current stream."""
        return reading(x, x.dtype)

    def follow(self) -> None:
        """Have copies wait for what the caller has queued on its own stream until now."""
        if not device.SIMULATED:
            for stream in (self._up, self._down):
                stream.wait_event(device.xp.cuda.get_current_stream().record())

    @staticmethod
    def pinned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """Room on the host that copies need no detour for."""
        if device.SIMULATED:
            return np.empty(shape, dtype)
        import cupyx

        return cupyx.empty_pinned(shape, dtype)

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        """Room on the device."""
        if device.SIMULATED:
            return device.empty(shape, dtype)
        with self._up:
            return device.empty(shape, dtype)

    def copied(self, after: Any, pairs: list[tuple[Any, Any]]) -> Any:
        """Queue copies of contiguous arrays (to, from): up where `after` is None, else down after that event.

        The event of their end.
        """
        if device.SIMULATED:
            for to, source in pairs:
                to[...] = source
            return None
        stream = self._up if after is None else self._down
        if after is not None:
            stream.wait_event(after)
        for to, source in pairs:
            size, ends = to.nbytes, (_address(to), _address(source))
            device.xp.cuda.runtime.memcpyAsync(*ends, size, ANY_DIRECTION, stream.ptr)
        return self._event(stream)

    def worked(self, after: Any, work: Callable[..., Any], arrays: list[Any]) -> tuple[list[Any], Any]:
        """Queue work(*arrays) after an event: its results, contiguous, and the event of its end."""
        if device.SIMULATED:
            return [reading(x, x.dtype) for x in work(*arrays)], None
        with self._work:
            self._work.wait_event(after)
            return [reading(x, x.dtype) for x in work(*arrays)], self._event(self._work)

    def wait(self, event: Any) -> None:
        """Until what the event marks is over; the processor may do other things meanwhile."""
        if event is not None:
            event.synchronize()

    def settle(self) -> None:
        """Until nothing is under way, well or not."""
        if not device.SIMULATED:
            for stream in (self._up, self._work, self._down):
                with suppress(device.Lost):
                    stream.synchronize()

    @staticmethod
    def memory() -> int:
        """Free bytes on the device."""
        return 1 << 30 if device.SIMULATED else int(device.xp.cuda.runtime.memGetInfo()[0])

    @staticmethod
    def release() -> None:
        """Give back what nobody uses."""
        device.release()

    @staticmethod
    def gone(where: str, error: Exception) -> InputError:
        """What to say of a device that failed."""
        return gone(where, error)

    @staticmethod
    def _event(stream: Any) -> Any:
        return stream.record(device.xp.cuda.Event(block=True, disable_timing=True))


def _address(x: Any) -> int:
    return x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr
