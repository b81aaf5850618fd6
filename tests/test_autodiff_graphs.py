"""The gradient graph as a graph: its shape and economy, whole networks from torch, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from nets import Net, conv, ints
from onnx import TensorProto, helper, numpy_helper
from test_autodiff import check
from torch import nn

from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.onnx_files import load, save, to_onnx
from fastmag.export.parity import as_float64, check_parity, evaluate, finite_difference, run_float32


def small_net(seed: int = 0, opset: int = 20) -> Net:
    """Two convolutions, a pooling and a dense layer: (3, 8, 9) -> 1."""
    net = Net((3, 8, 9), seed, opset)
    x = net.op("Relu", conv(net, "X", (8, 3, 3, 3), padding=[(1, 1), (1, 1)]), torch=torch.relu)
    x = net.op("Relu", conv(net, x, (6, 8, 3, 3)), torch=torch.relu)
    x = net.op("AveragePool", x, torch=lambda t: F.avg_pool2d(t, 2), kernel_shape=[2, 2], strides=[2, 2])
    return net.head(x, curved=True)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_names_opset_and_batch_stay() -> None:
    forward = small_net(opset=17).model()
    model = gradient_model(forward)
    assert [i.name for i in model.graph.input] == ["X"]
    assert [o.name for o in model.graph.output] == ["G", "y"]
    assert model.opset_import[0].version == 17
    for value in (model.graph.input[0], model.graph.output[0]):
        assert [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] == ["batch", 3, 8, 9]
    X = np.random.default_rng(0).standard_normal((5, 3, 8, 9)).astype(np.float32)
    whole = run_float32(model, X)["G"]
    for n in (1, 2):
        np.testing.assert_allclose(run_float32(model, X[:n])["G"], whole[:n], rtol=1e-5, atol=1e-6)


def test_graph_is_lean() -> None:
    """No dead nodes, no Where, pool scales inside the weights, matrix-like convolutions but for the input layer."""
    model = gradient_model(small_net().model())
    used = {name for node in model.graph.node for name in node.input} | {"G", "y"}
    assert all(used & set(node.output) for node in model.graph.node)
    assert {i.name for i in model.graph.initializer} <= used
    found = kinds(model)
    assert "Where" not in found and "Identity" not in found
    assert found.count("Conv") == 3 and found.count("ConvTranspose") == 1 and found.count("Resize") == 1
    assert found.count("Mul") == 4  # one for each mask, one for the slope of tanh, its square: none for the pool


def test_graph_avoids_what_the_runtime_does_slowly() -> None:
    """Elu, whose exponential serves both ways, and means over tiles of few channels; the scale of those is applied
    before the cotangent grows."""
    net = Net((4, 8, 9), 0)
    x = net.op("AveragePool", "X", torch=lambda t: F.avg_pool2d(t, 2), kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Elu", conv(net, x, (8, 4, 3, 3)), torch=lambda t: F.elu(t, 1.5), alpha=1.5)
    x = net.op("AveragePool", x, torch=lambda t: F.avg_pool2d(t, 2), kernel_shape=[2, 2], strides=[2, 2])
    net.head(x, curved=True)
    model = check(net)
    found = kinds(model)
    assert "Elu" not in found and found.count("Exp") == 1
    assert found.count("AveragePool") == 1, "of eight channels it stays"
    grown = [n for n in model.graph.node if n.op_type == "Resize"][-1]
    assert [n.op_type for n in model.graph.node if n.output[0] == grown.input[0]] == ["Mul"]


def test_forward_keeps_its_own_bits() -> None:
    net = small_net()
    X = net.random.standard_normal((2, *net.shape)).astype(np.float32)
    np.testing.assert_array_equal(run_float32(gradient_model(net.model()), X)["y"], run_float32(net.model(), X)["y"])


def test_names_that_collide() -> None:
    """Other tensors called G, y, X or like ours lose their names, not their meaning."""
    net = Net((4,))
    net.op("Tanh", "X", torch=torch.tanh, out="d_mul")
    net.op("Sigmoid", "d_mul", torch=torch.sigmoid, out="G")
    net.head("G", curved=False)
    model = net.model()
    check(net)
    mapping = {"X": "y", "d_mul": "X", "y": "out"}
    for node in model.graph.node:
        node.input[:] = [mapping.get(n, n) for n in node.input]
        node.output[:] = [mapping.get(n, n) for n in node.output]
    model.graph.input[0].name, model.graph.output[0].name = "y", "out"
    X = net.random.standard_normal((2, 4)).astype(np.float32)
    for name, value in run_float32(gradient_model(model), X).items():
        np.testing.assert_array_equal(value, run_float32(gradient_model(net.model()), X)[name])


def test_dead_branches_are_dropped() -> None:
    """A branch that y does not need is left out, even one without a rule."""
    net = small_net()
    net.op("Asinh", "X", torch=torch.asinh)
    assert "Asinh" not in kinds(check(net))


def test_weights_computed_from_constants() -> None:
    """A transposed weight, a Constant node and an initialiser that is listed among the inputs (old exporters)."""
    net = Net((4,))
    turned = net.op("Transpose", net.weight(3, 4), torch=lambda w: w.T, perm=[1, 0])
    name = net.op("MatMul", "X", turned, torch=torch.matmul)
    net.head(net.op("Tanh", name, torch=torch.tanh), curved=False)
    check(net)
    model = net.model()
    first = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(first.name, TensorProto.FLOAT, first.dims))
    last = model.graph.initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], [last.name], value=last))
    X = net.random.standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_array_equal(
        run_float32(gradient_model(model), X)["G"], run_float32(gradient_model(net.model()), X)["G"]
    )


def test_linear_network() -> None:
    """A gradient that does not depend on X is still one for each sample."""
    net = Net((3, 6, 6))
    net.head(conv(net, conv(net, "X", (6, 3, 3, 3)), (4, 3, 3, 3), groups=2, stride=[2, 2]), curved=False)
    check(net)


def test_ties_of_max_pool_go_to_the_first() -> None:
    net = Net((2, 4, 4))
    pooled = net.op(
        "MaxPool", "X", torch=lambda x: F.max_pool2d(x, 2, return_indices=False), kernel_shape=[2, 2], strides=[2, 2]
    )
    net.head(pooled, curved=False)
    X = np.ones((3, 2, 4, 4), np.float32)
    x = torch.tensor(X.astype(np.float64), requires_grad=True)
    (G,) = torch.autograd.grad(net(x).sum(), x)
    np.testing.assert_allclose(run_float32(gradient_model(net.model()), X)["G"], G.numpy(), rtol=1e-6)


def test_axes_as_attributes() -> None:
    """ReduceMean took its axes as an attribute up to opset 17."""
    net = Net((4, 5), opset=13)
    net.head(net.op("ReduceMean", "X", axes=[-1], keepdims=0, torch=lambda x: x.mean(-1)), curved=True)
    check(net)


def test_output_may_be_flat() -> None:
    net = Net((4,))
    name = net.op("Tanh", "X", torch=torch.tanh)
    net.op("ReduceSum", name, ints(net, 1), keepdims=0, torch=lambda x: x.sum(1), out="y")
    assert check(net).graph.output[1].type.tensor_type.shape.dim.__len__() == 1


class Frames(nn.Module):
    """A network with most of what torch emits for such networks: SELU, SiLU, batch norm, residuals, pools, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6), nn.SELU())
        self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding="same", groups=2), nn.SiLU(), nn.Dropout2d(0.5))
        self.last = nn.Linear(6 * 2 * 2 + 6, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = x + self.second(x)
        x = torch.cat([F.max_pool2d(F.relu6(x), 3).flatten(1), x.mean((2, 3))], 1)
        return self.out(F.leaky_relu(self.last(x), 0.1))[:, 0]


def test_network_from_torch(tmp_path: Any) -> None:
    torch.manual_seed(0)
    module = Frames().train()
    module(torch.randn(8, 4, 13, 12))  # gives the batch norm its statistics
    to_onnx(module, (4, 13, 12), tmp_path / "net.onnx")
    assert module.training
    stored = (tmp_path / "net.onnx").read_bytes()
    assert b".py" not in stored and not list(tmp_path.glob("*.part"))
    gradient = gradient_model(tmp_path / "net.onnx")
    X = np.random.default_rng(0).standard_normal((4, 4, 13, 12))
    parity = check_parity(module, gradient, X)
    assert parity.gradient < 1e-6 and parity.finite < 1e-6
    with torch.no_grad():
        module.out.weight[0, 3] += 0.1
    with pytest.raises(RuntimeError, match="disagrees with torch"):
        check_parity(module, gradient, X)


def test_finite_differences_see_a_wrong_gradient() -> None:
    net = small_net()
    X, V = net.random.standard_normal((2, 4, *net.shape))
    double = as_float64(gradient_model(net.model()))
    slopes = finite_difference(lambda points: evaluate(double, points)["y"], X, V)
    G = evaluate(double, X)["G"]
    np.testing.assert_allclose(slopes, (G * V).sum((1, 2, 3)), rtol=1e-5)
    assert np.abs(slopes / (G[::-1] * V).sum((1, 2, 3)) - 1).min() > 0.01


# What is refused


def single(op: str, *constants: Any, domain: str = "", **attributes: Any) -> onnx.ModelProto:
    """X (batch, 4) -> op -> mean."""
    net = Net((4,))
    names = [net.constant(c) for c in constants]
    node = helper.make_node(op, ["X", *names], ["t"], name="culprit", domain=domain, **attributes)
    net.nodes = [node, helper.make_node("ReduceMean", ["t", ints(net, 1)], ["y"])]
    model = net.model()
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (single("Asinh"), ["Asinh", "culprit", "Conv", "Relu", "export again"]),
        (single("Relu", domain="org.example"), ["org.example.Relu", "culprit", "supported"]),
        (single("Softmax", axis=0), ["Softmax", "mixes the samples"]),
        (single("ReduceMax", np.array([1]), keepdims=1), ["ReduceMax", "culprit"]),
        (single("ReduceMean", np.array([0])), ["ReduceMean", "culprit", "mixes the samples"]),
        (single("Concat", np.zeros((3, 4)), axis=0), ["Concat", "culprit", "batch"]),
        (single("Pad", np.array([0, 2, 0, -1]), mode="reflect"), ["Pad", "culprit", "cuts and pads"]),
        (single("Slice", np.array([0]), np.array([1]), np.array([0])), ["Slice", "culprit", "batch"]),
        (single("Dropout", np.float32(0.5), np.bool_(True)), ["Dropout", "training"]),
        (single("Gemm", np.zeros((4, 4)), transA=1), ["Gemm", "not transposed"]),
    ],
    ids=lambda v: "" if isinstance(v, onnx.ModelProto) else v[0],
)
def test_refused(model: onnx.ModelProto, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        gradient_model(model)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text


def test_refused_as_a_whole() -> None:
    cases = []
    model = small_net(opset=20).model()
    model.opset_import[0].version = 11
    cases.append((model, "opset 11"))
    model = small_net().model()
    model.graph.input.append(helper.make_tensor_value_info("Z", TensorProto.FLOAT, ["batch", 2]))
    cases.append((model, "2 inputs"))
    model = small_net().model()
    model.graph.output.append(helper.make_tensor_value_info("t0", TensorProto.FLOAT, None))
    cases.append((model, "2 outputs"))
    model = small_net().model()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    cases.append((model, "fixed size"))
    model = small_net().model()
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    cases.append((model, "float32"))
    net = Net((4,))
    net.op("Tanh", "X", torch=torch.tanh, out="y")
    cases.append((net.model(), "scalar per sample"))
    net = Net((4,))
    net.op("ReduceSum", net.op("Sign", "X", torch=torch.sign), ints(net, 1), torch=lambda x: x.sum(1), out="y")
    cases.append((net.model(), "change smoothly"))
    net = Net((4,))
    net.op("MatMul", "X", net.weight(5, 1), torch=torch.matmul, out="y")
    cases.append((net.model(), "do not fit"))
    net = Net((2, 4))
    net.head(net.op("MatMul", "X", net.weight(4), torch=torch.matmul), curved=False)
    cases.append((net.model(), "second axis"))
    net = Net((2, 4, 4), opset=13)
    net.head(net.op("MaxPool", "X", torch=lambda x: F.max_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2]), False)
    cases.append((net.model(), "opset 16"))
    for model, words in cases:
        with pytest.raises(InputError, match=words) as caught:
            gradient_model(model)
        assert "\n" not in str(caught.value)


def test_bad_files(tmp_path: Any) -> None:
    (tmp_path / "text.onnx").write_text("no model\n")
    (tmp_path / "empty.onnx").write_bytes(b"")
    save(small_net().model(), tmp_path / "good.onnx")
    (tmp_path / "cut.onnx").write_bytes((tmp_path / "good.onnx").read_bytes()[:-100])
    outside = small_net().model()
    outside.graph.initializer[0].data_location = TensorProto.EXTERNAL
    (tmp_path / "outside.onnx").write_bytes(outside.SerializeToString())
    assert load(tmp_path / "good.onnx") == small_net().model()
    for name in ("text", "empty", "cut", "outside", "absent"):
        with pytest.raises(InputError, match=name):
            load(tmp_path / f"{name}.onnx")
    with pytest.raises(InputError, match="cannot read"):
        load(tmp_path)
    assert numpy_helper.to_array(load(tmp_path / "good.onnx").graph.initializer[0]).any()
