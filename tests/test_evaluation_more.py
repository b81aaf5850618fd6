"""Injected clips, step sizes, learning curves, recordings of a cast, and a real face: each against what was put in."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

import fastmag
from fastmag import models
from fastmag.cli import cli
from fastmag.errors import InputError
from fastmag.evaluation import curves, injected, people, skin, tables
from fastmag.evaluation.cases import Ask
from fastmag.evaluation.injected import Injection
from fastmag.evaluation.judging import NOTHING_READ, Row, compare
from fastmag.gradients import InputGradient
from fastmag.sources import ArraySource
from fastmag.video import write_rgb

SKIN, WALL, SHIRT = (200, 150, 125), (240, 205, 170), (60, 60, 70)


def portrait(count: int = 90, height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """A skin-coloured disc that sways before a warm wall, above a dark shirt, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    frames = np.empty((count, height, width, 3), np.uint8)
    for t in range(count):
        picture = np.where((y > 0.85 * height)[..., None], SHIRT, WALL) + rng.normal(0, 1.5, (height, width, 3))
        face = np.hypot(y - height / 2, x - width / 2 - 4 * np.sin(t / 9)) < 0.3 * height
        picture[face] += np.array(SKIN) - np.array(WALL)
        frames[t] = np.clip(np.rint(picture), 0, 255)
    return frames


def face_of(frames: np.ndarray, t: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - height / 2, x - width / 2 - 4 * np.sin(t / 9)) < 0.3 * height


def test_skin_is_found_before_a_wall_of_nearly_its_colour():
    frames = portrait()
    colours = skin.SkinColours(frames)
    for t in (0, 30, 89):
        found, face = colours(frames[t]), face_of(frames, t)
        assert found.shape == face.shape and found.dtype == np.float32 and 0 <= found.min() <= found.max() <= 1
        assert ((found > 0.5) & face).sum() > 0.95 * face.sum() and ((found > 0.5) & ~face).sum() < 0.08 * face.sum()
    assert not skin.SkinColours(np.zeros((3, 60, 80, 3), np.uint8))(np.zeros((60, 80, 3), np.uint8)).any()


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "disc.mkv"
    write_rgb(path, portrait(240), 30, lossless=True)
    return path


def test_what_was_injected_is_there_and_judged_as_such(filmed):
    case = Injection(str(filmed), 96.0, 1, 0.01, 8.0).case()
    before, _ = injected.read(filmed, 8.0)
    assert case.frames.shape == before.shape and case.bpm == 96 and case.name == "disc 96 bpm, seed 1"
    change = case.frames.astype(float) - before
    on, p = np.array([c[face_of(before, t)].mean(0) for t, c in enumerate(change)]), case.p
    slopes = np.array([np.polyfit(p, on[:, c], 1)[0] for c in range(3)])
    expected = 0.01 * np.array(SKIN) * [0.4286, 1, 0.6883]
    np.testing.assert_allclose(slopes, expected, rtol=0.06)
    off = np.array([c[:20].mean() for c in change])
    assert abs(np.polyfit(p, off, 1)[0]) < 0.01 and abs(off.mean()) < 0.02
    done = compare(case, {"true": lambda i: case.magnified(i)[0]})["true"]
    assert done.gain == pytest.approx(11) and done.leak < 0.02 and done.above_nothing == float("inf")


def test_injecting_needs_skin_and_sensible_rates(tmp_path):
    path = tmp_path / "grey.mkv"
    write_rgb(path, np.full((30, 64, 80, 3), 128, np.uint8), 30, lossless=True)
    with pytest.raises(InputError, match="no skin was found"):
        Injection(str(path), 90).case()
    assert injected.rates("80,95.5") == (80, 95.5)
    for wrong in ("", "80;90", "30"):
        with pytest.raises(InputError, match="rates must be"):
            injected.rates(wrong)


def test_the_command_injects_judges_and_draws_the_mask(filmed, tmp_path):
    flags = ["--bpm", "96", "--seeds", "1", "--amplitude", "0.01", "--seconds", "8", "--jobs", "1", "--methods",
             "nothing,deepmag", "--mask", str(tmp_path / "mask.png"), "--csv", str(tmp_path / "rows.csv")]  # fmt: skip
    done = CliRunner().invoke(cli, ["evaluate", "injected", str(filmed), *flags], catch_exceptions=False)
    assert done.exit_code == 0 and "| disc | nothing | 1 | +0.0 / +0.0 |" in done.stdout
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row["method"] for row in rows] == ["nothing", "deepmag"] and float(rows[1]["rate_error"]) < 3
    assert (tmp_path / "mask.png").read_bytes()[1:4] == b"PNG"


