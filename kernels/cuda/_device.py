"""The array layer under the kernels: CuPy on a GPU, NumPy in Numba's simulator (NUMBA_ENABLE_CUDASIM=1).

Everything is done in the order of one stream, CuPy's current one, and nothing waits for it but `down`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

if not hasattr(np, "row_stack"):  # NumPy 2.5 took it away, and numba-cuda, which is no longer developed, reads it
    setattr(np, "row_stack", np.vstack)  # noqa: B010 (the name is unknown to type checkers)

from numba import config, cuda
from numpy.typing import DTypeLike, NDArray

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM"))  # noqa: B009 (set at run time)

xp: Any  # NumPy or CuPy
fft: Any
Array: Any  # the class of arrays on the device
Exhausted: Any  # the error of a full device
Lost: Any  # errors of the driver

if SIMULATED:
    import scipy.fft

    from fastmag.kernels.cuda import _stand_ins

    xp, fft = np, scipy.fft
    Array, Exhausted, Lost = _stand_ins.Array, _stand_ins.Exhausted, _stand_ins.Lost
else:
    import cupy
    import cupyx.scipy.fft
    from numba.cuda.cudadrv.driver import CudaAPIError

    xp, fft = cupy, cupyx.scipy.fft
    Array, Exhausted = cupy.ndarray, cupy.cuda.memory.OutOfMemoryError
    Lost = (cupy.cuda.driver.CUDADriverError, cupy.cuda.runtime.CUDARuntimeError, CudaAPIError)
    with suppress(ImportError):  # where cuFFT is not installed nothing of it can fail
        from cupy.cuda.cufft import CuFFTError

        Lost = (*Lost, CuFFTError)
    with suppress(ImportError):
        from cupy.cuda.cublas import CUBLASError

        Lost = (*Lost, CUBLASError)

PLANS = 64  # of transforms that a thread keeps: the levels of a pyramid, which take turns, have up to 31
_here = threading.local()


def empty(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
    """A new array on the device, full of anything."""
    return np.empty(shape, dtype).view(Array) if SIMULATED else xp.empty(shape, dtype)


def full(shape: tuple[int, ...], value: float, dtype: DTypeLike) -> Any:
    """A new array on the device, full of one value."""
    made = empty(shape, dtype)
    made[...] = value
    return made


def up(x: NDArray) -> Any:
    """A copy of a host array on the device."""
    return np.array(x, order="C").view(Array) if SIMULATED else xp.asarray(x, order="C")


def down(x: Any, out: NDArray | None = None) -> NDArray:
    """A copy of a device array on the host, or in `out`; waits for it."""
    if out is None:
        return np.array(x) if SIMULATED else xp.asnumpy(x)
    np.copyto(out, down(x))
    return out


def handle(x: Any) -> Any:
    """What a kernel is launched with: device arrays without the synchronisation that Numba would add."""
    if isinstance(x, tuple):
        return tuple(map(handle, x))
    if not isinstance(x, Array):
        return x
    return x.view(np.ndarray) if SIMULATED else cuda.as_cuda_array(x, sync=False)


def stream() -> Any:
    """CuPy's current stream, as Numba takes it; 0 is the default one for both."""
    pointer = 0 if SIMULATED else xp.cuda.get_current_stream().ptr
    return _stream(pointer) if pointer else 0


@lru_cache(maxsize=16)
def _stream(pointer: int) -> Any:
    return cuda.external_stream(pointer)


def release() -> None:
    """Give back what the pool holds and nobody uses."""
    if not SIMULATED:
        with suppress(ImportError):
            xp.fft.config.clear_plan_cache()  # plans have room to work in
        xp.get_default_memory_pool().free_all_blocks()


def overlap(x: Any, y: Any) -> bool:
    """Whether two device arrays may share memory."""
    return bool(xp.may_share_memory(x, y))


@lru_cache(maxsize=128)
def constants(make: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
    """The arrays that make(*arguments) answers, on the device, as int32 and float32; copied there once."""
    made = make(*arguments)
    parts = made if isinstance(made, tuple) else (made,)
    return tuple(lasting(part.astype(np.int32 if part.dtype.kind == "i" else np.float32)) for part in parts)


def lasting(x: NDArray) -> Any:
    """A copy of a host array on the device, to be read on any stream afterwards: waits for it."""
    made = up(x)
    if not SIMULATED:
        xp.cuda.get_current_stream().synchronize()
    return made


def doubles(values: NDArray) -> Any:
    """A small constant float64 array on the device, copied there once."""
    return _doubles(np.ascontiguousarray(values, np.float64).tobytes(), values.shape)


@lru_cache(maxsize=64)
def _doubles(content: bytes, shape: tuple[int, ...]) -> Any:
    return lasting(np.frombuffer(content).reshape(shape))


def _transforms() -> Any:
    """The module of transforms, with room for the plans of this thread."""
    if not SIMULATED and not getattr(_here, "ready", False):
        xp.fft.config.set_plan_cache_size(PLANS)
        _here.ready = True
    return fft


def spectrum(frames: Any) -> Any:
    """The half spectra of real frames (B, H, W), no scale."""
    return _held(_transforms().rfft2(frames))


def frames(spectra: Any, shape: tuple[int, int]) -> Any:
    """The real frames (B, H, W) of half spectra, no scale."""
    return _held(_transforms().irfft2(spectra, shape, norm="forward"))


def forward(boxes: Any) -> Any:
    """Complex transforms over the last two axes, no scale; the boxes may be spoilt."""
    return _held(_transforms().fft2(boxes, overwrite_x=True))


def inverse(boxes: Any) -> Any:
    """The sums over exp(+i ...), no scale; the boxes may be spoilt."""
    return _held(_transforms().ifft2(boxes, norm="forward", overwrite_x=True))


def _held(x: Any) -> Any:
    return x.view(Array) if SIMULATED else x
