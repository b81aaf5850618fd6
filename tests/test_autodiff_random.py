"""dy/dX of random graphs, in which tensors have several readers, against torch.autograd."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nets import Net, conv, ints, norm, times
from test_autodiff import ACTIVATIONS, check
from test_autodiff_more import SMOOTH, transposed

SMOOTH_UNARY = ("gelu", "gelu by tanh", "erf", "softmax", "abs")


def convolved(n: Net, x: str, c: int) -> str:
    out, k, s = (int(n.random.integers(1, top)) for top in (7, 4, 3))
    padding = [tuple(int(v) for v in n.random.integers(0, 3, 2)) for _ in range(2)]
    return conv(n, x, (out, c, k, k), stride=[s, s], padding=padding)


def unconvolved(n: Net, x: str, c: int) -> str:
    out, k, s = (int(n.random.integers(1, top)) for top in (5, 4, 3))
    return transposed(n, x, (c, out, k, k), strides=[s, s], bias=bool(n.random.integers(2)))


def pooled(n: Net, x: str, c: int) -> str:
    kind, f = [("AveragePool", F.avg_pool2d), ("MaxPool", F.max_pool2d)][n.random.integers(2)]
    k, s = (int(v) for v in n.random.integers(2, 4, 2))
    return n.op(kind, x, torch=lambda t: f(t, k, s), kernel_shape=[k, k], strides=[s, s])


def enlarged(n: Net, x: str, c: int) -> str:
    scales = n.constant(np.float32([1, 1, 2, 2]))
    if n.random.integers(2):
        return n.op("Resize", x, "", scales, mode="linear",
                    torch=lambda t, s: F.interpolate(t, scale_factor=2, mode="bilinear"))  # fmt: skip
    return n.op("Resize", x, "", scales, coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                torch=lambda t, s: F.interpolate(t, scale_factor=2))  # fmt: skip


def gate(n: Net, x: str, c: int) -> str:
    mean = n.op("GlobalAveragePool", x, torch=lambda t: t.mean((2, 3), True))
    return times(n, x, n.op("Sigmoid", mean, torch=torch.sigmoid))


def curve(n: Net, x: str, c: int) -> str:
    op, options, f = list(ACTIVATIONS.values())[n.random.integers(len(ACTIVATIONS))]
    return n.op(op, x, torch=f, **options)


def smooth(n: Net, x: str, c: int) -> str:
    """One of the test's smooth functions, of another tensor than X."""
    first = len(n.nodes)
    name = SMOOTH[SMOOTH_UNARY[n.random.integers(len(SMOOTH_UNARY))]][1](n)
    for i, node in enumerate(n.nodes[first:], start=first):
        node.input[0] = x
        n.steps[i] = ((x, *n.steps[i][0][1:]), *n.steps[i][1:])
    return name


def turned(n: Net, x: str, c: int) -> str:
    return n.op("Transpose", x, torch=lambda t: t.transpose(2, 3), perm=[0, 1, 3, 2])


def thinned(n: Net, x: str, c: int) -> str:
    first, step = int(n.random.integers(2)), int(n.random.choice([-1, 1, 2]))
    ends = (ints(n, -1), ints(n, -99)) if step < 0 else (ints(n, first), ints(n, 99))
    return n.op("Slice", x, *ends, ints(n, 3), ints(n, step),
                torch=lambda t: t.flip(3) if step < 0 else t[..., first::step])  # fmt: skip


def framed(n: Net, x: str, c: int) -> str:
    mode, name = [("reflect", "reflect"), ("edge", "replicate"), ("constant", "constant")][n.random.integers(3)]
    return n.op("Pad", x, ints(n, 0, 0, 1, 0, 0, 0, 0, 1), mode=mode, torch=lambda t: F.pad(t, (0, 1, 1, 0), mode=name))


SHRINKING: list[Callable[[Net, str, int], str]] = [convolved, pooled, thinned]
OTHERS: list[Callable[[Net, str, int], str]] = [
    convolved,
    unconvolved,
    norm,
    gate,
    curve,
    curve,
    smooth,
    turned,
    framed,
]


def random_net(seed: int) -> Net:
    """A random graph over (batch, C, H, W) tensors: every node takes any earlier one, so many have several readers."""
    net = Net((int(np.random.default_rng(seed).integers(1, 6)), 9, 8), seed)
    pick = net.random
    shapes = {"X": net.shape}
    for _ in range(pick.integers(4, 10)):
        recent = list(shapes)[-3:]
        x = recent[pick.integers(len(recent))]
        c, h, w = shapes[x]
        alike = [name for name, shape in shapes.items() if shape == shapes[x]]
        choice = pick.integers(3)
        if choice == 0 and min(h, w) > 3:
            name = SHRINKING[pick.integers(len(SHRINKING))](net, x, c)
        elif choice == 1:
            other = str(pick.choice(alike))
            op, f = [("Add", torch.add), ("Mul", torch.mul), ("Sub", torch.sub)][pick.integers(3 if other != x else 2)]
            name = net.op(op, x, other, torch=f)
        elif max(h, w) < 6:
            name = enlarged(net, x, c)
        else:
            name = OTHERS[pick.integers(len(OTHERS))](net, x, c)
        shapes[name] = tuple(net.values(torch.zeros((1, *net.shape), dtype=torch.float64))[name].shape[1:])
    names = list(shapes)
    flat = [net.op("Flatten", name, torch=lambda t: t.flatten(1)) for name in (names[-1], names[len(names) // 2])]
    net.op("Concat", *flat, axis=1, out="joined", torch=lambda a, b: torch.cat([a, b], 1))
    return net.head("joined", curved=bool(seed % 2))


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6))
def test_random_networks(seed: int) -> None:
    check(random_net(seed), close=1e-10)