def linear(x):
    """y = w . x with a gradient that is w everywhere: the loss can be said beforehand."""
    w = np.ones(x.shape, np.float32) * np.float32(0.5)
    return (x * w).reshape(len(x), -1).sum(1), w


def test_curves_of_a_linear_network_are_straight():
    from fastmag.backends import get

    x = np.full((5, 3, 4, 4), 2e-3, np.float32)
    found = curves.curve(x, linear, get("cpu"), 1e-4, 8)
    expected = np.sqrt(5) * 0.5 * 48 * (2e-3 + 1e-4 * np.arange(8))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_curves_rise_with_steps_and_step_size(tmp_path):
    rng = np.random.default_rng(3)
    source = ArraySource(np.clip(portrait(100) + rng.integers(-2, 3, (100, 1, 1, 1)), 0, 255).astype(np.uint8), 30)
    network = InputGradient(models.path("pulse_gradient"), threads=1)
    found = curves.learning_curves(source, network, (1.0, 4.0), 4, 12)
    assert found.loss.shape == (2, 4) and found.step_sizes == pytest.approx((6e-5, 2.4e-4))
    assert found.loss[0, 0] == found.loss[1, 0] and (found.loss[1, 1:] > found.loss[0, 1:]).all()
    curves.write_csv(tmp_path / "c.csv", found)
    lines = list(csv.DictReader((tmp_path / "c.csv").read_text().splitlines()))
    assert len(lines) == 8 and float(lines[5]["product"]) == pytest.approx(2 * 2.4e-4)
    assert float(lines[5]["loss"]) == found.loss[1, 1]
    curves.draw(tmp_path / "c.png", found)
    assert (tmp_path / "c.png").read_bytes()[1:4] == b"PNG"
    assert curves.table(found).count("\n") == 3


def test_table_2_puts_the_papers_figures_beside_ours():
    from test_evaluation_people import judged, made

    figures = judged(made(), lambda i: 1)
    rows = [Row("C 1", "C", 1, True, name, figures, NOTHING_READ) for name in ("nothing", "deepmag-paper@0.5")]
    assert "| 0.5 gamma | 1 | 48.1 |" in tables.table_2(rows) and "| 43.2 | 0.987 |" in tables.table_2(rows)
    assert "| nothing | 1 | 48.1 | 1.0000 |  |  |" in tables.table_2(rows)


def test_the_last_part_of_a_recording_judges_a_network_of_the_cast():
    pulse_data = pytest.importorskip("fastmag.export.pulse_data", reason="torch is not installed")
    render = {"seconds": 5.0, "size": (48, 64)}
    asks = people.known_people("AB", 2, 1, 3, render)
    assert [ask.pulse for ask in asks] == [True] * 4 + [False] * 2 and [a.task for a in asks] == list("AABBAB")
    assert asks[0].start == pulse_data.known_frames(150) == 120 and len({a.name for a in asks}) == 6
    part = asks[0].case()
    whole = Ask(asks[0].task, asks[0].seed, True, asks[0].render).case()
    np.testing.assert_array_equal(part.frames, whole.frames[120:])
    np.testing.assert_array_equal(part.p, whole.p[120:])
    np.testing.assert_array_equal(part.pulsation, whole.pulsation[40:])
    recordings = {(r.task, r.seed) for r in fastmag.synthetic.recordings(3, people.CAST, "AB") if r.person < 2}
    assert {(a.task, a.seed) for a in asks} == recordings


def test_each_half_of_a_real_face_has_the_rate_of_the_whole(real_clip):
    frames, fps = injected.read(real_clip("face.mp4"), 60.0)
    middle = len(frames) // 2
    whole, *halves = (fastmag.measure(part, fps=fps) for part in (frames, frames[:middle], frames[middle:]))
    assert whole.present and 51 <= whole.rate_bpm <= 55
    assert all(half.present and 50 <= half.rate_bpm <= 56 for half in halves), [half.rate_bpm for half in halves]
