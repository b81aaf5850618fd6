"""Whether an NVIDIA GPU can be used here, and exactly why not: asked of its driver, before anything large loads."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from dataclasses import dataclass
from typing import Any

NEEDED = (13, 0)  # CUDA, of the packages in fastmag[cuda]
NEEDED_DRIVER = 580  # the first that supports it
OLDEST = (7, 5)  # compute capability that CUDA 13 still compiles for
LIBRARIES = {"win32": "nvcuda.dll"}
PACKAGES = {"cupy": "cupy-cuda13x", "numba_cuda": "numba-cuda[cu13]"}
LOADED = {"cufft": "cuFFT", "cublas": "cuBLAS"}  # by CuPy, when it first needs them

_NO_DEVICE, _MAJOR, _MINOR = 100, 75, 76


@dataclass(frozen=True)
class Gpu:
    """The first GPU that the driver shows, and the CUDA that the driver supports."""

    name: str
    capability: tuple[int, int]
    memory: int
    cuda: tuple[int, int]

    def __str__(self) -> str:
        gib = self.memory / (1 << 30)
        capability, cuda = (".".join(map(str, pair)) for pair in (self.capability, self.cuda))
        return f"{self.name}, {gib:.0f} GiB, compute capability {capability}, driver for CUDA {cuda}"


class Unusable(Exception):
    """Why a GPU cannot be used: what is, and what to do, in one line."""


def find() -> Gpu:
    """The GPU that kernels would run on. Raises Unusable where there is none, or its driver or itself is too old."""
    driver = _driver()
    _check(driver, driver.cuInit(0))
    cuda = _number(driver, driver.cuDriverGetVersion)
    version = cuda // 1000, cuda % 1000 // 10
    if version < NEEDED:
        raise Unusable(
            f"the driver supports CUDA {version[0]}.{version[1]}, and {NEEDED[0]}.{NEEDED[1]} is needed: update it to "
            f"{NEEDED_DRIVER} or later"
        )
    if _number(driver, driver.cuDeviceGetCount) == 0:
        raise Unusable(_no_device())
    device = ctypes.c_int()
    _check(driver, driver.cuDeviceGet(ctypes.byref(device), 0))
    capability = tuple(_number(driver, driver.cuDeviceGetAttribute, which, device) for which in (_MAJOR, _MINOR))
    name, memory = ctypes.create_string_buffer(96), ctypes.c_size_t()
    _check(driver, driver.cuDeviceGetName(name, len(name), device))
    _check(driver, driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    gpu = Gpu(name.value.decode(errors="replace"), (capability[0], capability[1]), memory.value, version)
    if gpu.capability < OLDEST:
        raise Unusable(
            f"{gpu.name} has compute capability {capability[0]}.{capability[1]}, and CUDA {NEEDED[0]} needs "
            f"{OLDEST[0]}.{OLDEST[1]}: use a newer GPU"
        )
    return gpu


def why_not() -> str | None:
    """Why the CUDA kernels cannot run here, in one line; None where driver, GPU and packages are there."""
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        return "NUMBA_ENABLE_CUDASIM is set, and Numba then only simulates a GPU: unset it"
    try:
        find()
    except Unusable as reason:
        return str(reason)
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        return f"without {' and '.join(missing)}: pip install 'fastmag[cuda]'"
    absent = _not_found()
    if absent:
        return f"CuPy finds no {' and no '.join(absent)}: pip install 'cupy-cuda13x[ctk]', or install CUDA's toolkit"
    return None


def _not_found() -> list[str]:
    """NVIDIA's libraries that are neither among the packages nor in a toolkit, where CuPy's own finder looks."""
    try:
        from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib
    except ImportError:  # an older CuPy leaves it to the system
        return []
    absent = []
    for name, said in LOADED.items():
        try:
            load_nvidia_dynamic_lib(name)
        except DynamicLibNotFoundError:
            absent.append(said)
    return absent


def _driver() -> Any:
    """The driver's own library."""
    library = LIBRARIES.get(sys.platform, "libcuda.so.1")
    try:
        return ctypes.CDLL(library)
    except OSError:
        raise Unusable(
            f"no NVIDIA driver is installed ({library} is not found): install {NEEDED_DRIVER} or later"
        ) from None


def _check(driver: Any, code: int) -> None:
    if code == _NO_DEVICE:
        raise Unusable(_no_device())
    if code:
        name = ctypes.c_char_p()
        driver.cuGetErrorName(code, ctypes.byref(name))
        said = (name.value or b"CUDA error").decode(errors="replace")
        raise Unusable(f"the NVIDIA driver does not work ({said}, {code}): reinstall it or restart the machine")


def _no_device() -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return f"the driver shows no GPU, and CUDA_VISIBLE_DEVICES is {visible!r}: unset it or name a GPU there"
    return "the driver shows no GPU: look at what nvidia-smi says"


def _number(driver: Any, function: Any, *arguments: Any) -> int:
    """What a function of the driver writes into its first argument."""
    value = ctypes.c_int()
    _check(driver, function(ctypes.byref(value), *arguments))
    return value.value
