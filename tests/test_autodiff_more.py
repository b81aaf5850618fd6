"""dy/dX of the operators of larger networks: upsampling, transposed convolutions, attention, smooth functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from nets import Net, conv, ints, times
from test_autodiff import check

Case = tuple[tuple[int, ...], Callable[[Net], str]]


def transposed(n: Net, x: str, w: tuple[int, ...], bias: bool = True, **options: Any) -> str:
    """A ConvTranspose; options are ONNX attributes, `cut` the (begin, end) that torch has to cut off each axis."""
    rank = len(w) - 2
    strides, dilations = options.get("strides", [1] * rank), options.get("dilations", [1] * rank)
    group, grown = options.get("group", 1), options.get("output_padding", [0] * rank)
    pads = options.get("pads", [0] * (2 * rank))
    cut = options.pop("cut", list(zip(pads[:rank], pads[rank:], strict=True)))
    weight = n.constant(n.random.standard_normal(w) / np.sqrt(np.prod(w[1:])))
    names = [x, weight, *([n.weight(w[1] * group)] if bias else [])]

    def f(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
        whole = function(x, w, None, stride=strides, dilation=dilations, groups=group)
        whole = F.pad(whole, [p for g in reversed(grown) for p in (0, g)])
        for axis, (begin, end) in enumerate(cut, start=2):
            whole = whole.narrow(axis, begin, whole.shape[axis] - begin - end)
        return whole if b is None else whole + b.reshape(-1, *[1] * rank)

    return n.op("ConvTranspose", *names, torch=f, **options)


TRANSPOSED: dict[str, Case] = {
    "transposed": ((4, 5, 6), lambda n: transposed(n, "X", (4, 3, 3, 3))),
    "transposed, doubling": ((4, 3, 4), lambda n: transposed(n, "X", (4, 5, 2, 2), strides=[2, 2], bias=False)),
    "transposed, padded, grown": (
        (4, 4, 5),
        lambda n: transposed(n, "X", (4, 3, 3, 3), strides=[2, 3], pads=[1, 0, 1, 2], output_padding=[1, 2]),
    ),
    "transposed, groups, dilation": (
        (6, 4, 5),
        lambda n: transposed(n, "X", (6, 2, 3, 2), strides=[1, 2], dilations=[2, 1], group=3, pads=[1, 1, 0, 0]),
    ),
    "transposed 1-D": ((3, 7), lambda n: transposed(n, "X", (3, 4, 4), strides=[2], pads=[1, 1])),
    "transposed 3-D": ((3, 3, 2, 4), lambda n: transposed(n, "X", (3, 2, 2, 3, 2), strides=[2, 1, 2])),
    "transposed, SAME_UPPER": (
        (4, 5, 4),
        lambda n: transposed(n, "X", (4, 3, 4, 3), strides=[1, 2], auto_pad="SAME_UPPER", cut=[(1, 2), (0, 1)]),
    ),
    "transposed, SAME_LOWER": (
        (4, 5, 4),
        lambda n: transposed(n, "X", (4, 3, 4, 3), strides=[1, 2], auto_pad="SAME_LOWER", cut=[(2, 1), (1, 0)]),
    ),
    "transposed, output shape": (
        (4, 4, 5),
        lambda n: transposed(n, "X", (4, 3, 4, 3), strides=[2, 2], output_shape=[7, 9], cut=[(2, 1), (1, 1)]),
    ),
    "transposed after a factor per channel": (
        (4, 3, 4),
        lambda n: times(n, transposed(n, "X", (4, 3, 2, 2), strides=[2, 2]), n.weight(3, 1, 1)),
    ),
}  # fmt: skip
UNCHECKED = ("transposed, SAME", "transposed, output shape")  # the reference evaluator has no such padding


def scaled(n: Net, factors: list[float], **options: Any) -> str:
    """Resize by factors after the batch and channel axes."""
    mode, corners = options.get("mode", "nearest"), options.get("coordinate_transformation_mode") == "align_corners"
    modes = ("linear", "bilinear", "trilinear") if mode == "linear" else ("nearest",) * 3
    size = [int(f * s) for f, s in zip(factors, n.shape[1:], strict=True)]
    kind = modes[len(factors) - 1]
    f = lambda x, *_: F.interpolate(x, size, mode=kind, **({"align_corners": corners} if mode == "linear" else {}))  # noqa: E731
    if mode == "nearest":
        options = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} | options
    return n.op("Resize", "X", "", n.constant(np.float32([1, 1, *factors])), torch=f, **options)


def sized(n: Net, *size: int, **options: Any) -> str:
    f = lambda x: F.interpolate(x, size, mode="bilinear", align_corners=False)  # noqa: E731
    names = ["X", "", "", ints(n, *size)]
    return n.op("Resize", *names, torch=f, mode="linear", axes=[2, 3], **options)


RESIZED: dict[str, Case] = {
    "doubled, nearest": ((3, 4, 5), lambda n: scaled(n, [2, 2])),
    "nearest, two factors": ((3, 4, 5), lambda n: scaled(n, [3, 1])),
    "nearest, fraction": ((3, 4, 6), lambda n: scaled(n, [1.5, 2.5])),
    "nearest, smaller": ((3, 7, 6), lambda n: scaled(n, [0.5, 0.5])),
    "nearest 1-D": ((3, 7), lambda n: scaled(n, [2])),
    "nearest 3-D": ((2, 3, 4, 3), lambda n: scaled(n, [2, 2, 2])),
    "nearest, half pixels": (
        (3, 4, 5),
        lambda n: scaled(n, [2, 2], coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor"),
    ),
    "linear": ((3, 4, 5), lambda n: scaled(n, [2, 2], mode="linear")),
    "linear, fraction, smaller": ((3, 8, 4), lambda n: scaled(n, [0.5, 1.75], mode="linear")),
    "linear, corners": (
        (3, 4, 5),
        lambda n: scaled(n, [2, 2], mode="linear", coordinate_transformation_mode="align_corners"),
    ),
    "linear 1-D": ((3, 5), lambda n: scaled(n, [2], mode="linear")),
    "linear 3-D": ((2, 3, 4, 3), lambda n: scaled(n, [2, 1, 2], mode="linear")),
    "linear to a size": ((3, 4, 5), lambda n: sized(n, 7, 9)),
    "linear to a size, as PyTorch": (
        (3, 4, 5), lambda n: sized(n, 7, 11, coordinate_transformation_mode="pytorch_half_pixel")
    ),
}  # fmt: skip


def padded(n: Net, mode: str, torch_mode: str) -> str:
    return n.op(
        "Pad", "X", ints(n, 0, 0, 2, 1, 0, 0, 1, 3), mode=mode,
        torch=lambda x: F.pad(x, (1, 3, 2, 1), mode=torch_mode),
    )  # fmt: skip


def parts(n: Net, *outputs: str, axis: int = 1, sizes: tuple[int, ...] = (2, 3, 1)) -> None:
    """A Split whose outputs have the given names ("" for one that nobody reads)."""
    places = np.cumsum([0, *sizes])
    n.op("Split", "X", ints(n, *sizes), axis=axis, out=outputs[0] or "unused",
         torch=lambda x: x.narrow(axis, 0, sizes[0]))  # fmt: skip
    del n.nodes[-1].output[:]
    n.nodes[-1].output.extend(name or f"unused{i}" for i, name in enumerate(outputs))
    for i, name in enumerate(outputs[1:], start=1):
        n.steps.append((("X",), name or f"unused{i}", lambda x, i=i: x.narrow(axis, int(places[i]), sizes[i])))


def gated(n: Net) -> str:
    """Halves of a split, one of them the gate of the other (GLU)."""
    parts(n, "a", "b", sizes=(3, 3))
    return times(n, "a", n.op("Sigmoid", "b", torch=torch.sigmoid))


def one_part(n: Net) -> str:
    parts(n, "", "b", "")
    return n.op("Tanh", "b", torch=torch.tanh)


def attention(n: Net) -> str:
    """Softmax of q k', times v: products of two tensors that both depend on X."""
    q, k, v = (n.op("MatMul", "X", n.weight(5, 4), torch=torch.matmul) for _ in range(3))
    k = n.op("Transpose", k, torch=lambda t: t.transpose(1, 2), perm=[0, 2, 1])
    scores = n.op("Div", n.op("MatMul", q, k, torch=torch.matmul), n.constant(2.0), torch=torch.div)
    weights = n.op("Softmax", scores, torch=lambda t: t.softmax(-1), axis=-1)
    return n.op("MatMul", weights, v, torch=torch.matmul)


