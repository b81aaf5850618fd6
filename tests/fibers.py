"""CUDA kernels thread by thread, strictly in turns: each runs until it reaches a barrier, then the next one does.

Where a barrier is missing, a thread reads shared memory that is still poisoned: Numba's own simulator lets threads run
as they come and seldom notices. A barrier that not all threads of a block reach is refused.
"""

from __future__ import annotations

import threading
import types
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np


class _Fiber(threading.Thread):
    """A thread of a block that runs only when it is told to."""

    def __init__(self, body: Callable[[], None], at: tuple[int, int], inside: threading.local) -> None:
        super().__init__(daemon=True)
        self._body, self._at, self._inside = body, at, inside
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.ended, self.error = False, None

    def run(self) -> None:
        self._go.acquire()
        self._inside.fiber, self._inside.at, self._inside.rooms = self, self._at, count()
        try:
            self._body()
        except BaseException as error:
            self.error = error
        self.ended = True
        self._back.release()

    def resume(self) -> None:
        """Let it run to its next barrier, or to its end."""
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def barrier(self) -> None:
        self._back.release()
        self._go.acquire()


def launch(function: Callable, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, backwards: bool) -> None:
    """Run a kernel's Python function over a grid of one or two dimensions."""
    width, height = (*block, 1)[:2]
    for index in np.ndindex(*grid[::-1]):
        inside, shared = threading.local(), {}
        module = _stand_in(index[::-1], grid, (width, height), inside, shared)
        body = types.FunctionType(
            function.__code__, {**function.__globals__, "cuda": module}, closure=function.__closure__
        )
        places = [(x, y) for y in range(height) for x in range(width)]
        fibers = [_Fiber(lambda body=body: body(*args), at, inside) for at in places]
        for fiber in fibers:
            fiber.start()
        live = fibers[::-1] if backwards else fibers
        while live:
            for fiber in live:
                fiber.resume()
            ended = sum(fiber.ended for fiber in live)
            assert ended in (0, len(live)), "a barrier that not all threads of the block reach"
            live = [fiber for fiber in live if not fiber.ended]


def _stand_in(index: tuple, grid: tuple, block: tuple[int, int], inside: threading.local, shared: dict) -> Any:
    """What a kernel calls `cuda`, for one block."""
    axes = ("x", "y", "z")

    def vector(values: tuple) -> types.SimpleNamespace:
        return types.SimpleNamespace(**dict(zip(axes, (*values, *(0,) * 3)[:3], strict=True)))

    class Module:
        blockIdx, gridDim, blockDim = vector(index), vector((*grid, 1, 1)), vector((*block, 1))

        @property
        def threadIdx(self):
            return vector(inside.at)

    def grid_of(dimensions: int) -> Any:
        at = tuple(i * b + t for i, b, t in zip((*index, 0)[:2], block, inside.at, strict=True))
        return at[0] if dimensions == 1 else at

    def gridsize(dimensions: int) -> Any:
        sizes = tuple(g * b for g, b in zip((*grid, 1)[:2], block, strict=True))
        return sizes[0] if dimensions == 1 else sizes

    def room(shape: Any, kind: Any) -> np.ndarray:
        """The n-th array that a thread asks for is the same one for all threads of the block."""
        return shared.setdefault(next(inside.rooms), np.full(shape, np.nan, str(kind)))

    module = Module()
    module.grid, module.gridsize = grid_of, gridsize
    module.shared = types.SimpleNamespace(array=room)
    module.local = types.SimpleNamespace(array=lambda shape, kind: np.full(shape, np.nan, str(kind)))
    module.syncthreads = lambda: inside.fiber.barrier()
    return module
