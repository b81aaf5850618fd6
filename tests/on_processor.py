"""The bodies of the CUDA kernels, compiled for the processor: a grid of one thread does all the work of a launch.

So they run on frames and series of real size and inside whole pipelines, where the simulator is too slow. Needs
NUMBA_ENABLE_CUDASIM=1.
"""

from __future__ import annotations

import types
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numba.extending import overload

from fastmag.kernels.cuda import _device as device

OPTIONS = {"error_model": "numpy", "nogil": True}
Place = namedtuple("Place", "x y z")


def grid(dimensions):
    """The place of the thread."""


def gridsize(dimensions):
    """How many threads there are."""


def array(shape, kind):
    """Room of a block, or of a thread."""


@overload(grid, prefer_literal=True)
def _grid(dimensions):
    return (lambda dimensions: (0, 0)) if dimensions.literal_value == 2 else (lambda dimensions: 0)


@overload(gridsize, prefer_literal=True)
def _gridsize(dimensions):
    return (lambda dimensions: (1, 1)) if dimensions.literal_value == 2 else (lambda dimensions: 1)


@overload(array)
def _array(shape, kind):
    return lambda shape, kind: np.full(shape, np.nan, kind)


@numba.njit
def syncthreads():
    """One thread waits for nobody."""


def _module(**names: Any) -> types.ModuleType:
    made = types.ModuleType("cuda")
    made.__dict__.update(names)
    return made


CUDA = _module(
    grid=grid, gridsize=gridsize, syncthreads=syncthreads, shared=_module(array=array), local=_module(array=array),
    threadIdx=Place(0, 0, 0), blockIdx=Place(0, 0, 0), blockDim=Place(1, 1, 1), gridDim=Place(1, 1, 1),
)  # fmt: skip


def launch(kernel: Any, grid: tuple, threads: tuple, args: tuple) -> None:
    """In the place of `Kernel._launch`."""
    if min(grid) > 0:
        compiled(kernel.function)(*map(device.handle, args))


@cache
def compiled(function: Callable) -> Any:
    """A kernel or one of its scalars, with all that it calls."""
    used = {name: function.__globals__[name] for name in function.__code__.co_names if name in function.__globals__}
    names = {name: _known(value) for name, value in used.items()} | {"cuda": CUDA}
    cells = tuple(types.CellType(_known(cell.cell_contents)) for cell in function.__closure__ or ()) or None
    body = types.FunctionType(function.__code__, names, function.__name__, closure=cells)
    return numba.njit(**OPTIONS)(body)


def _known(value: Any) -> Any:
    return compiled(value) if isinstance(value, types.FunctionType) else value
