"""Reverse rules of the layers: convolutions, dense layers and pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from fastmag.export.rules import rule
from fastmag.export.tape import Array, Cotangent, Tape, attribute, refusal, size

# A convolution back to so few channels (the input layer's) is faster as ConvTranspose, which makes one matrix product.
FEW_CHANNELS = 4


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
    weights = tape.required_constant(node, 1, "weight")
    w = window(tape, node, weights.shape[2:])
    groups = attribute(node, "group", 1)
    g, scale = tape.with_scale_along(tape.spread_batch(g, node.output[0]), -1 - len(w.kernel))
    weights = weights * scale.reshape(-1, *[1] * (weights.ndim - 1))
    if set(w.strides) == {1} and weights.shape[1] * groups > FEW_CHANNELS:
        name = _flipped_conv(tape, g.name, weights, w, groups)
    else:
        name = _transposed_conv(tape, g.name, weights, w, groups)
    return {node.input[0]: Cotangent(name, np.ones(()))}


def _flipped_conv(tape: Tape, g: str, weights: Array, w: Window, groups: int) -> str:
    """Stride 1: the convolution with the kernel turned around, which runs as fast as the forward one."""
    out, into = weights.shape[:2]
    turned = weights.reshape(groups, out // groups, into, *w.kernel).swapaxes(1, 2)
    turned = np.flip(turned.reshape(-1, out // groups, *w.kernel), axis=tuple(range(2, weights.ndim)))
    pads = [e - 1 - p for sides in (w.begin, w.end) for e, p in zip(w.extents, sides, strict=True)]
    if min(pads) < 0:  # the forward padding is wider than the kernel: those outputs never saw the input
        begin, end = np.minimum(pads, 0).reshape(2, -1)
        last = np.iinfo(np.int64).max
        g = tape.cut(g, -begin, np.where(end < 0, end, last), range(2, weights.ndim))
        pads = np.maximum(pads, 0).tolist()
    name = tape.add_constant(turned, "weight")
    return tape.emit("Conv", g, name, pads=pads, kernel_shape=w.kernel, dilations=w.dilations, group=groups)


def _transposed_conv(tape: Tape, g: str, weights: Array, w: Window, groups: int) -> str:
    end = [e + max(-t, 0) for e, t in zip(w.end, w.tail, strict=True)]
    return tape.emit(
        "ConvTranspose", g, tape.add_constant(weights, "weight"), kernel_shape=w.kernel, strides=w.strides,
        dilations=w.dilations, pads=[*w.begin, *end], output_padding=[max(t, 0) for t in w.tail], group=groups,
    )  # fmt: skip


# Dense layers


@rule("Gemm")
def gemm(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    if attribute(node, "transA", 0) or any(name in tape.active for name in node.input[1:]):
        raise refusal(node, "only its first input, not transposed, may depend on X")
    weights = tape.required_constant(node, 1, "weight") * attribute(node, "alpha", 1.0)
    return {node.input[0]: _times_rows(tape, "Gemm", g, weights if attribute(node, "transB", 0) else weights.T, node)}


@rule("MatMul")
def matmul(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    left, right = node.input
    if left in tape.active and right in tape.active:
        raise refusal(node, "both of its inputs depend on X")
    weights = tape.required_constant(node, int(left in tape.active), "weight")
    if weights.ndim != 2:
        raise refusal(node, f"its weight has {weights.ndim} axes instead of 2")
    if left in tape.active:
        return {left: _times_rows(tape, "MatMul", g, weights.T, node)}
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    return {right: Cotangent(tape.emit("MatMul", tape.add_constant(weights.T, "weight"), g.name), g.scale)}


def _times_rows(tape: Tape, op: str, g: Cotangent, rows: Array, node: onnx.NodeProto) -> Cotangent:
    """g (..., out) times rows (out, in)."""
    g, scale = tape.with_scale_along(tape.spread(g, node.output[0]), -1)
    return Cotangent(tape.emit(op, g.name, tape.add_constant(rows * scale.reshape(-1, 1), "weight")), np.ones(()))


# Pooling


@rule("AveragePool")
def average_pool(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x, y = node.input[0], node.output[0]
    w = window(tape, node, tuple(attribute(node, "kernel_shape")))
    g, scale = tape.with_scale_along(tape.spread_batch(g, y), -1 - len(w.kernel))
    g = g.scaled(scale.reshape(-1, *[1] * len(w.kernel)))
    if w.tiles:
        return {x: Cotangent(_repeated(tape, g.name, w), g.scale / size(w.kernel))}
    counts = _counts(tape.fixed_shape(node, x)[1:], w, bool(attribute(node, "count_include_pad", 0)))
    g = tape.applied(g.scaled(1 / counts))
    channels = tape.fixed_shape(node, x)[0]
    return {x: Cotangent(_transposed_conv(tape, g.name, np.ones((channels, 1, *w.kernel)), w, channels), g.scale)}


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
