"""How well breathing is read: the judge without a network, the figures, and the table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from fastmag import phase
from fastmag.cli import cli
from fastmag.evaluation.breathing import waves
from fastmag.kernels import cpu
from fastmag.motion import reading
from fastmag.motion.lower_half import lower_half

SMALL = {"seconds": 7.0, "size": (98, 130), "texture_rows": 64, "detail": 0.4, "antialias": 1, "noise": 0.2}


def moving(down: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Noise (T, 123, 123) whose lower half lies `down` (T,) samples deeper, the upper half `upper`."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:123, :123].astype(np.float64)
    waves_of = [(*rng.normal(0, 1.2, 2), rng.uniform(0, 6.28), rng.normal()) for _ in range(30)]
    shift = np.where(np.arange(123)[:, None] > 61, down[:, None, None], upper[:, None, None])
    return 90 + 8 * sum(s * np.cos(kx * x + ky * (y - shift) + p) for kx, ky, p, s in waves_of)


def velocity(small: np.ndarray) -> np.ndarray:
    subbands = phase.analyse(small.astype(np.float32), cpu)
    return lower_half(subbands, cpu)


def test_the_lower_half_is_read_and_the_upper_is_not():
    t = np.arange(40)
    breath, other = 0.4 * np.sin(0.3 * t), 0.4 * np.sin(0.7 * t + 1)
    read = velocity(moving(breath, other))
    assert read.shape == (39,)
    assert np.corrcoef(read, -np.diff(breath))[0, 1] > 0.95  # up is positive
    assert abs(np.corrcoef(read, np.diff(other))[0, 1]) < 0.3
    assert np.abs(velocity(np.full((3, 123, 123), 50.0))).max() < 1e-6


def test_a_wave_is_compared_with_the_truth_up_to_its_sign():
    t = np.arange(200) / 10
    breath = np.sin(2 * np.pi * 0.25 * t)
    r, off = waves.compare(-3 * np.diff(breath), breath, cpu)
    assert r > 0.999 and off < 0.05
    other, off = waves.compare(np.diff(np.sin(2 * np.pi * 0.35 * t)), breath, cpu)
    assert other < 0.3 and off == pytest.approx(6, abs=0.3)
    assert waves.compare(np.zeros(199), breath, cpu)[0] == 0


def test_people_are_asked_for_by_task_and_in_the_hard_world():
    clips = waves.asks(2, 8, 500, SMALL)
    assert [ask.kind for ask in clips] == list("AABBCCDD") + ["hard"] * 8
    assert len({ask.seed for ask in clips}) == 16
    hard = [ask.settings for ask in clips[8:]]
    assert {settings["task"] for settings in hard} == set("ABCD")
    assert {settings["crf"] for settings in hard} == {0, waves.CRF}
    assert all(settings["world"] == "any" for settings in hard) and "world" not in clips[0].settings


class Told:
    """A network that answers what it is told."""

    def __init__(self, y: np.ndarray):
        self.y = list(y)

    def predict(self, x: np.ndarray) -> np.ndarray:
        assert x.shape[1:] == phase.SHAPE
        return np.array([self.y.pop(0) for _ in x])


def test_a_clip_is_rendered_once_and_read_in_batches(tmp_path):
    ask = waves.asks(1, 0, 500, SMALL)[0]
    small, breath = waves.seen(ask, tmp_path)
    assert small.shape == (70, 123, 123) and breath.shape == (70,)
    again, _ = waves.seen(ask, tmp_path)
    np.testing.assert_array_equal(small, again)
    y, plain = waves.read(small, Told(np.diff(breath)), cpu)
    maps = reading.halved(reading.looked(small, 1.0, cpu))
    _, fields = reading.first(maps, Told(np.diff(breath)))
    expected = reading.found(np.diff(breath), fields, 10.0, waves.PASSBAND, cpu)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)
    r, off = waves.compare(y, breath, cpu)
    assert r > 0.8 and len(plain) == 69
    rows = [waves.WaveRow("A", 1, r, off, 0.5, 1.25), waves.WaveRow("A", 2, r, off, 0.7, 0.75)]
    assert "| A | 2 |" in waves.table(rows) and "0.600 / 0.600 | 1.00 |" in waves.table(rows)


def test_the_command_writes_a_row_for_every_clip(tmp_path, monkeypatch):
    asked = []

    def judged(clips, model, jobs, keep, step):
        asked.extend(clips)
        return [waves.WaveRow(clip.kind, clip.seed, 0.9, 0.1, 0.5, 1.5) for clip in clips]

    monkeypatch.setattr(waves, "judge_all", judged)
    path = tmp_path / "waves.json"
    options = ["--people", "1", "--hard", "2", "--seed", "7", "--seconds", "8", "--size", "130,98"]
    result = CliRunner().invoke(cli, ["evaluate", "waves", *options, "--json", str(path)])
    assert result.exit_code == 0, result.output
    assert "| hard | 2 | 0.900 / 0.900 / 0.90 | 0.10 |" in result.output
    assert asked[0].settings == {"task": "A", "seconds": 8.0, "size": (98, 130)}
    kept = json.loads(path.read_text())
    assert [row["seed"] for row in kept["rows"]] == [7, 1007, 2007, 3007, 4007, 4008]
    assert kept["options"]["seed"] == 7 and kept["rows"][0]["plain_off"] == 1.5
