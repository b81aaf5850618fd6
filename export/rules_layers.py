"""Reverse rules of the layers: convolutions, dense layers and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from fastmag.export.rules import rule, unbroadcast
from fastmag.export.tape import LAST, LAST_BACKWARDS, Array, Cotangent, Tape, attribute, refusal, size

# A convolution back to so few channels (the input layer's) is faster as ConvTranspose, which makes one matrix product.
FEW_CHANNELS = 4

Ints = Sequence[int]


@dataclass(frozen=True)
class Window:
    """How a convolution or pooling window moves: one entry per spatial axis.

    begin, end: padding, resolved from auto_pad. tail: elements at the end of the input that no window reaches
    (negative: the last window reaches that far beyond the padding, as ceil_mode lets it).
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    tail: tuple[int, ...]

    @property
    def extents(self) -> tuple[int, ...]:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def tiles(self) -> bool:
        """The windows lie side by side from the first element on and none leaves the input."""
        return self.strides == self.extents == self.kernel and not any(self.begin + self.end) and min(self.tail) >= 0


def window(tape: Tape, node: onnx.NodeProto, kernel: tuple[int, ...]) -> Window:
    rank = len(kernel)
    x, y = (tape.fixed_shape(node, name)[1:] for name in (node.input[0], node.output[0]))
    strides, dilations = (tuple(attribute(node, name, [1] * rank)) for name in ("strides", "dilations"))
    covered = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(y, strides, dilations, kernel, strict=True)]
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode.startswith("SAME"):
        total = [max(c - n, 0) for c, n in zip(covered, x, strict=True)]
        begin = tuple(t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total)
        end = tuple(t - b for t, b in zip(total, begin, strict=True))
    else:
        pads = [0] * (2 * rank) if mode == "VALID" else attribute(node, "pads", [0] * (2 * rank))
        begin, end = tuple(pads[:rank]), tuple(pads[rank:])
    tail = tuple(n + b + e - c for n, b, e, c in zip(x, begin, end, covered, strict=True))
    return Window(kernel, strides, dilations, begin, end, tail)


# Convolutions


