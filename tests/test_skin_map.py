"""The learned map: its clues, its network, and what both do to a clip whose truth is known."""

import numpy as np
import pytest
from test_coherent import BAND, FPS, answers, scene

from fastmag import models
from fastmag.coherent import clues, learned
from fastmag.coherent.estimate import gather
from fastmag.kernels import cpu


@pytest.fixture(scope="module")
def disc():
    """A disc of skin on a wall, what is known of it, and its clues."""
    cells, wave, mask = scene(seconds=10.0)
    known = gather(cells, *answers(wave, mask), FPS, BAND, cpu)
    return cells, known, mask, seen(cells, known)


def seen(cells, known):
    return clues.clues(cells, known.near, known.prior, known.evidence, known.p_band, FPS, cpu)


def test_clues_are_finite_small_and_one_for_every_third_frame(disc):
    cells, known, _, x = disc
    assert x.shape == (-(-len(cells) // clues.STRIDE), clues.COUNT, 36, 36) and x.dtype == np.float32
    assert np.isfinite(x).all() and np.abs(x).mean() < 2
    np.testing.assert_array_equal(x[:, clues.PRIOR], known.prior[:: clues.STRIDE])


def test_what_follows_p_stands_out_of_what_does_not(disc):
    """Slopes over windows, over the usual one: up to 1 on the skin, held back by their doubt; 0 in the upper rows."""
    _, _, mask, x = disc
    for slope, sure in ((14, 15), (16, 17)):
        assert x[:, slope, mask].mean() > 0.4 > 0.05 > abs(x[:, slope, :4].mean())
        assert x[:, sure].min() >= 0 and x[:, sure].max() <= 1


def test_the_colour_of_the_light_does_not_change_the_colour_clues(disc):
    cells, known, mask, x = disc
    other = seen(cells * np.array([1.1, 1.0, 0.8], np.float32), known)
    np.testing.assert_allclose(other[:, :6], x[:, :6], atol=0.06)
    assert np.abs(x[:, 0, ~mask].mean() - x[:, 0, mask].mean()) > 0.5


def test_black_and_still_pictures_have_clues(disc):
    _, known, _, _ = disc
    assert np.isfinite(seen(np.zeros_like(disc[0]), known)).all()


@pytest.mark.parametrize("count", [1, 3, 4, 31])
def test_maps_in_between_lie_on_a_straight_line(count):
    maps = np.random.default_rng(0).random((-(-count // 3), 4, 5)).astype(np.float32)
    all_of_them = learned.between(maps, count)
    assert all_of_them.shape == (count, 4, 5)
    np.testing.assert_array_equal(all_of_them[::3], maps)
    if count > 4:
        np.testing.assert_allclose(all_of_them[4], maps[1] * 2 / 3 + maps[2] / 3, rtol=1e-6)
    np.testing.assert_array_equal(all_of_them[-1], maps[-1])


def test_the_shipped_network_finds_the_disc_and_not_the_wall(disc):
    cells, _, mask, x = disc
    found = learned.learned_map(x, len(cells))
    assert found.shape == cells.shape[:3] and found.min() >= 0 and found.max() <= 2
    assert found[:, mask].mean() > 0.6 and found[:, ~mask].mean() < 0.25 * found[:, mask].mean()


def test_the_map_does_not_depend_on_how_frames_are_cut(disc, monkeypatch):
    cells, _, _, x = disc
    one = learned.learned_map(x, len(cells))
    monkeypatch.setattr(learned, "BLOCK", 7)
    np.testing.assert_allclose(learned.learned_map(x, len(cells)), one, atol=1e-6)


def test_the_card_tells_of_the_shipped_network():
    card = models.path("skin").with_suffix(".md").read_text()
    assert "fastmag train skin OUT --seed" in card and f"{clues.COUNT}, 36, 36" in card
