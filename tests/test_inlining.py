"""Functions of a model: put in their places; those that would fill the memory, or never end, are refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.inlining import MOST_NODES
from fastmag.export.parity import run_float32

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("d", 1)]


def model(nodes: list[onnx.NodeProto], functions: list[onnx.FunctionProto] | None = None) -> onnx.ModelProto:
    """X (batch, 4), through nodes that end in "q", summed up."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n]) for name, n in (("X", 4), ("y", 1))]
    weight = numpy_helper.from_array(np.ones((4, 1), np.float32), "w")
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["q", "w"], ["y"])], "g", ends[:1], ends[1:], [weight]
    )
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=9, functions=functions or [])


def function(name: str, *calls: str) -> onnx.FunctionProto:
    """One that passes x through calls of others, or doubles it."""
    ways = pairwise(["x", *(f"m{i}" for i in range(len(calls) - 1)), "y"])
    nodes = [helper.make_node(call, [a], [b], domain="d") for call, (a, b) in zip(calls, ways, strict=False)]
    nodes = nodes or [helper.make_node("Add", ["x", "x"], ["y"])]
    return helper.make_function("d", name, ["x"], ["y"], nodes, OPSETS)


def doubling(levels: int) -> onnx.ModelProto:
    """A chain of functions that each call the one before twice: 2^levels nodes."""
    chain = [function(f"f{k}", *[f"f{k - 1}"] * 2 if k else []) for k in range(levels + 1)]
    return model([helper.make_node(f"f{levels}", ["X"], ["q"], domain="d")], chain)


def test_functions_are_put_in_their_places() -> None:
    X = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_array_equal(run_float32(gradient_model(doubling(3)), X)["G"], np.full((2, 4), 2.0**8))


@pytest.mark.parametrize("levels", [14, 40, 2000])
def test_functions_that_grow_without_end(levels: int) -> None:
    with pytest.raises(InputError, match="nodes, expected at most 10,000"):
        gradient_model(doubling(levels))


def test_functions_that_call_themselves() -> None:
    for functions in ([function("a", "a")], [function("a", "b"), function("b", "c"), function("c", "b")]):
        with pytest.raises(InputError, match="calls itself"):
            gradient_model(model([helper.make_node("a", ["X"], ["q"], domain="d")], functions))


def test_nodes_without_end() -> None:
    names = ["X", *(f"t{i}" for i in range(MOST_NODES)), "q"]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)]
    with pytest.raises(InputError, match=r"has 10,002 nodes, expected at most 10,000"):
        gradient_model(model(nodes))


@pytest.mark.parametrize("source", ["X", "w2", "n"], ids=["of X", "of a weight", "of a shape"])
def test_what_is_used_twice_again_and_again_takes_no_longer(source: str) -> None:
    """Sixty doublings in a row: whether one is constant is asked once, not 2^60 times."""
    names = [source, *(f"t{i}" for i in range(59))]
    doublings = [helper.make_node("Add", [a, a], [b]) for a, b in pairwise([*names, "z"])]
    first = [helper.make_node("Shape", ["X"], ["n"], start=1)] if source == "n" else []
    if source == "w2":
        first = [helper.make_node("Constant", [], ["w2"], value_float=1.0)]
    last = helper.make_node("Cast", ["z"], ["c"], to=TensorProto.FLOAT)
    net = model([*first, *doublings, last, helper.make_node("Mul", ["X", "c"], ["q"])])
    G = run_float32(gradient_model(net), np.ones((1, 4), np.float32))["G"]
    np.testing.assert_array_equal(G, np.full((1, 4), {"X": 2.0, "w2": 1.0, "n": 4.0}[source] * 2.0**60))


def test_a_chain_of_constants_of_any_length() -> None:
    names = ["w2", *(f"t{i}" for i in range(4000))]
    chain = [helper.make_node("Neg", [a], [b]) for a, b in pairwise(names)]
    first = helper.make_node("Constant", [], ["w2"], value_float=3.0)
    net = model([first, *chain, helper.make_node("Mul", ["X", names[-1]], ["q"])])
    G = run_float32(gradient_model(net), np.ones((1, 4), np.float32))["G"]
    np.testing.assert_array_equal(G, np.full((1, 4), 3.0))
