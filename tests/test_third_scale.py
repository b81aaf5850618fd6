"""What the network of breathing sees of a clip: the third scale of a square, its phase differences, their gate."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fastmag import backends, phase
from fastmag.errors import InputError
from fastmag.pyramids import steerable

OPS = backends.get("cpu")


def picture(seed, height, width):
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return np.clip(128 + 400 * gaussian_filter(noise, 2), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [300, 480, 491, 720])
def test_the_third_scale_is_level_2_of_492_pixels(side):
    luma = picture(side, side, side)
    big = OPS.downsample_bicubic(luma, (492, 492))
    expected = OPS.steerable_analysis(big[None], steerable((492, 492)), levels=[2])[0]
    got = phase.represent(luma[None], OPS)
    assert got.shape == (1, *phase.SHAPE) and np.abs(expected).max() > 20
    np.testing.assert_allclose(got, expected, atol=5e-4)


def test_phase_difference_tells_a_shift_and_weight_what_can_be_seen():
    y = np.arange(492, dtype=np.float32)[:, None] + np.zeros((1, 492), np.float32)
    frames = np.stack([128 + 40 * np.cos(2 * np.pi * (y - d) / 16.4) for d in (0, 0.25)])  # 30 cycles: no edge
    subbands = phase.represent(frames, OPS)
    differences, energy = OPS.phase_difference(subbands[1:], subbands[:-1]), phase.energy(subbands, OPS)
    assert differences.shape == energy.shape == (1, *phase.SHAPE)
    np.testing.assert_allclose(differences[0, 2], -2 * np.pi * 0.25 / 16.4, atol=1e-3)
    assert energy[0, 2].min() > 99 and energy[0, 0].max() < 1e-3


def test_working_square():
    assert phase.working_square(480, 640) == (0, 80, 480)
    assert phase.working_square(480, 640, (100, 40, 200, 301)) == (90, 100, 200)
    with pytest.raises(InputError, match="at least 96 pixels"):
        phase.working_square(80, 640)
