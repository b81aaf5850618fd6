"""Why there is no CUDA here, in one line and right; what auto takes; with drivers that are made up."""

from __future__ import annotations

import ctypes
import logging
import sys
import types

import numpy as np
import pytest

from fastmag import backends, nvidia, sources
from fastmag.errors import InputError
from fastmag.kernels import cpu


class Driver:
    """A driver library that answers what a test wants."""

    def __init__(self, **said):
        self.said = {"start": 0, "cuda": 13000, "count": 1, "capability": (9, 0)} | said

    def cuInit(self, flags):
        return self.said["start"]

    def cuDriverGetVersion(self, value):
        value._obj.value = self.said["cuda"]
        return 0

    def cuDeviceGetCount(self, value):
        value._obj.value = self.said["count"]
        return 0

    def cuDeviceGet(self, device, ordinal):
        device._obj.value = ordinal
        return 0

    def cuDeviceGetAttribute(self, value, which, device):
        value._obj.value = self.said["capability"][{75: 0, 76: 1}[which]]
        return 0

    def cuDeviceGetName(self, name, length, device):
        name.value = b"Card"
        return 0

    def cuDeviceTotalMem_v2(self, memory, device):
        memory._obj.value = 80 << 30
        return 0

    def cuGetErrorName(self, code, name):
        name._obj.value = b"CUDA_ERROR_" + str(code).encode()
        return 0


@pytest.fixture(autouse=True)
def forget():
    backends.why_not.cache_clear()
    yield
    backends.why_not.cache_clear()


@pytest.fixture
def driver(monkeypatch):
    """Put a made-up driver in the place of the real one, with all packages there."""

    def put(**said):
        monkeypatch.setattr(nvidia.ctypes, "CDLL", lambda name: Driver(**said))
        monkeypatch.setattr(nvidia.importlib.util, "find_spec", lambda name: name)
        monkeypatch.setitem(sys.modules, "cuda.pathfinder", Pathfinder())
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)

    return put


class Pathfinder:
    """In the place of the package of this name."""

    DynamicLibNotFoundError = type("DynamicLibNotFoundError", (RuntimeError,), {})

    def __init__(self, *absent: str):
        self.absent = absent

    def load_nvidia_dynamic_lib(self, name):
        if name in self.absent:
            raise self.DynamicLibNotFoundError(name)


@pytest.mark.parametrize("absent, said", [(["cublas"], "no cuBLAS"), (["cufft", "cublas"], "no cuFFT and no cuBLAS")])
def test_libraries_that_only_the_first_use_would_miss_are_named(driver, monkeypatch, absent, said):
    driver()
    assert nvidia.why_not() is None
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", Pathfinder(*absent))
    assert nvidia.why_not() == f"CuPy finds {said}: pip install 'cupy-cuda13x[ctk]', or install CUDA's toolkit"
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    assert nvidia.why_not() is None, "an older CuPy finds them by itself"


def test_no_driver(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", absent)
    reason = nvidia.why_not()
    assert reason and "no NVIDIA driver is installed" in reason and "580" in reason
    assert backends.choice() == ("cpu", f"backend cpu; not cuda: {reason}")
    with pytest.raises(InputError, match="backend cuda is not available: no NVIDIA driver"):
        backends.get("cuda")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"start": 100}, "shows no GPU: look at what nvidia-smi says"),
        ({"count": 0}, "shows no GPU"),
        ({"start": 803}, r"does not work \(CUDA_ERROR_803, 803\): reinstall it"),
        ({"cuda": 12040}, r"supports CUDA 12\.4, and 13\.0 is needed: update it to 580"),
        ({"capability": (6, 1)}, r"Card has compute capability 6\.1, and CUDA 13 needs 7\.5"),
    ],
)
def test_what_is_wrong_with_driver_or_gpu(driver, said, words):
    driver(**said)
    with pytest.raises(InputError, match=words) as caught:
        backends.get("cuda")
    assert "\n" not in str(caught.value)
    assert backends.get("auto") is cpu, "auto goes on without it"


