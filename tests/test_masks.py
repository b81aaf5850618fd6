"""Masks of ReLU, as ONNX Runtime's CPU provider gets them."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from fastmag import models
from fastmag.providers.masks import steep
from fastmag.providers.ort import session


def operators(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def plain(content):
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def model(threshold=0.0, to=TensorProto.FLOAT, kept=False, more=()):
    """Y = Cast(X > threshold), and the comparison as an output, too, where it is `kept`."""
    nodes = [
        helper.make_node("Greater", ["X", "t"], ["g"]), helper.make_node("Cast", ["g"], ["Y"], to=to), *more,
    ]  # fmt: skip
    ends = [helper.make_tensor_value_info("Y", to, ["n"])]
    if kept:
        ends.append(helper.make_tensor_value_info("g", TensorProto.BOOL, ["n"]))
    weights = [numpy_helper.from_array(np.array(threshold, np.float32), "t")]
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph(nodes, "mask", [x], ends, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    made.ir_version = 10
    return made.SerializeToString()


def test_the_pulse_network_answers_the_same_to_the_bit():
    content = models.path("pulse_gradient").read_bytes()
    onnx.checker.check_model(onnx.load_from_string(steep(content)))
    assert operators(content).count("Cast") == operators(steep(content)).count("HardSigmoid") == 5
    assert not {"Greater", "Cast"} & set(operators(steep(content)))
    X = np.random.default_rng(0).standard_normal((3, 3, 36, 36)).astype(np.float32) * np.float32(3e-3)
    X[0] = 0
    fast = session(content, "pulse", "CPUExecutionProvider")
    for one, other in zip(plain(content).run(["y", "G"], {"X": X}), fast.run(["y", "G"], {"X": X}), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_mask_is_0_or_1_for_every_normal_number():
    small = np.finfo(np.float32).tiny
    X = np.float32([-np.inf, -1e38, -1, -small, -0.0, 0, small, 1e-20, 1, 1e38, np.inf])
    content = steep(model())
    assert operators(content) == ["HardSigmoid"]
    np.testing.assert_array_equal(plain(content).run(None, {"X": X})[0], [0] * 6 + [1] * 5)


@pytest.mark.parametrize("other", [{"threshold": 0.5}, {"to": TensorProto.DOUBLE}, {"kept": True}, {
    "more": (helper.make_node("Not", ["g"], ["h"]),)}])  # fmt: skip
def test_other_comparisons_stay(other):
    assert steep(model(**other)) == model(**other)


def test_a_model_with_inner_graphs_stays():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["Y"], ["z"])], "inner", [], [helper.make_tensor_value_info("z", 1, ["n"])]
    )
    chosen = helper.make_node("If", ["c"], ["w"], then_branch=inner, else_branch=inner)
    content = model(more=(helper.make_node("ReduceMax", ["g"], ["c"]), chosen))
    assert steep(content) == content and "Cast" in operators(content)
