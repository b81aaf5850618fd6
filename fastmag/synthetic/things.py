"""Things in front of a person: hands and arms that move, and what rocks at the pace of a breath."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter

F = np.float32
GRAIN = 64  # texels of the texture's side, which repeats


def make_grain(rng: np.random.Generator, stripes: bool) -> np.ndarray:
    """A texture (GRAIN, GRAIN) float32 of unit variance that repeats: woven, or striped."""
    field = gaussian_filter(rng.normal(size=(GRAIN, GRAIN)), rng.uniform(0.8, 3.0), mode="wrap")
    if stripes:
        waves = int(rng.integers(3, 10))
        field = 0.3 * field / field.std() + np.sin(2 * np.pi * waves * np.arange(GRAIN) / GRAIN)
    return (field / field.std()).astype(np.float32)


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _texel(grain, v, u):
    """The texture at (v, u), interpolated and repeated."""
    row, column = math.floor(v), math.floor(u)
    fv, fu = F(v - row), F(u - column)
    n = grain.shape[0]
    r, c = int(row) % n, int(column) % n
    s, d = (r + 1) % n, (c + 1) % n
    upper = grain[r, c] + fu * (grain[r, d] - grain[r, c])
    lower = grain[s, c] + fu * (grain[s, d] - grain[s, c])
    return upper + fv * (lower - upper)


@njit(nogil=True, cache=True, error_model="numpy")
def cover(picture, pulsation, capsules, colours, grains):
    """Paint capsules over picture (H, W, 3), in grey levels; the pulsation (H, W, 3) below them is gone.

    capsules (K, 5): x, y of either end in pixels, radius; colours (K, 4): r, g, b, and the grain's strength;
    grains (K, GRAIN, GRAIN): textures that go with the capsule, half a texel a pixel of a frame 492 pixels high.
    """
    height, width = picture.shape[:2]
    step = F(246.0) / F(height)
    for k in range(capsules.shape[0]):
        x0, y0, x1, y1, radius = capsules[k]
        along_x, along_y = x1 - x0, y1 - y0
        length = math.sqrt(along_x * along_x + along_y * along_y) + F(1e-6)
        along_x, along_y = along_x / length, along_y / length
        for row in range(max(0, int(min(y0, y1) - radius - 1)), min(height, int(max(y0, y1) + radius + 2))):
            for column in range(max(0, int(min(x0, x1) - radius - 1)), min(width, int(max(x0, x1) + radius + 2))):
                x, y = F(column) - x0, F(row) - y0
                t, across = x * along_x + y * along_y, y * along_x - x * along_y
                beyond = t - min(max(t, F(0.0)), length)
                distance = math.sqrt(across * across + beyond * beyond)
                share = min(max(radius - distance + F(0.5), F(0.0)), F(1.0))
                if share == F(0.0):
                    continue
                shade = F(1.0) - F(0.4) * min(distance / radius, F(1.0)) ** 2
                shade += colours[k, 3] * _texel(grains[k], across * step, t * step)
                for c in range(3):
                    level = min(max(colours[k, c] * shade, F(1.0)), F(250.0))
                    picture[row, column, c] += share * (level - picture[row, column, c])
                    pulsation[row, column, c] *= F(1.0) - share
