"""ONNX graphs written as arithmetic: values with operators, so that a graph reads as the formula it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastmag.export.tape import needed

FLOAT, INT, BOOL, BYTE = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8
DOUBLE = TensorProto.DOUBLE
Operand = Any  # a Value, a number or an array


class Writer:
    """The nodes and constants of a growing graph."""

    def __init__(self, prefix: str = ""):
        self.prefix, self._count = prefix, 0
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._tensors: list[onnx.TensorProto] = []

    @property
    def constants(self) -> list[onnx.TensorProto]:
        """What is stored in the graph."""
        return [numpy_helper.from_array(value, name) for name, value in self._constants.items()] + self._tensors

    def store(self, name: str, tensor: onnx.TensorProto) -> None:
        """Store a tensor of another graph under a name."""
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = name
        self._tensors.append(copy)

    def input(self, name: str, kind: int) -> Value:
        """A value that comes from elsewhere."""
        return Value(self, name, kind)

    def constant(self, value: Operand, kind: int = FLOAT) -> Value:
        """A stored array; equal ones are stored once."""
        array = np.asarray(value, helper.tensor_dtype_to_np_dtype(kind))
        for name, known in self._constants.items():
            if known.dtype == array.dtype and known.shape == array.shape and np.array_equal(known, array):
                return Value(self, name, kind)
        name = self.fresh("c")
        self._constants[name] = array
        return Value(self, name, kind)

    def fresh(self, hint: str) -> str:
        """A name that no other value has."""
        self._count += 1
        return f"{self.prefix}{hint}{self._count}"

    def op(self, kind: str, *inputs: Value | None, gives: int | None = None, outputs: int = 1, **attributes) -> Any:
        """Append a node; its output, or a tuple of them, of the type `gives` (as the first input by default)."""
        names = [self.fresh(kind.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, ["" if i is None else i.name for i in inputs], names, **attributes))
        first = inputs[0]
        made = tuple(Value(self, n, gives or (first.kind if first is not None else FLOAT)) for n in names)
        return made if outputs > 1 else made[0]

    def rename(self, value: Value, name: str) -> None:
        """Call a value by a name of its own wherever it occurs."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if known == value.name else known for known in names]
        value.name = name

    def shape(self, *sizes: Operand) -> Value:
        """A shape (n,) of whole numbers and of whole-number values with one element."""
        if not any(isinstance(s, Value) for s in sizes):
            return self.constant(sizes, INT)
        parts = [s.reshape(1) if isinstance(s, Value) else self.constant([s], INT) for s in sizes]
        return self.op("Concat", *parts, axis=0)

    def range(self, start: Operand, stop: Operand) -> Value:
        """Whole numbers start ... stop - 1."""
        ends = [v.reshape() if isinstance(v, Value) else self.constant(v, INT) for v in (start, stop)]
        return self.op("Range", *ends, self.constant(1, INT))

    def where(self, condition: Value, a: Operand, b: Operand) -> Value:
        """a where the condition holds, b elsewhere."""
        kind = next((v.kind for v in (a, b) if isinstance(v, Value)), FLOAT)
        a, b = (v if isinstance(v, Value) else self.constant(v, kind) for v in (a, b))
        return self.op("Where", condition, a, b, gives=kind)

    def zeros(self, *sizes: Operand) -> Value:
        """Float zeros."""
        return self.op("ConstantOfShape", self.shape(*sizes), gives=FLOAT)

    def join(self, *parts: Value, axis: int = 0) -> Value:
        """Parts one after the other along an axis."""
        return self.op("Concat", *parts, axis=axis)

    def call(self, network: onnx.ModelProto, output: str, x: Value, prefix: str) -> Value:
        """Append the nodes of a network X -> `output` that this needs, on x; its weights are stored once for all calls
        of one network."""
        stored = {tensor.name for tensor in network.graph.initializer}
        weights = f"{self.prefix}{network.graph.name}_"

        def renamed(name: str) -> str:
            return x.name if name == "X" else weights + name if name in stored else prefix + name if name else ""

        for node in needed(network.graph.node, [output])[0]:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = prefix + node.name
            copy.input[:] = [renamed(name) for name in node.input]
            copy.output[:] = [renamed(name) for name in node.output]
            self.nodes.append(copy)
        known = {tensor.name for tensor in self._tensors}
        for tensor in network.graph.initializer:
            if weights + tensor.name not in known:
                self.store(weights + tensor.name, tensor)
        return self.input(prefix + output, FLOAT)

    def scan(
        self, body: Writer, series: Sequence[Value], inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[Value],
        states: Sequence[Value] = (),
    ) -> list[Value]:  # fmt: skip
        """Run a graph once for every element along the first axis of the series; the last states, and the outputs,
        stacked. states: what the first run starts with; inputs and outputs of the body begin with them."""
        made_here = [describe(v.name, v.kind) for v in outputs]
        graph = helper.make_graph(body.nodes, f"{body.prefix}body", list(inputs), made_here, body.constants)
        made = self.op("Scan", *states, *series, outputs=len(outputs), body=graph, num_scan_inputs=len(series))
        made = made if len(outputs) > 1 else (made,)
        for value, like in zip(made, outputs, strict=True):
            value.kind = like.kind
        return list(made)


