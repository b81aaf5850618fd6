"""fastmag export: whole networks from PyTorch to gradient.onnx and ascent.onnx, and the command."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from click.testing import CliRunner
from nets import Net, conv
from test_autodiff_graphs import small_net
from torch import nn
from torch_nets import ResNet18, UNet, Video

from fastmag import __version__
from fastmag.ascent import ascend
from fastmag.commands.export import export
from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.graphs import ascent_model, write_all
from fastmag.export.onnx_files import save, to_onnx
from fastmag.export.parity import check_parity, run_float32
from fastmag.gradients import InputGradient
from fastmag.kernels import cpu
from fastmag.params import RULES

GAMMA = 3e-3


def climbed(path: Path, X: np.ndarray, n_steps: int, step_size: float = GAMMA) -> np.ndarray:
    """What an ascent file makes of X."""
    run = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    inputs = {"X": X, "step_size": np.array(step_size, np.float32), "n_steps": np.array(n_steps)}
    return np.asarray(run.run(["X_N"], inputs)[0])


def samples(n: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((n, *shape))).astype(np.float32)


@pytest.mark.parametrize("kind", [ResNet18, UNet, Video])
def test_networks_from_torch(kind: Any, tmp_path: Path) -> None:
    """From the module to both files: gradient against torch, ascent against fastmag.ascent on that gradient."""
    torch.manual_seed(0)
    module = kind().train()
    with torch.no_grad():
        module(torch.randn(8, *kind.shape))  # gives the batch norms their statistics
    to_onnx(module, kind.shape, tmp_path / "net.onnx")
    files = write_all(tmp_path / "net.onnx", tmp_path / "out")
    assert [f.path for f in files] == [tmp_path / "out/gradient.onnx", tmp_path / "out/ascent.onnx"]
    network = (tmp_path / "net.onnx").stat().st_size
    for file in files:
        assert file.size == file.path.stat().st_size < 2 * network
        model = onnx.load(file.path)
        onnx.checker.check_model(model, full_check=True)
        assert {o.domain for o in model.opset_import} == {""}
        assert model.producer_version == __version__
        told = {p.key: p.value for p in model.metadata_props}
        assert told["source_sha256"] == hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    check_parity(module, onnx.load(files[0].path), samples(2, kind.shape).astype(np.float64))
    gradient = InputGradient(files[0].path, threads=1)
    for n, n_steps in ((1, 2), (3, 6)):
        X = samples(n, kind.shape, seed=n)
        want = ascend(X, gradient.gradient, cpu, step_size=GAMMA, n_steps=n_steps, rule="sign") - X
        got = climbed(files[1].path, X, n_steps) - X
        errors = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(got, want, strict=True)]
        assert np.median(errors) < 1e-4 and np.abs(want).max() > GAMMA


@pytest.mark.parametrize("rule", RULES)
def test_ascent_rules(rule: str, tmp_path: Path) -> None:
    net = small_net(seed=1)
    gradient = gradient_model(net.model(), share=True)
    save(ascent_model(gradient, rule), tmp_path / "ascent.onnx")
    slope = InputGradient(gradient, threads=1)
    X = 10 * samples(5, net.shape)
    X[2, 0] = 0
    y = slope.predict(X)
    assert y.min() < 0 < y.max(), "both signs of y"
    for n_steps in (1, 2, 20):
        want = ascend(X, slope.gradient, cpu, step_size=GAMMA, n_steps=n_steps, rule=rule)
        got = climbed(tmp_path / "ascent.onnx", X, n_steps)
        np.testing.assert_allclose(got, want, atol=1e-5 * max(np.abs(want - X).max(), 1e-3))
        assert n_steps == 1 or np.abs(want - X).max() > GAMMA / 2
    np.testing.assert_array_equal(climbed(tmp_path / "ascent.onnx", X, 0), X)
    if rule == "sign":
        np.testing.assert_array_equal(got[2, 0], 0)
    assert np.abs(climbed(tmp_path / "ascent.onnx", X, 2, 2 * GAMMA) - X).max() > GAMMA


def test_a_zero_gradient_stays(tmp_path: Path) -> None:
    """Where no unit is active the mean of |G| is zero: X stays, and is not NaN."""
    net = Net((2, 5, 5))
    name = net.op("Relu", conv(net, "X", (3, 2, 3, 3), bias=False), torch=torch.relu)
    net.op("ReduceSum", name, net.constant(np.array([1, 2, 3])), torch=lambda x: x.sum((1, 2, 3)), keepdims=0, out="y")
    save(ascent_model(gradient_model(net.model())), tmp_path / "ascent.onnx")
    X = np.concatenate([np.zeros((1, 2, 5, 5), np.float32), samples(1, net.shape)])
    got = climbed(tmp_path / "ascent.onnx", X, 3)
    np.testing.assert_array_equal(got[0], X[0])
    assert np.isfinite(got).all() and np.any(got[1] != X[1])


def test_names_in_the_network_do_not_matter(tmp_path: Path) -> None:
    """Tensors called as those of the ascent itself."""
    net = small_net()
    model, plain = net.model(), ascent_model(gradient_model(net.model(), share=True))
    made = [name for node in model.graph.node for name in node.output if name != "y"]
    taken = ["x", "x_next", "X_N", "step_size", "n_steps", "size", "one", "go", "i"]
    mapping = dict(zip(made, taken, strict=False))
    for node in model.graph.node:
        node.input[:] = [mapping.get(n, n) for n in node.input]
        node.output[:] = [mapping.get(n, n) for n in node.output]
    for name, graph in (("plain", plain), ("named", ascent_model(gradient_model(model, share=True)))):
        save(graph, tmp_path / f"{name}.onnx")
    X = samples(2, net.shape)
    np.testing.assert_array_equal(climbed(tmp_path / "named.onnx", X, 4), climbed(tmp_path / "plain.onnx", X, 4))


def test_weights_are_stored_once() -> None:
    """Groups, strides and dense layers in both orders: each weight of some size is in the file once."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 32, 3, groups=2), nn.BatchNorm2d(32), nn.SELU(), nn.AvgPool2d(2),
        nn.Conv2d(32, 32, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(288, 16), nn.ReLU(), nn.Linear(16, 1),
    )  # fmt: skip
    forward = to_onnx(module.eval(), (3, 20, 20))
    once, twice = gradient_model(forward, share=True), gradient_model(forward)
    size = len(forward.SerializeToString())
    assert len(once.SerializeToString()) < 1.1 * size < 1.2 * size < len(twice.SerializeToString())
    X = samples(2, (3, 20, 20))
    np.testing.assert_array_equal(run_float32(once, X)["G"], run_float32(twice, X)["G"])


