"""Training the lift network: the truth it is given, how a lesson may be turned, and that it learns and is exported."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner

from fastmag.cli import cli
from fastmag.errors import InputError
from fastmag.export import lift, lift_card, lift_data, train
from fastmag.export.lift import (
    LIFT,
    REACH,
    SEEN,
    LiftNet,
    LiftPlan,
    Truth,
    changed,
    fainter,
    loss_of,
    nearness,
    placed,
    tensors,
    turned,
    warped,
)  # fmt: skip
from fastmag.export.lift_data import SIZE, Lesson, target
from fastmag.motion import agreement
from fastmag.motion.agreement import COUNT, VECTORS
from fastmag.motion.warp import came_from
from fastmag.synthetic import Settings, Shot

NODES = 128


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lift, "BATCH", 2)
    monkeypatch.setattr(train, "REPORT", 100)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lesson(seed: int = 0, judges: bool = False) -> Lesson:
    """A textured lower half that rises by one unit a pixel of the wave, and evidence that says so in places."""
    rng = np.random.default_rng(seed)
    rows = np.arange(NODES)[:, None] * np.ones(NODES)
    trunk = rows > rng.integers(50, 90)
    moved = np.stack([0 * rows, -1.0 * trunk])
    evidence = rng.normal(0, 0.05, (COUNT, NODES, NODES))
    evidence[1] -= trunk * (rng.random((NODES, NODES)) < 0.5)
    evidence[VECTORS] += 0.8 * trunk
    evidence[-2], evidence[-1] = 0.6, np.log(10.3)
    evidence[20] = np.abs(evidence[20])
    wave = np.array([1.0, -0.7, 0.5], np.float32)
    y, x = np.mgrid[:SIZE, :SIZE]
    still = 128 + 50 * np.sin(x / 5) * np.sin(y / 4 + seed)
    far = torch.from_numpy((4 * wave[:, None, None, None] * moved).astype(np.float32))
    seen = torch.from_numpy(still.astype(np.float32)).expand(3, 1, SIZE, SIZE)
    true = warped(seen, far)[:, 0].numpy()
    frames = [np.rint(part).clip(0, 255).astype(np.uint8) for part in (seen[:, 0].numpy(), true)]
    return Lesson(
        evidence.astype(np.float16), 1.0, moved.astype(np.float16), np.ones((NODES, NODES), np.float16), trunk,
        *frames, wave, 0.95, "A", judges,
    )  # fmt: skip


def batch_of(one: Truth) -> Truth:
    return Truth(**{name: part[None] for name, part in vars(one).items()})


def test_displacement_is_that_of_the_rendered_body():
    """The same picture drawn with a deeper breath, against the first one shifted by the field that is told."""
    shot = Shot(
        11, Settings(seconds=1, fps=10, size=(SIZE, SIZE), detail=0.4, pulse=False, noise=0.0, texture_rows=128)
    )
    field = shot.displacement(4)
    assert field.shape == (2, SIZE, SIZE) and field.dtype == np.float32
    moved = np.linalg.norm(field, axis=0)
    shoulders, corner = moved[200:, 60:180], moved[:20, :20]
    assert np.median(shoulders) > 5 * np.median(moved[90:120, 113:133]) > 0 and not corner.any()
    rise = shot.excursion(4)
    assert np.median(field[1, 200:, 60:180]) == pytest.approx(np.median(rise[:, 1]), rel=0.15)


def test_the_ground_that_a_trunk_sweeps_goes_along():
    rows = np.arange(NODES)[:, None] * np.ones(NODES)
    trunk, head = rows > 80, (rows > 30) & (rows < 60)
    one = np.stack([0 * rows, -2.0 * trunk - 0.2 * head])
    truth, weight, found = target(np.stack([one, one]), reach=10.0)
    np.testing.assert_array_equal(found, trunk)
    np.testing.assert_allclose(truth[1][trunk], -2)
    assert not truth[1][head].any()  # it rises a little; it is told to stay
    assert (weight[head] == lift_data.HEAD).all() and (weight[trunk] == 1).all()
    swept = 10.0 * 2 * NODES / 492  # samples
    assert truth[1][81 - int(swept)].mean() == pytest.approx(-2) and weight[81 - int(swept)].mean() < 0.2
    far = target(one[None], reach=1.0)[0]
    assert not far[1][81 - int(swept)].any()


def test_a_turned_lesson_is_as_good():
    """The loss of the truth itself is as small however the lesson is turned, and its frames are as near."""
    torch.manual_seed(0)
    evidence, truth = tensors(lesson())
    for turns in ((True, False, False), (False, True, False), (False, False, True), (True, True, True)):
        for sign in (1.0, -1.0):
            other, new = turned(evidence, truth, turns, sign)
            assert float(nearness(new.moved[None], batch_of(new))) < 0.05
            way, seen = (part[:, new.trunk > 0].mean(-1) for part in (new.moved, other[:2]))
            assert (
                float(way @ seen) > 0.4 * float(way @ way) > 0
                and abs(float(way[0] * seen[1] - way[1] * seen[0])) < 0.05
            )
            np.testing.assert_array_equal(np.sort(other[VECTORS].ravel()), np.sort(evidence[VECTORS].ravel()))


@pytest.mark.parametrize(
    ("angle", "size", "shift"), [(0.0, 1.0, (0.0, 0.0)), (0.5, 1.0, (3.0, -4.0)), (-2.5, 1.2, (0.0, 0.0))]
)
def test_a_lesson_placed_elsewhere_is_as_good(angle, size, shift):
    evidence, truth = tensors(lesson())
    other, new = placed(evidence, truth, angle, size, shift)
    assert float(nearness(new.moved[None], batch_of(new))) < 0.3
    way = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ [0, -1]
    for part in (new.moved, other[:2]):
        found = part[:, new.trunk > 0].mean(-1).numpy()
        np.testing.assert_allclose(found / np.linalg.norm(found), way, atol=0.05)
    assert new.unit == pytest.approx(size * float(truth.unit))
    assert float(torch.exp(other[REACH, 5, 5])) - agreement.REACH[0] == pytest.approx(10 * size, rel=0.01)
    if not angle:
        np.testing.assert_allclose(other, evidence, atol=2e-3)


def test_a_fainter_breath_agrees_less():
    evidence, _ = tensors(lesson())
    evidence[SEEN] = 1
    other = fainter(evidence, np.random.default_rng(0))
    assert float(other[VECTORS].sum()) < float(evidence[VECTORS].sum())
    assert float((other[:6] - evidence[:6]).std()) > 0.02
    kept = [i for i in range(6, COUNT) if i not in lift.AGREES]
    np.testing.assert_array_equal(other[kept], evidence[kept])


def test_a_changed_lesson_keeps_what_it_says():
    for seed in range(8):
        evidence, truth = changed(*tensors(lesson()), np.random.default_rng(seed))
        assert float(nearness(truth.moved[None], batch_of(truth))) < 0.3
        assert torch.isfinite(evidence).all()


def test_frames_are_shifted_as_the_product_shifts_them():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:NODES, :NODES]
    field = np.stack([6 * np.sin(y / 15), 8 * np.cos(x / 20 + y / 30)]).astype(np.float32)
    ramp = np.linspace(0, 250, SIZE, dtype=np.float32)
    down = torch.from_numpy(
        np.stack([ramp[:, None] * np.ones(SIZE, np.float32), np.ones((SIZE, 1), np.float32) * ramp])
    )
    new = warped(down[:, None], torch.from_numpy(field).expand(2, 2, NODES, NODES))[:, 0].numpy()
    origin = came_from(field * (SIZE / 492), (SIZE / NODES, SIZE / NODES))
    scale = 250 / (SIZE - 1)
    for node in rng.integers(20, 100, (10, 2)):
        at = np.rint(node * SIZE / NODES).astype(int)
        expected = (at - origin[::-1, node[0], node[1]]) * scale
        np.testing.assert_allclose(new[:, at[0], at[1]], expected, atol=1.2)


def test_the_loss_prefers_the_truth():
    _, truth = tensors(lesson())
    truth = batch_of(truth)
    right = loss_of(truth.moved, truth)
    for wrong in (0 * truth.moved, 0.5 * truth.moved, 2 * truth.moved, -truth.moved, truth.moved.flip(1)):
        assert loss_of(wrong, truth) > right + 0.1
    early, late = (loss_of(0 * truth.moved, truth, done) for done in (0.0, 1.0))
    assert early != late or float(nearness(0 * truth.moved, truth)) == pytest.approx(1)


def test_it_learns(tmp_path):
    lessons = [lesson(seed, judges=seed == 5) for seed in range(6)]
    plan = LiftPlan(clips=6, steps=60, learning_rate=4e-3)
    network = train.learn(tmp_path, plan, lessons, False, LIFT)
    decibels = lift.scores(network, lessons, "cpu")["A"]
    assert decibels > 0.2 and (tmp_path / "curve.csv").exists()
    card = lift_card.publish(tmp_path, plan, network, {"A": decibels})
    assert "fastmag train lift OUT --seed 0 --clips 6" in card.read_text()
    x = np.random.default_rng(0).normal(size=(3, *LiftNet.shape)).astype(np.float32)
    run = onnxruntime.InferenceSession((tmp_path / "lift.onnx").read_bytes(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        np.testing.assert_allclose(run.run(None, {"X": x})[0], network(torch.from_numpy(x)).numpy(), atol=1e-4)


def test_a_clip_becomes_lessons(tmp_path, monkeypatch):
    monkeypatch.setattr(lift_data, "WINDOWS", ((0.0, 1.0),))
    path = lift_data.make(tmp_path, 3, 10, 12.0)
    (one,) = lift_data.load(path, 10)
    assert one.evidence.shape == (COUNT, NODES, NODES) and np.isfinite(one.evidence).all()
    assert one.kind == "A" and one.r > 0.9 and len(one.wave) == lift_data.INSTANTS
    near = float(nearness(tensors(one)[1].moved[None], batch_of(tensors(one)[1])))
    assert near < 0.7  # the truth it is given renders frames that are nearer
    before = path.read_bytes()
    assert lift_data.make(tmp_path, 3, 10, 12.0) == path and path.read_bytes() == before


def test_every_other_ten_clips_are_as_the_paper_films():
    assert set(lift_data.settings(1, 14)) == {"task", "world", "size", "antialias", "texture_rows"}
    some = [lift_data.settings(1, i) for i in range(10)]
    assert {"paper", "any"} == {one["world"] for one in some} and all(one["depth"] != 0 for one in some)


def test_what_is_refused(tmp_path):
    for wrong in ({"clips": 1}, {"steps": 0}, {"seconds": 5.0}, {"learning_rate": 0.0}):
        with pytest.raises(InputError, match="must be at least"):
            LiftPlan(**wrong)
    (tmp_path / "plan.json").write_text(json.dumps({"seed": 9}))
    result = CliRunner().invoke(cli, ["train", "lift", str(tmp_path), "--clips", "2", "--steps", "1"])
    assert isinstance(result.exception, InputError) and "another plan" in str(result.exception)
