"""Training the skin network: truth, loss, and one command from rendering to the shipped file."""

import numpy as np
import onnxruntime
import pytest
import torch

from fastmag.coherent.clues import COUNT, PRIOR
from fastmag.coherent.regression import V
from fastmag.errors import InputError
from fastmag.export import skin, skin_data, train
from fastmag.export.skin_data import Lesson


@pytest.fixture
def quick(monkeypatch):
    """A report every thirtieth step, one thread."""
    monkeypatch.setattr(train, "REPORT", 30)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def easy():
    """Lessons in which one clue says it all, one of them held out."""
    rng = np.random.default_rng(0)
    lessons = []
    for index in range(3):
        beating = (rng.random((12, 36, 36)) > 0.7).astype(np.float16)
        x = rng.normal(0, 0.5, (12, COUNT, 36, 36)).astype(np.float16)
        x[:, PRIOR] = 0.3
        x[:, 14] = 2 * beating - 1
        lessons.append(Lesson(x, beating, np.full_like(beating, 100), "A", index == 2))
    return lessons


def test_the_truth_is_the_share_of_the_pulse_over_the_usual_skin():
    cells = np.full((4, 6, 6, 3), (160.0, 120.0, 90.0), np.float32)
    pulsation = cells * V * np.float32(0.003)
    pulsation[:, :3] = 0
    beating, bright = skin_data.truth(cells, pulsation)
    assert not beating[:, :3].any()
    np.testing.assert_allclose(beating[:, 3:], 1, rtol=1e-3)
    np.testing.assert_allclose(bright**2, ((cells * V) ** 2).sum(-1), rtol=1e-5)


def test_errors_are_those_of_the_change():
    rng = np.random.default_rng(1)
    truth, weight = torch.from_numpy(rng.random((2, 50))), torch.from_numpy(rng.random((2, 50)))
    best, own = skin.errors(2 * truth, truth, weight)
    np.testing.assert_allclose(best, 0, atol=1e-5)
    np.testing.assert_allclose(own, 1, atol=1e-5)
    best, own = skin.errors(0 * truth, truth, weight)
    np.testing.assert_allclose(torch.stack([best, own]), 1, atol=1e-5)


def test_twenty_steps_lower_the_loss(easy, quick, tmp_path, monkeypatch):
    monkeypatch.setattr(skin, "CLIPS", 2)
    plan = skin.SkinPlan(steps=20, learning_rate=1e-2)
    torch.manual_seed(plan.seed)
    before = skin.scores(skin.SkinNet(), easy, "cpu")["A"]
    network = train.learn(tmp_path, plan, easy, False, skin.SKIN)
    assert skin.scores(network, easy, "cpu")["A"] > before + 0.2


def test_one_command_renders_trains_and_writes_a_network(quick, tmp_path):
    plan = skin.SkinPlan(clips=2, seconds=6.0, steps=2)
    text = skin.train_skin(tmp_path, plan, jobs=2, progress=False).read_text()
    assert "fastmag train skin OUT --seed 0 --clips 2 --seconds 6 --steps 2" in text and "procedural heads" in text
    for name in ("skin.onnx", "curve.csv", "curve.png", "plan.json"):
        assert (tmp_path / name).stat().st_size > 0
    session = onnxruntime.InferenceSession(tmp_path / "skin.onnx", providers=["CPUExecutionProvider"])
    lesson = skin_data.load(tmp_path / "data" / "clip-00000.npz", 0)
    (y,) = session.run(["y"], {"X": lesson.clues[:3].astype(np.float32)})
    assert y.shape == (3, 36, 36) and np.isfinite(y).all()
    assert lesson.beating.shape == lesson.bright.shape == (len(lesson.clues), 36, 36)
    again = skin_data.load(skin_data.make(tmp_path / "..", 0, 0, 6.0, ()), 0)
    np.testing.assert_array_equal(again.clues, lesson.clues)
    with pytest.raises(InputError, match="another plan"):
        skin.train_skin(tmp_path, skin.SkinPlan(clips=3, seconds=6.0, steps=2), jobs=1, progress=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps must be"),
        ({"clips": 1}, "clips must be"),
        ({"seconds": 1.0}, "seconds must be"),
        ({"heads": ("absent.obj",)}, "does not exist"),
    ],
)
def test_bad_plans_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        skin.SkinPlan(**options)