# The command


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return save(small_net().model(), tmp_path / "net.onnx")


def test_command(network: Path) -> None:
    out = network.parent / "a" / "b"
    done = CliRunner().invoke(export, [str(network), str(out), "--rule", "l1"], catch_exceptions=False)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert len(lines) == 2 and str(out / "gradient.onnx") in lines[0] and "X (batch, 3, 8, 9) -> G" in lines[0]
    assert "step_size, n_steps -> X_N (batch, 3, 8, 9)" in lines[1] and " MB " in lines[1]
    assert sorted(p.name for p in out.iterdir()) == ["ascent.onnx", "gradient.onnx"]
    first = (out / "ascent.onnx").read_bytes()
    with pytest.raises(InputError, match="already exists"):
        write_all(network, out)
    assert (out / "ascent.onnx").read_bytes() == first
    write_all(network, out, overwrite=True)
    assert (out / "ascent.onnx").read_bytes() != first  # Eq. 3 is another graph
    write_all(network, out, rule="l1", overwrite=True)
    assert (out / "ascent.onnx").read_bytes() == first  # the same source, the same bytes


def test_nothing_is_written_over_the_input(network: Path) -> None:
    own = network.rename(network.with_name("gradient.onnx"))
    before = own.read_bytes()
    with pytest.raises(InputError, match="is the input itself"):
        write_all(own, own.parent, overwrite=True)
    assert own.read_bytes() == before and len(list(own.parent.iterdir())) == 1


def test_folders_that_cannot_be(network: Path) -> None:
    with pytest.raises(InputError, match="cannot be made"):
        write_all(network, network)
    with pytest.raises(InputError, match="rule must be"):
        write_all(network, network.parent / "out", rule="up")
    assert not (network.parent / "out").exists()


def test_the_gradient_serves_magnify(network: Path) -> None:
    """What was exported loads as a network; exported again it is refused for what it is."""
    gradient, _ = write_all(network, network.parent / "out")
    assert InputGradient(gradient.path, threads=1).shape == (3, 8, 9)
    with pytest.raises(InputError, match="gradient already"):
        write_all(gradient.path, network.parent / "again")
