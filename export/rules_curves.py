"""Reverse rules of the smooth functions, each written as its slope; of Where, Softmax and the normalisations by X."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from fastmag.export.rules import affine, rule, step, unbroadcast
from fastmag.export.tape import Cotangent, Tape, attribute, refusal


@dataclass(frozen=True)
class Value:
    """A tensor on a tape, to write formulas with."""

    tape: Tape
    name: str

    def of(self, op: str) -> Value:
        """An operator of one input."""
        return Value(self.tape, self.tape.emit(op, self.name))

    def _with(self, op: str, other: Value | float, swapped: bool = False) -> Value:
        name = other.name if isinstance(other, Value) else self.tape.add_constant(float(other), "number")
        return Value(self.tape, self.tape.emit(op, *((name, self.name) if swapped else (self.name, name))))

    def __add__(self, other: Value | float) -> Value:
        return self._with("Add", other)

    def __mul__(self, other: Value | float) -> Value:
        return self._with("Mul", other)

    def __sub__(self, other: Value | float) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: float) -> Value:
        return self._with("Sub", other, swapped=True)

    def __rtruediv__(self, other: float) -> Value:
        return self._with("Div", other, swapped=True)

    def mean(self, axes: list[int], count: int) -> Value:
        """The mean over axes of `count` elements in all, which stay as 1."""
        name = self.tape.add_constant(np.array(axes, np.int64), "axes")
        return Value(self.tape, self.tape.emit("ReduceSum", self.name, name)) * (1 / count)

    def __pow__(self, exponent: float) -> Value:
        return self._with("Pow", exponent)


# The slope of each function, of its input x and its output y.
SLOPES: dict[str, Callable[[Value, Value], Value]] = {
    "Abs": lambda x, y: x.of("Sign"),
    "Cos": lambda x, y: x.of("Sin") * -1,
    "Erf": lambda x, y: (x * x * -1).of("Exp") * (2 / math.sqrt(math.pi)),
    "Exp": lambda x, y: y,
    "Log": lambda x, y: x.of("Reciprocal"),
    "Reciprocal": lambda x, y: y * y * -1,
    "Sin": lambda x, y: x.of("Cos"),
    "Sqrt": lambda x, y: 0.5 / y,
}


@rule(*SLOPES)
def curve(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    slope = SLOPES[node.op_type](Value(tape, node.input[0]), Value(tape, node.output[0]))
    return {node.input[0]: tape.times(g, slope.name, full=True)}


@rule("Gelu")
def gelu(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """y = x P(x), P the normal distribution or its approximation (1 + tanh(c (x + .044715 x^3))) / 2."""
    x = Value(tape, node.input[0])
    if attribute(node, "approximate", "none") == "none":
        below = (x * math.sqrt(0.5)).of("Erf") * 0.5 + 0.5
        density = (x * x * -0.5).of("Exp") * math.sqrt(0.5 / math.pi)
    else:
        c, cubic = math.sqrt(2 / math.pi), 0.044715
        t = (x * (x * x * (c * cubic) + c)).of("Tanh")
        below = t * 0.5 + 0.5
        density = (1 - t * t) * (x * x * (1.5 * c * cubic) + 0.5 * c)
    return {x.name: tape.times(g, (below + x * density).name, full=True)}


@rule("HardSigmoid", "HardSwish")
def hard(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """A straight line a x + b between 0 and 1, and x times that (a = 1/6, b = 1/2)."""
    x = node.input[0]
    swish = node.op_type == "HardSwish"
    a = 1 / 6 if swish else attribute(node, "alpha", float(np.float32(0.2)))
    b = 0.5 if swish else attribute(node, "beta", 0.5)
    if a <= 0:
        raise refusal(node, "its alpha is not positive")
    above, below = (Value(tape, step(tape, x, at, kind)) for at, kind in ((-b / a, "Greater"), ((1 - b) / a, "Less")))
    inside = above * below
    slope = (Value(tape, x) * (2 * a) + b) * inside + (1 - below) if swish else inside * a
    return {x: tape.times(g, slope.name, full=True)}


@rule("Pow")
def power(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """A constant exponent p, the same everywhere: p x^(p - 1)."""
    exponent = tape.required_constant(node, 1, "exponent")
    if exponent.size != 1 or exponent.ndim > len(tape.shapes[node.input[0]]):
        raise refusal(node, "its exponents differ")
    p, x = float(exponent.item()), Value(tape, node.input[0])
    slope = x if p == 2 else x ** (p - 1)
    return {x.name: tape.times(g.scaled(p), slope.name, full=True)}


@rule("PRelu")
def prelu(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """A constant slope below 0, broadcast to x."""
    tape.required_constant(node, 1, "slope")
    above = Value(tape, step(tape, node.input[0]))
    slope = above + (1 - above) * Value(tape, node.input[1])
    return {node.input[0]: tape.times(g, slope.name, full=True)}


@rule("Softmax")
def softmax(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """y (g - sum of y g along the axis)."""
    x, y = node.input[0], node.output[0]
    axis = attribute(node, "axis", -1) % len(tape.shapes[x])
    if axis == 0:
        raise refusal(node, "it mixes the samples of a batch")
    g = tape.applied(g)
    total = tape.emit("ReduceSum", tape.emit("Mul", g.name, y), tape.add_constant(np.array([axis]), "axes"))
    return {x: tape.times(Cotangent(tape.emit("Sub", g.name, total), np.ones(())), y, full=True)}


@rule("Where")
def where(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """To each input where it was chosen."""
    condition, *inputs = node.input
    y = node.output[0]
    chosen = tape.emit("Cast", condition, to=helper.np_dtype_to_tensor_dtype(tape.dtype))
    result: dict[str, Cotangent] = {}
    for name, share in zip(inputs, (chosen, affine(tape, chosen, -1, 1)), strict=True):
        if name in tape.active:
            whole = tape.shapes.get(condition) == tape.shapes.get(y) and condition not in tape.constants
            part = unbroadcast(tape, tape.times(g, share, whole), y, name)
            result[name] = tape.sum(result[name], part) if name in result else part
    return result


@rule("InstanceNormalization")
def instance_normalization(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    scale = tape.required_constant(node, 1, "scale")
    axes = list(range(2, len(tape.shapes[x])))
    return {x: _standardised(tape, node, g.scaled(scale.reshape(-1, *[1] * len(axes))), axes)}


@rule("LayerNormalization")
def layer_normalization(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    rank = len(tape.shapes[x])
    first = attribute(node, "axis", -1) % rank
    if first == 0:
        raise refusal(node, "it mixes the samples of a batch")
    return {x: _standardised(tape, node, g.scaled(tape.required_constant(node, 1, "scale")), list(range(first, rank)))}


def _standardised(tape: Tape, node: onnx.NodeProto, g: Cotangent, axes: list[int]) -> Cotangent:
    """Of z = (x - mean) / s, s^2 the variance and epsilon: (g - mean g - z mean(z g)) / s."""
    epsilon = attribute(node, "epsilon", float(np.float32(1e-5)))
    count = math.prod(tape.fixed_shape(node, node.input[0])[axis - 1] for axis in axes)
    x = Value(tape, node.input[0])
    centred = x - x.mean(axes, count)
    rate = ((centred * centred).mean(axes, count) + epsilon).of("Sqrt").of("Reciprocal")
    z = centred * rate
    slope = Value(tape, tape.applied(tape.spread_batch(g, node.output[0])).name)
    return Cotangent(((slope - slope.mean(axes, count) - z * (z * slope).mean(axes, count)) * rate).name, np.ones(()))