def describe(name: str, kind: int, shape: Sequence[int | str] | None = None) -> onnx.ValueInfoProto:
    """An input or output of a graph; an open size is a name, None an open shape."""
    return helper.make_tensor_value_info(name, kind, shape)


def added(*values: Value) -> Value:
    """The sum of some values."""
    return values[0].writer.op("Sum", *values)


class Value:
    """A tensor of the graph, with the operators of arithmetic; `kind` is its type."""

    __array_ufunc__ = None  # an array on the left leaves the operator to the value

    def __init__(self, writer: Writer, name: str, kind: int):
        self.writer, self.name, self.kind = writer, name, kind

    def _with(self, op: str, other: Operand, swapped: bool = False, gives: int | None = None) -> Value:
        other = other if isinstance(other, Value) else self.writer.constant(other, self.kind)
        pair = (other, self) if swapped else (self, other)
        return self.writer.op(op, *pair, gives=gives)

    def __add__(self, other: Operand) -> Value:
        return self._with("Add", other)

    def __radd__(self, other: Operand) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Operand) -> Value:
        return self._with("Sub", other)

    def __rsub__(self, other: Operand) -> Value:
        return self._with("Sub", other, swapped=True)

    def __mul__(self, other: Operand) -> Value:
        return self._with("Mul", other)

    def __rmul__(self, other: Operand) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Operand) -> Value:
        return self._with("Div", other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._with("Div", other, swapped=True)

    def __floordiv__(self, other: Operand) -> Value:
        return self._with("Div", other)  # of whole numbers that are not negative

    def __mod__(self, other: Operand) -> Value:
        return self._with("Mod", other)

    def __matmul__(self, other: Operand) -> Value:
        return self._with("MatMul", other)

    def __rmatmul__(self, other: Operand) -> Value:
        return self._with("MatMul", other, swapped=True)

    def __lt__(self, other: Operand) -> Value:
        return self._with("Less", other, gives=BOOL)

    def __le__(self, other: Operand) -> Value:
        return self._with("LessOrEqual", other, gives=BOOL)

    def __gt__(self, other: Operand) -> Value:
        return self._with("Greater", other, gives=BOOL)

    def __ge__(self, other: Operand) -> Value:
        return self._with("GreaterOrEqual", other, gives=BOOL)

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __neg__(self) -> Value:
        return self.writer.op("Neg", self)

    def at_least(self, other: Operand) -> Value:
        return self._with("Max", other)

    def at_most(self, other: Operand) -> Value:
        return self._with("Min", other)

    def within(self, low: Operand, high: Operand) -> Value:
        return self.at_least(low).at_most(high)

    def apply(self, op: str) -> Value:
        """An operator of one input: Abs, Cos, Exp, Floor, Log, Sin, Sqrt, Tan."""
        return self.writer.op(op, self)

    def to(self, kind: int) -> Value:
        return self.writer.op("Cast", self, to=kind, gives=kind)

    def reshape(self, *sizes: Operand) -> Value:
        shape = self.writer.shape(*sizes) if sizes else self.writer.constant(np.zeros(0), INT)
        return self.writer.op("Reshape", self, shape)

    def size(self, axis: int) -> Value:
        """The length of an axis, whole number ()."""
        return self.writer.op("Shape", self, start=axis, end=axis + 1, gives=INT).reshape()

    def transposed(self, *order: int) -> Value:
        return self.writer.op("Transpose", self, perm=list(order))

    def cut(self, axis: int, start: Operand = 0, stop: Operand = 1 << 62, step: Operand = 1) -> Value:
        """The elements start, start + step ... before stop along an axis."""
        sizes = [self.writer.shape(v) for v in (start, stop, axis, step)]
        return self.writer.op("Slice", self, *sizes)

    def take(self, index: Value, axis: int = 0) -> Value:
        return self.writer.op("Gather", self, index, axis=axis)

    def _reduced(self, op: str, axes: Sequence[int], keep: bool) -> Value:
        return self.writer.op(op, self, self.writer.constant(list(axes), INT), keepdims=int(keep))

    def sum(self, *axes: int, keep: bool = False) -> Value:
        """The sum along axes, or of all for none."""
        if not axes:
            return self.reshape(-1)._reduced("ReduceSum", (0,), keep)
        return self._reduced("ReduceSum", axes, keep)

    def mean(self, *axes: int, keep: bool = False) -> Value:
        """The mean along axes, or of all for none."""
        if not axes:
            return self.reshape(-1)._reduced("ReduceMean", (0,), keep)
        return self._reduced("ReduceMean", axes, keep)

    def best(self, axis: int) -> Value:
        """The index of the largest along an axis."""
        return self.writer.op("ArgMax", self, axis=axis, keepdims=0, gives=INT)

    def along(self, index: Value) -> Value:
        """The elements at an index (..., 1) along the last axis."""
        return self.writer.op("GatherElements", self, index, axis=-1)

    def falling(self, count: Operand) -> Value:
        """The `count` largest along the last axis, the largest first."""
        return self.writer.op("TopK", self, self.writer.shape(count), axis=-1, outputs=2)[0]

    def largest(self, rank: Operand) -> Value:
        """The rank-th largest along the last axis (..., 1)."""
        return self.falling(rank).cut(-1, -1)

    def percentile(self, percent: float) -> Value:
        """Of a list (m,), linear between its elements, as NumPy has it: (1,)."""
        last = self.size(0) - 1
        place = last.to(FLOAT) * (percent / 100)
        below = place.apply("Floor")
        high = self.falling(last + 1 - below.to(INT))
        at = high.size(0) - 1
        share = place - below
        return high.take(at.reshape(1)) * (1 - share) + high.take((at - 1).at_least(0).reshape(1)) * share

    def median(self, where: Value) -> Value:
        """Of the elements >= 0 along the last axis where a number is 1, not 0; 0 where there is none: (..., 1)."""
        where = self.writer.op("Expand", where, self.writer.op("Shape", self, gives=INT))
        count = where.sum(-1, keep=True).to(INT)
        most = self.writer.op("ReduceMax", count, keepdims=0)
        ranked = self.writer.where(where > 0.5, self, -1.0).falling(most // 2 + 1)
        middle = ranked.along((count - 1).at_least(0) // 2) + ranked.along(count // 2)
        return (middle / 2).at_least(0)
