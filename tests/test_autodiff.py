"""dy/dX as a graph, against torch.autograd in float64, finite differences and ONNX Runtime in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from nets import Net, conv, ints, norm, times

from fastmag.export.autodiff import gradient_model
from fastmag.export.parity import as_float64, evaluate, finite_difference, relative, run_float32

BATCH = 3


def check(net: Net, X: np.ndarray | None = None, reference: bool = True, close: float = 1e-12) -> onnx.ModelProto:
    """The gradient model of a net, after comparing it with torch by ONNX Runtime in float32 and by the reference
    evaluator in float64 (within `close`), and the latter's forward model with it by finite differences."""
    forward = net.model()
    gradient = gradient_model(forward)
    if X is None:
        X = net.random.standard_normal((BATCH, *net.shape)).astype(np.float32).astype(np.float64)
    x = torch.tensor(X, requires_grad=True)
    y = net(x).reshape(len(X), -1)
    assert y.shape[1] == 1
    (G,) = torch.autograd.grad(y.sum(), x)
    assert float(G.abs().max()) > 1e-3, "the judge is zero"
    single = run_float32(gradient, X)
    assert relative(single["G"], G.numpy()).max() < 2e-5
    shared = run_float32(gradient_model(forward, share=True), X)
    np.testing.assert_array_equal(shared["G"], single["G"])
    if not reference:
        return gradient
    twice = as_float64(forward)
    double = evaluate(gradient_model(twice), X)
    assert double["G"].shape == single["G"].shape == X.shape
    assert relative(double["y"].reshape(len(X), 1), y.detach().numpy()).max() < close
    assert relative(double["G"], G.numpy()).max() < close
    V = net.random.standard_normal(X.shape)
    slopes = finite_difference(lambda points: evaluate(twice, points)["y"], X, V)
    assert relative(slopes[None], (G.numpy() * V).reshape(len(X), -1).sum(axis=1)[None]).max() < 1e-5
    return gradient


SAME = [(1, 1), (1, 1)]
CONVOLUTIONS: dict[str, tuple[tuple[int, ...], Callable[[Net], str]]] = {
    "input layer": ((3, 7, 8), lambda n: conv(n, "X", (8, 3, 3, 3), padding=SAME)),
    "valid": ((5, 6, 7), lambda n: conv(n, "X", (4, 5, 3, 3))),
    "same": ((6, 6, 7), lambda n: conv(n, "X", (4, 6, 3, 3), padding=SAME)),
    "no bias, uneven padding": ((6, 6, 7), lambda n: conv(n, "X", (4, 6, 3, 2), bias=False, padding=[(0, 2), (1, 0)])),
    "padding wider than the kernel": ((5, 4, 4), lambda n: conv(n, "X", (4, 5, 2, 2), padding=[(2, 3), (1, 2)])),
    "1x1": ((5, 4, 4), lambda n: conv(n, "X", (4, 5, 1, 1))),
    "dilated": ((5, 9, 8), lambda n: conv(n, "X", (4, 5, 3, 3), dilation=[2, 1], padding=[(2, 1), (1, 1)])),
    "groups": ((6, 5, 5), lambda n: conv(n, "X", (9, 2, 3, 3), groups=3, padding=SAME)),
    "depthwise": ((6, 5, 5), lambda n: conv(n, "X", (12, 1, 3, 3), groups=6)),
    "stride": ((6, 9, 8), lambda n: conv(n, "X", (4, 6, 3, 3), stride=[2, 3], padding=SAME)),
    "stride leaves a rest": ((6, 10, 9), lambda n: conv(n, "X", (4, 6, 2, 2), stride=[3, 4])),
    "stride, groups, dilation": (
        (6, 10, 9),
        lambda n: conv(n, "X", (4, 3, 3, 2), stride=[2, 3], dilation=[1, 2], groups=2, padding=[(1, 0), (2, 1)]),
    ),
    "SAME_UPPER": ((6, 7, 8), lambda n: conv(n, "X", (4, 6, 3, 2), padding=[(1, 1), (0, 1)], auto_pad="SAME_UPPER")),
    "SAME_LOWER": ((6, 7, 8), lambda n: conv(n, "X", (4, 6, 3, 2), padding=[(1, 1), (1, 0)], auto_pad="SAME_LOWER")),
    "SAME_UPPER, stride": (
        (6, 7, 8),
        lambda n: conv(n, "X", (4, 6, 3, 3), stride=[2, 2], padding=[(1, 1), (0, 1)], auto_pad="SAME_UPPER"),
    ),
    "VALID": ((6, 7, 8), lambda n: conv(n, "X", (4, 6, 3, 3), auto_pad="VALID")),
    "1-D": ((6, 9), lambda n: conv(n, "X", (4, 6, 3), stride=[2], padding=[(1, 1)])),
    "3-D": ((5, 4, 5, 4), lambda n: conv(n, "X", (4, 5, 2, 3, 2), padding=[(0, 1), (1, 1), (0, 0)])),
}  # fmt: skip


