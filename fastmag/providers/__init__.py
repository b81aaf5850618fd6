"""What runs a network here: ONNX Runtime's CPU, CUDA and TensorRT providers, and OpenVINO; and why one of them cannot.

A new provider is a function in STARTERS that makes an Engine. Nothing trusts it: `choice` compares it with the CPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.onnx_bytes import part_for
from fastmag.params.fields import PRECISIONS as CHOICES
from fastmag.params.fields import PROVIDERS

NAMES = tuple(name for name in PROVIDERS if name != "auto")
PRECISIONS = tuple(name for name in CHOICES if name != "auto")

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A gradient model: its bytes, its name in messages, the shape of one sample, and its batch where that is fixed.

    forward: the bytes of y alone, where they are at hand.
    """

    content: bytes
    name: str
    shape: tuple[int, ...]
    batch: int | None = None
    forward: bytes | None = None

    def prediction(self) -> bytes:
        """The model of y alone."""
        return self.forward or part_for(self.content, "y")

    def samples(self, elements: int, most: int) -> int:
        """How many samples make a block of about so many elements of X, from 1 to `most`."""
        return self.batch or int(np.clip(elements // int(np.prod(self.shape)), 1, most))


class Engine(Protocol):
    """A network on a provider, for blocks of up to `samples` samples, from up to `threads` threads at a time.

    fixed: a smaller block costs as much as a whole one. precision: what is really computed in.
    """

    samples: int
    threads: int
    fixed: bool
    precision: str

    def gradient(self, X: Array) -> tuple[Array, Array]:
        """y (n,) and dy/dX (n, *shape) of X (n, *shape) float32, n from 1 to `samples`."""

    def predict(self, X: Array) -> Array:
        """y (n,) alone."""


Starter = Callable[[Network, str, int], Engine]


def _openvino(network: Network, precision: str, threads: int) -> Engine:
    from fastmag.providers.vino import OpenVino

    return OpenVino(network, precision, threads)


def _cuda(network: Network, precision: str, threads: int) -> Engine:
    from fastmag.providers.cuda import Cuda

    return Cuda(network, precision, threads)


def _onnx_runtime(name: str) -> Starter:
    def start_it(network: Network, precision: str, threads: int) -> Engine:
        from fastmag.providers.ort import OnnxRuntime

        return OnnxRuntime(network, name, precision, threads)

    return start_it


STARTERS: dict[str, Starter] = {
    "cpu": _onnx_runtime("cpu"),
    "openvino": _openvino,
    "cuda": _cuda,
    "tensorrt": _onnx_runtime("tensorrt"),
}


def why_not(name: str) -> str | None:
    """Why a provider cannot be had here, as far as that shows without starting it; None where nothing is known."""
    if name == "openvino":
        missing = importlib.util.find_spec("openvino") is None
        return "the package openvino is not installed: pip install 'fastmag[openvino]'" if missing else None
    from fastmag import nvidia
    from fastmag.providers.ort import why_not_listed

    return (nvidia.why_not() if name in ("cuda", "tensorrt") else None) or why_not_listed(name)


def start(name: str, network: Network, precision: str = "fp32", threads: int = 1) -> Engine:
    """A network on exactly the provider that is named. Raises InputError where that cannot be; checks no result."""
    if name not in STARTERS:
        raise InputError(f"provider must be one of auto, {', '.join(STARTERS)}; got {name!r}")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, auto; got {precision!r}")
    reason = why_not(name) if name in NAMES else None
    if reason is not None:
        raise InputError(f"provider {name} is not available: {reason}")
    return STARTERS[name](network, precision, threads)
