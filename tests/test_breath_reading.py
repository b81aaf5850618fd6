"""The reading of least power: what else moves is taken out of y, over sections of any number."""

import numpy as np
import pytest

from fastmag import phase
from fastmag.backends import get
from fastmag.motion import reading

OPS = get("cpu")


def swaying(count, seed=0):
    """A breath (count,), what a network reads of it and of a sway that is ten times as strong, and the fields."""
    rng = np.random.default_rng(seed)
    time = np.arange(count)
    breath, sway = np.sin(0.17 * time), 10 * np.convolve(rng.standard_normal(count + 8), np.ones(9) / 3, "valid")
    trunk, body = (rng.random(2048) < share for share in (0.2, 0.5))
    fields = breath[:, None] * trunk + sway[:, None] * (body | trunk)
    fields += 0.5 * rng.standard_normal(fields.shape)
    return breath, breath + sway, fields.astype(np.float32)


def test_a_sway_that_moves_more_than_the_trunk_is_taken_out():
    breath, first, fields = swaying(200)
    assert np.corrcoef(first, breath)[0, 1] < 0.3
    readings = reading.calmed(first, fields)
    assert readings.shape == (len(reading.LOADINGS), 200)
    likeness = [np.corrcoef(y, breath)[0, 1] for y in readings]
    assert likeness[-1] > 0.9 > 0.3 > likeness[0]
    np.testing.assert_allclose(reading.calmed(2 * first, 3 * fields), 2 * readings, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(reading.calmed(-first, -fields), -readings, atol=1e-6)
    y = reading.steadiest(readings, 10.0, (0.16, 0.5), OPS)
    assert np.corrcoef(y, breath)[0, 1] > 0.9
    assert readings[reading.USUAL] @ y == pytest.approx(y @ y)  # of its scale


def test_a_breath_that_is_all_that_moves_is_kept():
    time = np.arange(200)
    breath = np.sin(0.17 * time) * (1 + 0.2 * np.sin(0.02 * time))
    fields = (breath[:, None] * np.linspace(0, 1, 2048)).astype(np.float32)
    fields += 0.01 * np.random.default_rng(0).standard_normal(fields.shape).astype(np.float32)
    y = reading.steadiest(reading.calmed(breath, fields), 10.0, (0.16, 0.5), OPS)
    assert np.corrcoef(y, breath)[0, 1] > 0.99


def test_where_nothing_moves_y_is_the_first_reading():
    first = np.array([1.0, -2.0, 1.0])
    np.testing.assert_allclose(reading.calmed(first, np.zeros((3, 2048), np.float32))[0], first)


def test_a_reading_is_as_large_as_the_first_one_says():
    """Where nothing else moves, the reading of least power is the first one, made small; a small sway stays small."""
    first = np.sin(np.arange(100) / 5)
    np.testing.assert_allclose(reading.sized(0.03 * first, first), first / 3)
    other = np.cos(np.arange(100) * 1.7)
    np.testing.assert_array_equal(reading.sized(other, 0.5 * other + first), other)


def test_of_equal_rhythms_the_reading_within_the_passband_is_kept():
    t = np.arange(140) / 10
    clean = np.sin(2 * np.pi * 0.3 * t)
    noisy = clean + 3 * np.random.default_rng(0).standard_normal(140)
    steadiness = [reading.steadiness(y, 10.0, (0.16, 0.5), OPS) for y in (clean, 0.999 * clean + np.sin(20 * t))]
    assert steadiness[0] > steadiness[1]
    chosen = reading.steadiest(np.stack([noisy, clean, noisy, clean, noisy, noisy]), 10.0, (0.16, 0.5), OPS)
    assert abs(np.corrcoef(chosen, clean)[0, 1]) > 0.999


def partly_seen(scale=1.0):
    """A breath (200,), what a network reads of five noisy places of the 400 that show it, and the fields."""
    rng = np.random.default_rng(1)
    breath = np.sin(0.17 * np.arange(200)) * (1 + 0.3 * np.sin(0.021 * np.arange(200)))
    fields = rng.standard_normal((200, 2048)) * 0.4
    fields[:, :400] += breath[:, None] * np.linspace(0.2, 1, 400)
    fields[:, 1024:1100] += 3 * np.convolve(rng.standard_normal(208), np.ones(9) / 3, "valid")[:, None]
    fields = (scale * fields).astype(np.float32)
    return breath, fields[:, :400:80].mean(1) + 0.2 * fields[:, 1030], fields


def likeness(a, b):
    return abs(np.corrcoef(a, b)[0, 1])


def test_a_second_reading_takes_the_places_that_follow_the_first():
    breath, first, fields = partly_seen()
    once = reading.sized(reading.steadiest(reading.calmed(first, fields), 10.0, (0.16, 0.5), OPS), first)
    twice = reading.found(first, fields, 10.0, (0.16, 0.5), OPS)
    assert likeness(once, breath) < 0.7 < 0.93 < likeness(twice, breath)
    assert twice @ once > 0
    np.testing.assert_allclose(reading.found(-first, fields, 10.0, (0.16, 0.5), OPS), -twice, rtol=1e-3, atol=1e-3)


def test_followers_are_those_whose_motion_is_y():
    breath, _, fields = partly_seen()
    moved = reading.followers(breath, fields, 10.0, (0.16, 0.5), OPS)
    assert likeness(moved, breath) > 0.95
    fields[:, :400] = 0
    assert likeness(reading.followers(breath, fields, 10.0, (0.16, 0.5), OPS), breath) < 0.9


def test_where_there_is_no_breath_nothing_is_read_again():
    _, first, fields = partly_seen(0.01)
    once = reading.sized(reading.steadiest(reading.calmed(first, fields), 10.0, (0.16, 0.5), OPS), first)
    np.testing.assert_array_equal(reading.found(first, fields, 10.0, (0.16, 0.5), OPS), once)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (7, [(0, 7)]),
        (499, [(0, 499)]),
        (500, [(0, 300), (200, 500)]),
        (950, [(0, 300), (200, 500), (400, 700), (600, 950)]),
    ],
)
def test_sections_cover_all_and_none_is_short(count, expected):
    assert list(reading.sections(count)) == expected


