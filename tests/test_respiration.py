"""Breathing: what is found in a clip, what is rendered, and what is refused."""

import shutil

import numpy as np
import pytest
from breathers import OPS, SCALE, Clip, Eye, Kept, breather, breathing, magnified, shifted, texture

import fastmag.spool as spool_module
from fastmag import Respiration, phase, respiration
from fastmag.color import Picture
from fastmag.errors import InputError
from fastmag.motion.lens import flow
from fastmag.vitals import measure_respiration

__all__ = ["breathing"]


def gain_of(planes, clip, rows, part=slice(1 / 6, 5 / 6)):
    """How many times as far the rows move in a part of the clip: least squares over the slope of the still picture."""
    first = clip.planes[0][0][rows].astype(float)
    slope = np.gradient(first, axis=0)
    inner = slice(8, -8)

    def follow(frames):
        change = np.stack([f[0][rows].astype(float) - first for f in frames])[:, inner, inner]
        return -(change * slope[inner, inner]).sum(axis=(1, 2)) / (slope[inner, inner] ** 2).sum()

    seen = slice(round(part.start * len(planes)), round(part.stop * len(planes)))
    return np.polyfit(follow(clip.planes)[seen], follow(planes)[seen], 1)[0]


@pytest.mark.parametrize("rendering", ["warp", "phase", "phase-fast"])
def test_the_body_moves_further_and_the_wall_stays(breathing, rendering):
    clip, position = breathing
    planes, (section,) = magnified(clip, np.diff(position) * SCALE, alpha=3, rendering=rendering)
    assert section.presence == 1 and abs(section.rate_hz - 0.3) < 0.01 and len(section.wave) == len(position)
    assert abs(np.corrcoef(section.wave, position)[0, 1]) > 0.97
    assert 2.3 < gain_of(planes, clip, slice(110, 140)) < 5
    for before, after in zip(clip.planes, planes, strict=True):
        np.testing.assert_array_equal(after[0][30:70], before[0][30:70])
        for plane in (1, 2):
            np.testing.assert_array_equal(after[plane][15:35], before[plane][15:35])
            if rendering != "warp":
                assert after[plane] is before[plane]


def test_the_first_and_the_last_breath_swing_as_far_as_the_others(breathing):
    """What the passband leaves of a breath breaks off at both ends."""
    clip, position = breathing
    planes, _ = magnified(clip, np.diff(position) * SCALE, alpha=3)
    middle = gain_of(planes, clip, slice(110, 140))
    for part in (slice(0, 1 / 8), slice(7 / 8, 1)):
        assert gain_of(planes, clip, slice(110, 140), part) - 1 > 0.8 * (middle - 1)


def test_pixels_take_their_colour_along(breathing):
    clip, position = breathing
    planes, _ = magnified(clip, np.diff(position) * SCALE, alpha=6)
    t = int(np.argmax(position[30:-30])) + 30
    luma, colour = (planes[t][i].astype(float) for i in (0, 1))
    apart = np.abs(colour - luma[::2, ::2] / 2 - 64)[55:70, 8:-8]  # each is interpolated between its own samples
    assert apart.mean() < 2 and apart.max() < 12
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
    assert 2.3 < gain_of(planes, clip, slice(90, 120)) < 5


def test_flow_is_the_motion_in_pixels():
    image = texture(5, 246, 246)
    subbands = phase.represent(np.stack([image, shifted(image, 0.2, -0.3)]), OPS)
    moved, power = flow(subbands, OPS)
    seen = power[0] > np.percentile(power[0], 50)
    assert np.median(moved[0, 0][seen]) == pytest.approx(-0.6, abs=0.04)  # a pixel is two of the network's square
    assert np.median(moved[0, 1][seen]) == pytest.approx(0.4, abs=0.04)


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
    assert abs(np.corrcoef(found.wave, position)[0, 1]) > 0.995 and found.wave.std() == pytest.approx(1)
