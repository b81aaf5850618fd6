"""The judges of breathing: known shifts of textures, a truth made by hand, and a rendered person."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from fastmag.cli import cli
from fastmag.errors import InputError
from fastmag.evaluation import people, record
from fastmag.evaluation.breathing import reading, tables
from fastmag.evaluation.breathing.cases import BACKGROUND, BESIDE, BETWEEN, HEAD, TORSO, BreathAsk, BreathCase
from fastmag.evaluation.breathing.clips import judge_breathing
from fastmag.evaluation.breathing.figures import BreathFigures
from fastmag.evaluation.breathing.judging import NOTHING_READ, BreathRow, compare
from fastmag.evaluation.breathing.methods import EVERY, alike, check_methods, gain_of, params_of
from fastmag.evaluation.shifts import Patches
from fastmag.params import EvmMotion, PhaseEvm, Riesz, VamMotion
from fastmag.presets import preset
from fastmag.video import write_rgb

SIZE, FPS, SWING = (120, 160), 5.0, 0.5  # the torso rises by so many pixels


def texture(sigma: float = 2.0, seed: int = 0, size=SIZE) -> np.ndarray:
    """A picture (H, W) of blobs that repeats beyond its edges, in grey levels."""
    blobs = gaussian_filter(np.random.default_rng(seed).normal(size=size), sigma, mode="wrap")
    return 120 + 30 * blobs / blobs.std()


def moved(picture: np.ndarray, down: float, right: float = 0.0) -> np.ndarray:
    """The picture so many pixels further down and right, exactly."""
    y, x = np.fft.fftfreq(picture.shape[0])[:, None], np.fft.rfftfreq(picture.shape[1])
    turned = np.fft.rfft2(picture) * np.exp(-2j * np.pi * (y * down + x * right))
    return np.fft.irfft2(turned, picture.shape)


@pytest.mark.parametrize("shift", [(0.03, -0.02), (0.37, 0.21), (-1.5, 0.5), (6.3, -1.4)])
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_a_known_shift_is_found(shift, sigma):
    picture = texture(sigma, size=(160, 240))
    found = Patches(np.rint(picture)).shifts(np.rint(moved(picture, *shift)) + 3)
    off = np.abs(found - shift)
    assert np.median(off, axis=0).max() < 0.015 and np.percentile(off, 95) < 0.04
    np.testing.assert_allclose(np.median(found, axis=0), shift, atol=0.012)


def test_what_is_the_same_has_not_moved_and_what_is_plain_tells_nothing():
    picture = texture()
    assert not Patches(picture).shifts(picture + 5.0).round(6).any()
    picture[:60] = 77 + np.random.default_rng(1).normal(0, 0.5, (60, 160))
    patches = Patches(picture)
    top, below = patches.corners[:, 0] + patches.side < 55, patches.corners[:, 0] > 65
    assert not patches.clear[top].any() and patches.clear[below].all()
    one = patches.shifts(moved(picture, 1.0), below)
    assert not one[~below].any() and one[below].any(1).all()


def made(breathing: bool = True, seconds: float = 13.0) -> BreathCase:
    """A torso of blobs before a patterned wall breathes at .25 Hz; a head above it that rises with it, a tenth as
    far."""
    n = round(seconds * FPS)
    breath = np.sin(2 * np.pi * 0.25 * np.arange(n) / FPS) * breathing
    kinds = np.full((n, *SIZE), BACKGROUND, np.uint8)
    kinds[:, 60:66] = kinds[:, :66, 50:56] = kinds[:, :66, 104:110] = BETWEEN
    kinds[:, 66:] = TORSO
    kinds[:, :60, 56:104] = HEAD
    frames, true = (shown(kinds, SWING * times * breath, 0.1 * SWING * times * breath) for times in (1, 5))
    return BreathCase("made", frames, FPS, breath, SWING, np.arange(n), true, kinds, breathing)


def shown(kinds: np.ndarray, torso: np.ndarray, head: np.ndarray, wall: np.ndarray | None = None) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 with the parts so many pixels higher."""
    blobs, out = [texture(seed=seed) for seed in range(3)], np.empty((*kinds.shape, 3), np.uint8)
    wall = np.zeros(len(torso)) if wall is None else wall
    for t, kind in enumerate(kinds):
        parts = moved(blobs[0], -wall[t]), moved(blobs[1], -torso[t]), moved(blobs[2], -head[t])
        out[t] = np.clip(np.rint(np.choose(np.where(kind == BETWEEN, BACKGROUND, kind), parts)), 0, 255)[..., None]
    return out


