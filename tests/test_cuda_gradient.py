"""The CUDA provider's bindings, blocks and stream order, on arrays and sessions that stand for those of a GPU."""

from __future__ import annotations

import contextlib
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from fastmag import deepmag, models
from fastmag.ascent import ascend
from fastmag.errors import InputError
from fastmag.gradients import InputGradient
from fastmag.kernels import cpu
from fastmag.providers import Network, choice, cuda

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

    def begin_capture(self):
        LOG.append("record")

    def end_capture(self):
        LOG.append("recorded")
        return types.SimpleNamespace(launch=lambda stream: LOG.append(f"launch on {stream.name}"))

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
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(free_all_blocks=lambda: LOG.append("room is made"))
    callers = Stream(name="the caller's")
    cupy.cuda = types.SimpleNamespace(
        Stream=Stream, get_current_stream=lambda: callers, using_allocator=lambda malloc: contextlib.nullcontext(),
        MemoryPool=lambda: types.SimpleNamespace(malloc=None),
    )  # fmt: skip
    return cupy


class Binding:
    """A session's binding that takes the processor's memory for the device's."""

    def __init__(self, real):
        self.real = real

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        assert device_type == "cuda"
        self.samples = shape[0]
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


def test_few_samples_do_not_pay_for_a_whole_block(network, truth, monkeypatch):
    monkeypatch.setattr(cuda, "SMALLEST", 2)
    engine, shapes = cuda.Cuda(network, "fp32"), []
    run = Session.run_with_iobinding

    def seen(self, binding, options):
        shapes.append(binding.samples)
        run(self, binding, options)

    monkeypatch.setattr(Session, "run_with_iobinding", seen)
    for n in (1, 2, 3, 4, 7):
        X = samples(n)
        y, G = engine.gradient(X)
        np.testing.assert_allclose(y, truth.gradient(X)[0], rtol=1e-5, atol=1e-6)
        assert len(G) == n
    assert shapes == [2, 2, 4, 4, 8]


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
    with pytest.raises(InputError, match=r"the GPU failed in the network .*EXECUTION_FAILED"):
        cuda.Cuda(network, "fp32")


def test_a_pipelines_ascent_stays_on_the_device(network, truth, monkeypatch):
    """Up once, down once, and in between nothing waits, where both the kernels and the network are there."""
    monkeypatch.setattr(choice.providers, "start", lambda name, *rest: cuda.Cuda(network, "fp32"))
    chosen = InputGradient(models.path("pulse_gradient"), 1, expect=SHAPE, provider="cuda")
    assert chosen.on_device and not truth.on_device
    there, here = sys.modules["cupy"].asarray, sys.modules["cupy"].asnumpy
    lanes = types.SimpleNamespace(there=there, here=here)
    ops, X = types.SimpleNamespace(ascend_step=cpu.ascend_step, Lanes=lanes), samples(11)
    step = {"step_size": 6e-5, "n_steps": 4, "rule": "sign"}
    LOG.clear()
    moved = ascend(X, deepmag.at_rate(chosen, 25.0), ops, **step)
    assert LOG.count("the processor waits") == 1 and LOG[-1] == "the processor waits" and LOG.count("run") == 2 * 3
    assert not isinstance(moved, Device)
    np.testing.assert_allclose(moved, ascend(X, deepmag.at_rate(truth, 25.0), cpu, **step), atol=1e-6)


def test_graphs_of_onnx_runtime_are_an_option(network, truth):
    assert cuda.Cuda(network, "fp32").options()["enable_cuda_graph"] == 0
    LOG.clear()
    engine, X = cuda.Cuda(network, "fp32", graphs=True), samples(5)
    assert LOG.count("run") == cuda.WARM_UPS and engine.options()["enable_cuda_graph"] == 1
    np.testing.assert_allclose(engine.gradient(X)[0], truth.gradient(X)[0], rtol=1e-5, atol=1e-6)


def test_a_recorded_function_is_launched_between_marks_of_the_callers_stream(network):
    calls = []

    def work(x):
        calls.append("the processor waits" in LOG)
        return x

    recorded = cuda.Recorded(work, samples(3).view(Device))
    assert calls == [False, True] and LOG[-2:] == ["record", "recorded"], "once to warm up, once while it is recorded"
    LOG.clear()
    X = samples(3).view(Device) + 1
    np.testing.assert_array_equal(recorded(X), X)
    assert len(calls) == 2 and "the processor waits" not in LOG
    assert LOG == [
        "ours waits for mark of the caller's", "on our stream", "launch on ours", "the caller's waits for mark of ours"
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"x must be \(3, 3, 36, 36\) float32, as recorded; got \(2, 3, 36, 36\)"):
        recorded(X[:2])


def test_what_cannot_be_recorded_is_said_in_one_line(network):
    def waits(x):
        if "record" in LOG:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: operation not\npermitted when stream is capturing")
        return x

    with pytest.raises(InputError, match=r"cannot be recorded as a CUDA graph \(.*permitted .*run it as it is"):
        cuda.Recorded(waits, samples(2).view(Device))
    assert LOG[-1] == "recorded", "the stream is not left recording"


@pytest.mark.parametrize(
    "said", ["cudaErrorLaunchFailure: unspecified\nlaunch failure", "CUDA failure 2: out of memory"]
)
def test_a_card_that_fails_or_fills_in_the_middle_is_said_in_one_line(network, monkeypatch, said):
    engine, X = cuda.Cuda(network, "fp32"), samples(3)

    def fails(*args):
        raise RuntimeError(said)

    for answer in (engine.gradient, engine.predict):
        with monkeypatch.context() as patch:
            patch.setattr(Session, "run_with_iobinding", fails)
            words = "the GPU is out of memory for the network" if "memory" in said else "the GPU failed in the network"
            with pytest.raises(InputError, match=words + r" \(.*use the provider cpu") as caught:
                answer(X)
            assert "\n" not in str(caught.value)


def test_room_is_made_once_where_others_have_filled_the_card(network, monkeypatch, truth):
    engine, X, failed = cuda.Cuda(network, "fp32"), samples(3), []
    real = Session.run_with_iobinding

    def full_once(*args):
        if not failed:
            failed.append(1)
            raise RuntimeError("BFCArena: Failed to allocate memory")
        real(*args)

    monkeypatch.setattr(Session, "run_with_iobinding", full_once)
    np.testing.assert_allclose(engine.gradient(X)[0], truth.gradient(X)[0], rtol=1e-5, atol=1e-6)
    assert failed and "room is made" in LOG
