"""Both forms of the ascent against float64."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from fastmag.ascent import ascend
from fastmag.coherent.local import SkinCells
from fastmag.color import Picture
from fastmag.deepmag import DELTA, coherent_change, paper_change, sections_of
from fastmag.kernels import cpu, reference
from fastmag.params import Pulse
from fastmag.spool import Spool

SHAPE = (5, 7, 3)  # of small cells; kernels do not care
SCREEN = Picture("rgb", ((120, 160),))


class Network:
    """A smooth network with a gradient that can be written down: y = a.x + (b.x)^2 / 2."""

    def __init__(self, dtype=np.float32):
        rng = np.random.default_rng(1)
        self.a, self.b = (rng.normal(size=(3, *SHAPE[:2])).astype(np.float32).astype(dtype) for _ in range(2))

    def predict(self, x):
        return x.reshape(len(x), -1) @ self.a.ravel() + (x.reshape(len(x), -1) @ self.b.ravel()) ** 2 / 2

    def gradient(self, x):
        inner = x.reshape(len(x), -1) @ self.b.ravel()
        return self.predict(x), self.a + inner[:, None, None, None] * self.b

    __call__ = gradient


@pytest.fixture
def clip():
    rng = np.random.default_rng(2)
    t = np.arange(200)[:, None, None, None] / 30
    base = rng.uniform(40, 200, SHAPE) * (1 + 0.004 * np.sin(2 * np.pi * 1.2 * t))
    return (base + rng.normal(0, 0.15, (200, *SHAPE))).astype(np.float32)


@pytest.mark.parametrize("rule", ["sign", "l1", "vanilla"])
def test_ascend_equals_the_equations_in_float64(rule):
    """Eq. 1-4, written out one sample at a time."""
    x1 = np.random.default_rng(0).normal(0, 3e-3, (6, 3, *SHAPE[:2])).astype(np.float32)
    x1[2, 0] = 0
    gamma = 1e-4 if rule != "vanilla" else 1e-6
    got = ascend(x1, Network(), cpu, step_size=gamma, n_steps=20, rule=rule)
    exact, network = x1.astype(np.float64), Network(np.float64)
    for i in range(len(exact)):
        for _ in range(19):
            y, slope = network(exact[i : i + 1])
            g = np.sign(y[0]) * slope[0]
            if rule != "vanilla":
                g = g / np.abs(g).mean()
            if rule == "sign":
                g = g * np.sign(exact[i] * g)
            exact[i] += gamma * g
    assert np.abs(exact - x1).max() > 1e-5
    np.testing.assert_allclose(got - x1, exact - x1, atol=2e-7 * np.abs(exact).max() / 1e-2)
    if rule == "sign":
        np.testing.assert_array_equal(got[2, 0], 0)
        np.testing.assert_array_equal(np.sign(got), np.sign(x1))


def paper_in_float64(cells, gamma, n_steps, passband):
    """Eq. 15-17 over the whole clip at once."""
    c = np.maximum(cells.astype(np.float64), 0)
    x1 = (c[1:] - c[:-1]) / (c[1:] + c[:-1] + 2 * DELTA)
    network, xn = Network(np.float64), x1.transpose(0, 3, 1, 2).copy()
    sign = np.sign(xn)
    for _ in range(n_steps - 1):
        g = np.abs(network(xn)[1])
        xn += gamma * g / g.mean(axis=(1, 2, 3), keepdims=True) * sign
    added = xn.transpose(0, 2, 3, 1) - x1
    x = x1 + sosfiltfilt(butter(3, passband, "bandpass", fs=30.0, output="sos"), added, axis=0)
    out = [c[0] + DELTA]
    for frame in x:
        out.append(out[-1] * (1 + frame) / (1 - frame))
    return np.array(out) - DELTA - c


@pytest.mark.parametrize("budget", [1 << 30, 1])
@pytest.mark.parametrize("count", [200, 97])
def test_the_paper_form_streams_to_the_whole_clip_in_float64(clip, count, budget, monkeypatch):
    monkeypatch.setattr("fastmag.passes.CHUNK", 33)
    params = Pulse(form="paper", strength=2.0)
    expected = paper_in_float64(clip[:count], 2 * 6e-5, 20, params.passband)
    with Spool(SHAPE, budget=budget) as spool:
        spool.append(clip[:count])
        got = paper_change(spool, 30.0, params, Network(), cpu).read(0, count)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(got, expected, atol=2e-4 * np.abs(expected).max() + 5e-5)


def test_the_first_frame_of_the_paper_form_is_untouched(clip):
    with Spool(SHAPE) as spool:
        spool.append(clip)
        change = paper_change(spool, 30.0, Pulse(form="paper"), Network(), cpu)
        assert np.abs(change.read(0, 1)).max() == 0 and np.abs(change.read(1, 200)).max() > 0


@pytest.mark.parametrize("ops", [cpu, reference], ids=["cpu", "reference"])
def test_the_coherent_form_is_the_same_from_disk_and_in_float64(clip, ops):
    """A spool on disk and another backend change nothing but rounding."""
    changes = []
    for budget, kernels in ((1 << 30, cpu), (1, ops)):
        with Spool(SHAPE, budget=budget) as spool:
            spool.append(clip)
            change, sections = coherent_change(spool, 30.0, Pulse(), Network(), SkinCells(SCREEN, kernels))
            found = sections[0].found
            changes.append(np.abs(found.skin * found.beta[1]))
            assert change.read(0, 200).shape == (*clip.shape[:3], 7)
    assert changes[0].max() > 1e-4
    np.testing.assert_allclose(changes[1], changes[0], atol=0.02 * changes[0].max())


@pytest.mark.parametrize("count", [1, 300, 900, 901, 1500, 5000])
def test_sections_cover_the_clip_and_overlap(count):
    spans = sections_of(count, 30.0)
    assert spans[0][0] == 0 and spans[-1][1] == count
    assert all(stop - start <= 600 for start, stop in spans)
    assert all(a[1] - b[0] >= 210 and b[0] > a[0] for a, b in pairwise(spans))
