"""A model with the bodies of its functions in the places where they are called, if that does not make it too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx.inliner

from fastmag.errors import InputError

MOST_NODES = 10_000  # large networks have some thousand; ONNX Runtime takes minutes for the gradient of more

Call = tuple[str, str, str]  # what a node names a function by: domain, name, overload


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model without functions, or itself where it has none.

    Raises InputError where it has, or would have, more than MOST_NODES nodes: a chain of functions that each call the
    one before twice makes a million out of twenty. What else is wrong is raised by the onnx package.
    """
    sizes = _sizes(model)
    count = sum(sizes.get(_call(node), 1) for node in _nodes(model.graph.node))
    if count > MOST_NODES:
        raise InputError(
            f"the model has {f'{count:,}' if count < 10**9 else 'more than a billion'} nodes, expected at most "
            f"{MOST_NODES:,}; use a smaller network"
        )
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def _sizes(model: onnx.ModelProto) -> dict[Call, int]:
    """How many nodes a call of each function is worth. Raises InputError where one calls itself."""
    calls = {(f.domain, f.name, f.overload): [_call(n) for n in _nodes(f.node)] for f in model.functions}
    sizes: dict[Call, int] = {}
    begun: set[Call] = set()
    waiting = list(calls)
    while waiting:
        now = waiting[-1]
        missing = {call for call in calls[now] if call in calls and call not in sizes}
        if missing & begun:
            raise InputError(f"the model's function {now[1]!r} calls itself; export it again")
        if missing:
            begun.add(now)
            waiting += missing
            continue
        sizes[now] = sum(sizes.get(call, 1) for call in calls[now])
        begun.discard(now)
        waiting.pop()
    return sizes


def _call(node: onnx.NodeProto) -> Call:
    return node.domain, node.op_type, node.overload


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """These nodes and those of the graphs inside them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for a in node.attribute:
            for graph in [a.g, *a.graphs] if a.HasField("g") else a.graphs:
                waiting += graph.node
