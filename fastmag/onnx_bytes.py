"""The forward part of a gradient model, cut out of the file's bytes: no onnx package needed where networks only run.

ONNX Runtime computes every node of a graph whatever output is asked for, so that y alone wants a graph of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

# Field numbers of ModelProto, GraphProto, NodeProto, TensorProto and ValueInfoProto (onnx.proto).
GRAPH, NODE, INITIALIZER, OUTPUT = 7, 1, 5, 12
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR = 1, 2, 4
TENSOR_NAME, VALUE_NAME = 8, 1
BYTES = 2  # wire type: a length, then that many bytes
WITH_SUBGRAPHS = {b"If", b"Loop", b"Scan", b"SequenceMap"}


def part_for(content: bytes, output: str) -> bytes:
    """A serialised ONNX model with only the nodes and weights that one of its outputs needs.

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
    """(field number, the field as it stands, its content) of a protobuf message; the content of a number is empty."""
    at = 0
    while at < len(message):
        start = at
        key, at = _number(message, at)
        content = b""
        if key & 7 == BYTES:
            length, at = _number(message, at)
            content = message[at : at + length]
            at += length
        elif key & 7 == 0:
            _, at = _number(message, at)
        else:
            at += 8 if key & 7 == 1 else 4
        yield key >> 3, message[start:at], content


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A variable-length number and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
