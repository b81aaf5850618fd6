"""OpenVINO on the processor, through its own package: the provider that plugs into ONNX Runtime
(onnxruntime-ep-openvino 1.8.1) offers no device on processors that are not Intel's; the engine is the same.
"""

from __future__ import annotations

import importlib
import sys
from functools import cached_property
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmag.errors import InputError
from fastmag.providers import Array, Network
from fastmag.providers.ort import line, padded

if TYPE_CHECKING:
    import openvino

HINTS = {"fp32": "f32", "bf16": "bf16"}
BLOCK = (1 << 19, 8)  # elements of X and most samples of a block; 16 are 2 % faster where all are filled


class OpenVino:
    """A network compiled for blocks of one size, one stream for each thread.

    Raises InputError where it cannot be compiled, or where the processor has no bfloat16.
    """

    def __init__(self, network: Network, precision: str, threads: int) -> None:
        self.threads, self.fixed, self.precision = threads, True, precision
        self.samples = network.samples(*BLOCK)
        self._network = network
        self._gradient = self._requests(network.content)

    def gradient(self, X: Array) -> tuple[Array, Array]:
        y, G = self._run(self._gradient, ("y", "G"), X)
        return y.reshape(-1), G

    def predict(self, X: Array) -> Array:
        return self._run(self._forward, (0,), X)[0].reshape(-1)

    @cached_property
    def _forward(self) -> SimpleQueue[Any]:
        return self._requests(self._network.prediction())

    def _run(self, free: SimpleQueue[Any], outputs: tuple[str | int, ...], X: Array) -> list[Array]:
        request = free.get()
        try:
            found = request.infer(
                [padded(np.ascontiguousarray(X), self.samples)], share_inputs=True, share_outputs=True
            )
            return [np.array(found[name][: len(X)], np.float32) for name in outputs]
        finally:
            free.put(request)

    def _requests(self, content: bytes) -> SimpleQueue[Any]:
        """The model, compiled, with a request for each thread."""
        core = package().Core()
        if self.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError("this processor has no bfloat16 arithmetic; take precision fp32")
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision], "NUM_STREAMS": self.threads,
            "INFERENCE_NUM_THREADS": self.threads, "ENABLE_CPU_PINNING": False,
        }  # fmt: skip
        try:
            model = core.read_model(content)
            model.reshape([self.samples, *self._network.shape])
            turn_transposed(model)
            compiled = core.compile_model(model, "CPU", settings)
        except Exception as error:  # whatever the C++ side raises
            raise InputError(
                f"OpenVINO cannot run {self._network.name} ({line(error)}); use another provider"
            ) from error
        free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.threads):
            free.put(compiled.create_infer_request())
        return free


def package() -> Any:
    """The package openvino, without the notice that its import sends out where openvino_telemetry is installed."""
    sender = "openvino_telemetry"
    if "openvino" not in sys.modules:
        known = sys.modules.get(sender)
        sys.modules[sender] = None  # type: ignore[assignment]
        try:
            importlib.import_module("openvino")
        except Exception as error:
            raise InputError(f"provider openvino is not available: it does not load ({line(error)})") from error
        finally:
            sys.modules.pop(sender)
            if known is not None:
                sys.modules[sender] = known
    return sys.modules["openvino"]


def turn_transposed(model: openvino.Model) -> None:
    """Make each transposed convolution of stride 1 a convolution with the kernel turned around: the same arithmetic.

    On processors with AMX OpenVINO answers wrongly for the transposed form, and says nothing.
    """
    from openvino import opset1 as op

    for node in model.get_ops():
        if node.get_type_name() != "ConvolutionBackpropData" or node.get_input_size() != 2:
            continue
        given, weights = node.get_attributes(), node.input_value(1).get_node()
        if set(given["strides"]) != {1} or weights.get_type_name() != "Constant" or any(given["output_padding"]):
            continue
        kernel = weights.data
        reach = [d * (k - 1) for d, k in zip(given["dilations"], kernel.shape[2:], strict=True)]
        begin, end = ([r - p for r, p in zip(reach, given[side], strict=True)] for side in ("pads_begin", "pads_end"))
        if min(begin + end) < 0 or given["auto_pad"] != "explicit":
            continue
        turned = np.ascontiguousarray(np.flip(kernel.swapaxes(0, 1), axis=tuple(range(2, kernel.ndim))))
        new = op.convolution(node.input_value(0), op.constant(turned), given["strides"], begin, end, given["dilations"])
        node.output(0).replace(new.output(0))
