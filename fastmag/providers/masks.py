"""Masks of ReLU in the form that ONNX Runtime's CPU provider computes fastest.

A gradient model has Cast(Greater(x, 0)), which every provider answers rightly. The CPU provider leaves its blocked
layout for that; it need not for HardSigmoid, which with a steep slope is the same to the bit for all normal numbers.
"""

from __future__ import annotations

import struct

from fastmag.onnx_bytes import (
    GRAPH,
    INITIALIZER,
    NODE,
    NODE_ATTRIBUTE,
    NODE_INPUT,
    NODE_OPERATOR,
    NODE_OUTPUT,
    OUTPUT,
    TENSOR_DIMS,
    TENSOR_NAME,
    VALUE_NAME,
    WITH_SUBGRAPHS,
    fields,
    number_of,
    packed,
)  # fmt: skip

TENSOR_TYPE, TENSOR_RAW, FLOAT32 = 2, 9, 1
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
FLOAT_VALUE, KIND_FLOAT = b"\x15", b"\xa0\x01\x01"  # of an attribute: before its four bytes; that it is a float
STEEPEST = 3e38
Node = dict[int, list[bytes]]


def steep(content: bytes) -> bytes:
    """The same model with Cast(Greater(x, 0)) to float32 as HardSigmoid(x). content: a vetted model.

    A model with operators that contain graphs comes back as it is.
    """
    model = list(fields(content))
    graph = [field for number, _, value in model if number == GRAPH for field in fields(value)]
    nodes = [_parts(value) for number, _, value in graph if number == NODE]
    if any(_operator(node) in WITH_SUBGRAPHS for node in nodes):
        return content
    zeros = {_parts(value)[TENSOR_NAME][0] for number, _, value in graph if number == INITIALIZER and _is_zero(value)}
    compared = {
        node[NODE_OUTPUT][0]: node[NODE_INPUT][0]
        for node in nodes
        if _operator(node) == b"Greater" and node[NODE_INPUT][1] in zeros
    }
    used = [name for node in nodes for name in node.get(NODE_INPUT, [])]
    used += [_parts(value)[VALUE_NAME][0] for number, _, value in graph if number == OUTPUT]
    masks = {
        node[NODE_INPUT][0]: compared[node[NODE_INPUT][0]]
        for node in nodes
        if _casts(node) and node[NODE_INPUT][0] in compared and used.count(node[NODE_INPUT][0]) == 1
    }
    turned = b"".join(_turned(number, whole, value, masks) for number, whole, value in graph)
    return b"".join(packed(GRAPH, turned) if number == GRAPH else whole for number, whole, _ in model)


def _turned(number: int, whole: bytes, value: bytes, masks: dict[bytes, bytes]) -> bytes:
    """A field of the graph: nothing in place of a mask's comparison, HardSigmoid of its cast, all else as it stands."""
    if number != NODE:
        return whole
    node = _parts(value)
    if node[NODE_OUTPUT][0] in masks:
        return b""
    if not _casts(node) or node[NODE_INPUT][0] not in masks:
        return whole
    ends = packed(NODE_INPUT, masks[node[NODE_INPUT][0]]) + packed(NODE_OUTPUT, node[NODE_OUTPUT][0])
    shape = _float(b"alpha", STEEPEST) + _float(b"beta", 0.0)
    return packed(NODE, ends + packed(NODE_OPERATOR, b"HardSigmoid") + shape)


def _parts(message: bytes) -> Node:
    """The contents of a message's fields by number; of numbers, the whole field."""
    parts: Node = {}
    for number, whole, value in fields(message):
        parts.setdefault(number, []).append(value or whole)
    return parts


def _operator(node: Node) -> bytes:
    return node.get(NODE_OPERATOR, [b""])[0]


def _casts(node: Node) -> bool:
    """Whether a node is a cast to float32."""
    if _operator(node) != b"Cast":
        return False
    given = {part[ATTRIBUTE_NAME][0]: part for part in map(_parts, node.get(NODE_ATTRIBUTE, []))}
    return number_of(given[b"to"][ATTRIBUTE_INT][0]) == FLOAT32


def _is_zero(tensor: bytes) -> bool:
    """Whether a weight is one float32 number, 0."""
    parts = _parts(tensor)
    kind = number_of(parts[TENSOR_TYPE][0]) if TENSOR_TYPE in parts else 0
    return kind == FLOAT32 and TENSOR_DIMS not in parts and parts.get(TENSOR_RAW) == [bytes(4)]


def _float(name: bytes, value: float) -> bytes:
    """An attribute of a node."""
    return packed(NODE_ATTRIBUTE, packed(ATTRIBUTE_NAME, name) + FLOAT_VALUE + struct.pack("<f", value) + KIND_FLOAT)