@pytest.fixture(scope="module")
def case() -> BreathCase:
    return made()


def judged(case: BreathCase, frames: np.ndarray) -> BreathFigures:
    return compare(case, {"it": frames.__getitem__})["it"]


def test_the_true_clip_has_the_true_gain_and_nothing_has_none(case):
    true, nothing = judged(case, case.true), judged(case, case.frames)
    assert true.gain == pytest.approx(5) and true.correlation == pytest.approx(1) and true.head_leak == 0
    assert true.psnr_true == true.above_nothing == float("inf") and true.ssim_true == pytest.approx(1)
    pixel = 492 / SIZE[0]
    assert true.torso == pytest.approx(4 * SWING / np.sqrt(2) * pixel, rel=0.02)
    assert true.head == pytest.approx(0.4 * SWING / np.sqrt(2) * pixel, rel=0.05)
    assert nothing.gain == 1 and nothing.correlation == nothing.torso == nothing.head == nothing.above_nothing == 0
    assert nothing.psnr_source == float("inf") and nothing.psnr_true == pytest.approx(true.psnr_source)


def test_half_of_the_true_motion_has_the_gain_three(case):
    half = judged(case, shown(case.kinds, 3 * SWING * case.breath, 0.1 * SWING * case.breath))
    assert half.gain == pytest.approx(3, abs=0.05) and half.correlation > 0.99 and half.head < 0.01
    assert 3 < half.above_nothing < 15 and half.background == half.background_added == 0


def test_motion_at_the_wrong_time_and_in_the_wrong_place_is_told(case):
    late = np.cos(2 * np.pi * 0.25 * np.arange(len(case.breath)) / FPS)
    wrong = judged(case, shown(case.kinds, SWING * (case.breath + 4 * late), 0.1 * SWING * case.breath + 0.2 * late))
    assert wrong.gain == pytest.approx(1, abs=0.25) and abs(wrong.correlation) < 0.1 and wrong.above_nothing < 0
    assert wrong.head_leak == pytest.approx(0.2 / np.sqrt(2) * case.pixel, rel=0.1)
    shaken = judged(case, shown(case.kinds, SWING * case.breath, 0.1 * SWING * case.breath, 0.1 * late))
    assert shaken.background == pytest.approx(0.1 / np.sqrt(2) * case.pixel, rel=0.1) and shaken.background_added > 0.3
    assert shaken.gain == pytest.approx(1, abs=0.02) and shaken.torso < 0.02


def test_with_the_breath_held_only_what_was_moved_is_a_figure():
    held = made(False, 4.0)
    swung = 0.5 * SWING * np.sin(np.arange(len(held.breath)))
    swayed = judged(held, shown(held.kinds, swung, 0 * swung))
    assert np.isnan([swayed.gain, swayed.correlation, swayed.above_nothing]).all()
    assert swayed.torso == pytest.approx(np.sqrt((swung**2).mean()) * held.pixel, rel=0.05) and swayed.head == 0


def test_a_rival_is_given_the_alpha_of_the_same_gain(case):
    params = alike(case, preset("phase/breathing"), 3.0)
    from fastmag import magnify

    assert gain_of(case, magnify(case.frames, method=params, fps=FPS)) == pytest.approx(3, rel=0.06)
    assert alike(dataclasses.replace(case, breathing=False), params, 3.0).alpha == 4


