"""From the map of cells to pixels: what shares a cell with skin is told apart by its colour.

Around each cell, the light that beats is taken as linear in colour, and so found for each pixel (the guided filter of
He, Sun & Tang 2013, fitted on the cells alone: He & Sun 2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmag.coherent.clues import STRIDE
from fastmag.coherent.learned import between
from fastmag.coherent.regression import solve
from fastmag.color import DARK, LitCells, Planes

LEVELS = np.float32(100)  # grey levels that are 1 here: variances of colours are about 1 across an edge
MODELS = 4  # numbers of a model: a share of each channel, and a constant
FLAT = np.float32(1e-3)  # variance, (3 grey levels)^2, below which colours tell nothing apart


class SkinCells(LitCells):
    """As LitCells, for skin: a change comes with models that tell, from a pixel's colour, how much of its light beats.

    Its change of cells is (36, 36, 7): what a channel changes over its cell's light, and the models.
    """

    @property
    def change_shape(self) -> tuple[int, int, int]:
        """Of the change of a frame's cells."""
        return (*self.size, MODELS + 3)

    def spread(self, cells: np.ndarray, change: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """What reconstruct takes, (T, 36, 36, 7) float32, of the change of cells (T, 36, 36, 3) that the usual skin
        would show, and of how strongly each beats (T, 36, 36)."""
        light = np.maximum(cells[::STRIDE], 0) @ self.picture.luma + np.float32(DARK)
        models = local_models(cells[::STRIDE], skin[::STRIDE] * light)
        told = between(models.reshape(len(models), -1, 1), len(cells)).reshape(*cells.shape[:3], MODELS)
        return np.concatenate([self.relative(cells, change), told], -1)

    def changes(self, change: np.ndarray) -> Planes:
        return (*super().changes(change[..., :3]), *self._models_of_planes(change[..., 3:]))

    def add(self, *arrays: np.ndarray) -> Planes:
        count = len(self._windows)
        parts, changes, models = arrays[:count], arrays[count : 2 * count], arrays[2 * count :]
        light: Any = None
        for k in reversed(range(count)):
            light = self.ops.local_light(parts[k], models[k], light, -np.inf if k else 0.0)
        return self._added(parts, changes, light, 0.0)

    def _models_of_planes(self, models: np.ndarray) -> Planes:
        """Models of the colour (36, 36, 4), as one of each plane (36, 36, C + 1); the first holds what is constant."""
        matrix, offset = self.picture.to_rgb()
        turned = np.rot90(models, -self._turns)
        shares = turned[..., :3] @ (matrix / self._scale).astype(np.float32)
        constant = (turned[..., 3:] + turned[..., :3] @ offset.astype(np.float32)[:, None]) / self._scale
        if len(self._windows) == 1:
            return (np.concatenate([shares, constant], -1),)
        nothing = np.zeros_like(constant)
        return tuple(
            np.concatenate([shares[..., k : k + 1], nothing if k else constant], -1) for k in range(shares.shape[-1])
        )


def local_models(cells: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Linear models (N, h, w, 4) of a target (N, h, w) by the colours of cells (N, h, w, 3) in grey levels: shares of
    R, G, B and a constant, each the mean of what fits least squares in the windows of 3 x 3 cells around."""
    colours = [np.ascontiguousarray(cells[..., c] / LEVELS, np.float32) for c in range(3)]
    target = np.ascontiguousarray(target, np.float32)
    means, mean = [around(colour) for colour in colours], around(target)
    spread = {(a, b): around(colours[a] * colours[b]) - means[a] * means[b] for a in range(3) for b in range(a, 3)}
    for c in range(3):
        spread[c, c] += FLAT
    together = [around(colours[c] * target) - means[c] * mean for c in range(3)]
    shares = solve(spread, together)
    rest = mean - sum(share * of for share, of in zip(shares, means, strict=True))
    return np.stack([*(around(share) / LEVELS for share in shares), around(rest)], -1)


def around(maps: np.ndarray) -> np.ndarray:
    """The mean of 3 x 3 cells of maps (N, h, w), those at the edge repeated."""
    x = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    return (x[..., :-2] + x[..., 1:-1] + x[..., 2:]) * np.float32(1 / 9)
