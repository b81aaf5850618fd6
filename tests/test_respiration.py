"""Breathing: what is found in a clip, what is rendered, and what is refused."""

import shutil

import numpy as np
import pytest
from scipy import signal
from scipy.ndimage import gaussian_filter

import fastmag.spool as spool_module
from fastmag import Respiration, backends, phase, respiration
from fastmag.color import Picture
from fastmag.errors import InputError
from fastmag.kernels import reference
from fastmag.motion import lens, paper
from fastmag.motion.lens import flow
from fastmag.motion.render import Box, Geometry, Mover
from fastmag.motion.wave import breath
from fastmag.spool import Spool
from fastmag.video.media import Frame
from fastmag.vitals import measure_respiration

OPS = backends.get("cpu")


def picture(seed, height, width):
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return np.clip(128 + 400 * gaussian_filter(noise, 2), 0, 255).astype(np.uint8)


FPS = 10.0


def texture(seed, height, width):
    """A picture without a border: it may be shifted by parts of a pixel through its spectrum."""
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return 128 + 30 * zscore(gaussian_filter(noise, 1.5, mode="wrap"))


def zscore(x):
    return (x - x.mean()) / x.std()


def shifted(image, down, across):
    """The picture moved down and to the right, exactly."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (fy * down + fx * across))).real


class Eye:
    """A network that knows y beforehand, and looks at the lower half."""

    def __init__(self, y):
        self.y, self.at = np.asarray(y, np.float32), 0

    def predict(self, x):
        self.at += len(x)
        return self.y[self.at - len(x) : self.at]

    def gradient(self, x):
        slope = np.zeros_like(x)
        slope[:, :, 64:] = 1
        return np.zeros(len(x), np.float32), slope

    def __call__(self, x):
        return self.gradient(x)[1]


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


class Clip:
    """A source of planes Y, U, V."""

    def __init__(self, luma, fps=FPS):
        self.fps, self.n_frames, self.damage = fps, len(luma), None
        h, w = luma.shape[1:]
        self.picture = Picture("yuv", ((h, w), (h // 2, w // 2), (h // 2, w // 2)))
        self.planes = [(y, y[::2, ::2] // 2 + 64, 255 - y[::2, ::2] // 2) for y in luma]

    def frames(self, again=False):
        for i, planes in enumerate(self.planes):
            yield Frame(planes, i / self.fps)


class Kept:
    """A sink that keeps planes."""

    def __init__(self):
        self.planes = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def write(self, frame):
        self.planes.append(frame.planes)


def breather(seconds, height=160, width=128, amplitude=0.35, fps=FPS, hz=0.3):
    """A clip whose lower half rises and falls before a still wall, and its position in pixels (T,)."""
    still, body = texture(1, height, width), texture(2, height, width)
    position = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * fps)) / fps)
    edge = np.clip((np.arange(height) - 0.6 * height) / 4, 0, 1)[:, None]
    frames = [still * (1 - edge) + shifted(body, d, 0) * edge for d in position]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8), position


def magnified(clip, y, **choices):
    kept = Kept()
    count, sections, fps = respiration.magnify_respiration(clip, kept, Respiration(**choices), Eye(y), OPS)
    assert count == len(clip.planes) and fps == FPS
    return kept.planes, sections


def gain_of(planes, clip, position, rows):
    """How many times as far the rows move, by least squares over the slope of the still picture."""
    first = clip.planes[0][0][rows].astype(float)
    slope = np.gradient(first, axis=0)
    inner = slice(8, -8)

    def follow(frames):
        change = np.stack([f[0][rows].astype(float) - first for f in frames])[:, inner, inner]
        return -(change * slope[inner, inner]).sum(axis=(1, 2)) / (slope[inner, inner] ** 2).sum()

    steady = slice(len(planes) // 6, -len(planes) // 6)
    return np.polyfit(follow(clip.planes)[steady], follow(planes)[steady], 1)[0]


@pytest.fixture(scope="module")
def breathing():
    luma, position = breather(14)
    return Clip(luma), position


SCALE = 492 / 128  # pixels of the network's square a pixel of these clips


@pytest.mark.parametrize("rendering", ["warp", "phase", "phase-fast"])
def test_the_body_moves_further_and_the_wall_stays(breathing, rendering):
    clip, position = breathing
    planes, (section,) = magnified(clip, np.diff(position) * SCALE, alpha=3, rendering=rendering)
    assert section.presence == 1 and abs(section.rate_hz - 0.3) < 0.01 and len(section.wave) == len(position)
    assert abs(np.corrcoef(section.wave, position)[0, 1]) > 0.97
    assert 2.3 < gain_of(planes, clip, position, slice(110, 140)) < 5
    for before, after in zip(clip.planes, planes, strict=True):
        np.testing.assert_array_equal(after[0][30:70], before[0][30:70])
        for plane in (1, 2):
            np.testing.assert_array_equal(after[plane][15:35], before[plane][15:35])
            if rendering != "warp":
                assert after[plane] is before[plane]


def test_pixels_take_their_colour_along(breathing):
    clip, position = breathing
    planes, _ = magnified(clip, np.diff(position) * SCALE, alpha=6)
    t = int(np.argmax(position[30:-30])) + 30
    luma, colour = (planes[t][i].astype(float) for i in (0, 1))
    np.testing.assert_allclose(colour[55:70, 8:-8], (luma[::2, ::2] / 2 + 64)[55:70, 8:-8], atol=4)
    assert np.abs(colour - clip.planes[t][1])[55:70].max() > 8


def test_without_a_breath_the_frames_stay(breathing):
    """y wanders by a few hundredths of a pixel, as a network's does; nothing follows it."""
    clip, position = breathing
    y = 0.002 * np.random.default_rng(0).standard_normal(len(position) - 1)
    planes, (section,) = magnified(clip, y)
    assert section.presence == 0
    assert all(
        after is before
        for one, two in zip(clip.planes, planes, strict=True)
        for before, after in zip(one, two, strict=True)
    )


