"""What the reverse rules write on: the nodes of a growing ONNX graph, and what is known of its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from fastmag.errors import InputError

Array = NDArray[Any]
Shape = tuple[int | None, ...]  # None: an axis that is known only when the graph runs, as the batch is

LAST, LAST_BACKWARDS = np.iinfo(np.int64).max, np.iinfo(np.int64).min + 1  # ends of a Slice: as far as there is

# Forward nodes over constants that are worth evaluating to learn a weight; none makes much out of little.
FOLDABLE = {
    "Add", "Cast", "Concat", "Constant", "Div", "Flatten", "Identity", "Mul", "Neg", "Reciprocal", "Reshape", "Sqrt",
    "Squeeze", "Sub", "Transpose", "Unsqueeze",
}  # fmt: skip


@dataclass(frozen=True)
class Cotangent:
    """dy/d(tensor) as it stands: `scale` times the tensor called `name`.

    scale: a factor not applied yet, broadcastable to the tensor; it moves through linear rules into the next weights,
        where it costs nothing.
    full: False while the named tensor is still to be broadcast to the shape of the tensor it belongs to.
    A constant cotangent has a batch axis of 1.
    """

    name: str
    scale: Array
    full: bool = True

    def scaled(self, factor: ArrayLike) -> Cotangent:
        return replace(self, scale=np.asarray(self.scale * np.asarray(factor)))


@dataclass
class Tape:
    """A graph being written, and the shapes, constants and dtype of the forward graph it belongs to."""

    producers: dict[str, onnx.NodeProto]  # forward nodes by the names of their outputs
    shapes: dict[str, Shape]
    constants: dict[str, Array]
    active: set[str]  # tensors through which y depends on X
    dtype: np.dtype[Any]
    opset: int
    taken: set[str]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    forward: int = field(init=False)  # how many of the nodes are the forward graph's
    foldable: set[str] = field(init=False, default_factory=set)  # forward tensors that constants alone make
    counts: dict[str, int] = field(init=False, default_factory=dict)  # of names made fresh, by hint
    recipes: dict[str, onnx.NodeProto] = field(default_factory=dict)  # how constants were made of other constants

    def __post_init__(self) -> None:
        self.forward = len(self.nodes)
        for node in self.nodes:
            known = all(i in self.constants or i in self.foldable for i in node.input)
            if known and node.op_type in FOLDABLE and len(node.output) == 1:
                self.foldable.add(node.output[0])

    def constant(self, name: str) -> Array | None:
        """The value of a forward tensor that depends on constants alone, or None."""
        waiting = [name] if name in self.foldable else []
        while waiting:  # no recursion: a stranger's graph may be as deep as it likes
            node = self.producers[waiting[-1]]
            missing = [i for i in node.input if i not in self.constants]
            if missing:
                waiting += missing
            else:
                self.constants[node.output[0]] = _evaluate(node, [self.constants[i] for i in node.input])
                while waiting and waiting[-1] in self.constants:
                    waiting.pop()
        return self.constants.get(name)

    def required_constant(self, node: onnx.NodeProto, position: int, role: str) -> Array:
        """The constant at an input of a node; InputError where it is computed."""
        value = self.constant(node.input[position])
        if value is None:
            raise refusal(node, f"its {role} is computed, not constant")
        return value

    def fixed_shape(self, node: onnx.NodeProto, name: str) -> tuple[int, ...]:
        """The shape of a tensor without its first axis; InputError where that is not known before the graph runs."""
        shape = self.shapes.get(name)
        fixed = tuple(n for n in shape[1:] if n is not None) if shape else ()
        if not shape or len(fixed) != len(shape) - 1:
            raise refusal(node, f"the shape of its tensor {name} is not fixed: {shape}")
        return fixed

    def add_constant(self, value: ArrayLike, hint: str, dtype: Any = None) -> str:
        """Store an array and return its name. Floating point takes the graph's dtype unless one is given."""
        array = np.asarray(value)
        array = array.astype(dtype or (self.dtype if array.dtype.kind == "f" else array.dtype), order="C")
        for name, known in self.constants.items():
            if name.startswith("d_") and known.dtype == array.dtype and np.array_equal(known, array):
                return name
        name = self.fresh(hint)
        self.constants[name] = array
        return name

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return its output's name; over constants alone it is evaluated here and now."""
        output = self.fresh(op.lower())
        node = helper.make_node(op, list(inputs), [output], name=output, **attributes)
        values = [self.constants.get(i) for i in inputs]
        if all(value is not None for value, name in zip(values, inputs, strict=True) if name):
            self.constants[output] = _evaluate(node, values)
            self.recipes[output] = node
        else:
            self.nodes.append(node)
        return output

    @contextmanager
    def in_place_of(self, node: onnx.NodeProto) -> Iterator[None]:
        """What is emitted meanwhile takes a forward node's place in the graph; the last of it makes its output."""
        after, self.nodes = self.nodes, []
        yield
        self.nodes[-1].output[:] = node.output[:1]
        place = next(i for i, other in enumerate(after) if other is node)
        after[place : place + 1] = self.nodes
        self.forward += len(self.nodes) - 1
        self.nodes = after

    def fresh(self, hint: str) -> str:
        """A name that no tensor has."""
        name, n = f"d_{hint}", self.counts.get(hint, 1)
        while name in self.taken:
            n += 1
            name = f"d_{hint}_{n}"
        self.counts[hint] = n
        self.taken.add(name)
        return name

    def applied(self, g: Cotangent) -> Cotangent:
        """The same cotangent with its scale multiplied in."""
        if np.all(g.scale == 1):
            return replace(g, scale=np.ones(()))
        return Cotangent(self.emit("Mul", g.name, self.add_constant(g.scale, "scale")), np.ones(()), g.full)

    def scaled_weight(self, name: str, scale: ArrayLike) -> str:
        """A constant times a factor that broadcasts to it."""
        return name if np.all(np.asarray(scale) == 1) else self.emit("Mul", name, self.add_constant(scale, "scale"))

    def with_scalar_scale(self, g: Cotangent) -> Cotangent:
        """The same cotangent; a scale that differs between elements is multiplied in."""
        return replace(g, scale=g.scale.reshape(())) if g.scale.size == 1 else self.applied(g)

    def with_scale_along(self, g: Cotangent, axis: int) -> tuple[Cotangent, Array]:
        """The cotangent without its scale, and the scale (n,) along an axis counted from the end (-1: the last).

        n is 1 for a scalar; a scale that differs along other axes is multiplied in.
        """
        if g.scale.size > 1 and (g.scale.ndim < -axis or g.scale.shape[axis] != g.scale.size):
            g = self.applied(g)
        return replace(g, scale=np.ones(())), g.scale.reshape(-1)

    def spread(self, g: Cotangent, tensor: str) -> Cotangent:
        """The same cotangent in the whole shape of the forward tensor it belongs to (constants: for a batch of 1)."""
        if g.full:
            return g
        shape = self.shapes.get(tensor)
        if g.name in self.constants and shape is not None and None not in shape[1:]:
            value = np.broadcast_to(self.constants[g.name], [1, *(n or 1 for n in shape[1:])])
            return replace(g, name=self.add_constant(value, "spread"), full=True)
        return self.spread_batch(g, tensor)

    def spread_batch(self, g: Cotangent, tensor: str) -> Cotangent:
        """As spread, and a constant too gets the batch axis it has when the graph runs."""
        if g.full and g.name not in self.constants:
            return g
        return replace(g, name=self.emit("Expand", g.name, self.emit("Shape", tensor)), full=True)

    def zeros(self, tensor: str) -> Cotangent:
        """The cotangent of a tensor that does not reach y."""
        return Cotangent(self.add_constant(np.zeros([1] * len(self.shapes[tensor])), "zero"), np.ones(()), full=False)

    def cut(self, name: str, starts: ArrayLike, ends: ArrayLike, axes: ArrayLike, *steps: ArrayLike) -> str:
        """The part [start, end) of a tensor along each of the axes."""
        values = [self.add_constant(np.array(v, np.int64), "cut") for v in (starts, ends, axes, *steps)]
        return self.emit("Slice", name, *values)

    def times(self, g: Cotangent, factor: str, full: bool) -> Cotangent:
        """g times a tensor; full says whether that has the whole shape."""
        return Cotangent(self.emit("Mul", g.name, factor), g.scale, full or (g.full and g.name not in self.constants))

    def sum(self, a: Cotangent, b: Cotangent) -> Cotangent:
        """What reaches a tensor along two ways."""
        if a.scale.shape != b.scale.shape or np.any(a.scale != b.scale):
            a, b = self.applied(a), self.applied(b)
        return Cotangent(self.emit("Add", a.name, b.name), a.scale, a.full or b.full)


def needed(nodes: Iterable[onnx.NodeProto], outputs: Iterable[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """Those of the sorted nodes that the outputs need, in order, and the names of all tensors that they need."""
    names, kept = set(outputs), []
    for node in reversed(list(nodes)):
        if names & set(node.output):
            names |= set(node.input)
            kept.append(node)
    return kept[::-1], names


def refusal(node: onnx.NodeProto, why: str) -> InputError:
    """The error for a node that has a rule, but not for this use of it."""
    name = node.name or (node.output[0] if node.output else "")
    return InputError(f"cannot differentiate {node.op_type} (node {name!r}): {why}; change that layer and export again")


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute (strings decoded), or the default."""
    for a in node.attribute:
        if a.name == name:
            value = helper.get_attribute_value(a)
            return value.decode() if isinstance(value, bytes) else value
    return default


def size(shape: Iterable[int]) -> int:
    return math.prod(shape)


def _evaluate(node: onnx.NodeProto, inputs: Iterable[Array | None]) -> Array:
    """The one output of a node over known arrays."""
    feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    results: list[Any] = list(ReferenceEvaluator(node).run(None, feeds))
    return np.asarray(results[0])
