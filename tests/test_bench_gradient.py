"""The bench of gradients refuses to time what is wrong, and its rivals are the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench import gradient, networks
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


def test_rivals_are_the_same_network(pulse):
    X = np.random.default_rng(0).normal(0, 3e-3, (3, 3, 36, 36)).astype(np.float32)
    true = InputGradient(models.path("pulse_gradient"), threads=1)(X)
    assert gradient.error(networks.eager(networks.as_torch(pulse[1]))(X), true) < 1e-5
    assert gradient.error(networks.eager(networks.as_torch(pulse[1]), last=True)(X), true) < 1e-5
    assert gradient.error(gradient.truth(pulse[1], X), true) < 1e-5


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