MOVED: dict[str, Case] = {
    "reflected": ((2, 4, 5), lambda n: padded(n, "reflect", "reflect")),
    "edge repeated": ((2, 4, 5), lambda n: padded(n, "edge", "replicate")),
    "wrapped": ((2, 4, 5), lambda n: padded(n, "wrap", "circular")),
    "every second": (
        (3, 7, 6),
        lambda n: n.op("Slice", "X", ints(n, 1, 0), ints(n, 99, 99), ints(n, 2, 3), ints(n, 2, 3),
                       torch=lambda x: x[:, :, 1::2, ::3]),
    ),
    "backwards": (
        (3, 5, 2),
        lambda n: n.op("Slice", "X", ints(n, -1), ints(n, -99), ints(n, 1), ints(n, -1), torch=lambda x: x.flip(1)),
    ),
    "backwards and cut": (
        (6, 5, 2),
        lambda n: n.op("Slice", "X", ints(n, 4, 1), ints(n, 0, 4), ints(n, 1, 2), ints(n, -2, 1),
                       torch=lambda x: x[:, [4, 2]][:, :, 1:4]),
    ),
    "channels in another order": (
        (4, 3, 2),
        lambda n: n.op("Gather", "X", ints(n, 2, 0, -1, 2), axis=1, torch=lambda x: x[:, [2, 0, 3, 2]]),
    ),
    "split and gated": ((6, 4), gated),
    "one part of a split": ((6, 4), one_part),
    "split along the last axis": (
        (2, 6),
        lambda n: (parts(n, "a", "b", "c", axis=2), times(n, "c", "b"))[1],
    ),
    "expanded": (
        (3, 1, 4),
        lambda n: times(n, n.weight(5, 4),
                        n.op("Expand", "X", ints(n, 1, 3, 5, 1), torch=lambda x: x.expand(-1, 3, 5, 4))),
    ),
    "sum of three": ((3, 4), lambda n: n.op("Sum", "X", n.weight(4), "X", torch=lambda a, b, c: a + b + c)),
    "attention": ((6, 5), attention),
    "product with a batch of matrices": (
        (2, 3, 4), lambda n: n.op("MatMul", "X", n.weight(2, 4, 5), torch=torch.matmul)
    ),
    "product spread over more axes": (
        (3, 4), lambda n: n.op("MatMul", n.op("Unsqueeze", "X", ints(n, 1), torch=lambda x: x[:, None]),
                               n.weight(5, 4, 2), torch=torch.matmul),
    ),
    "square of matrices": ((4, 4), lambda n: n.op("MatMul", "X", "X", torch=torch.matmul)),
}  # fmt: skip