def test_sections_fade_into_each_other():
    y = np.zeros(500)
    reading.fade(y, np.ones(300), 0, 300)
    reading.fade(y, np.full(300, 3.0), 200, 500)
    assert (y[:200] == 1).all() and (y[300:] == 3).all()
    assert (np.diff(y[199:301]) > 0).all() and y[249:251].mean() == pytest.approx(2)


class Sum:
    """A network whose y is the mean velocity down."""

    def predict(self, x):
        return x[:, 1].mean((1, 2))


def read_at_once(shown):
    first, fields = reading.first(reading.halved(shown), Sum())
    return reading.sized(reading.steadiest(reading.calmed(first, fields), 10.0, (0.16, 0.5), OPS), first)


def test_a_clip_is_read_in_one_go_or_in_sections(monkeypatch):
    rng = np.random.default_rng(1)
    still = 100 + 10 * rng.standard_normal((123, 123)).astype(np.float32)
    frames = np.stack([np.roll(still, shift, 0) for shift in rng.integers(0, 2, 40)])
    asked = []

    def some(start, stop):
        asked.append((start, stop))
        return frames[start:stop]

    whole = reading.read(some, 40, 10.0, (0.16, 0.5), Sum(), OPS)
    assert whole.shape == (39,) and asked == [(0, 33), (32, 40)]
    shown = reading.looked(frames, 1.0, OPS)
    expected = read_at_once(shown)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-6)
    asked.clear()
    monkeypatch.setattr(reading, "SECTION", 16)
    monkeypatch.setattr(reading, "OVERLAP", 6)
    parts = reading.read(some, 40, 10.0, (0.16, 0.5), Sum(), OPS)
    assert [start for start, _ in asked] == sorted({start for start, _ in asked})  # no frame is looked at twice
    np.testing.assert_allclose(parts[:10], read_at_once(shown[:16])[:10], rtol=1e-3, atol=1e-5)
    assert np.corrcoef(parts, whole)[0, 1] > 0.8
    assert shown.shape[1:] == phase.SHAPE


def test_the_network_sees_the_mean_texture_of_a_section():
    maps = np.random.default_rng(2).uniform(0, 3, (40, 4, 64, 64)).astype(np.float32)
    seen = []

    class Sees(Sum):
        def predict(self, x):
            seen.append(x)
            return super().predict(x)

    z, fields = reading.first(maps, Sees())
    shown = np.concatenate(seen)
    assert shown.shape == (40, *phase.SHAPE) and z.shape == (40,) and fields.shape == (40, 2048)
    np.testing.assert_allclose(shown[7, 2:, ::2, 1::2], maps[:, 2:].mean(0), rtol=1e-5)
    np.testing.assert_array_equal(reading.halved(shown)[:, :2], maps[:, :2])
    same = reading.first(np.concatenate([maps[:, :2], maps[::-1, 2:]], axis=1), Sum())
    np.testing.assert_allclose(same[1], fields, rtol=1e-4, atol=1e-5)  # in whatever order the textures come
