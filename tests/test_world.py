"""The world that is hard for breathing: same seed, same pixels; bodies seen from anywhere; things in front of them."""

from __future__ import annotations

import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.synthetic import Settings, Shot, render_clip
from fastmag.synthetic.things import cover, make_grain
from fastmag.synthetic.world import APART_HZ, _pace, _rocking

SMALL = {"size": (96, 96), "texture_rows": 64, "detail": 0.4, "antialias": 1, "seconds": 0.6, "fps": 10.0}


def test_same_seed_same_pixels_and_another_world_another_picture():
    one, two = (render_clip(3, world="any", threads=k, **SMALL) for k in (1, 2))
    np.testing.assert_array_equal(one.frames, two.frames)
    plain = render_clip(3, **SMALL)
    np.testing.assert_array_equal(plain.frames, render_clip(3, world="paper", **SMALL).frames)
    assert not np.array_equal(one.frames, plain.frames)
    np.testing.assert_array_equal(one.breath, plain.breath)


def test_bodies_are_seen_from_every_side():
    views = np.array([Shot(seed, Settings(world="any", pulse=False, **SMALL)).world.view for seed in range(40)])
    assert np.abs(np.linalg.det(views) - 1).max() < 1e-9
    up, ahead = views[:, :, 1], views[:, :, 2]
    assert (up[:, 1] > 0.7).any() and (up[:, 1] < -0.5).any() and (np.abs(up[:, 0]) > 0.7).any()
    assert (ahead[:, 2] > 0.9).any() and (ahead[:, 2] < 0.4).any()


def test_the_breath_moves_the_trunk_as_far_as_it_says():
    shot = Shot(8, Settings(world="any", depth=1.0, pulse=False, noise=0.0, **SMALL))
    moved = shot.excursion()
    sizes = np.linalg.norm(moved, axis=1)
    assert moved.shape[1] == 2 and 0.3 < np.percentile(sizes, 75) < 6
    far = Shot(8, Settings(world="any", depth=1.0, pulse=False, noise=0.0, **SMALL | {"size": (192, 192)})).excursion()
    np.testing.assert_allclose(np.percentile(np.linalg.norm(far, axis=1), 75), 2 * np.percentile(sizes, 75), rtol=0.02)


def test_what_covers_the_skin_hides_its_pulse():
    grain = np.zeros((1, 64, 64), np.float32)
    picture, pulsation = np.full((20, 30, 3), 50, np.float32), np.ones((20, 30, 3), np.float32)
    cover(
        picture, pulsation, np.array([[5, 10, 25, 10, 4]], np.float32), np.array([[90, 120, 200, 0]], np.float32), grain
    )
    assert not pulsation[10, 5:26].any() and (pulsation[:4] == 1).all() and (picture[16:] == 50).all()
    assert (picture[10, 6:24, 2] > picture[10, 6:24, 0] + 90).all()
    before = picture.copy()
    cover(picture, pulsation, np.array([[-90, -90, -80, -80, 4]], np.float32), np.ones((1, 4), np.float32), grain)
    np.testing.assert_array_equal(picture, before)
    for stripes in (False, True):
        assert make_grain(np.random.default_rng(0), stripes).std() == pytest.approx(1, abs=1e-3)


def test_what_rocks_keeps_apart_from_the_breath():
    t = np.arange(300) / 10
    for seed in range(12):
        rng = np.random.default_rng(seed)
        hz = rng.uniform(0.18, 0.36)
        capsule, _, _ = _rocking(rng, 300, 10.0, np.sin(2 * np.pi * hz * t))
        wave = capsule[:, 0] - capsule[:, 0].mean() + capsule[:, 1] - capsule[:, 1].mean()
        assert abs(_pace(wave, 10.0) - hz) > 0.5 * APART_HZ
        assert 0.1 < _pace(wave, 10.0) < 0.55


def test_breaths_come_as_often_as_asked():
    shot = Shot(2, Settings(breaths=30.0, **SMALL | {"seconds": 60.0}))
    assert 60 * _pace(shot.breath, 10.0) == pytest.approx(30, abs=3)
    with pytest.raises(InputError, match="world must be one of paper, any"):
        Settings(world="hard")
    with pytest.raises(InputError, match="breath_wave or breaths"):
        Settings(breaths=12.0, breath_wave="a.csv")