def test_a_hidden_gpu_and_missing_packages_are_named(driver, monkeypatch):
    driver(count=0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert "CUDA_VISIBLE_DEVICES is '7'" in str(nvidia.why_not())
    driver()
    assert nvidia.why_not() is None
    monkeypatch.setattr(nvidia.importlib.util, "find_spec", lambda name: None)
    assert nvidia.why_not() == "without cupy-cuda13x and numba-cuda[cu13]: pip install 'fastmag[cuda]'"
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert "NUMBA_ENABLE_CUDASIM is set" in str(nvidia.why_not())


def test_the_gpu_is_named(driver):
    driver(cuda=13010, capability=(12, 0))
    assert str(nvidia.find()) == "Card, 80 GiB, compute capability 12.0, driver for CUDA 13.1"


class Ops:
    """Kernels that work, answer wrongly, or fail."""

    def __init__(self, off: float = 0.0, error: Exception | None = None):
        self.off, self.error = off, error

    def downsample_bicubic(self, frame, size):
        if self.error:
            raise self.error
        return cpu.downsample_bicubic(frame, size) + np.float32(self.off)


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        (Ops(), None),
        (Ops(off=0.1), "a kernel's result is wrong"),
        (
            Ops(error=RuntimeError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION\nmore")),
            "a kernel does not run .*PTX_VERSION more",
        ),
        (ImportError("libcufft.so.12 is missing"), "libcufft.so.12 is missing"),
    ],
)
def test_cuda_is_taken_only_if_a_kernel_runs_rightly(driver, monkeypatch, caplog, ops, reason):
    driver()

    real = backends.importlib.import_module

    def load(name, *package):
        if name != "fastmag.kernels.cuda":
            return real(name, *package)
        if isinstance(ops, Exception):
            raise ops
        return ops

    monkeypatch.setattr(backends.importlib, "import_module", load)
    with caplog.at_level(logging.INFO, "fastmag"):
        taken = backends.get("auto")
    if reason is None:
        assert backends.get("cuda") is ops
        assert taken is cpu and caplog.messages[0].endswith("taken by name only"), "not before a GPU has run it"
        monkeypatch.setattr(backends, "BY_NAME_ONLY", {})
        assert backends.get("auto") is ops and backends.choice() == ("cuda", "backend cuda")
    else:
        assert taken is cpu and caplog.messages[0].startswith("backend cpu; not cuda: ")
        with pytest.raises(InputError, match=reason):
            backends.get("cuda")


class OnGpu:
    """Stands for an array in the memory of a GPU."""

    def __init__(self, array: np.ndarray):
        self.array = array

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, **options):
        raise BufferError("not on the CPU")


def from_dlpack(array):
    """What a library named as this file's module reads."""
    return array


def test_frames_on_a_gpu_come_back_there(monkeypatch):
    frames = OnGpu(np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3))
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(InputError, match="the array is on a GPU: move it to the CPU, or pip install"):
        sources.to_numpy(frames)
    cupy = types.SimpleNamespace(from_dlpack=lambda x: x, asnumpy=lambda x: x.array, asarray=OnGpu)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    here = sources.to_numpy(frames)
    np.testing.assert_array_equal(here, frames.array)
    back = sources.like(here + 1, frames)
    assert isinstance(back, OnGpu)
    np.testing.assert_array_equal(back.array, frames.array + 1)


def test_doctor_knows_the_gpus_onnx_runtime(monkeypatch):
    from fastmag import doctor

    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "onnxruntime" else "1.31")
    assert "onnxruntime-gpu 1.31" in doctor.package_lines()
    assert not any("not installed" in line for line in doctor.package_lines())


def test_doctor_says_why_and_what_auto_takes(driver):
    from fastmag import doctor

    driver(cuda=12020)
    lines = doctor.backend_lines()
    assert lines[0].startswith("cuda: not available: the driver supports CUDA 12.2")
    assert lines[1].startswith("cpu: works, ") and lines[2] == "auto takes cpu"
