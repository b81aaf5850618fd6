"""Reverse rules, one per ONNX operator: activations, arithmetic, means.

A rule takes the tape, a forward node, and the cotangent of the node's output; it returns the cotangent of each input
through which y depends on X. Masks are Mul(Cast(Greater)): Where costs several times as much on a CPU. An activation's
slope comes from its output where that is possible, so that the runtime can still fuse the activation into the layer
before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fastmag.export.tape import Cotangent, Tape, attribute, refusal, size

Rule = Callable[[Tape, onnx.NodeProto, Any], dict[str, Cotangent]]
RULES: dict[str, Rule] = {}
STEEP = 1e30  # times x, clipped: a step at 0 of any height, cheaper than Cast(Greater) and what scales it
SEVERAL_OUTPUTS = {"Split"}  # their rules get a list, one Cotangent for every output; others that of the first output


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register the reverse rule of the named operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, function))
        return function

    return register


# Activations


def step(tape: Tape, tensor: str, threshold: float = 0.0, comparison: str = "Greater") -> str:
    """1 where the tensor exceeds the threshold, else 0, in the graph's dtype."""
    mask = tape.emit(comparison, tensor, tape.add_constant(float(threshold), "threshold"))
    return tape.emit("Cast", mask, to=helper.np_dtype_to_tensor_dtype(tape.dtype))


def affine(tape: Tape, tensor: str, factor: float, offset: float) -> str:
    """factor * tensor + offset."""
    if factor == -1:
        return tape.emit("Sub", tape.add_constant(float(offset), "offset"), tensor)
    if factor != 1:
        tensor = tape.emit("Mul", tensor, tape.add_constant(float(factor), "factor"))
    return tape.emit("Add", tensor, tape.add_constant(float(offset), "offset"))


