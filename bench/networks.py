"""Networks of ONNX files as torch modules, and how torch answers dy/dX of them: the rivals of `bench.gradient`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from fastmag.export.tape import attribute

Slope = Callable[[np.ndarray], np.ndarray]


class Graph(nn.Module):
    """The nodes of an ONNX graph, one torch layer each, in their order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        weights = {i.name: torch.tensor(numpy_helper.to_array(i).copy()) for i in graph.initializer}
        self.given = [[name for name in node.input if name not in weights] for node in graph.node]
        self.made = [node.output[0] for node in graph.node]
        self.layers = nn.ModuleList(_layer(node, [weights.get(n) for n in node.input]) for node in graph.node)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        known = {"X": X}
        for layer, given, made in zip(self.layers, self.given, self.made, strict=True):
            known[made] = layer(*(known[name] for name in given))
        return known["y"]


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: torch.Tensor) -> torch.Tensor:
        return self.function(*x)


@cache
def as_torch(path: Path) -> nn.Module:
    """The network of a file as torch would have it; for the layers that ours are made of."""
    module = Graph(onnx.load(path).graph).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _layer(node: onnx.NodeProto, given: list[torch.Tensor | None]) -> nn.Module:
    weight = given[1] if len(given) > 1 else None
    match node.op_type:
        case "Conv":
            assert weight is not None
            out, into, *kernel = weight.shape
            pads = attribute(node, "pads", [0, 0, 0, 0])
            made = nn.Conv2d(into, out, tuple(kernel), tuple(attribute(node, "strides", [1, 1])), tuple(pads[:2]))
        case "Gemm":
            assert weight is not None
            weight = weight if attribute(node, "transB", 0) else weight.T
            made = nn.Linear(weight.shape[1], weight.shape[0])
        case "AveragePool":
            return nn.AvgPool2d(attribute(node, "kernel_shape"), attribute(node, "strides"))
        case "Relu":
            return nn.ReLU()
        case "Elu":
            return nn.ELU(attribute(node, "alpha", 1.0))
        case "Reshape" | "Flatten":
            return nn.Flatten()
        case "Sub" | "Neg":
            return Call(torch.sub if node.op_type == "Sub" else torch.neg)
        case _:
            raise ValueError(f"no torch layer for {node.op_type}")
    made.weight.data, made.bias.data = weight, given[2]
    return made


def eager(module: nn.Module, dtype: torch.dtype = torch.float32, last: bool = False, forward: bool = False) -> Slope:
    """dy/dX by autograd, or y alone, in a dtype and memory layout (channels last or not)."""
    layout = torch.channels_last if last else torch.contiguous_format
    return _answering(copy.deepcopy(module).to(dtype).to(memory_format=layout), dtype, layout, forward)


@cache  # one compilation for each number of threads (torch looks to that) instead of one for each row
def compiled(module: nn.Module, forward: bool = False) -> Slope:
    """torch.compile of the network, forward and backward, channels last."""
    module = torch.compile(copy.deepcopy(module).to(memory_format=torch.channels_last))
    return _answering(module, torch.float32, torch.channels_last, forward)


def _answering(module: Any, dtype: torch.dtype, layout: torch.memory_format, forward: bool) -> Slope:
    out = torch.float64 if dtype == torch.float64 else torch.float32

    def value(X: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(X).to(dtype).to(memory_format=layout)).to(out).numpy()

    def slope(X: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(X).to(dtype).to(memory_format=layout).requires_grad_(True)
        (G,) = torch.autograd.grad(module(x).sum(), x)
        return G.contiguous().to(out).numpy()

    return value if forward else slope


RIVALS: dict[str, Callable[..., Slope]] = {
    "torch eager": eager,
    "torch channels last": partial(eager, last=True),
    "torch compile": compiled,
    "torch bf16": partial(eager, dtype=torch.bfloat16, last=True),
}
