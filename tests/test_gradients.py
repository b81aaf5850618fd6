"""InputGradient: what it answers, from which files, and what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from nets import Net, conv, ints, norm
from onnx import TensorProto, helper, numpy_helper

from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.onnx_files import save
from fastmag.export.parity import relative
from fastmag.gradients import InputGradient
from fastmag.onnx_bytes import part_for
from fastmag.providers.ort import CPU_BLOCK

SHAPE, MOST_SAMPLES = (3, 12, 10), CPU_BLOCK[1]


def network(seed: int = 0) -> Net:
    """A small pulse-like network: convolutions, batch norm, pooling and two dense layers."""
    net = Net(SHAPE, seed)
    x = net.op("Relu", conv(net, "X", (8, 3, 3, 3), padding=[(1, 1), (1, 1)]), torch=torch.relu)
    x = net.op("Relu", norm(net, conv(net, x, (8, 8, 3, 3)), 8), torch=torch.relu)
    x = net.op("AveragePool", x, torch=lambda t: F.avg_pool2d(t, 2), kernel_shape=[2, 2], strides=[2, 2])
    return net.head(x, curved=True)


def answers(net: Net, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y (B,) and dy/dX by torch in float64."""
    x = torch.tensor(X.astype(np.float64), requires_grad=True)
    y = net(x)
    (G,) = torch.autograd.grad(y.sum(), x)
    return y.detach().numpy().reshape(-1), G.numpy()


def samples(n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    save(network().model(), path / "net.onnx")
    save(gradient_model(network().model()), path / "net_gradient.onnx")
    return path


@pytest.mark.parametrize("kind", ["gradient path", "forward path", "bytes", "model", "text path"])
def test_any_form_of_model(folder: Path, kind: str) -> None:
    model: Any = {
        "gradient path": folder / "net_gradient.onnx",
        "forward path": folder / "net.onnx",
        "bytes": (folder / "net_gradient.onnx").read_bytes(),
        "model": network().model(),
        "text path": str(folder / "net.onnx"),
    }[kind]
    gradient = InputGradient(model, threads=1, expect=SHAPE)
    assert gradient.shape == SHAPE and gradient.provider == "cpu" and gradient.threads == 1
    X = samples(5)
    y, G = gradient.gradient(X)
    true_y, true_G = answers(network(), X)
    assert y.dtype == G.dtype == np.float32 and y.shape == (5,) and G.flags.c_contiguous
    np.testing.assert_allclose(y, true_y, rtol=1e-5, atol=1e-5)
    assert relative(G, true_G).max() < 1e-5
    np.testing.assert_array_equal(gradient(X), G)
    np.testing.assert_array_equal(gradient.predict(X), y)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, MOST_SAMPLES, 3 * MOST_SAMPLES + 5])