def pool(n: Net, kernel: list[int], stride: list[int], padding: int = 0, kind: str = "AveragePool", **more: Any) -> str:
    ceil, count = bool(more.get("ceil_mode", 0)), bool(more.get("count_include_pad", 0))
    if kind == "MaxPool":
        f = lambda x: F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)  # noqa: E731
    elif len(kernel) == 1:
        f = lambda x: F.avg_pool1d(x, kernel, stride, padding, ceil, count)  # noqa: E731
    else:
        f = lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil, count)  # noqa: E731
    pads = [padding] * (2 * len(kernel))
    return n.op(kind, "X", torch=f, kernel_shape=kernel, strides=stride, pads=pads, **more)


POOLS: dict[str, tuple[tuple[int, ...], Callable[[Net], str]]] = {
    "average": ((4, 6, 8), lambda n: pool(n, [2, 2], [2, 2])),
    "average, odd size": ((4, 7, 9), lambda n: pool(n, [2, 3], [2, 3])),
    "average 1-D": ((4, 9), lambda n: pool(n, [2], [2])),
    "average, overlapping": ((4, 7, 8), lambda n: pool(n, [3, 3], [2, 1])),
    "average, padding not counted": ((4, 7, 8), lambda n: pool(n, [3, 3], [2, 2], 1)),
    "average, padding counted": ((4, 7, 8), lambda n: pool(n, [3, 3], [2, 2], 1, count_include_pad=1)),
    "average, ceil": ((4, 8, 8), lambda n: pool(n, [3, 3], [2, 2], 0, ceil_mode=1)),
    "average, ceil, padding counted": (
        (4, 8, 8),
        lambda n: pool(n, [3, 3], [2, 2], 1, ceil_mode=1, count_include_pad=1),
    ),
    "max": ((4, 6, 8), lambda n: pool(n, [2, 2], [2, 2], kind="MaxPool")),
    "max, overlapping, padded": ((4, 7, 9), lambda n: pool(n, [3, 3], [2, 2], 1, kind="MaxPool")),
    "max, ceil": ((4, 6, 8), lambda n: pool(n, [3, 3], [2, 2], kind="MaxPool", ceil_mode=1)),
    "global average": ((4, 5, 6), lambda n: n.op("GlobalAveragePool", "X", torch=lambda x: x.mean((2, 3), True))),
}  # fmt: skip

# Every activation, by its ONNX attributes.
ACTIVATIONS: dict[str, tuple[str, dict[str, float], Callable[[torch.Tensor], torch.Tensor]]] = {
    "relu": ("Relu", {}, torch.relu),
    "leaky relu": ("LeakyRelu", {"alpha": 0.25}, lambda x: F.leaky_relu(x, 0.25)),
    "leaky relu, default": ("LeakyRelu", {}, lambda x: F.leaky_relu(x, float(np.float32(0.01)))),
    "leaky relu, negative": ("LeakyRelu", {"alpha": -0.5}, lambda x: F.leaky_relu(x, -0.5)),
    "elu": ("Elu", {}, F.elu),
    "elu, alpha": ("Elu", {"alpha": 0.375}, lambda x: F.elu(x, 0.375)),
    "elu, as of SELU": ("Elu", {"alpha": 1.625}, lambda x: F.elu(x, 1.625)),
    "selu": ("Selu", {}, lambda x: F.elu(x, 1.67326319217681884765625) * 1.05070102214813232421875),
    "tanh": ("Tanh", {}, torch.tanh),
    "sigmoid": ("Sigmoid", {}, torch.sigmoid),
    "softplus": ("Softplus", {}, lambda x: F.softplus(x, threshold=1e9)),
    "neg": ("Neg", {}, torch.neg),
}