class Flat:
    """A network that reads noise, and looks for what rises everywhere alike."""

    def predict(self, x):
        return np.random.default_rng(len(x)).normal(size=len(x)).astype(np.float32)

    def __call__(self, x):
        return -np.ones_like(x)


def test_what_is_read_is_compared_with_the_true_breath(case, monkeypatch):
    monkeypatch.setattr(reading, "network_of", lambda model: Flat())
    reader = reading.Reader(case)
    lower, noise = reader.read(False), reader.read(True)
    assert lower.wave_correlation > 0.95 and lower.rate_error < 0.3 and np.isnan(lower.quality)
    assert lower.rate == pytest.approx(15, abs=0.3) and noise.wave_correlation < 0.7
    shown, told = reader.magnified(truly=True)
    assert told.wave_correlation > 0.98 and told.rate_error < 0.3 and 0 < told.quality <= 1
    assert judged(case, shown).gain > 1.3
    held = reading.Reader(dataclasses.replace(case, breathing=False)).read(False)
    assert np.isnan([held.wave_correlation, held.rate_error]).all() and held.rate == lower.rate


def test_methods_are_known_by_name():
    assert check_methods(("true", "true", "phase/breathing@2")) == ("true", "phase/breathing@2")
    assert params_of("vam/breathing@3").alpha == 3 and params_of("phase/breathing@matched").temporal == "fir"
    assert params_of("respiration-sure").sure and not params_of("respiration").sure
    assert params_of("respiration-phase").renders == "phase" and params_of("respiration").renders == "warp"
    for wrong in ("magic", "phase/breathing@x", "evm-color@"):
        with pytest.raises(InputError, match="unknown method"):
            check_methods((wrong,)) if wrong != "evm-color@" else check_methods(("evm@",))


def a_row(clip: str, method: str, breathing: bool = True, **figures) -> BreathRow:
    nothing = BreathFigures(*(0.0,) * 14)
    return BreathRow(clip, clip[0], int(clip[2:5]), breathing, method, dataclasses.replace(nothing, **figures),
                     NOTHING_READ, 1.5)  # fmt: skip


def test_rows_are_kept_and_tables_show_the_worst(tmp_path):
    rows = [a_row("A 900", "respiration", gain=5.0, above_nothing=3.0, psnr_source=40.0),
            a_row("A 901", "respiration", gain=7.0, above_nothing=float("inf"), psnr_source=42.0),
            a_row("B 902 held", "respiration", False, torso=0.25)]  # fmt: skip
    record.Record(tmp_path / "out", {"seed": 1}, BreathRow).add(rows)
    assert str(record.Record(tmp_path / "out", {"seed": 1}, BreathRow).rows) == str(rows)
    magnifying = tables.magnifying(rows)
    assert "| A | respiration | 2 | 6.00 | 5.0 - 7.0 | 1 |" in magnifying and "+3.0 (1 inf) / +3.0" in magnifying
    assert "| respiration | 1 | 0.25 / 0.25 |" in tables.still(rows) and "A 0.25" not in tables.still(rows)
    text = tables.report(rows)
    assert "| phase-EVM (paper) | 31.1 | 0.907 |" in text and "| respiration | 41.0 |" in text
    assert "| all | 1.5 |" in text and "Reading" not in text and "beside the others" not in text
    rows.append(a_row("A 901", "true", gain=5.0, psnr_source=41.5, ssim_source=-0.5))
    assert "| A | true | 1 | +0.5 / +0.5 | +0.5000 | 7.00 | 5.00 |" in tables.against(rows)