positive = lambda n: n.op("Softplus", "X", torch=lambda x: F.softplus(x, threshold=1e9))  # noqa: E731
SMOOTH: dict[str, Case] = {
    "gelu": ((4, 5), lambda n: n.op("Gelu", "X", torch=F.gelu)),
    "gelu by tanh": (
        (4, 5), lambda n: n.op("Gelu", "X", torch=lambda x: F.gelu(x, approximate="tanh"), approximate="tanh")
    ),
    "erf": ((4, 5), lambda n: n.op("Erf", "X", torch=torch.erf)),
    "exp": ((4, 5), lambda n: n.op("Exp", "X", torch=torch.exp)),
    "log": ((4, 5), lambda n: n.op("Log", positive(n), torch=torch.log)),
    "sqrt": ((4, 5), lambda n: n.op("Sqrt", positive(n), torch=torch.sqrt)),
    "reciprocal": ((4, 5), lambda n: n.op("Reciprocal", positive(n), torch=torch.reciprocal)),
    "abs": ((4, 5), lambda n: n.op("Abs", "X", torch=torch.abs)),
    "sine and cosine": (
        (4, 5),
        lambda n: times(n, n.op("Sin", "X", torch=torch.sin), n.op("Cos", "X", torch=torch.cos)),
    ),
    "squared": ((4, 5), lambda n: n.op("Pow", "X", n.constant(2.0), torch=lambda x, p: x**2)),
    "power": ((4, 5), lambda n: n.op("Pow", positive(n), n.constant(1.5), torch=lambda x, p: x**1.5)),
    "hard sigmoid": ((4, 9), lambda n: n.op("HardSigmoid", "X", torch=lambda x: (0.5 * x + 0.25).clamp(0, 1),
                                            alpha=0.5, beta=0.25)),
    "hard swish": ((4, 9), lambda n: n.op("HardSwish", times(n, "X", n.constant(3.0)), torch=F.hardswish)),
    "prelu": (
        (3, 4, 2),
        lambda n: n.op("PRelu", "X", n.weight(3, 1, 1), torch=lambda x, w: x.clamp(min=0) + w * x.clamp(max=0)),
    ),
    "softmax": ((4, 5), lambda n: n.op("Softmax", "X", torch=lambda x: x.softmax(1), axis=1)),
}  # fmt: skip