@rule("Relu")
def relu(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    return {node.input[0]: tape.times(g, step(tape, node.output[0]), full=True)}


@rule("LeakyRelu")
def leaky_relu(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    slope = attribute(node, "alpha", float(np.float32(0.01)))
    same_sign = node.output[0] if slope > 0 else node.input[0]
    return {node.input[0]: tape.times(g, affine(tape, step(tape, same_sign), 1 - slope, slope), full=True)}


@rule("Elu", "Selu")
def elu(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """y = gamma x above 0, else gamma alpha (exp(x) - 1): with b = gamma alpha exp(min(x, 0)) the slope is b, less
    gamma (alpha - 1) above 0, and y = gamma max(x, 0) + b - gamma alpha. ONNX Runtime takes longer for its Elu alone
    than for all of this (`python -m bench.operators respiration`)."""
    selu = node.op_type == "Selu"
    alpha = attribute(node, "alpha", 1.67326319217681884765625 if selu else 1.0)
    gamma = attribute(node, "gamma", 1.05070102214813232421875) if selu else 1.0
    x, at_zero, zero = node.input[0], gamma * alpha, tape.add_constant(0.0, "zero")
    with tape.in_place_of(node):
        below = tape.scaled_weight(tape.emit("Exp", tape.emit("Min", x, zero)), at_zero)
        above = tape.scaled_weight(tape.emit("Max", x, zero), gamma)
        tape.emit("Add", above, tape.emit("Sub", below, tape.add_constant(at_zero, "offset")))
    return {x: tape.times(g, _less_above_zero(tape, below, x, at_zero - gamma), full=True)}


def _less_above_zero(tape: Tape, tensor: str, x: str, amount: float) -> str:
    """The tensor, less an amount where x > 0."""
    if amount == 0:
        return tensor
    bounds = (tape.add_constant(v, "bound") for v in (0.0, abs(amount)))
    part = tape.emit("Clip", tape.emit("Mul", x, tape.add_constant(STEEP, "steep")), *bounds)
    return tape.emit("Sub" if amount > 0 else "Add", tensor, part)


@rule("Tanh")
def tanh(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    square = tape.emit("Mul", node.output[0], node.output[0])
    return {node.input[0]: tape.times(g, affine(tape, square, -1, 1), full=True)}


@rule("Sigmoid")
def sigmoid(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    slope = tape.emit("Mul", node.output[0], affine(tape, node.output[0], -1, 1))
    return {node.input[0]: tape.times(g, slope, full=True)}


@rule("Softplus")
def softplus(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    return {node.input[0]: tape.times(g, tape.emit("Sigmoid", node.input[0]), full=True)}


@rule("Clip")
def clip(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """Slope 1 between the bounds, the bounds left out, as relu6."""
    for position, comparison in ((1, "Greater"), (2, "Less")):
        if len(node.input) > position and node.input[position]:
            bound = tape.required_constant(node, position, "bound").item()
            g = tape.times(g, step(tape, node.input[0], bound, comparison), full=True)
    return {node.input[0]: g}


# Arithmetic


def unbroadcast(tape: Tape, g: Cotangent, tensor: str, operand: str) -> Cotangent:
    """Sum a cotangent of `tensor` over the axes along which `operand` was broadcast to it."""
    whole, part = tape.shapes.get(tensor, ()), tape.shapes.get(operand, ())
    if whole == part:
        return g
    g = tape.spread_batch(tape.applied(g), tensor)
    part = (1,) * (len(whole) - len(part)) + part
    axes = [i for i, (a, b) in enumerate(zip(whole, part, strict=True)) if b == 1 and a != 1]
    summed = tape.emit("ReduceSum", g.name, tape.add_constant(np.array(axes, np.int64), "axes"))
    if len(tape.shapes[operand]) < len(whole):
        summed = tape.emit("Reshape", summed, tape.emit("Shape", operand))
    return Cotangent(summed, g.scale)


@rule("Add", "Sub")
def add(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    first, second = node.input
    signs = {first: 1.0} if first == second else {first: 1.0, second: 1.0}
    signs[second] += (-2.0 if node.op_type == "Sub" else 0.0) + (first == second)
    return {
        name: unbroadcast(tape, g.scaled(sign), node.output[0], name)
        for name, sign in signs.items()
        if name in tape.active
    }


@rule("Sum")
def sum_(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    counts = Counter(name for name in node.input if name in tape.active)
    return {name: unbroadcast(tape, g.scaled(float(n)), node.output[0], name) for name, n in counts.items()}


@rule("Expand")
def expand(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    return {node.input[0]: unbroadcast(tape, g, node.output[0], node.input[0])}


@rule("Neg")
def negative(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    return {node.input[0]: g.scaled(-1)}


@rule("Mul", "Div")
def multiply(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """a b: g b and g a. a / b: g / b and -g y / b."""
    (a, b), y = node.input, node.output[0]
    result: dict[str, Cotangent] = {}
    if a in tape.active:
        constant = tape.constant(b)
        if constant is not None:
            to_a = g.scaled(constant if node.op_type == "Mul" else 1 / constant)
        elif node.op_type == "Mul":
            to_a = tape.times(g, b, _covers(tape, b, y))
        else:
            to_a = tape.times(g, tape.emit("Reciprocal", b), _covers(tape, b, y))
        result[a] = unbroadcast(tape, to_a, y, a)
    if b in tape.active:
        constant = tape.constant(a)
        if node.op_type == "Div":
            ratio = tape.emit("Div", y, b)
            to_b = tape.times(g.scaled(-1), ratio, full=True)
        else:
            to_b = g.scaled(constant) if constant is not None else tape.times(g, a, _covers(tape, a, y))
        to_b = unbroadcast(tape, to_b, y, b)
        result[b] = tape.sum(result[a], to_b) if a == b else to_b
    return result


def _covers(tape: Tape, operand: str, tensor: str) -> bool:
    return operand in tape.active and tape.shapes.get(operand) == tape.shapes.get(tensor)


@rule("BatchNormalization")
def batch_normalization(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """In inference: one factor per channel."""
    if attribute(node, "training_mode", 0):
        raise refusal(node, "it is in training mode")
    gamma, variance = tape.required_constant(node, 1, "scale"), tape.required_constant(node, 4, "variance")
    epsilon = attribute(node, "epsilon", float(np.float32(1e-5)))
    factor = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    rank = len(tape.shapes[node.input[0]])
    return {node.input[0]: g.scaled(factor.reshape(1, -1, *[1] * (rank - 2)))}


# Means and sums


@rule("ReduceMean", "ReduceSum")
def reduce(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    shape = tape.shapes[x]
    axes = attribute(node, "axes")
    if len(node.input) > 1 and node.input[1]:
        axes = tape.required_constant(node, 1, "list of axes").tolist()
    if not axes and attribute(node, "noop_with_empty_axes", 0):
        return {x: g}
    axes = sorted(axis % len(shape) for axis in (axes or range(len(shape))))
    if 0 in axes:
        raise refusal(node, "it mixes the samples of a batch")
    fixed = tape.fixed_shape(node, x)
    g = tape.with_scalar_scale(g)
    if not attribute(node, "keepdims", 1):
        g = tape.spread(g, node.output[0])
        axes_name = tape.add_constant(np.array(axes, np.int64), "axes")
        g = Cotangent(tape.emit("Unsqueeze", g.name, axes_name), g.scale)
    count = size(fixed[axis - 1] for axis in axes) if node.op_type == "ReduceMean" else 1
    return {x: Cotangent(g.name, g.scale / count, full=False)}


@rule("GlobalAveragePool")
def global_average_pool(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    return {x: Cotangent(g.name, g.scale / size(tape.fixed_shape(node, x)[1:]), full=False)}