def test_the_parts_of_a_rendered_person_lie_where_they_should():
    made = BreathAsk("A", 671_000, True, {"seconds": 2.0, "fps": 5.0, "size": (96, 128)}).case()
    rows = {kind: np.nonzero(made.kinds[0] == kind)[0].mean() for kind in (HEAD, TORSO)}
    wall = np.isin(made.kinds, (BACKGROUND, BESIDE))
    assert rows[HEAD] < 50 < 70 < rows[TORSO] and 0.1 < (made.kinds[0] == BESIDE).mean() < wall[0].mean() - 0.1
    still, deeper = np.abs(made.true.astype(int) - made.frames[made.judged]).mean(-1), ~wall
    assert still[~deeper].max() == 0 < still[deeper].max()
    held = BreathAsk("A", 671_000, False, {"seconds": 2.0, "fps": 5.0, "size": (96, 128)}).case()
    assert held.name == "A 671000 held" and (held.true == held.frames[held.judged]).all()


def test_the_command_judges_keeps_and_goes_on(tmp_path):
    flags = ["evaluate", "people", str(tmp_path / "out"), "--signal", "respiration", "--tasks", "A", "--people", "1",
             "--without", "1", "--seconds", "4", "--fps", "5", "--size", "192,144", "--jobs", "1",
             "--methods", "nothing,true"]  # fmt: skip
    files = ["--json", str(tmp_path / "all.json"), "--csv", str(tmp_path / "all.csv")]
    done = CliRunner().invoke(cli, [*flags, *files], catch_exceptions=False)
    assert done.exit_code == 0 and "| A | true | 1 | 5.00 |" in done.output and "A 810000" in done.stderr
    rows = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert [row["clip"] for row in rows] == ["A 810000"] * 2 + ["A 811000 held"] * 2
    assert rows[1]["above_nothing"] == "inf" and rows[0]["seconds"] > 0 and rows[0]["rate_error"] is None
    assert (tmp_path / "all.csv").read_text().count("\n") == 5
    again = CliRunner().invoke(cli, flags, catch_exceptions=False)
    assert again.stdout == done.stdout and again.stderr == ""
    with pytest.raises(InputError, match="--split dependent"):
        CliRunner().invoke(cli, [*flags, "--split", "dependent"], catch_exceptions=False, standalone_mode=False)


def test_a_real_clip_is_judged_where_it_breathes_and_where_it_is_quiet(case, tmp_path):
    files = [tmp_path / name for name in ("in.mkv", "same.mkv", "out.mkv", "small.mkv")]
    late = np.sin(2 * np.pi * 0.4 * np.arange(len(case.breath)) / FPS)
    more = shown(case.kinds, 2 * SWING * case.breath, 0.1 * SWING * case.breath, 0.05 * late)
    for path, frames in zip(files, (case.frames, case.frames, more, more[:, :60]), strict=True):
        write_rgb(path, frames, FPS, lossless=True)
    flags = ["evaluate", "clip", "--signal", "respiration", str(files[0]), *map(str, files[1:3])]
    done = CliRunner().invoke(cli, [*flags, "--json", str(tmp_path / "all.json")], catch_exceptions=False)
    same, out = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert done.exit_code == 0 and "same.mkv | 1.00 | 1.000 | 0.000 | 0.000 | inf |" in done.output
    assert out["gain"] == pytest.approx(2, rel=0.03) and out["correlation"] > 0.99 and same["psnr"] == "inf"
    assert out["rate"] == pytest.approx(15, abs=0.2) and out["breathing"] >= 16 and out["still"] >= 10
    assert out["quiet"] == pytest.approx(0.05 / np.sqrt(2), rel=0.15)
    with pytest.raises(InputError, match="differ in size"):
        judge_breathing(files[0], files[3])
    with pytest.raises(InputError, match="nothing breathes"):
        judge_breathing(files[0], files[2], (0.8, 1.2))
    with pytest.raises(InputError, match="too short"):
        judge_breathing(files[0], files[2], (0.05, 0.5))


def test_every_method_is_asked_for_by_default():
    asked = {type(params_of(name)) for name in EVERY if "/" in name}
    assert asked == {EvmMotion, PhaseEvm, Riesz, VamMotion}
    assert check_methods(()) == EVERY and people.held_out("A", 1, 1, 5, {}, BreathAsk)[1].name == "A 1005 held"
