"""ONNX files as bytes, with no onnx package: read and vetted at the door, and the forward part of a gradient model.

A model may come from anywhere: what ONNX Runtime gets to see names no other file and claims no memory it does not fill.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from fastmag.errors import InputError

# Field numbers of ModelProto, FunctionProto, GraphProto, NodeProto, AttributeProto, TensorProto and ValueInfoProto
# (onnx.proto).
GRAPH, FUNCTION, FUNCTION_NODE = 7, 25, 7
NODE, INITIALIZER, OUTPUT, SPARSE_INITIALIZER = 1, 5, 12, 15
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE = 5, 6, 10, 11, (22, 23)
TENSOR_DIMS, TENSOR_NAME, TENSOR_EXTERNAL, TENSOR_LOCATION, VALUE_NAME = 1, 8, 13, 14, 1
NUMBER, BYTES, WIDTHS = 0, 2, {1: 8, 5: 4}  # wire types: a number; a length, then that many bytes; fixed widths
WITH_SUBGRAPHS = {b"If", b"Loop", b"Scan", b"SequenceMap"}
MOST_AXES = 64
LARGEST = 2_000_000_000  # bytes of a model: the format's limit is 2 GiB


def read(path: str | Path) -> bytes:
    """The content of a model's file. Raises InputError for what is no file of a possible size."""
    path = Path(path)
    try:
        size = path.stat().st_size
        if not path.is_file() and not path.is_dir():
            raise InputError(f"cannot read {path}: it is no regular file; give the path of an ONNX file")
        if size > LARGEST:
            raise InputError(f"{path} has {size / 1e9:.1f} GB, more than an ONNX model can have; give another file")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}; give the path of an ONNX file") from error


def vet(content: bytes, name: str, outside: bool = False) -> None:
    """Raise InputError, with the model's name, for bytes that ONNX Runtime should not get to see.

    Those are what is no protobuf message, weights in another file (unless `outside`), weights that claim more elements
    than they have bytes for, and sparse weights.
    """
    try:
        outputs(content)
        for problem in _problems(content):
            if problem is not OUTSIDE or not outside:
                raise InputError(f"{name} {problem}; export it again")
    except (IndexError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} is not an ONNX model, or is damaged; export it again") from error


def keeps_weights_outside(content: bytes) -> bool:
    """Whether a model has weights in other files; False for what is no model."""
    try:
        return any(problem is OUTSIDE for problem in _problems(content))
    except (IndexError, RecursionError, ValueError):
        return False


def outputs(content: bytes) -> set[str]:
    """The names of a model's outputs; IndexError or ValueError where it is none."""
    graphs = [value for number, _, value in _fields(content) if number == GRAPH]
    ends = [value for graph in graphs for number, _, value in _fields(graph) if number == OUTPUT]
    return {_name(end, VALUE_NAME).decode(errors="replace") for end in ends}


OUTSIDE = "keeps its weights in another file"


def _problems(content: bytes) -> Iterator[str]:
    for number, _, value in _fields(content):
        if number == GRAPH:
            yield from _graph_problems(value)
        elif number == FUNCTION:
            for field, _, node in _fields(value):
                if field == FUNCTION_NODE:
                    yield from _node_problems(node)


def _graph_problems(graph: bytes) -> Iterator[str]:
    for number, _, value in _fields(graph):
        if number == NODE:
            yield from _node_problems(value)
        elif number == INITIALIZER:
            yield from _tensor_problems(value)
        elif number == SPARSE_INITIALIZER:
            yield "has sparse weights"


def _node_problems(node: bytes) -> Iterator[str]:
    for number, _, attribute in _fields(node):
        if number != NODE_ATTRIBUTE:
            continue
        for kind, _, value in _fields(attribute):
            if kind in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
                yield from _tensor_problems(value)
            elif kind in (ATTRIBUTE_GRAPH, ATTRIBUTE_GRAPHS):
                yield from _graph_problems(value)
            elif kind in ATTRIBUTE_SPARSE:
                yield "has sparse weights"


def _tensor_problems(tensor: bytes) -> Iterator[str]:
    dims: list[int] = []
    for number, whole, value in _fields(tensor):
        if number == TENSOR_DIMS:
            dims += _numbers(value) if value else [_value(whole)]
        elif number == TENSOR_EXTERNAL or (number == TENSOR_LOCATION and _value(whole)):
            yield OUTSIDE
            return
    if len(dims) > MOST_AXES:
        yield f"has a weight with {len(dims)} axes"
    elif any(n >= 1 << 63 for n in dims):
        yield f"has a weight of a negative size ({_name(tensor, TENSOR_NAME).decode(errors='replace')!r})"
    elif math.prod(dims) > 2 * len(tensor):  # half a byte is the least that an element takes
        named = _name(tensor, TENSOR_NAME).decode(errors="replace")
        yield f"has a weight that claims {math.prod(dims):.3g} elements in {len(tensor)} bytes ({named!r})"


def part_for(content: bytes, output: str) -> bytes:
    """A serialised ONNX model with only the nodes and weights that one of its outputs needs.

    ONNX Runtime computes every node of a graph whatever output is asked for, so that y alone wants a graph of its own.
    content: a whole, valid model. A model with operators that contain graphs comes back as it is.
    """
    model = list(_fields(content))
    graph = next(value for number, _, value in model if number == GRAPH)
    fields = list(_fields(graph))
    needed, nodes = {output.encode()}, set()
    for i, (number, _, value) in reversed(list(enumerate(fields))):
        if number == NODE:
            parts = list(_fields(value))
            if any(n == NODE_OPERATOR and v in WITH_SUBGRAPHS for n, _, v in parts):
                return content
            if needed & {v for n, _, v in parts if n == NODE_OUTPUT}:
                needed |= {v for n, _, v in parts if n == NODE_INPUT}
                nodes.add(i)
    kept = b"".join(
        whole
        for i, (number, whole, value) in enumerate(fields)
        if (number != NODE or i in nodes)
        and (number != INITIALIZER or _name(value, TENSOR_NAME) in needed)
        and (number != OUTPUT or _name(value, VALUE_NAME) == output.encode())
    )
    return b"".join(_packed(kept) if number == GRAPH else whole for number, whole, _ in model)


def _name(message: bytes, field: int) -> bytes:
    return next((value for number, _, value in _fields(message) if number == field), b"")


def _packed(graph: bytes) -> bytes:
    """A graph as the field of a model."""
    length, n = bytearray(), len(graph)
    while n > 127:
        length.append(n & 127 | 128)
        n >>= 7
    length.append(n)
    return bytes([GRAPH << 3 | BYTES]) + bytes(length) + graph


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(field number, the field as it stands, its content) of a protobuf message; the content of a number is empty.

    Raises IndexError or ValueError where that is no protobuf message.
    """
    at = 0
    while at < len(message):
        start = at
        key, at = _number(message, at)
        content = b""
        if key & 7 == BYTES:
            length, at = _number(message, at)
            content = message[at : at + length]
            at += length
        elif key & 7 == NUMBER:
            _, at = _number(message, at)
        elif key & 7 in WIDTHS:
            at += WIDTHS[key & 7]
        else:
            raise ValueError(f"wire type {key & 7}")
        if at > len(message):
            raise ValueError("the message ends early")
        yield key >> 3, message[start:at], content


def _value(field: bytes) -> int:
    """The number that a field, as it stands, holds."""
    return _number(field, _number(field, 0)[1])[0]


def _numbers(message: bytes) -> list[int]:
    """Variable-length numbers side by side."""
    values, at = [], 0
    while at < len(message):
        value, at = _number(message, at)
        values.append(value)
    return values


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