def test_somebody_who_is_sure_is_not_asked_by_the_gate(breathing):
    clip, position = breathing
    wandering = 0.002 * np.random.default_rng(0).standard_normal(len(position) - 1)
    assert magnified(clip, wandering)[1][0].presence == 0
    assert magnified(clip, wandering, sure=True)[1][0].presence == 1


def test_sections_of_a_long_clip_join(monkeypatch):
    luma, position = breather(20, 128, 96)
    clip = Clip(luma)
    whole, (one,) = magnified(clip, np.diff(position) * 492 / 96, alpha=3)
    monkeypatch.setattr(respiration, "SECTION_SECONDS", 10.0)
    monkeypatch.setattr(respiration, "OVERLAP_SECONDS", 4.0)
    parts, sections = magnified(clip, np.diff(position) * 492 / 96, alpha=3)
    assert [s.start for s in sections] == [0, 50, 100] and sections[-1].stop == 200
    np.testing.assert_allclose(sections[1].wave, one.wave[sections[1].start : sections[1].stop])
    apart = [np.abs(a[0].astype(float) - b[0]).mean() for a, b in zip(whole, parts, strict=True)]
    unlike = [np.abs(a[0].astype(float) - b[0]).mean() for a, b in zip(whole, clip.planes, strict=True)]
    assert np.mean(apart[20:-20]) < 0.2 * np.mean(unlike[20:-20])
    steps = np.abs(np.diff(apart))
    assert steps[20:-20].max() < 0.5 * np.mean(unlike)


def test_faster_frames_are_interpolated_in_time():
    luma, position = breather(12, 128, 96, fps=30)
    clip = Clip(luma, 30.0)
    planes, (section,) = magnified(clip, np.diff(position[::3]) * 492 / 96, alpha=3)
    assert section.stop == 120
    assert 2.3 < gain_of(planes, clip, position, slice(90, 120)) < 5


def test_flow_is_the_motion_in_pixels():
    image = texture(5, 246, 246)
    subbands = phase.represent(np.stack([image, shifted(image, 0.2, -0.3)]), OPS)
    moved, power = flow(subbands, OPS)
    seen = power[0] > np.percentile(power[0], 50)
    assert np.median(moved[0, 0][seen]) == pytest.approx(-0.6, abs=0.04)  # a pixel is two of the network's square
    assert np.median(moved[0, 1][seen]) == pytest.approx(0.4, abs=0.04)


def test_breath_is_the_integral_of_y():
    t = np.arange(400) / 5.0
    found = breath(np.diff(2 * np.sin(2 * np.pi * 0.3 * t)) * 5 / 10, 5.0, (0.16, 0.5), OPS)
    np.testing.assert_allclose(found.wave[50:-50], 2 * np.sin(2 * np.pi * 0.3 * t)[50:-50], atol=0.05)
    np.testing.assert_allclose(found.velocity[50:-50], np.diff(found.wave)[50:-50], atol=0.03)
    assert found.rate_hz == pytest.approx(0.3, abs=0.003)


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


def refused(clip, match, **choices):
    with pytest.raises(InputError, match=match) as error:
        respiration.magnify_respiration(clip, Kept(), Respiration(**choices), Eye(np.zeros(1000)), OPS)
    assert "\n" not in str(error.value)


def test_what_is_refused(monkeypatch):
    luma = np.zeros((40, 96, 128), np.uint8)
    refused(Clip(luma[:, :64]), "the frame must be at least 96 pixels high and wide to see breathing; got 128 x 64")
    refused(Clip(luma), "the clip has 4.0 seconds; two breaths, at the 0.28 Hz in the middle")
    refused(Clip(luma), "passband must end below half the frame rate", passband=(0.2, 6))
    small = Clip(luma)
    small.picture = Picture("yuv", small.picture.shapes, roi=(0, 0, 128, 50))
    refused(small, "the region must be at least 96 pixels")
    for wrong, match in [
        ({"alpha": -1}, "alpha must be"), ({"passband": (0.5, 0.2)}, "LOW < HIGH"), ({"form": "other"}, "form must be"),
        ({"step_size": 1.0}, "step_size has no meaning in the coherent"), ({"rendering": "x"}, "rendering must be"),
        ({"form": "paper", "rendering": "warp"}, "rendering warp has no meaning"),
        ({"form": "paper", "alpha": 2}, "alpha has no meaning"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=match):
            Respiration(**wrong)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(spool_module.shutil, "disk_usage", lambda folder: usage._replace(free=1 << 20))
    refused(Clip(np.zeros((400, 96, 128), np.uint8)), "temporary files.*or the coherent form", form="paper")


def test_measure_reads_the_wave(breathing):
    clip, position = breathing
    found = measure_respiration(clip, Respiration(), Eye(np.diff(position) * SCALE), OPS)
    assert found.present and found.signal == "respiration" and found.rate_bpm == pytest.approx(18, abs=0.3)
    assert abs(np.corrcoef(found.wave, position)[0, 1]) > 0.97 and found.wave.std() == pytest.approx(1)
