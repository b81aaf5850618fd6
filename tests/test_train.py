"""Training the pulse network: it learns, goes on where it stopped, and what it writes is what it learned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from fastmag.errors import InputError
from fastmag.export import pulse_data, train
from fastmag.export.networks import SCALE, Folded, PulseNet
from fastmag.export.pulse_data import TASKS, ClipFile, held_out
from fastmag.export.train import PULSE, Plan, learn, train_pulse


@pytest.fixture
def easy() -> list[ClipFile]:
    """Clips whose pulse is plain to see in the middle of the picture, one of them held out."""
    rng = np.random.default_rng(0)
    clips = []
    for index in range(4):
        y = np.diff(np.sin(0.25 * np.arange(81) + rng.uniform(0, 6)))
        y = ((y - y.mean()) / y.std()).astype(np.float32)
        x = rng.normal(0, 2e-3, (80, 3, 36, 36)).astype(np.float32)
        x[:, :, 8:28, 8:28] += 8e-3 * y[:, None, None, None]
        clips.append(ClipFile(x, y, "A", index == 3))
    return clips


@pytest.fixture
def quick(monkeypatch):
    """Small windows, small pictures, a report every third step."""
    monkeypatch.setattr(train, "WINDOW", 20)
    monkeypatch.setattr(train, "BATCH", 2)
    monkeypatch.setattr(train, "REPORT", 3)
    monkeypatch.setattr(pulse_data, "SIZE", (48, 64))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weights(network: torch.nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in network.parameters()])


def test_thirty_steps_lower_the_loss(easy, quick, tmp_path):
    plan = Plan(steps=30)
    torch.manual_seed(plan.seed)
    before = train.scores(PulseNet(), easy, "cpu")["A"]
    network = learn(tmp_path, plan, easy, False, PULSE)
    rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert rows[0] == "step,loss,A"
    assert len(rows) == 11
    losses = [float(row.split(",")[1]) for row in rows[1:]]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:2])
    assert train.scores(network, easy, "cpu")["A"] > max(before, 0.8)


def test_a_stopped_run_ends_with_the_same_network(easy, quick, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    plan = Plan(steps=8, seed=3)
    expected = weights(learn(whole, plan, easy, False, PULSE))
    real, count = train.update, iter(range(100))

    def interrupted(*arguments):
        if next(count) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn(stopped, plan, easy, False, PULSE)
    assert torch.load(stopped / "checkpoint.pt", weights_only=True)["step"] == 3
    np.testing.assert_array_equal(weights(learn(stopped, plan, easy, False, PULSE)), expected)
    assert (stopped / "curve.csv").read_text() == (whole / "curve.csv").read_text()
    other = weights(learn(whole / "..", Plan(steps=8, seed=4), easy, False, PULSE))
    assert not np.array_equal(other, expected)


def test_the_folded_network_takes_raw_differences():
    torch.manual_seed(0)
    network = PulseNet()
    x = SCALE * torch.randn(5, 3, 36, 36)
    with torch.no_grad():
        torch.testing.assert_close(Folded(network)(x)[:, 0], network(x), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(network(x), network.body(x / SCALE)[:, 0])


def test_one_command_renders_trains_and_writes_a_network(quick, tmp_path):
    plan = Plan(clips=8, seconds=2.0, steps=3)
    card = train_pulse(tmp_path, plan, jobs=2, progress=False)
    text = card.read_text()
    assert "fastmag train pulse OUT --seed 0 --clips 8 --seconds 2 --steps 3" in text
    assert "procedural heads" in text
    for name in ("pulse.onnx", "pulse_gradient.onnx", "curve.csv", "curve.png", "plan.json"):
        assert (tmp_path / name).stat().st_size > 0
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    network = PulseNet()
    network.load_state_dict(state["mean"])
    x = np.random.default_rng(1).normal(0, 5e-3, (7, 3, 36, 36)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "pulse.onnx", providers=["CPUExecutionProvider"])
    (y,) = session.run(["y"], {"X": x})
    assert y.shape == (7, 1)
    with torch.no_grad():
        np.testing.assert_allclose(y[:, 0], network(torch.from_numpy(x)).numpy(), atol=1e-5)
    (one,) = session.run(["y"], {"X": x[:1]})
    np.testing.assert_allclose(one, y[:1], atol=1e-6)
    with pytest.raises(InputError, match="another plan"):
        train_pulse(tmp_path, Plan(clips=9, seconds=2.0, steps=3), jobs=1, progress=False)


def test_a_cast_is_trained_on_the_first_part_of_its_time_and_judged_on_the_rest(quick, tmp_path):
    plan = Plan(split="dependent", people=1, seconds=10.0, steps=2)
    clips = train.data(tmp_path / "data", plan, 2, progress=False)
    assert [clip.held_out for clip in clips] == [False, True] * 4
    assert [clip.task for clip in clips[::2]] == ["A", "B", "C", "D"]
    assert [len(clip.x) for clip in clips[:2]] == [239, 59]
    text = train_pulse(tmp_path, plan, jobs=2, progress=False).read_text()
    assert "fastmag train pulse OUT --seed 0 --split dependent --people 1 --seconds 10 --steps 2" in text
    assert "the last 20 % of recordings" in text and "1 rendered people in tasks A-D" in text


def test_the_data_are_the_same_again(quick, tmp_path):
    first = pulse_data.render(tmp_path, 5, 4, 2.0, ())
    again = pulse_data.render(tmp_path / "..", 5, 4, 2.0, ())
    one, two = pulse_data.load(first, 4), pulse_data.load(again, 4)
    np.testing.assert_array_equal(one.x, two.x)
    assert one.x.shape == (59, 3, 36, 36)
    assert one.task == TASKS[4]
    assert one.y.std() == pytest.approx(1, abs=1e-5)
    assert np.abs(one.x).max() < 1


def test_every_task_is_held_out_in_its_share():
    kept, judged = Counter(), Counter()
    for index in range(200):
        (judged if held_out(index) else kept)[TASKS[index % len(TASKS)]] += 1
    assert set(judged) == set(kept) == set("ABCDT")
    assert all(kept[task] == 9 * judged[task] for task in kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"steps": 0}, "steps must be"), ({"split": "both"}, "split must be"), ({"people": 0}, "people must be"),
     ({"split": "dependent", "seconds": 8.0}, "seconds must be at least 10"),
     ({"clips": 0}, "clips must be"), ({"seconds": 0.5}, "seconds must be"),
     ({"heads": ("absent.obj",)}, "does not exist")],
)  # fmt: skip
def test_bad_plans_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        Plan(**options)


def test_no_gpu_is_said_at_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device cuda is not available"):
        Plan(device="cuda")


def test_the_shipped_network_is_the_one_that_its_card_tells_of():
    from fastmag import models

    session = onnxruntime.InferenceSession(models.path("pulse"), providers=["CPUExecutionProvider"])
    (name,), (out,) = ([v.name for v in session.get_inputs()], [v.name for v in session.get_outputs()])
    assert (name, out) == ("X", "y")
    assert list(session.get_inputs()[0].shape[1:]) == [3, 36, 36]
    card = Path(models.path("pulse")).with_suffix(".md").read_text()
    assert "fastmag train pulse" in card
    with pytest.raises(InputError, match="model must be one of"):
        models.path("plus")
