"""Reverse rules of the operators that only move elements."""

from __future__ import annotations

import numpy as np
import onnx

from fastmag.export.rules import rule
from fastmag.export.tape import Array, Cotangent, Shape, Tape, attribute, refusal, size


@rule("Identity", "Dropout")
def identity(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    if len(node.input) > 2 and node.input[2] and np.any(tape.required_constant(node, 2, "training mode")):
        raise refusal(node, "it is in training mode")
    return {node.input[0]: g}


@rule("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x, y = node.input[0], node.output[0]
    g = tape.with_scalar_scale(g)
    before, after = tape.shapes.get(x), tape.shapes.get(y)
    if before and after and _fixed_size(before) and _fixed_size(before) == _fixed_size(after):
        target = tape.add_constant(np.array([-1, *before[1:]], np.int64), "shape")
        g = tape.spread(g, y)
    else:  # the batch does not stay the first axis
        g, target = tape.spread_batch(g, y), tape.emit("Shape", x)
    return {x: Cotangent(tape.emit("Reshape", g.name, target), g.scale)}


def _fixed_size(shape: Shape) -> int:
    """The number of elements of one sample, 0 if it is unknown."""
    return 0 if None in shape[1:] else size(n for n in shape[1:] if n is not None)


@rule("Transpose")
def transpose(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    rank = len(tape.shapes[x])
    order = attribute(node, "perm", list(range(rank))[::-1])
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    return {x: Cotangent(tape.emit("Transpose", g.name, perm=np.argsort(order).tolist()), g.scale)}


@rule("Concat")
def concat(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    axis = attribute(node, "axis") % len(tape.shapes[node.output[0]])
    if axis == 0:
        raise refusal(node, "it joins along the batch axis")
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    result: dict[str, Cotangent] = {}
    start = 0
    for name in node.input:
        end = start + tape.fixed_shape(node, name)[axis - 1]
        if name in tape.active:
            part = Cotangent(tape.cut(g.name, [start], [end], [axis]), g.scale)
            result[name] = tape.sum(result[name], part) if name in result else part
        start = end
    return result


@rule("Slice")
def slice_(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    values = [tape.required_constant(node, i, "range").tolist() for i in range(1, len(node.input)) if node.input[i]]
    starts, ends = values[:2]
    shape = tape.shapes[x]
    axes = [a % len(shape) for a in (values[2] if len(values) > 2 else range(len(starts)))]
    if any(s != 1 for s in (values[3] if len(values) > 3 else ())) or 0 in axes:
        raise refusal(node, "it takes steps other than 1 or cuts the batch")
    fixed = (0, *tape.fixed_shape(node, x))
    pads = np.zeros((2, len(shape)), np.int64)
    for axis, start, end in zip(axes, starts, ends, strict=True):
        begin, stop, _ = slice(start, end).indices(fixed[axis])
        pads[:, axis] = begin, fixed[axis] - stop
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    return {x: Cotangent(tape.emit("Pad", g.name, tape.add_constant(pads.ravel(), "pads")), g.scale)}


@rule("Gather")
def gather(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """One index, as in x[:, 0]."""
    x = node.input[0]
    rank = len(tape.shapes[x])
    axis = attribute(node, "axis", 0) % rank
    index = tape.required_constant(node, 1, "index")
    if index.ndim or axis == 0:
        raise refusal(node, "only one index of an axis other than the batch has a rule")
    n = tape.fixed_shape(node, x)[axis - 1]
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    name = tape.emit("Unsqueeze", g.name, tape.add_constant(np.array([axis]), "axes"))
    pads = np.zeros((2, rank), np.int64)
    pads[:, axis] = index % n, n - 1 - index % n
    return {x: Cotangent(tape.emit("Pad", name, tape.add_constant(pads.ravel(), "pads")), g.scale)}


@rule("Pad")
def pad(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """Constant padding is cut off again; what a negative amount cut off gets zeros."""
    x = node.input[0]
    if attribute(node, "mode", "constant") != "constant":
        raise refusal(node, "only constant padding has a rule")
    rank = len(tape.shapes[x])
    amounts = np.zeros((2, rank), np.int64)
    axes: Array = np.arange(rank)
    if len(node.input) > 3 and node.input[3]:
        axes = tape.required_constant(node, 3, "list of axes") % rank
    amounts[:, axes] = tape.required_constant(node, 1, "amount").reshape(2, -1)
    if amounts[:, 0].any():
        raise refusal(node, "it pads the batch axis")
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    kept = np.array([0, *tape.fixed_shape(node, x)]) + np.minimum(amounts, 0).sum(axis=0)
    grown = [axis for axis in range(rank) if (amounts[:, axis] > 0).any()]
    name = g.name
    if grown:
        starts = np.maximum(amounts[0, grown], 0)
        name = tape.cut(name, starts, starts + kept[grown], grown)
    if (amounts < 0).any():
        name = tape.emit("Pad", name, tape.add_constant(np.maximum(-amounts, 0).ravel(), "pads"))
    return {x: Cotangent(name, g.scale)}
