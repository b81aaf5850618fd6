"""Forward ONNX graphs and the same functions in torch, for the tests of the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper


class Net:
    """A forward ONNX graph and the same function in torch, written side by side, node by node."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0, opset: int = 20) -> None:
        self.shape, self.opset = shape, opset
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.steps: list[tuple[tuple[str, ...], str, Callable[..., torch.Tensor]]] = []

    def weight(self, *shape: int, low: float = 0.0) -> str:
        """A normal random constant, or one in [low, low + 1) if low is given."""
        value = self.random.uniform(low, low + 1, shape) if low else self.random.standard_normal(shape)
        return self.constant(value.astype(np.float32))

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        name = f"c{len(self.constants)}"
        self.constants[name] = array.astype(np.float32) if array.dtype == np.float64 else array
        return name

    def op(self, op: str, *inputs: str, torch: Callable[..., torch.Tensor], out: str = "", **attributes: Any) -> str:
        """A node and its meaning; the torch function gets the inputs that are not plain integers lists."""
        out = out or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=f"{op}_{len(self.nodes)}", **attributes))
        floats = tuple(i for i in inputs if i and (i not in self.constants or self.constants[i].dtype.kind == "f"))
        self.steps.append((floats, out, torch))
        return out

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.values(x)["y"]

    def values(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        known = {name: torch.tensor(v.astype(np.float64)) for name, v in self.constants.items()} | {"X": x}
        for inputs, out, f in self.steps:
            known[out] = f(*(known[i] for i in inputs))
        return known

    def head(self, name: str, curved: bool) -> Net:
        """End in one scalar per sample: a weighted sum, of x + tanh(x) of the elements if curved."""
        n = self.values(torch.zeros((1, *self.shape), dtype=torch.float64))[name].numel()
        name = self.op("Flatten", name, torch=lambda t: t.flatten(1))
        if curved:
            name = self.op("Add", name, self.op("Tanh", name, torch=torch.tanh), torch=torch.add)
        self.op("MatMul", name, self.weight(n, 1), torch=torch.matmul, out="y")
        return self

    def model(self) -> onnx.ModelProto:
        x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", *self.shape])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        stored = [numpy_helper.from_array(v, name) for name, v in self.constants.items()]
        graph = helper.make_graph(self.nodes, "net", [x], [y], stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)


def conv(n: Net, x: str, w: tuple[int, ...], bias: bool = True, **options: Any) -> str:
    """A convolution with torch's arguments: stride, padding (begin, end pairs per axis), dilation, groups."""
    rank = len(w) - 2
    stride, dilation = options.get("stride", [1] * rank), options.get("dilation", [1] * rank)
    padding = options.get("padding", [(0, 0)] * rank)
    groups = options.get("groups", 1)
    weight = n.constant(n.random.standard_normal(w) / np.sqrt(np.prod(w[1:])))
    names = [x, weight, *([n.weight(w[0])] if bias else [])]

    def f(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        around = [p for pair in reversed(padding) for p in pair]
        function = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
        return function(F.pad(x, around), w, b, stride=stride, dilation=dilation, groups=groups)

    pads = {"pads": [p[0] for p in padding] + [p[1] for p in padding]}
    if "auto_pad" in options:
        pads = {"auto_pad": options["auto_pad"]}
    return n.op("Conv", *names, torch=f, strides=stride, dilations=dilation, group=groups, **pads)


def times(n: Net, a: str, b: str) -> str:
    return n.op("Mul", a, b, torch=torch.mul)


def ints(n: Net, *values: int) -> str:
    return n.constant(np.array(values, np.int64))


def norm(n: Net, x: str, channels: int) -> str:
    names = [n.weight(channels), n.weight(channels), n.weight(channels), n.weight(channels, low=0.5)]
    return n.op(
        "BatchNormalization", x, *names, epsilon=1e-3,
        torch=lambda x, g, b, m, v: F.batch_norm(x, m, v, g, b, eps=float(np.float32(1e-3))),
    )  # fmt: skip
