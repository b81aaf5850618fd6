"""Training the respiration network: what it is shown, what it learns, and that what is exported is what was learned."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from fastmag import models, phase
from fastmag.cli import cli
from fastmag.errors import InputError
from fastmag.evaluation.breathing import waves
from fastmag.export import respiration, respiration_data, train
from fastmag.export.networks import FoldedRespiration, RespirationNet, counts
from fastmag.export.respiration import (
    RESPIRATION,
    RespirationPlan,
    loss_of,
    packed,
    train_respiration,
    turned,
    windows,
)
from fastmag.export.respiration_data import BreathFile
from fastmag.gradients import InputGradient
from fastmag.kernels import cpu
from fastmag.motion import lens, reading


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(respiration, "BATCH", 2)
    monkeypatch.setattr(train, "REPORT", 10)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def easy() -> list[BreathFile]:
    """Clips in whose lower half everything goes up and down with the breath, while all of the picture sways; every
    other one breathes upside down."""
    rng = np.random.default_rng(0)
    clips = []
    for index in range(6):
        y = 0.3 * np.sin(0.2 * np.arange(60) + rng.uniform(0, 6)).astype(np.float32)
        moved = rng.normal(0, 0.1, (60, 2, 32, 32)) + rng.normal(0, 2, (60, 2, 1, 1))
        sign = 1 if index % 2 else -1
        moved[:, 1, 16:] -= sign * y[:, None, None] / 0.3
        texture = rng.uniform(1, 3, (60, 2, 64, 64)) * np.where(np.arange(64) < 32, 1, 2)[:, None]
        clips.append(
            BreathFile(moved.astype(np.float16), texture.astype(np.float16), y, np.array([0.0, -sign]), "A", index == 5)
        )
    return clips


def picture(seed: int, shift: np.ndarray) -> np.ndarray:
    """Smooth noise (T, 123, 123) that moves by shift (T, 2), right and down, in samples."""
    rng = np.random.default_rng(seed)
    n = 123
    y, x = np.mgrid[:n, :n].astype(np.float64)
    out = np.zeros((len(shift), n, n))
    for _ in range(40):
        kx, ky = rng.normal(0, 1.2, 2)
        phase, size = rng.uniform(0, 6.28), rng.normal()
        for t, (dx, dy) in enumerate(shift):
            out[t] += size * np.cos(kx * (x - dx) + ky * (y - dy) + phase)
    return (100 + 10 * out).astype(np.float32)


@pytest.mark.parametrize(
    "flips", [(True, False, False), (False, True, False), (False, False, True), (True, True, True)]
)
def test_a_turned_input_is_that_of_a_turned_picture(flips):
    way = np.array([0.15, -0.08])
    small = picture(1, np.arange(3)[:, None] * way)
    other = small
    for flip, change in zip(flips, (lambda a: a[..., ::-1], lambda a: a[:, ::-1], lambda a: a.transpose(0, 2, 1)),
                            strict=True):  # fmt: skip
        other = change(other) if flip else other
    seen, real = (respiration_data.shown(np.ascontiguousarray(s)) for s in (small, other))
    moved, texture, turned_way = turned(*(torch.from_numpy(maps.astype(np.float32)) for maps in seen), way, flips)
    inside = (..., slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(moved.numpy()[inside], real[0][inside], atol=0.15)
    assert np.corrcoef(texture.numpy()[inside].ravel(), real[1][inside].ravel())[0, 1] > 0.9
    median = np.median(real[0][inside], axis=(0, 2, 3)) * lens.UNIT / 4
    np.testing.assert_allclose(median, turned_way, atol=0.02)  # a sample is 4 pixels of the square
    assert turned_way == pytest.approx({0: (-way[0], way[1]), 1: (way[0], -way[1]), 2: way[::-1]}.get(
        flips.index(True) if sum(flips) == 1 else 3, (-way[1], -way[0])))  # fmt: skip


def test_what_moves_is_labelled_in_pixels_of_the_square(tmp_path):
    options = {"task": "A", "size": (246, 246), "depth": 4.0, "noise": 0.0, "texture_rows": 128, "antialias": 1}
    small, y, way, task = respiration_data.make(5, 3.0, options)
    assert (small.shape, small.dtype, y.shape, task) == ((30, 123, 123), np.float32, (29,), "A")
    assert way[1] < -3 and abs(way[0]) < 1.5  # .35 cm at about 10 pixels a cm, upwards
    assert 1 < np.abs(y).max() < 10
    moved, texture = respiration_data.shown(small)
    assert (moved.shape, texture.shape) == ((29, 2, 32, 32), (29, 2, 64, 64))
    lower = -moved[:, 1, 20:].astype(float).mean((1, 2)) * RespirationNet.unit
    assert np.corrcoef(lower, y)[0, 1] > 0.9
    still = respiration_data.make(5, 3.0, options | {"depth": 0.0})[1]
    assert not still.any()


def test_luma_is_kept_within_a_step_of_its_packing():
    small = np.random.default_rng(0).uniform(-60, 440, (3, 123, 123)).astype(np.float32)
    kept = respiration_data.packed(small)
    assert kept.dtype == np.uint16
    np.testing.assert_allclose(respiration_data.unpacked(kept), small, atol=0.5 / 128 + 1e-4)


def test_the_data_are_the_same_again_and_vary(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, again = (respiration_data.render(folder, 5, 4, 3.0) for folder in (tmp_path / "one", tmp_path / "two"))
    one, two = (respiration_data.load(path, 5, 4) for path in (first, again))
    np.testing.assert_array_equal(one.moved, two.moved)
    np.testing.assert_array_equal(one.texture, two.texture)
    np.testing.assert_array_equal(one.y, two.y)
    drawn = [respiration_data.settings(1, i) for i in range(200)]
    assert 0.35 < np.mean([o["world"] == "any" for o in drawn]) < 0.65
    assert 0.05 < np.mean([o["depth"] == 0.0 for o in drawn]) < 0.2
    assert {o["size"][0] for o in drawn} == {246, 492}


def test_it_learns_whatever_the_sign(easy, tmp_path, monkeypatch):
    plan = RespirationPlan(steps=60, learning_rate=3e-3)
    torch.manual_seed(plan.seed)
    before = respiration.scores(RespirationNet(), easy, "cpu")["A"]
    network = train.learn(tmp_path, plan, easy, False, RESPIRATION)
    assert respiration.scores(network, easy, "cpu")["A"] > max(before, 0.9)
    guess, truth = torch.randn(2, 1, 20), torch.randn(2, 1, 20)
    torch.testing.assert_close(loss_of(guess, truth, 1.0), loss_of(guess, -truth, 1.0))
    assert loss_of(truth, -truth, 0.0) > 1.5 + float(loss_of(truth, -truth, 1.0))
    held = loss_of(torch.ones(2, 1, 20), torch.zeros(2, 1, 20), 1.0)
    assert 0.1 < float(held) < 1  # no breath: only the size of y counts
    both = loss_of(torch.cat([guess, truth], 1), truth.expand(-1, 2, -1), 1.0)  # of two loadings the better one counts
    assert float(both) == pytest.approx(0.25 * float(loss_of(guess, truth, 1.0)), rel=1e-4)


def test_a_batch_is_drawn_by_seed_and_step_alone(easy):
    plan = RespirationPlan(seed=3)
    x, y = windows(easy, plan, 7)
    again, _ = windows(easy, plan, 7)
    assert x.shape == (2, 8 + 2 * 60, 32, 32) and y.shape == (2, len(reading.LOADINGS), 60)
    torch.testing.assert_close(x, again)
    assert not torch.equal(x, windows(easy, plan, 8)[0])


def exported(network: RespirationNet, x: torch.Tensor) -> torch.Tensor:
    """y (B,) of X (B, 4, 128, 128), as the network itself sees it."""
    maps = torch.nn.functional.avg_pool2d(x, 2)
    moved, texture = maps[:, :2].clamp(-8, 8), maps[:, 2:]
    weight = (texture.sum(1, keepdim=True) ** 2 + 1 / 64**2).sqrt()
    moved = torch.nn.functional.avg_pool2d(moved * weight, 2) / torch.nn.functional.avg_pool2d(weight, 2)
    return (counts(*network.looks(texture)) * moved.flatten(2)).sum((1, 2)) * network.unit


def test_selu_folds_into_elu_exactly():
    torch.manual_seed(0)
    network = RespirationNet((8, 8, 8, 8), 16).double()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.normal_(layer.bias, std=0.3)
    folded = FoldedRespiration(network)
    x = 3 * torch.randn(5, 4, 128, 128, dtype=torch.float64)
    opposite = x * torch.tensor([-1.0, -1.0, 1.0, 1.0])[:, None, None]
    with torch.no_grad():
        torch.testing.assert_close(folded(x)[:, 0], exported(network, x), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(folded(opposite), -folded(x))
        torch.testing.assert_close(folded(torch.cat([0.5 * x[:, :2], x[:, 2:]], 1)), 0.5 * folded(x))
    assert not any(isinstance(layer, torch.nn.SELU) for layer in folded.modules())


def test_the_network_trains_behind_the_reading_that_is_used(easy):
    torch.manual_seed(1)
    network, clip = RespirationNet(), easy[0]
    moved, texture = (torch.from_numpy(maps.astype(np.float32)) for maps in (clip.moved, clip.texture))
    with torch.no_grad():
        y = network(packed(moved, texture[0])[None])[0]
        first = moved.flatten(1) @ counts(*network.looks(texture[:1])).flatten()
    maps = torch.cat([moved.repeat_interleave(2, -1).repeat_interleave(2, -2), texture[:1].expand(60, -1, -1, -1)], 1)
    fields = reading.field(maps.numpy())
    np.testing.assert_allclose(y, reading.calmed(first.numpy(), fields), rtol=1e-3, atol=1e-5)
    assert y.std() < 0.7 * first.std()


def test_one_command_renders_trains_and_writes_a_network(tmp_path):
    out = tmp_path / "run"
    asked = ["train", "respiration", str(out), "--clips", "4", "--seconds", "3", "--steps", "2", "--jobs", "2"]
    result = CliRunner().invoke(cli, asked)
    assert result.exit_code == 0, result.output
    assert "fastmag train respiration OUT --seed 0 --clips 4 --seconds 3 --steps 2" in result.output
    for name in ("respiration.onnx", "respiration_gradient.onnx", "respiration.md", "curve.csv", "curve.png"):
        assert (out / name).stat().st_size > 0
    network = RespirationNet()
    last = torch.load(out / "checkpoint.pt", weights_only=True)["mean"]
    early = torch.load(out / "early.pt", weights_only=True)
    assert any(not torch.equal(last[name], early[name]) for name in last)
    network.load_state_dict({name: 0.5 * (last[name] + early[name]) for name in last})
    x = np.random.default_rng(1).normal(0, 2, (3, *network.shape)).astype(np.float32)
    session = onnxruntime.InferenceSession(out / "respiration_gradient.onnx", providers=["CPUExecutionProvider"])
    y, G = session.run(["y", "G"], {"X": x})
    inputs = torch.from_numpy(x).requires_grad_()
    expected = exported(network, inputs)
    expected.sum().backward()
    np.testing.assert_allclose(y[:, 0], expected.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(G, inputs.grad.numpy(), atol=1e-6)
    operators = {node.op_type for node in onnx.load(out / "respiration.onnx").graph.node}
    assert "Elu" in operators and "Selu" not in operators
    with pytest.raises(InputError, match="another plan"):
        train_respiration(out, RespirationPlan(clips=12, seconds=3, steps=2), jobs=1, progress=False)


@pytest.mark.parametrize(
    ("options", "said"), [({"steps": 0}, "steps must be"), ({"clips": 1}, "clips must"), ({"seconds": 2.0}, "seconds")]
)
def test_bad_plans_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        RespirationPlan(**options)


def test_the_shipped_network_is_the_one_that_its_card_tells_of():
    session = onnxruntime.InferenceSession(models.path("respiration"), providers=["CPUExecutionProvider"])
    (name,), (out,) = ([v.name for v in session.get_inputs()], [v.name for v in session.get_outputs()])
    assert (name, out) == ("X", "y")
    assert list(session.get_inputs()[0].shape[1:]) == [4, 128, 128]
    x = np.random.default_rng(0).normal(0, 2, (2, 4, 128, 128)).astype(np.float32)
    opposite = x * np.array([-1, -1, 1, 1], np.float32)[:, None, None]
    (there,), (back,) = session.run(["y"], {"X": x}), session.run(["y"], {"X": opposite})
    np.testing.assert_allclose(there, -back, atol=1e-6)
    assert np.abs(there).max() > 1e-3
    weights = sum(int(np.prod(tensor.dims)) for tensor in onnx.load(models.path("respiration")).graph.initializer)
    card = models.path("respiration").with_suffix(".md").read_text()
    assert "fastmag train respiration OUT --seed 4" in card
    assert f"| weights | {sum(p.numel() for p in RespirationNet().parameters()):,} |" in card
    assert weights >= sum(p.numel() for p in RespirationNet().parameters())


def test_the_shipped_network_reads_a_person_better_than_the_lower_half():
    y, plain = [], []
    network = InputGradient(models.path("respiration_gradient"), threads=1, expect=phase.SHAPE)
    for seed in (4, 6, 7):
        settings = {"seconds": 14.0, "size": (246, 246), "antialias": 2, "texture_rows": 128, "detail": 0.5}
        small, breath = waves.seen(waves.Ask("D", seed, settings))
        read = waves.read(small, network, cpu)
        for found, r in zip(read, (y, plain), strict=True):
            r.append(waves.compare(found, breath, cpu)[0])
    assert np.median(y) > 0.6
    assert np.median(y) > np.median(plain) + 0.1
