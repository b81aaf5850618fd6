"""The bench of gradients refuses to time what is wrong, and its rivals are the same network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench import bf16, gradient, networks
from fastmag import models
from fastmag.gradients import InputGradient
from fastmag.providers.ort import OnnxRuntime


@pytest.fixture(scope="module")
def pulse():
    yield from (one[1:] for one in gradient.networks(["pulse"]))


@pytest.fixture
def quick(monkeypatch, pulse):
    monkeypatch.setattr(networks, "RIVALS", {"torch eager": networks.eager})
    yield lambda **options: gradient.row("pulse", *pulse, batch=1, threads=1, rounds=1, **options)
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", ["pulse", "respiration"])
def test_rivals_are_the_same_network(name):
    (path,) = (one[2] for one in gradient.networks([name]))
    X = np.random.default_rng(0).normal(0, gradient.SIZES[name], (3, *gradient.SHAPES[name])).astype(np.float32)
    y, true = InputGradient(models.path(f"{name}_gradient"), threads=1).gradient(X)
    module = networks.as_torch(path)
    assert gradient.error(networks.eager(module)(X), true) < 2e-5
    assert gradient.error(networks.eager(module, last=True)(X), true) < 2e-5
    assert gradient.error(networks.eager(module, forward=True)(X), y) < 2e-5
    assert gradient.error(gradient.truth(path, X), true) < 2e-5
    assert gradient.error(gradient.truth(path, X, "y"), y) < 2e-5


@pytest.mark.parametrize("what", ["y", "gradient", "ascent"])
def test_a_row_times_what_is_right(quick, what):
    one = quick(what=what)
    assert {"torch eager", "cpu fp32"} <= set(one["times"]) and not one["red"]
    assert one["times"]["torch eager"]["times_eager"] == 1 and one["times"]["cpu fp32"]["ms_each"] > 0
    record = {"rows": [one], "machine": {"cpu": "a", "cores": 2, "load": 1, "versions": dict.fromkeys(
        ("onnxruntime", "openvino", "torch"), "1")}, "commit": "c", "date": "d"}  # fmt: skip
    if what == "gradient":
        assert "| cpu fp32 |" in gradient.table(record)


def test_what_is_wrong_is_not_timed(quick, monkeypatch):
    real = OnnxRuntime.gradient
    monkeypatch.setattr(OnnxRuntime, "gradient", lambda self, X: (real(self, X)[0], 1.01 * real(self, X)[1]))
    one = quick(what="gradient")
    assert one["red"]["cpu fp32"].startswith("red: 0.01") and "cpu fp32" not in one["times"]


def test_bf16_is_not_timed_where_a_rate_or_a_frame_is_missing(monkeypatch):
    found = SimpleNamespace(rate_bpm=60.4)
    monkeypatch.setattr(bf16.fastmag, "magnify", lambda *_, **__: found)
    monkeypatch.setattr(bf16, "probe", lambda _: SimpleNamespace(n_frames=bf16.FRAMES["pulse"]))
    judge = partial(bf16._wrong, "pulse", Path("in"), Path("out"))
    assert not list(judge({"bpm": 60.0}))
    assert "60.4 a minute instead of 66.0" in next(judge({"bpm": 66.0})), "in float32 as in bfloat16"
    found.rate_bpm = None
    assert len(list(judge({"bpm": 60.0}))) == 2, "the paper's form looks for no rate"
    monkeypatch.setattr(bf16, "probe", lambda _: SimpleNamespace(n_frames=299))
    assert len([said for said in judge({"bpm": 60.0}) if "frames are missing" in said]) == 3


def test_bf16_says_what_is_met():
    spent = {"median": 2.0, "min": 1.9, "max": 2.1}
    seconds = {method: dict.fromkeys(("transcode", *cases), spent) for method, cases in bf16.CASES.items()}
    record = {
        "gate": "green", "seconds": seconds, "frames": bf16.FRAMES, "targets": bf16.TARGETS, "rate_target": 15,
        "commit": "c", "machine": {"load": 0.5},
        "times_transcode": {"pulse": {"coherent, bf16": 1.3, "paper, bf16": 1.9}, "respiration": {"warp, bf16": 9.0}},
    }  # fmt: skip
    lines = bf16.table(record).splitlines()
    assert [line.split("|")[1].strip() for line in lines if "met" in line] == [
        "pulse: paper, bf16",
        "respiration: warp, bf16",
    ]
    assert any("coherent, bf16" in line and "**missed**" in line for line in lines)
