"""The networks that ship as torch modules, and how torch answers dy/dX of them: the rivals of `bench.gradient`."""

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

from fastmag.export.networks import Folded, FoldedRespiration, PulseNet, RespirationNet

Slope = Callable[[np.ndarray], np.ndarray]
MODULES: dict[str, Callable[[], nn.Module]] = {
    "pulse": lambda: Folded(PulseNet()),
    "respiration": lambda: FoldedRespiration(RespirationNet()),
}


@cache
def as_torch(path: Path) -> nn.Module:
    """The network of the file pulse.onnx or respiration.onnx as the module it was exported from, with its weights."""
    module = MODULES[path.stem]().eval()
    stored = {i.name: torch.tensor(numpy_helper.to_array(i).copy()) for i in onnx.load(path).graph.initializer}
    known = {
        name: stored.get(name, torch.zeros_like(v)) for name, v in module.state_dict().items()
    }  # zeros are left out
    module.load_state_dict(known)
    return module.requires_grad_(False)


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
