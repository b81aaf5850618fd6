"""Is a gradient graph right? Its values against torch.autograd in float64 and against finite differences.

Float64 graphs are run by ONNX's reference evaluator: ONNX Runtime has no float64 convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]


@dataclass(frozen=True)
class Parity:
    """How far a gradient model is from the network it was made of, each relative to the size of what is compared.

    y, gradient: the graph in float64 against torch in float64, maximum over the batch of the L2 error.
    finite: torch's directional derivatives against central differences of the network, float64, median.
    gradient_float32: ONNX Runtime in float32 against torch in float64, **median** over the batch of the L2 error
        (one ReLU that flips on rounding makes a maximum meaningless).
    """

    y: float
    gradient: float
    finite: float
    gradient_float32: float

    def __str__(self) -> str:
        return (
            f"float64 y {self.y:.1e}, gradient {self.gradient:.1e}, finite differences {self.finite:.1e}; "
            f"float32 gradient {self.gradient_float32:.1e}"
        )


# Measured: y and gradient 1e-15, or 1e-7 where something folded into a weight was rounded to float32; differences
# 1e-11 to 1e-6; float32 1e-7 to 1e-5.
LIMITS = Parity(y=1e-6, gradient=1e-6, finite=1e-4, gradient_float32=1e-4)


def check_parity(module: torch.nn.Module, gradient: onnx.ModelProto, X: Array, seed: int = 0) -> Parity:
    """Compare a gradient model with the torch module it came from on inputs X (B, ...) of a typical size.

    Returns the errors; raises RuntimeError if one exceeds LIMITS (a fault of ours: a wrong rule or a wrong file).
    """
    X = np.asarray(X, np.float64)
    y, G = autograd(module, X)
    double = evaluate(as_float64(gradient), X)
    single = run_float32(gradient, X)
    V = np.random.default_rng(seed).standard_normal(X.shape)
    V *= np.sqrt(np.mean(X**2)) or 1.0
    differences = finite_difference(lambda x: autograd(module, x)[0], X, V)
    slopes = (G * V).reshape(len(X), -1).sum(axis=1)
    found = Parity(
        y=float(relative(double["y"].reshape(len(X), 1), y.reshape(len(X), 1)).max()),
        gradient=float(relative(double["G"], G).max()),
        finite=float(np.median(np.abs(differences - slopes)) / (np.median(np.abs(slopes)) or 1.0)),
        gradient_float32=float(np.median(relative(single["G"], G))),
    )
    for name in ("y", "gradient", "finite", "gradient_float32"):
        if not getattr(found, name) <= getattr(LIMITS, name):
            raise RuntimeError(f"the gradient model disagrees with torch in {name} ({found}; limits: {LIMITS})")
    return found


def relative(a: Array, b: Array) -> Array:
    """(B,): |a - b| / |b| in the L2 norm of each sample; |a - b| itself where b is zero."""
    a, b = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (a, b))
    size = np.linalg.norm(b, axis=1)
    return np.asarray(np.linalg.norm(a - b, axis=1) / np.where(size == 0, 1.0, size))


def autograd(module: torch.nn.Module, X: Array) -> tuple[Array, Array]:
    """y (B,) and dy/dX (B, ...) of a torch module in inference mode, in float64; the module is left as it was."""
    import copy

    import torch

    double = copy.deepcopy(module).cpu().double().eval()
    x = torch.tensor(np.asarray(X), dtype=torch.float64, requires_grad=True)
    y = double(x)
    (G,) = torch.autograd.grad(y.sum(), x)
    return y.detach().numpy().reshape(len(X)), G.numpy()


def finite_difference(f: Callable[[Array], Array], X: Array, V: Array, step: float = 1e-6) -> Array:
    """(B,): central differences of f: (B, ...) -> (B,) at X along V, both (B, ...) float64."""
    return np.asarray((f(X + step * V).reshape(len(X)) - f(X - step * V).reshape(len(X))) / (2 * step))


def as_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with every float32 tensor made float64 (the scales of Resize are float32 by definition)."""
    double = onnx.ModelProto()
    double.CopyFrom(model)
    graph = double.graph
    kept = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for a in node.attribute:
            if node.op_type == "Cast" and a.name == "to" and a.i == TensorProto.FLOAT:
                a.i = TensorProto.DOUBLE
            elif a.type == onnx.AttributeProto.TENSOR and a.t.data_type == TensorProto.FLOAT:
                a.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(a.t).astype(np.float64), a.t.name))
    return double


def evaluate(model: onnx.ModelProto, X: Array) -> dict[str, Array]:
    """All outputs of a model at X, by the reference evaluator in the model's own precision."""
    outputs: list[Any] = list(ReferenceEvaluator(model, new_ops=[ConvTranspose, Erf, Gelu]).run(None, {"X": X}))
    return {o.name: np.asarray(v) for o, v in zip(model.graph.output, outputs, strict=True)}


def run_float32(model: onnx.ModelProto, X: Array) -> dict[str, Array]:
    """All outputs of a float32 model at X, by ONNX Runtime on the CPU."""
    import onnxruntime as ort

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[Any] = session.run(None, {"X": np.asarray(X, np.float32)})
    return {o.name: np.asarray(v) for o, v in zip(session.get_outputs(), outputs, strict=True)}


class Erf(OpRun):
    """In the precision of its input: the reference evaluator's own answers in float32."""

    def _run(self, x):  # type: ignore[no-untyped-def]
        from scipy.special import erf

        return (erf(x),)


class Gelu(OpRun):
    """Likewise."""

    def _run(self, x, approximate=None):  # type: ignore[no-untyped-def]
        import torch

        return (torch.nn.functional.gelu(torch.tensor(x), approximate=approximate or "none").numpy(),)


class ConvTranspose(OpRun):
    """By torch: the reference evaluator's own is slow, and fails for groups."""

    def _run(  # type: ignore[no-untyped-def]
        self, x, w, b=None, auto_pad=None, dilations=None, group=1, kernel_shape=None, output_padding=None,
        output_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        import torch
        import torch.nn.functional as F

        rank = w.ndim - 2
        pads, extra = pads or [0] * (2 * rank), output_padding or [0] * rank
        f = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
        args = [None if v is None else torch.tensor(np.ascontiguousarray(v)) for v in (x, w, b)]
        whole = f(*args, stride=strides or 1, dilation=dilations or 1, groups=group).numpy()
        grown = np.pad(whole, [(0, 0), (0, 0), *[(0, e) for e in extra]])
        ends = [n - p for n, p in zip(grown.shape[2:], pads[rank:], strict=True)]
        return (grown[(..., *map(slice, pads[:rank], ends))],)
