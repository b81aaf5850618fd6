"""The CUDA provider's bindings, blocks and stream order, on arrays and sessions that stand for those of a GPU."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from fastmag import models
from fastmag.ascent import ascend
from fastmag.errors import InputError
from fastmag.gradients import InputGradient
from fastmag.kernels import cpu
from fastmag.providers import Network, cuda

SHAPE = (3, 36, 36)
LOG: list[str] = []


class Device(np.ndarray):
    """Stands for a CuPy array: `data.ptr` is its address."""

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.ctypes.data)


class Stream:
    """Writes down who waits for whom."""

    def __init__(self, non_blocking=False, name="ours"):
        self.ptr, self.name = 77, name

    def record(self):
        return f"mark of {self.name}"

    def wait_event(self, event):
        LOG.append(f"{self.name} waits for {event}")

    def synchronize(self):
        LOG.append("the processor waits")

    def __enter__(self):
        LOG.append("on our stream")
        return self

    def __exit__(self, *exc):
        pass


def stand_in() -> types.ModuleType:
    cupy = types.ModuleType("cupy")
    cupy.ndarray = Device
    cupy.zeros = lambda shape, dtype: np.zeros(shape, dtype).view(Device)
    cupy.asarray = lambda x: np.array(x).view(Device)
    cupy.asnumpy = lambda x: (LOG.append("the processor waits"), np.array(x))[1]
    cupy.concatenate = np.concatenate
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: None)
    callers = Stream(name="the caller's")
    cupy.cuda = types.SimpleNamespace(Stream=Stream, get_current_stream=lambda: callers)
    return cupy


class Binding:
    """A session's binding that takes the processor's memory for the device's."""

    def __init__(self, real):
        self.real = real

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert device_type == "cuda"
        self.real.bind_input(name, "cpu", device_id, element_type, shape, buffer_ptr)

    def bind_output(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert device_type == "cuda"
        self.real.bind_output(name, "cpu", device_id, element_type, shape, buffer_ptr)


class Session:
    """A session of the CPU provider in the place of CUDA's."""

    def __init__(self, content, name, provider, options):
        assert provider == "CUDAExecutionProvider" and options["user_compute_stream"] == "77"
        self._real, self.options = ort.InferenceSession(content, providers=["CPUExecutionProvider"]), options
        self.get_inputs, self.get_outputs = self._real.get_inputs, self._real.get_outputs

    def io_binding(self):
        return Binding(self._real.io_binding())

    def run_with_iobinding(self, binding, options):
        assert options.get_run_config_entry("disable_synchronize_execution_providers") == "1"
        LOG.append("run")
        self._real.run_with_iobinding(binding.real)


@pytest.fixture
def network(monkeypatch) -> Network:
    LOG.clear()
    monkeypatch.setitem(sys.modules, "cupy", stand_in())
    monkeypatch.setattr(cuda, "session", Session)
    monkeypatch.setattr(cuda, "GPU_BLOCK", (8 * 3888, 512))
    return Network(Path(models.path("pulse_gradient")).read_bytes(), "the network", SHAPE)


def samples(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 3e-3, (n, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def truth() -> InputGradient:
    return InputGradient(models.path("pulse_gradient"), 1, expect=SHAPE, provider="cpu")


@pytest.mark.parametrize("n", [1, 5, 8])
def test_blocks_of_host_arrays(network, truth, n):
    engine = cuda.Cuda(network, "fp32")
    assert (engine.samples, engine.threads, engine.fixed, engine.precision) == (8, 1, True, "fp32")
    X = samples(n)
    engine.gradient(samples(8)[::-1])  # what a block before it left behind must not be seen
    y, G = engine.gradient(X)
    expected = truth.gradient(X)
    assert not isinstance(G, Device)
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(G, expected[1], rtol=1e-4, atol=1e-6 * np.abs(expected[1]).max())
    np.testing.assert_allclose(engine.predict(X), expected[0], rtol=1e-5, atol=1e-6)


def test_a_whole_ascent_never_waits(network, truth):
    engine, X = cuda.Cuda(network, "bf16"), samples(19)
    assert engine.precision == "tf32" and engine.options()["use_tf32"] == 1
    LOG.clear()
    moved = ascend(X.view(Device), cuda.DeviceGradient(engine), cpu, step_size=6e-5, n_steps=4, rule="sign")
    assert isinstance(moved, Device)
    assert "the processor waits" not in LOG and LOG.count("run") == 3 * 3
    block = ["ours waits for mark of the caller's", "on our stream", "run", "the caller's waits for mark of ours"]
    assert block * 9 == LOG, "every run comes after what made X, and before what takes dy/dX"
    exact = ascend(X, truth.gradient, cpu, step_size=6e-5, n_steps=4, rule="sign")
    np.testing.assert_allclose(moved, exact, atol=1e-6)


def test_little_memory_means_smaller_blocks(network, monkeypatch):
    class Small(Session):
        def run_with_iobinding(self, binding, options):
            if len(failed) < 2:
                failed.append(binding)
                raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer of size 9")
            super().run_with_iobinding(binding, options)

    failed: list = []
    monkeypatch.setattr(cuda, "session", Small)
    assert cuda.Cuda(network, "fp32").samples == 2

    class Full(Session):
        def run_with_iobinding(self, binding, options):
            raise RuntimeError("CUDA failure 2: out of memory")

    monkeypatch.setattr(cuda, "session", Full)
    with pytest.raises(InputError, match=r"out of memory for the network .*use the provider cpu"):
        cuda.Cuda(network, "fp32")


def test_other_faults_are_not_taken_for_little_memory(network, monkeypatch):
    class Broken(Session):
        def run_with_iobinding(self, binding, options):
            raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")

    monkeypatch.setattr(cuda, "session", Broken)
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED"):
        cuda.Cuda(network, "fp32")
