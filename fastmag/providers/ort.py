"""ONNX Runtime's CPU and TensorRT providers, and what all of its providers share."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import onnxruntime as ort

from fastmag import models, onnx_bytes
from fastmag.errors import InputError
from fastmag.providers import Array, Network

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
# Elements of X in a block, and the most samples. On the CPU activations should stay in the cache (`python -m bench
# gradient`); on a GPU a launch has to be worth its while.
CPU_BLOCK, GPU_BLOCK = (1 << 19, 8), (4 << 20, 512)


def why_not_listed(name: str) -> str | None:
    """Why this build of ONNX Runtime has no such provider; None where it lists it."""
    if PROVIDERS[name] in ort.get_available_providers():
        return None
    return (
        f"this onnxruntime ({ort.__version__}) has no {PROVIDERS[name]}: pip uninstall onnxruntime, then "
        "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'"
    )


class OnnxRuntime:
    """A network as ONNX Runtime sessions: one-threaded runs side by side on the CPU, one run at a time on TensorRT.

    Side by side they scale with the cores (1.99x on two, where threads inside a run reach 1.5x).
    """

    def __init__(
        self, network: Network, name: str, precision: str, threads: int, opened: ort.InferenceSession | None = None
    ) -> None:
        self._network, self._name = network, name
        self.precision, self._options = _options(name, precision)
        self.threads = threads if name == "cpu" else 1
        self.samples = network.samples(*(CPU_BLOCK if name == "cpu" else GPU_BLOCK))
        self.fixed = network.batch is not None or name != "cpu"  # a GPU looks for algorithms again for each new shape
        self._session = opened or self._open(network.content)

    def gradient(self, X: Array) -> tuple[Array, Array]:
        y, G = self._run(self._session, ["y", "G"], X)
        return y.reshape(-1), G

    def predict(self, X: Array) -> Array:
        return self._run(self._forward, None, X)[0].reshape(-1)

    @cached_property
    def _forward(self) -> ort.InferenceSession:
        return self._open(self._network.prediction())

    def _open(self, content: bytes) -> ort.InferenceSession:
        return session(content, self._network.name, PROVIDERS[self._name], self._options)

    def _run(self, run: ort.InferenceSession, outputs: list[str] | None, X: Array) -> list[Array]:
        n = len(X)
        if self.fixed:
            X = padded(X, self.samples)
        return [np.asarray(value)[:n] for value in run.run(outputs, {run.get_inputs()[0].name: X})]


def padded(X: Array, samples: int) -> Array:
    """X with as many samples of zeros behind it as make a whole block."""
    if len(X) == samples:
        return X
    return np.concatenate([X, np.zeros((samples - len(X), *X.shape[1:]), X.dtype)])


def _options(name: str, precision: str) -> tuple[str, dict[str, Any]]:
    """The precision that a provider really computes in, and its options. Raises InputError where there is none."""
    if name == "cpu":
        if precision != "fp32":
            raise InputError(f"the provider cpu has no {precision}; take fp32, or provider openvino for bf16")
        return "fp32", {}
    return precision, {"trt_bf16_enable": precision == "bf16"}


def session(content: bytes, name: str, provider: str, options: dict[str, Any] | None = None) -> ort.InferenceSession:
    """A session on exactly the provider that was asked for, one thread to a run; InputError where it does not start."""
    if provider != PROVIDERS["cpu"] and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA's and cuDNN's libraries where pip put them
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4  # what goes wrong arrives as an exception
    try:
        run = ort.InferenceSession(content, settings, providers=[(provider, options or {})], enable_fallback=0)
        _ = [(end.name, end.shape) for end in (*run.get_inputs(), *run.get_outputs())]  # names may be no text
    except Exception as error:  # ONNX Runtime has a class for each of its error codes, and no common one
        raise InputError(f"{name} is not an ONNX model that can be run ({line(error)}); export it again") from error
    if run.get_providers()[0] != provider:
        raise InputError(
            f"{provider} did not start, ONNX Runtime took {run.get_providers()[0]}; use that one or mend its driver"
        )
    return run


@lru_cache(maxsize=8)
def shipped(name: str) -> ort.InferenceSession:
    """A network that ships, on the CPU, one thread to a run. Raises InputError for an unknown name."""
    return session(onnx_bytes.read(models.path(name)), f"the {name} network", PROVIDERS["cpu"])


def line(error: Exception) -> str:
    """What a runtime said, in one short line without its error codes."""
    text = " ".join(str(error).split()).split(" : ")[-1]
    return text[:160] or type(error).__name__