def threshold(n: Net) -> str:
    """What torch makes of a softplus: a straight line where x is large."""
    large = n.op("Greater", "X", n.constant(0.5), torch=lambda x, c: x > c)
    return n.op("Where", large, n.op("Expand", n.constant(2.0), ints(n, 1, 5), torch=lambda c: c.expand(1, 5)),
                positive(n), torch=torch.where)  # fmt: skip


EPSILON = float(np.float32(1e-3))
NORMALISED: dict[str, Case] = {
    "where": ((4, 5), lambda n: n.op("Where", n.constant(np.arange(5) % 2 == 0), "X", times(n, "X", "X"),
                                     torch=lambda a, b: torch.where(torch.arange(5) % 2 == 0, a, b))),
    "where it is large": ((4, 5), threshold),
    "cast": ((4,), lambda n: n.op("Cast", "X", to=1, torch=lambda x: x)),
    "instance normalisation": (
        (3, 4, 5),
        lambda n: n.op("InstanceNormalization", "X", n.weight(3), n.weight(3), epsilon=1e-3,
                       torch=lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=EPSILON)),
    ),
    "layer normalisation": (
        (3, 4, 5),
        lambda n: n.op("LayerNormalization", "X", n.weight(4, 5), n.weight(4, 5), axis=-2, epsilon=1e-3,
                       torch=lambda x, w, b: F.layer_norm(x, (4, 5), w, b, EPSILON)),
    ),
}  # fmt: skip
ROUGH = {"hard swish"}  # whose constants are float32 by their definition in ONNX
CASES = TRANSPOSED | RESIZED | MOVED | SMOOTH | NORMALISED


@pytest.mark.parametrize("name", CASES)
def test_operator(name: str) -> None:
    shape, build = CASES[name]
    net = Net(shape, seed=len(name))
    net.head(build(net), curved=True)
    check(net, reference=not name.startswith(UNCHECKED), close=1e-7 if name in ROUGH else 1e-12)


@pytest.mark.parametrize("name", ["transposed, padded, grown", "nearest, fraction", "attention", "split and gated"])
def test_linear_behind_it(name: str) -> None:
    """With a linear head the cotangent is a constant at first."""
    shape, build = CASES[name]
    net = Net(shape, seed=1)
    check(net.head(build(net), curved=False))


def test_upsampling_by_whole_factors_is_pooled() -> None:
    """A U-Net's doubling costs an average pool on the way back, not a matrix product."""
    net = Net((3, 4, 4))
    gradient = check(net.head(conv(net, scaled(net, [2, 2]), (4, 3, 3, 3)), curved=True))
    assert "AveragePool" in [node.op_type for node in gradient.graph.node]
