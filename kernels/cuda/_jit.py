"""How every CUDA kernel is compiled and launched: grid-stride loops, one stream, launch limits in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import cuda

from fastmag.kernels import scalars
from fastmag.kernels.cuda import _device as device

THREADS = 256  # of a block
WIDTH = 32  # of a block of two dimensions
BLOCKS = 4096  # along one axis of a grid: enough to fill any card several times; threads stride from there on
MOST_THREADS = 1024  # room that kernels take in shared memory for one number a thread

KERNELS: list[Kernel] = []


class Kernel:
    """A kernel and the ways to launch it.

    signatures: the types of its arguments as the wrappers launch it, for the report that compiles them without a GPU.
    doubles: whether float64 belongs in it.
    """

    def __init__(self, function: Callable, signatures: tuple[str, ...], doubles: bool) -> None:
        self.function, self.signatures, self.doubles = function, signatures, doubles
        self.name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__.lstrip('_')}"
        self._compiled = cuda.jit(function)

    def over(self, count: int, *args: Any) -> None:
        """A thread for each of `count` elements, in one dimension."""
        self._launch((_blocks(count, THREADS),), (THREADS,), args)

    def plane(self, rows: int, columns: int, *args: Any, depth: int = 1) -> None:
        """A thread for each element of (depth, rows, columns); columns are neighbours."""
        width, height = block()
        grid = (_blocks(columns, width), _blocks(rows, height), _blocks(depth, 1))
        self._launch(grid, (width, height), args)

    def blocks(self, count: int, *args: Any) -> None:
        """A block of THREADS in one dimension for each of `count` pieces of work."""
        self._launch((_blocks(count, 1),), (THREADS,), args)

    def tiles(self, count: int, *args: Any) -> None:
        """A block of two dimensions for each of `count` pieces of work."""
        self._launch((_blocks(count, 1),), block(), args)

    def _launch(self, grid: tuple[int, ...], threads: tuple[int, ...], args: tuple) -> None:
        if min(grid) > 0:
            self._compiled[grid, threads, device.stream()](*map(device.handle, args))


def block() -> tuple[int, int]:
    """(columns, rows) of a block of two dimensions."""
    width = min(WIDTH, THREADS)
    return width, max(1, THREADS // width)


def kernel(*signatures: str, doubles: bool = False) -> Callable[[Callable], Kernel]:
    """Make a loop over arrays a kernel, compiled on its first launch, and known to the report."""

    def make(function: Callable) -> Kernel:
        made = Kernel(function, signatures, doubles)
        KERNELS.append(made)
        return made

    return make


def scalar(function: Callable) -> Any:
    """Compile the arithmetic of one element, to be inlined into kernels."""
    return function if device.SIMULATED else cuda.jit(device=True)(function)


def _blocks(count: int, size: int) -> int:
    return min(-(-count // size), BLOCKS)


if device.SIMULATED:
    crossed = scalars.crossed
else:
    from numba.cuda import libdevice

    @cuda.jit(device=True)
    def crossed(a, b, c, d):
        """As `scalars.crossed`; this product is never contracted with the difference."""
        return libdevice.fmul_rn(a, b) - libdevice.fmul_rn(c, d)