@rule("Conv")
def conv(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    shape = tape.required_constant(node, 1, "weight").shape
    w = window(tape, node, shape[2:])
    groups, channels = int(attribute(node, "group", 1)), tape.fixed_shape(node, node.input[0])[0]
    if groups < 1 or shape[0] % groups or channels != shape[1] * groups:
        raise refusal(node, f"its weight does not fit {channels} channels in {groups} groups")
    g, scale = tape.with_scale_along(tape.spread_batch(g, node.output[0]), -1 - len(w.kernel))
    weight = tape.scaled_weight(node.input[1], scale.reshape(-1, *[1] * (len(shape) - 1)))
    if set(w.strides) == {1} and shape[1] * groups > FEW_CHANNELS:
        name = _flipped_conv(tape, g.name, weight, w, groups)
    else:
        name = _transposed_conv(tape, g.name, weight, w, groups)
    return {node.input[0]: Cotangent(name, np.ones(()))}


def _flipped_conv(tape: Tape, g: str, weight: str, w: Window, groups: int) -> str:
    """Stride 1: the convolution with the kernel turned around, which runs as fast as the forward one."""
    pads = [e - 1 - p for sides in (w.begin, w.end) for e, p in zip(w.extents, sides, strict=True)]
    return _conv_over(tape, g, _turned(tape, weight, groups), pads, w, [1] * len(w.kernel), groups)


def _turned(tape: Tape, weight: str, groups: int) -> str:
    """(out, in / groups, ...) -> (in, out / groups, ...), every kernel reversed along all its axes."""
    out, into, *kernel = tape.constants[weight].shape
    order = list(range(2, 2 + len(kernel)))
    if groups == 1:
        weight = tape.emit("Transpose", weight, perm=[1, 0, *order])
    else:
        parts, whole = (
            tape.add_constant(np.array(shape, np.int64), "shape")
            for shape in ((groups, out // groups, into, *kernel), (groups * into, out // groups, *kernel))
        )
        weight = tape.emit("Reshape", weight, parts)
        weight = tape.emit("Transpose", weight, perm=[0, 2, 1, *(axis + 1 for axis in order)])
        weight = tape.emit("Reshape", weight, whole)
    return tape.cut(weight, [-1] * len(order), [LAST_BACKWARDS] * len(order), order, [-1] * len(order))


def _conv_over(tape: Tape, g: str, weight: str, pads: list[int], w: Window, strides: Ints, groups: int) -> str:
    """Conv of g, padded by `pads` (begins, then ends): where they are negative, that much is cut off instead."""
    if min(pads) < 0:
        begin, end = np.minimum(pads, 0).reshape(2, -1)
        g = tape.cut(g, -begin, np.where(end < 0, end, LAST), range(2, 2 + len(begin)))
        pads = np.maximum(pads, 0).tolist()
    return tape.emit(
        "Conv", g, weight, pads=pads, kernel_shape=w.kernel, strides=strides, dilations=w.dilations, group=groups
    )


def _transposed_conv(tape: Tape, g: str, weight: str, w: Window, groups: int) -> str:
    end = [e + max(-t, 0) for e, t in zip(w.end, w.tail, strict=True)]
    return tape.emit(
        "ConvTranspose", g, weight, kernel_shape=w.kernel, strides=w.strides,
        dilations=w.dilations, pads=[*w.begin, *end], output_padding=[max(t, 0) for t in w.tail], group=groups,
    )  # fmt: skip


@rule("ConvTranspose")
def conv_transpose(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """Its adjoint is the convolution with the same weights, over what it wrote."""
    x, y = node.input[0], node.output[0]
    shape = tape.required_constant(node, 1, "weight").shape
    w = _spread_window(tape, node, shape[2:])
    groups = int(attribute(node, "group", 1))
    if groups < 1 or shape[0] % groups or tape.fixed_shape(node, x)[0] != shape[0]:
        raise refusal(node, f"its weight of {shape[0]} channels does not fit its input in {groups} groups")
    g, scale = tape.with_scale_along(tape.spread_batch(g, y), -1 - len(w.kernel))
    if scale.size > 1 and groups > 1:  # the weight's second axis counts the outputs of one group
        g, scale = tape.applied(g.scaled(scale.reshape(-1, *[1] * len(w.kernel)))), np.ones(1)
    weight = tape.scaled_weight(node.input[1], scale.reshape(-1, *[1] * len(w.kernel)))
    name = _conv_over(tape, g.name, weight, [*w.begin, *w.end], w, w.strides, groups)
    return {x: Cotangent(name, np.ones(()))}


def _spread_window(tape: Tape, node: onnx.NodeProto, kernel: tuple[int, ...]) -> Window:
    """The window of a ConvTranspose; begin and end are what is missing of its output at either side."""
    rank = len(kernel)
    x, y = (tape.fixed_shape(node, name)[1:] for name in (node.input[0], node.output[0]))
    strides, dilations = (tuple(attribute(node, name, [1] * rank)) for name in ("strides", "dilations"))
    reach = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(x, strides, dilations, kernel, strict=True)]
    mode = attribute(node, "auto_pad", "NOTSET")
    begin = list(attribute(node, "pads", [0] * (2 * rank)))[:rank] if mode == "NOTSET" else [0] * rank
    if mode.startswith("SAME") or attribute(node, "output_shape"):
        grown = attribute(node, "output_padding", [0] * rank)
        total = [r + e - n for r, e, n in zip(reach, grown, y, strict=True)]
        begin = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total]
        if min(total) < 0:
            raise refusal(node, "its output_shape is larger than what it writes")
    end = tuple(r - b - n for r, b, n in zip(reach, begin, y, strict=True))
    return Window(kernel, strides, dilations, tuple(begin), end, (0,) * rank)


# Dense layers


@rule("Gemm")
def gemm(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    if attribute(node, "transA", 0) or any(name in tape.active for name in node.input[1:]):
        raise refusal(node, "only its first input, not transposed, may depend on X")
    tape.required_constant(node, 1, "weight")
    g, scale = tape.with_scale_along(tape.spread(g, node.output[0]), -1)
    rows = node.input[1] if attribute(node, "transB", 0) else tape.emit("Transpose", node.input[1], perm=[1, 0])
    rows = tape.scaled_weight(rows, scale.reshape(-1, 1) * attribute(node, "alpha", 1.0))
    return {node.input[0]: Cotangent(tape.emit("Gemm", g.name, rows), np.ones(()))}


@rule("MatMul")
def matmul(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """a b: g b' and a' g; either may be a constant, and either may have axes that the other lacks."""
    y = node.output[0]
    constants = [tape.constant(name) for name in node.input]
    shapes = [tape.shapes[n] if c is None else c.shape for n, c in zip(node.input, constants, strict=True)]
    if min(map(len, shapes)) < 2:
        raise refusal(node, "one of its inputs is a vector; give it a second axis")
    result: dict[str, Cotangent] = {}
    for place, name in enumerate(node.input):
        if name not in tape.active:
            continue
        turned = _turned_matrix(tape, node.input[1 - place], len(shapes[1 - place]))
        if place == 0 and constants[1] is not None:
            g, scale = tape.with_scale_along(tape.spread(g, y), -1)
            turned = tape.scaled_weight(turned, scale.reshape(-1, 1))
        else:
            g = tape.spread_batch(tape.with_scalar_scale(g), y)
        product = tape.emit("MatMul", *((g.name, turned) if place == 0 else (turned, g.name)))
        tape.shapes[product] = (*tape.shapes[y][:-2], *shapes[place][-2:])
        part = unbroadcast(tape, Cotangent(product, g.scale), product, name)
        result[name] = tape.sum(result[name], part) if name in result else part
    return result


def _turned_matrix(tape: Tape, name: str, rank: int) -> str:
    """The last two axes exchanged."""
    return tape.emit("Transpose", name, perm=[*range(rank - 2), rank - 1, rank - 2])


# Pooling


@rule("AveragePool")
def average_pool(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x, y = node.input[0], node.output[0]
    w = window(tape, node, tuple(attribute(node, "kernel_shape")))
    g, scale = tape.with_scale_along(tape.spread_batch(g, y), -1 - len(w.kernel))
    g = g.scaled(scale.reshape(-1, *[1] * len(w.kernel)))
    if w.tiles:
        pooled_by_convolution(tape, node, w)
        g = g.scaled(1 / size(w.kernel))
        g = tape.applied(g) if x == "X" else g  # before it grows: behind it there is no weight left to take the scale
        return {x: Cotangent(_repeated(tape, g.name, w), g.scale)}
    counts = _counts(tape.fixed_shape(node, x)[1:], w, bool(attribute(node, "count_include_pad", 0)))
    g = tape.applied(g.scaled(1 / counts))
    channels = tape.fixed_shape(node, x)[0]
    ones = tape.add_constant(np.ones((channels, 1, *w.kernel)), "weight")
    return {x: Cotangent(_transposed_conv(tape, g.name, ones, w, channels), g.scale)}


def pooled_by_convolution(tape: Tape, node: onnx.NodeProto, w: Window) -> None:
    """Write the mean over tiles of few channels as a convolution: ONNX Runtime pools only blocks of channels fast."""
    channels = tape.fixed_shape(node, node.input[0])[0]
    if channels <= FEW_CHANNELS and len(w.kernel) == 2:
        weight = np.eye(channels).reshape(channels, channels, 1, 1) * np.full(w.kernel, 1 / size(w.kernel))
        with tape.in_place_of(node):
            name = tape.add_constant(weight, "weight")
            tape.emit("Conv", node.input[0], name, kernel_shape=w.kernel, strides=w.strides)


def _repeated(tape: Tape, g: str, w: Window) -> str:
    """Every element once for each element of its window; elements that no window reached get zeros."""
    factors = tape.add_constant(np.array([1, 1, *w.kernel], np.float32), "factors", np.float32)
    g = tape.emit(
        "Resize", g, "", factors, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    if any(w.tail):
        amounts = [0] * (4 + len(w.tail)) + list(w.tail)
        g = tape.emit("Pad", g, tape.add_constant(np.array(amounts, np.int64), "pads"))
    return g


def _counts(shape: tuple[int, ...], w: Window, include_padding: bool) -> Array:
    """(1, 1, *output): how many elements each window averages over."""
    counts = np.ones((1, 1, *[1] * len(shape)))
    for axis, n in enumerate(shape):
        first, last = (-w.begin[axis], n + w.end[axis]) if include_padding else (0, n)
        outputs = (n + w.begin[axis] + w.end[axis] - w.tail[axis] - w.extents[axis]) // w.strides[axis] + 1
        starts = np.arange(outputs)[:, None] * w.strides[axis] - w.begin[axis]
        places = starts + np.arange(w.kernel[axis]) * w.dilations[axis]
        along = ((places >= first) & (places < last)).sum(axis=1)
        counts = counts * along.reshape([-1 if i == axis + 2 else 1 for i in range(counts.ndim)])
    return counts


@rule("MaxPool")
def max_pool(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """Each output's cotangent goes to the place where the window found its maximum (the first one, as torch has it)."""
    x, y = node.input[0], node.output[0]
    if tape.opset < 16:
        raise refusal(node, f"its rule needs opset 16 or later, and the model has {tape.opset}")
    if attribute(node, "storage_order", 0):
        raise refusal(node, "only row-major indices have a rule")
    g = tape.spread_batch(tape.with_scalar_scale(g), y)
    if len(node.output) < 2:
        node.output.append(tape.fresh("indices"))
    flat = tape.add_constant(np.array([-1], np.int64), "shape")
    indices, updates = (tape.emit("Reshape", name, flat) for name in (node.output[1], g.name))
    count = tape.emit("Reshape", tape.emit("Size", x), flat)
    zeros = tape.emit("ConstantOfShape", count, value=numpy_helper.from_array(np.zeros(1, tape.dtype)))
    scattered = tape.emit("ScatterElements", zeros, indices, updates, reduction="add")
    return {x: Cotangent(tape.emit("Reshape", scattered, tape.emit("Shape", x)), g.scale)}
