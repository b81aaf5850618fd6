"""The judges of rendered people: every measure on a truth that was made by hand, then on a rendered person."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from fastmag import models
from fastmag.cli import cli
from fastmag.errors import InputError
from fastmag.evaluation import people, record, tables
from fastmag.evaluation.cases import Ask, Case, gathered
from fastmag.evaluation.judging import NOTHING_READ, Row, compare, judge_case
from fastmag.evaluation.methods import Scene, check_methods, strength_of
from fastmag.evaluation.sums import OFF, SKIN, Sums
from fastmag.gradients import InputGradient
from fastmag.synthetic.render import Settings, Shot

FPS, SIZE, SMALL = 30.0, (72, 96), {"seconds": 6.0, "size": (120, 160)}


def made(strength: float = 0.4, seconds: float = 8.0) -> Case:
    """A disc that beats at 1.2 Hz, strength grey levels in green, on a noisy picture."""
    rng, n = np.random.default_rng(0), round(seconds * FPS)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (np.hypot(y - 36, x - 48) < 25)[..., None] * np.array([0.43, 1.0, 0.69])
    frames = rng.integers(40, 180, (n, *SIZE, 3)).astype(np.uint8)
    p = np.sqrt(2) * np.cos(2 * np.pi * 1.2 * np.arange(n) / FPS)
    judged = np.arange(0, n, 3)
    pulsation = np.broadcast_to(strength * disc, (len(judged), *SIZE, 3)).astype(np.float16)
    return Case("made", frames, FPS, p, 72.0, judged, pulsation, strength > 0)


def change(case: Case, i: int) -> np.ndarray:
    """The true change of judged frame i."""
    return case.magnified(i)[0].astype(int) - case.frames[case.judged[i]]


def player(case: Case, added):
    """A method that adds added(i) (H, W, 3) to judged frame i."""
    return lambda i: np.clip(case.frames[case.judged[i]] + added(i), 0, 255).astype(np.uint8)


def judged(case: Case, added) -> object:
    return compare(case, {"it": player(case, added)})["it"]


def test_the_true_clip_has_the_true_gain_and_nothing_has_none():
    case = made()
    true = judged(case, lambda i: change(case, i))
    assert true.gain == pytest.approx(11) and true.correlation == pytest.approx(1)
    assert true.gain_over_alpha == true.pixel_correlation == 1 and true.block_correlation == pytest.approx(1)
    assert true.leak == 0 and true.psnr_true == true.above_nothing == float("inf")
    nothing = judged(case, lambda i: 0)
    assert nothing.gain == pytest.approx(1) and nothing.above_nothing == nothing.gain_over_alpha == 0
    assert nothing.block_correlation == nothing.pixel_correlation == nothing.added == 0
    assert nothing.psnr_source == float("inf") and nothing.ssim_source == pytest.approx(1)
    assert nothing.psnr_true == pytest.approx(true.psnr_source) and np.isnan(nothing.above_nothing_matched)


def test_half_of_the_true_change_is_whole_at_matched_gain():
    case = made(1.6)
    half = judged(case, lambda i: np.rint(0.5 * change(case, i)).astype(int))
    assert half.gain == pytest.approx(6, rel=0.02) and half.gain_over_alpha == pytest.approx(0.5, rel=0.01)
    assert half.above_nothing == pytest.approx(6.0, abs=0.1) and half.correlation > 0.999
    assert half.above_nothing_matched > 20 and half.above_nothing_best > 20
    assert half.ssim_true_matched > half.ssim_true


def test_a_leak_of_known_size_is_found():
    case = made()
    zones = case.magnified(0)[1][..., 0]
    sign = (zones == OFF)[..., None] * np.ones(3, int)
    leaking = judged(case, lambda i: change(case, i) + 2 * sign * (-1) ** i)
    on = np.sqrt(np.mean([np.square(change(case, i)[zones == SKIN]).mean() for i in range(len(case.judged))]))
    assert leaking.leak == pytest.approx(2 / on, rel=1e-3) and leaking.pixel_correlation == pytest.approx(1)
    assert leaking.gain == pytest.approx(11) and leaking.above_nothing < 6


def test_a_change_at_the_wrong_time_has_no_correlation():
    case = made(1.0)
    late = dataclasses.replace(case, p=np.sqrt(2) * np.sin(2 * np.pi * 1.2 * np.arange(len(case.p)) / FPS))
    wrong = judged(case, lambda i: change(late, i))
    assert abs(wrong.block_correlation) < 0.05 and abs(wrong.gain_over_alpha) < 0.05
    assert wrong.above_nothing == pytest.approx(-3, abs=0.2) and wrong.above_nothing_best == pytest.approx(0, abs=0.1)
    against = judged(case, lambda i: -change(case, i))
    assert against.gain == pytest.approx(9) and against.correlation == pytest.approx(-1)
    assert against.block_correlation == pytest.approx(-1) and np.isnan(against.above_nothing_matched)


def test_without_a_pulse_only_what_was_added_is_a_figure():
    case = made(0.0)
    still = judged(case, lambda i: np.full((*SIZE, 3), 2))
    assert still.added == 2 and still.psnr_source == pytest.approx(42.11, abs=0.01)
    assert np.isnan([still.gain, still.leak, still.above_nothing, still.psnr_true]).all()


def test_sums_are_exact():
    rng = np.random.default_rng(2)
    frame, new, true = rng.integers(0, 256, (3, 37, 53, 3)).astype(np.uint8)
    zones = np.repeat(rng.integers(0, 3, (37, 53, 1)), 3, axis=2).astype(np.uint8)
    sums = Sums((37, 53))
    for _ in range(2):
        sums.add(frame, new, true, zones)
    a, t = new.astype(int) - frame, true.astype(int) - frame
    for zone in range(3):
        at = zones == zone
        expected = [(a * a)[at].sum(), (a * t)[at].sum(), (t * t)[at].sum(), at.sum()]
        np.testing.assert_array_equal(sums.zones[zone], 2 * np.array(expected))
    assert sums.error(0.5) == pytest.approx(2 * np.square(0.5 * a - t).sum())
    on = zones[..., 1] == SKIN
    np.testing.assert_allclose(sums.traces[0], [a[..., 1][on].mean(), t[..., 1][on].mean()])


@pytest.fixture(scope="module")
def network():
    return InputGradient(models.path("pulse_gradient"), threads=1)


@pytest.fixture(scope="module")
def person() -> Case:
    return Ask("A", 900_001, True, {**SMALL, "amplitude": 0.005}).case()


def test_a_rendered_person_is_judged(person, network):
    found = judge_case(person, ("nothing", "true", "oracle", "deepmag", "deepmag-paper@0"), network)
    ours, reading = found["deepmag"]
    assert reading.rate_error < 3 and reading.y_correlation > 0.5 and reading.presence > 0.5
    assert 0.5 < ours.gain_over_alpha < 1.5 and ours.above_nothing > 2 and ours.block_correlation > 0.6
    assert ours.leak < 0.2 and found["oracle"][0].above_nothing > ours.above_nothing - 0.5
    assert found["true"][0].gain == pytest.approx(11) and np.isnan(found["true"][1].rate_error)
    assert found["deepmag-paper@0"][0].gain_over_alpha < 0.2


def test_judging_every_third_frame_is_nearly_judging_all(network):
    """The figures of a rendered person from 10 frames a second and from all 30."""
    shot = Shot(900_002, Settings(task="B", seconds=20.0, size=(48, 64), amplitude=0.005))
    pairs = list(shot.frames(1))
    case = gathered("few", pairs, (shot.n, 48, 64), 30.0, (shot.p, shot.bpm, True))
    all_pulsation = np.array([pulsation for _, pulsation, *_ in pairs], np.float16)
    every = dataclasses.replace(case, judged=np.arange(shot.n), pulsation=all_pulsation)
    few, all_of_them = (compare(c, {"it": Scene(c, network).player("deepmag")})["it"] for c in (case, every))
    for name in ("above_nothing", "above_nothing_matched", "psnr_true", "psnr_source"):
        assert getattr(few, name) == pytest.approx(getattr(all_of_them, name), abs=0.2), name
    for name in ("gain", "gain_over_alpha", "leak", "block_correlation", "pixel_correlation", "added"):
        assert getattr(few, name) == pytest.approx(getattr(all_of_them, name), rel=0.04, abs=0.01), name
    assert few.ssim_true == pytest.approx(all_of_them.ssim_true, abs=1e-4)


def test_methods_are_known_by_name():
    every = check_methods(())
    assert every[:5] == ("nothing", "true", "oracle", "deepmag", "deepmag-paper")
    assert check_methods(("true", "true", "deepmag-paper@2")) == ("true", "deepmag-paper@2")
    assert strength_of("deepmag-paper@2") == 2 and strength_of("deepmag-paper") == 1
    for wrong in ("pulse", "magic", "deepmag-paper@x"):
        with pytest.raises(InputError, match="unknown method"):
            check_methods((wrong,))


def test_seeds_and_jobs():
    asks = people.held_out("AB", 2, 1, 900_000, {})
    assert [a.name for a in asks] == ["A 900000", "A 900001", "B 900100", "B 900101",
                                      "A 901000 without", "B 901001 without"]  # fmt: skip
    jobs = people.jobs_of(asks, ("nothing", "deepmag-paper"), None, paper=1)
    assert [len(methods) for _, methods, _ in jobs] == [2, 1, 2, 1, 2, 2]


def a_row(clip: str, method: str, pulse: bool = True, **figures) -> Row:
    nothing = judged(made(0.4 if pulse else 0.0, 4.0), lambda i: 0)
    return Row(clip, clip[0], int(clip[2:5]), pulse, method, dataclasses.replace(nothing, **figures), NOTHING_READ)


def test_a_stopped_run_goes_on(tmp_path):
    kept = record.Record(tmp_path / "out", {"seed": 1})
    rows = [a_row("A 900", "nothing"), a_row("A 900", "true", above_nothing=float("inf"))]
    kept.add(rows)
    with open(tmp_path / "out" / "rows.jsonl", "a") as file:
        file.write('{"clip": "A 901", "meth')
    again = record.Record(tmp_path / "out", {"seed": 1})
    assert [row.method for row in again.rows] == ["nothing", "true"] and again.has("A 900", ["nothing", "true"])
    assert str(again.rows) == str(rows) and not again.has("A 900", ["deepmag"]) and not again.has("A 901", ["true"])
    asked = []

    def judge(job):
        asked.append(job[0].name)
        return [a_row(job[0].name, name) for name in job[1]]

    jobs = [(Ask("A", 900), ("nothing",), None), (Ask("A", 902), ("nothing",), None)]
    found = people.evaluate(jobs, 1, again, judge=judge)
    assert asked == ["A 902"] and [row.clip for row in found] == ["A 900", "A 900", "A 902"]
    with pytest.raises(InputError, match="another seed"):
        record.Record(tmp_path / "out", {"seed": 2})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        record.Record(tmp_path / "file", {})


def test_tables_show_means_and_the_worst():
    rows = [a_row("A 900", "deepmag", above_nothing=4.0, psnr_source=40.0), a_row("B 900", "deepmag"),
            a_row("A 901", "deepmag", above_nothing=-2.0, psnr_source=42.0),
            a_row("A 999", "deepmag", pulse=False, added=0.25), a_row("B 999", "deepmag", pulse=False)]  # fmt: skip
    assert "| A | deepmag | 2 | +1.0 / -2.0 |" in tables.magnifying(rows)
    assert "| deepmag | 2 | 0.12 / 0.25 | 0.25 0.00 |" in tables.still(rows)
    first = tables.table_1(rows)
    assert "| EVM (paper) | 36.5 | 35.1 | 0.975 | 0.957 |" in first and "| deepmag | 41.0 | inf |" in first
    assert tables.report(rows).count("###") == 4


def test_the_command_judges_keeps_and_goes_on(tmp_path):
    flags = ["evaluate", "people", str(tmp_path / "out"), "--tasks", "A", "--people", "1", "--without", "0",
             "--seconds", "4", "--size", "64,48", "--seed", "900003", "--jobs", "1",
             "--methods", "nothing,true,deepmag"]  # fmt: skip
    files = ["--json", str(tmp_path / "all.json"), "--csv", str(tmp_path / "all.csv")]
    done = CliRunner().invoke(cli, [*flags, *files], catch_exceptions=False)
    assert done.exit_code == 0 and "| A | true | 1 | +inf / +inf |" in done.output and "A 900003" in done.stderr
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["nothing", "true", "deepmag"] and rows[1]["above_nothing"] == "inf"
    assert rows[0]["rate_error"] is None and rows[2]["rate_error"] is not None
    assert (tmp_path / "all.csv").read_text().count("\n") == 4
    again = CliRunner().invoke(cli, flags, catch_exceptions=False)
    assert again.stdout == done.stdout and again.stderr == ""
