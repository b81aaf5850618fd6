"""Reverse rules of the operators that give all elements another shape or order."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from fastmag.export.rules import rule
from fastmag.export.tape import Cotangent, Shape, Tape, attribute, refusal, size


@rule("Identity", "Dropout")
def identity(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    if len(node.input) > 2 and node.input[2] and np.any(tape.required_constant(node, 2, "training mode")):
        raise refusal(node, "it is in training mode")
    return {node.input[0]: g}


@rule("Cast")
def cast(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    if attribute(node, "to") != helper.np_dtype_to_tensor_dtype(tape.dtype):
        raise refusal(node, "it changes the precision")
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


@rule("Split")
def split(tape: Tape, node: onnx.NodeProto, g: list[Cotangent]) -> dict[str, Cotangent]:
    x = node.input[0]
    axis = attribute(node, "axis", 0) % len(tape.shapes[x])
    if axis == 0:
        raise refusal(node, "it cuts the batch")
    parts = [tape.applied(tape.spread_batch(part, name)).name for part, name in zip(g, node.output, strict=True)]
    return {x: Cotangent(tape.emit("Concat", *parts, axis=axis), np.ones(()))}