def test_batches_of_any_size(folder: Path, n: int, threads: int) -> None:
    X = samples(n)
    before = X.copy()
    gradient = InputGradient(folder / "net_gradient.onnx", threads=threads)
    y, G = gradient.gradient(X)
    true_y, true_G = answers(network(), X)
    assert y.shape == (n,) and G.shape == X.shape and gradient.predict(X).shape == (n,)
    np.testing.assert_allclose(y, true_y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(gradient.predict(X), true_y, rtol=1e-5, atol=1e-5)
    assert n == 0 or relative(G, true_G).max() < 1e-5
    np.testing.assert_array_equal(X, before)


def test_strided_input(folder: Path) -> None:
    """A view in another memory order is the same input."""
    X = samples(4)
    gradient = InputGradient(folder / "net_gradient.onnx", threads=1)
    view = np.ascontiguousarray(X.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(gradient(view), gradient(X))


def test_fixed_batch() -> None:
    """A network exported for a batch of 4 only."""
    model = network().model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    gradient = InputGradient(model, threads=2)
    X = samples(9)
    assert relative(gradient(X), answers(network(), X)[1]).max() < 1e-5
    np.testing.assert_allclose(gradient.predict(X), answers(network(), X)[0], rtol=1e-5, atol=1e-5)


def test_prediction_leaves_the_backward_part_out(folder: Path) -> None:
    content = (folder / "net_gradient.onnx").read_bytes()
    forward, whole = onnx.load_model_from_string(part_for(content, "y")), onnx.load_model_from_string(content)
    onnx.checker.check_model(forward, full_check=True)
    assert list(forward.graph.node) == list(network().model().graph.node)
    assert [o.name for o in forward.graph.output] == ["y"] and forward.opset_import == whole.opset_import
    used = {name for node in forward.graph.node for name in node.input}
    assert {i.name for i in forward.graph.initializer} <= used
    assert len(whole.graph.node) > len(forward.graph.node)


def test_graphs_within_nodes_are_left_alone() -> None:
    """An If may use tensors that its node does not list: nothing is cut from such a model."""
    branch = helper.make_graph(
        [helper.make_node("Identity", ["X"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, None)]
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("X", 1, ["batch", 1])],
        [helper.make_tensor_value_info(name, 1, None) for name in "yX"], [numpy_helper.from_array(np.array(True), "c")],
    )  # fmt: skip
    content = helper.make_model(graph).SerializeToString()
    assert part_for(content, "y") == content


# What is refused


def refused(model: Any, *words: str, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        InputGradient(model, threads=1, **options)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 800
    for word in words:
        assert word in text, text


def test_bad_files(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "net.onnx").read_bytes()
    files = {"empty": b"", "text": b"not a model at all\n" * 20, "cut": whole[: len(whole) // 2], "zeros": bytes(5000)}
    for name, content in files.items():
        (tmp_path / f"{name}.onnx").write_bytes(content)
        refused(tmp_path / f"{name}.onnx", name, "not an ONNX model", "export")
        refused(content, "not an ONNX model")
    refused(tmp_path / "absent.onnx", "absent.onnx", "No such file")
    refused(tmp_path, "directory")
    turned = bytearray(whole)
    turned[len(whole) // 2 :] = turned[: len(whole) // 2 - 1 : -1]
    refused(bytes(turned), "the ONNX model")


def test_bad_shapes(folder: Path) -> None:
    refused(folder / "net_gradient.onnx", "(3, 12, 10)", "expected (3, 36, 36)", expect=(3, 36, 36))
    refused(folder / "net.onnx", "net.onnx", "(3, 12, 10)", "expected (3, 36, 36)", expect=(3, 36, 36))
    wide = Net((4,))
    wide.op("Tanh", "X", torch=torch.tanh, out="y")
    refused(wide.model(), "scalar per sample")
    two = network().model()
    two.graph.output.append(helper.make_tensor_value_info("t0", TensorProto.FLOAT, None))
    refused(two, "2 outputs (y, t0)")
    for field, words in (("dim_param", "fixed size"), ("elem_type", "not float32")):
        model = single("Cast", to=1) if field == "elem_type" else network().model()
        kind = model.graph.input[0].type.tensor_type
        if field == "elem_type":
            kind.elem_type = TensorProto.INT64
        else:
            kind.shape.dim[2].dim_param = "height"
        refused(model, words)


def single(op: str, **attributes: Any) -> onnx.ModelProto:
    """X (batch, 4) -> op -> sum."""
    net = Net((4,))
    net.nodes = [
        helper.make_node(op, ["X"], ["t"], name="culprit", **attributes),
        helper.make_node("ReduceSum", ["t", ints(net, 1)], ["y"]),
    ]
    return net.model()


def test_operators_without_a_rule(tmp_path: Path) -> None:
    save(single("Asinh"), tmp_path / "odd.onnx")
    refused(tmp_path / "odd.onnx", "odd.onnx", "Asinh", "culprit", "supported", "Relu")
    strange = single("Wobble", domain="org.example")
    strange.opset_import.append(helper.make_opsetid("org.example", 1))
    refused(strange, "Wobble")


def wrong(change: Any) -> onnx.ModelProto:
    """The gradient model with something done to the last weight on the way to G, and to that use of it alone."""
    model = gradient_model(network().model())
    node = next(node for node in model.graph.node if "G" in node.output)
    weight = next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == node.input[1])
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(change(weight)), "changed"))
    node.input[1] = "changed"
    return model


@pytest.mark.parametrize(
    "change",
    [np.negative, lambda w: 1.5 * w, lambda w: w[:, :, ::-1], lambda w: w * 0, lambda w: w * [[[[1]], [[1]], [[0]]]],
     lambda w: w[:, ::-1]],
    ids=["negated", "scaled", "flipped", "zero", "a channel missing", "channels swapped"],
)  # fmt: skip
def test_wrong_gradients(change: Any) -> None:
    refused(wrong(lambda w: change(w).astype(np.float32)), "its G is off", "%", "gradient_model")


def test_gradient_of_another_network() -> None:
    model, other = gradient_model(network(0).model()), gradient_model(network(5).model())
    values = {i.name: i for i in other.graph.initializer}
    for tensor in model.graph.initializer:
        if tensor.name.startswith("d_"):
            tensor.CopyFrom(values[tensor.name])
    refused(model, "its G is off")


def test_right_gradient_passes_the_same_way() -> None:
    InputGradient(wrong(lambda w: w), threads=1)


def test_useless_networks() -> None:
    for value in (0.0, np.nan):
        model = network().model()
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                array = np.full_like(numpy_helper.to_array(tensor), value)
                tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        refused(model, "NaN" if np.isnan(value) else "does not change")


def test_without_the_onnx_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastmag.export.autodiff", None)
    refused(folder / "net.onnx", "net.onnx", "pip install 'fastmag[export]'")
    InputGradient(folder / "net_gradient.onnx", threads=1).predict(samples(2))


@pytest.mark.parametrize("threads", [0, -1, 1.5, "two"])
def test_bad_threads(folder: Path, threads: Any) -> None:
    with pytest.raises(InputError, match="threads"):
        InputGradient(folder / "net_gradient.onnx", threads=threads)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[0.0]], "list"),
        (samples(2).astype(np.float64), "float64"),
        (samples(2)[0], r"\(3, 12, 10\) float32"),
        (samples(2)[:, :, :-1], r"\(2, 3, 11, 10\)"),
        (np.float32(3), "float32"),
        (np.full((1, *SHAPE), np.nan, np.float32), "NaN"),
        (np.full((1, *SHAPE), -np.inf, np.float32), "infinite"),
    ],
    ids=["list", "float64", "no batch axis", "shape", "scalar", "NaN", "infinite"],
)
def test_bad_input(folder: Path, X: Any, words: str) -> None:
    gradient = InputGradient(folder / "net_gradient.onnx", threads=1)
    for f in (gradient, gradient.predict, gradient.gradient):
        with pytest.raises(InputError, match=words) as caught:
            f(X)
        assert "\n" not in str(caught.value)
