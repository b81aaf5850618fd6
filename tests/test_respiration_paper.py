"""Breathing by phases: the difference form on the pyramid, and the paper's form against its equations."""

import numpy as np
import pytest
from breathers import FPS, OPS, Kept, breather, breathing
from scipy import signal
from scipy.ndimage import gaussian_filter

from fastmag import Respiration, phase, respiration
from fastmag.kernels import reference
from fastmag.motion import lens, paper
from fastmag.motion.render import Box, Geometry, Mover
from fastmag.spool import Spool

__all__ = ["breathing"]


def picture(seed, height, width):
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return np.clip(128 + 400 * gaussian_filter(noise, 2), 0, 255).astype(np.uint8)


class Curved:
    """A small network with a slope that changes from step to step, as float32 and, for the judge, float64."""

    def __init__(self):
        self.w = np.random.default_rng(3).normal(0, 0.0005, phase.SHAPE)

    def slope(self, x):
        inner = np.tanh((x * self.w).sum(axis=(1, 2, 3)))
        return inner, (1 - inner**2).reshape(-1, 1, 1, 1) * self.w * (1 + 0.5 * np.cos(x))

    def gradient(self, x):
        y, slope = self.slope(x.astype(np.float64))
        return y.astype(np.float32), slope.astype(np.float32)


def test_phases_of_a_place_come_to_the_same_place_of_every_level():
    """Sample (0, 0) lies on pixel (0, 0) at every level, and phases halve from a level to the next (Eq. 23)."""
    geometry = Geometry((246, 246), (0, 0, 246))
    mover = Mover(geometry, Box((246, 246), 0, 246, 0, 246), OPS)
    row = np.arange(128, dtype=np.float32)[:, None] * geometry.step[0]  # the place in pixels, as the phase
    levels = mover.spread(np.broadcast_to(row, phase.SHAPE))
    pad = mover._pads[0][0]
    assert [a / b for a, b in zip(mover._factors[:-1], mover._factors[1:], strict=True)] == [2.0] * (len(levels) - 1)
    assert mover._factors[1] == pytest.approx(1.0, rel=0.01)  # 246 pixels are half of 492: level 1 is its level 2
    for level, factor, got in zip(mover.levels, mover._factors, levels, strict=True):
        place = np.arange(got.shape[1]) * mover.plan.spacing(level)[0] - pad
        inside = (place >= 0) & (place <= 127 * geometry.step[0])
        np.testing.assert_allclose(got[0, inside, got.shape[2] // 2] / factor, place[inside], atol=1e-3)


def test_the_difference_form_is_the_whole_rebuild():
    """frame + synthesis(subband (exp(i delta) - 1)) against all subbands turned and all residuals, in float64."""
    luma = picture(3, 128, 112).astype(np.float32)
    geometry = Geometry((128, 112), (8, 0, 112))
    mover = Mover(geometry, Box((128, 112), 8, 120, 0, 112), OPS)
    deltas = mover.spread(np.random.default_rng(1).normal(0, 0.7, phase.SHAPE).astype(np.float32))
    box = luma[None, 8:120]
    padded = np.pad(box.astype(np.float64), ((0, 0), *mover._pads), mode="reflect")
    residual = np.empty((1, padded.shape[1], padded.shape[2] // 2 + 1), complex)
    subbands = reference.steerable_analysis(padded, mover.plan, residual=residual)
    turned = [s * np.exp(1j * d) for s, d in zip(subbands, deltas, strict=True)]
    expected = reference.steerable_synthesis(turned, mover.plan, residual=residual) - padded
    (top, _), (left, _) = mover._pads
    expected = expected[:, top : top + 112, left : left + 112]
    assert np.abs(expected).max() > 5
    np.testing.assert_allclose(mover(box, [d[None] for d in deltas]), expected, atol=2e-3)


@pytest.mark.parametrize("rule", ["sign", "l1", "vanilla"])
def test_the_paper_form_is_equations_20_to_22(rule):
    luma, _ = breather(8, 96, 96, amplitude=0.6)
    small = phase.shrink(luma + np.random.default_rng(1).normal(0, 3, luma.shape))
    spool = Spool(small.shape[1:], budget=1 << 30)
    spool.append(small)
    params = Respiration(form="paper", rule=rule, step_size=0.02, n_steps=4)
    got = paper.changes(spool, FPS, params, Curved(), OPS).read(0, len(small))
    subbands = reference.steerable_analysis(small.astype(np.float64), phase.PLAN)[0]
    x = np.angle(subbands[1:] * subbands[:-1].conj())  # Eq. 20
    power = np.abs(subbands[1:]) * np.abs(subbands[:-1])
    through, magnified_x = lens.lens(subbands, reference), x.copy()
    for _ in range(3):  # Eq. 1-4
        y, slope = Curved().slope(lens.seen(magnified_x, through, reference))
        slope = lens.back(slope, magnified_x, through, reference)
        mean = np.abs(slope).mean(axis=(1, 2, 3), keepdims=True)
        toward = np.sign(y).reshape(-1, 1, 1, 1) * slope
        step = {"vanilla": toward, "l1": toward / mean, "sign": np.abs(slope) / mean * np.sign(magnified_x)}
        magnified_x = magnified_x + 0.02 * step[rule]
    start = np.angle(subbands[:1])
    total = np.concatenate([start, start + np.cumsum(magnified_x, axis=0)])  # Eq. 21
    own = np.concatenate([start, start + np.cumsum(x, axis=0)])
    sections = signal.butter(3, (0.16, 0.5), "bandpass", fs=FPS, output="sos")
    expected = signal.sosfiltfilt(sections, total, axis=0) * (np.sign(2 * np.pi - np.abs(own)) + 1) / 2  # Eq. 22
    assert np.abs(expected).max() > 0.3
    close = np.abs(got - expected) < 2e-3 * np.abs(expected).max()
    seen = np.broadcast_to(power.min(axis=0) > 0.01, got.shape)  # elsewhere a phase is what rounding makes it
    assert seen.mean() > 0.3 and close[seen].mean() > 0.999  # but where a phase sits at the clip of 2 pi


def test_the_paper_form_writes_frames(breathing):
    clip, _ = breathing
    kept = Kept()
    params = Respiration(form="paper", n_steps=2, step_size=0.05)
    count, sections, _ = respiration.magnify_respiration(clip, kept, params, Curved(), OPS)
    assert count == len(clip.planes) and sections == []
    assert any(np.abs(a[0].astype(int) - b[0]).max() > 3 for a, b in zip(kept.planes, clip.planes, strict=True))
    assert all(a[1] is b[1] for a, b in zip(kept.planes, clip.planes, strict=True))