def residual(n: Net) -> str:
    """Two ways that meet, of which one has a scale of its own: scales must not be mixed up."""
    a = n.op("Relu", conv(n, "X", (6, 6, 3, 3), padding=SAME), torch=torch.relu)
    b = norm(n, conv(n, a, (6, 6, 1, 1)), 6)
    return n.op("Add", n.op("AveragePool", b, torch=lambda x: F.avg_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2]),
                n.op("AveragePool", a, torch=lambda x: F.avg_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2]),
                torch=torch.add)  # fmt: skip


def gate(n: Net) -> str:
    """Squeeze and excitation: a (batch, channels, 1, 1) tensor times a (batch, channels, h, w) one."""
    mean = n.op("ReduceMean", "X", ints(n, 2, -1), torch=lambda x: x.mean((2, 3), True))
    return times(n, "X", n.op("Sigmoid", conv(n, mean, (5, 5, 1, 1)), torch=torch.sigmoid))


def silu_of_conv(n: Net) -> str:
    c = conv(n, "X", (5, 5, 3, 3))
    return times(n, c, n.op("Sigmoid", c, torch=torch.sigmoid))


OTHERS: dict[str, tuple[tuple[int, ...], Callable[[Net], str]]] = {
    "batch norm": ((5, 4, 3), lambda n: norm(n, "X", 5)),
    "batch norm between": ((5, 4, 3), lambda n: conv(n, norm(n, conv(n, "X", (6, 5, 2, 2)), 6), (5, 6, 2, 1))),
    "batch norm, dense": ((7,), lambda n: norm(n, n.op("MatMul", "X", n.weight(7, 5), torch=torch.matmul), 5)),
    "gemm": ((7,), lambda n: n.op("Gemm", "X", n.weight(7, 4), n.weight(4), torch=lambda x, w, b: x @ w + b)),
    "gemm, factors": (
        (7,),
        lambda n: n.op("Gemm", "X", n.weight(4, 7), n.weight(4), torch=lambda x, w, b: 0.5 * x @ w.T + 3 * b,
                       transB=1, alpha=0.5, beta=3.0),
    ),
    "matmul, more axes": ((3, 7), lambda n: n.op("MatMul", "X", n.weight(7, 4), torch=torch.matmul)),
    "matmul, weight on the left": ((3, 7), lambda n: n.op("MatMul", n.weight(4, 3), "X", torch=torch.matmul)),
    "flatten": ((3, 2, 2), lambda n: n.op("Flatten", "X", torch=lambda x: x.flatten(1))),
    "reshape": ((3, 2, 4), lambda n: n.op("Reshape", "X", ints(n, 0, 4, -1), torch=lambda x: x.reshape(-1, 4, 6))),
    "reshape into the batch and back": (
        (4, 6),
        lambda n: n.op(
            "Reshape",
            n.op("MatMul", n.op("Reshape", "X", ints(n, -1, 6), torch=lambda x: x.reshape(-1, 6)), n.weight(6, 2),
                 torch=torch.matmul),
            ints(n, -1, 4, 2), torch=lambda x: x.reshape(-1, 4, 2),
        ),
    ),
    "squeeze, unsqueeze": (
        (4, 1, 3),
        lambda n: n.op("Unsqueeze", n.op("Squeeze", "X", ints(n, 2), torch=lambda x: x.squeeze(2)), ints(n, 1, 4),
                       torch=lambda x: x[:, None, :, :, None]),
    ),
    "transpose": (
        (4, 2, 3),
        lambda n: n.op("Transpose", "X", torch=lambda x: x.permute(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    ),
    "pad": (
        (3, 4, 4),
        lambda n: n.op("Pad", "X", ints(n, 0, 0, 1, 0, 0, 0, 2, 3), torch=lambda x: F.pad(x, (0, 3, 1, 2))),
    ),
    "pad that cuts": (
        (3, 4, 4),
        lambda n: n.op("Pad", "X", ints(n, 0, 0, 1, -1, 0, -1, 2, -2), torch=lambda x: F.pad(x, (-1, -2, 1, 2, 0, -1))),
    ),
    "pad some axes": (
        (3, 4),
        lambda n: n.op("Pad", "X", ints(n, 1, 2), "", ints(n, -1), torch=lambda x: F.pad(x, (1, 2))),
    ),
    "one of an axis": (
        (4, 5),
        lambda n: n.op("Gather", "X", n.constant(np.int64(-2)), axis=2, torch=lambda x: x[..., -2]),
    ),
    "slice": (
        (5, 6, 4),
        lambda n: n.op("Slice", "X", ints(n, 1, -3), ints(n, 9, -1), ints(n, 1, 2), torch=lambda x: x[:, 1:, -3:-1]),
    ),
    "concat": (
        (3, 4),
        lambda n: n.op("Concat", "X", n.op("Tanh", "X", torch=torch.tanh), "X", axis=1,
                       torch=lambda a, b, c: torch.cat([a, b, c], 1)),
    ),
    "mean, axes dropped": (
        (4, 5, 3),
        lambda n: n.op("ReduceMean", "X", ints(n, 1, 3), torch=lambda x: x.mean((1, 3)), keepdims=0),
    ),
    "mean of all but the batch": (
        (4, 5), lambda n: n.op("ReduceMean", times(n, "X", "X"), ints(n, 1, 2), torch=lambda x: x.mean((1, 2), True)),
    ),
    "sum": ((4, 5, 3), lambda n: n.op("ReduceSum", "X", ints(n, 2), torch=lambda x: x.sum(2, True))),
    "identity, dropout": ((6,), lambda n: n.op("Dropout", n.op("Identity", "X", torch=lambda x: x), torch=lambda x: x)),
    "clip": ((30,), lambda n: n.op("Clip", "X", n.constant(-0.5), n.constant(0.75), torch=torch.clamp)),
    "add a constant row": ((3, 4), lambda n: n.op("Add", n.weight(4), "X", torch=torch.add)),
    "constant minus": ((3, 4), lambda n: n.op("Sub", n.weight(3, 1), "X", torch=torch.sub)),
    "minus its square": (
        (5,),
        lambda n: n.op("Sub", times(n, n.constant(0.5), "X"), times(n, "X", "X"), torch=torch.sub),
    ),
    "times a constant map": ((3, 4, 2), lambda n: times(n, n.weight(4, 2), conv(n, "X", (4, 3, 1, 1)))),
    "squared": ((5,), lambda n: times(n, "X", "X")),
    "doubled": ((5,), lambda n: n.op("Add", "X", "X", torch=torch.add)),
    "divided by a constant": ((3, 4), lambda n: n.op("Div", "X", n.weight(3, 1, low=0.5), torch=torch.div)),
    "constant divided": (
        (3, 4),
        lambda n: n.op("Div", n.weight(4), n.op("Softplus", "X", torch=F.softplus), torch=torch.div),
    ),
    "normalised": (
        (3, 4, 5),
        lambda n: n.op("Div", "X", n.op("ReduceSum", n.op("Softplus", "X", torch=F.softplus), ints(n, 1),
                                        torch=lambda x: x.sum(1, True)), torch=torch.div),
    ),
    "residual": ((6, 6, 6), residual),
    "gate": ((5, 4, 3), gate),
    "silu of a convolution": ((5, 4, 4), silu_of_conv),
    "difference of frames": (
        (4, 3, 3),
        lambda n: n.op("Sub", *(n.op("Slice", "X", ints(n, i), ints(n, i + 3), ints(n, 1),
                                     torch=lambda x, i=i: x[:, i : i + 3]) for i in (1, 0)), torch=torch.sub),
    ),
}  # fmt: skip
CASES = (
    CONVOLUTIONS
    | POOLS
    | OTHERS
    | {
        name: ((4, 5), lambda n, op=op, f=f, options=options: n.op(op, "X", torch=f, **options))
        for name, (op, options, f) in ACTIVATIONS.items()
    }
)


@pytest.mark.parametrize("curved", [False, True], ids=["linear head", "curved head"])
@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, curved: bool) -> None:
    shape, build = CASES[name]
    net = Net(shape, seed=len(name))
    check(net.head(build(net), curved), reference=name != "pad that cuts")  # which that evaluator cannot do
