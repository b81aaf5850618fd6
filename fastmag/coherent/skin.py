"""Which colours beat in this clip: E[seed | colour], a small histogram that calibrates itself."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

BINS = (36, 36, 20)  # log R/G, log B/G, log G
SMOOTHING = 2.0  # bins


class SkinColour:
    """Answers, for a map (T, h, w), the mean of that map over all cells of the same colour."""

    def __init__(self, log_cells: np.ndarray):
        red, green, blue = (log_cells[..., c] for c in range(3))
        axes = [self._bins(axis, n) for axis, n in zip((red - green, blue - green, green), BINS, strict=True)]
        self.index = ((axes[0] * BINS[1] + axes[1]) * BINS[2] + axes[2]).ravel()
        self.count = gaussian_filter(
            np.bincount(self.index, minlength=int(np.prod(BINS))).reshape(BINS) * 1.0, SMOOTHING
        )

    @staticmethod
    def _bins(axis: np.ndarray, n: int) -> np.ndarray:
        low, high = np.percentile(axis[::8], [0.5, 99.5])
        return np.clip(np.rint((axis - low) * ((n - 1) / (high - low + 1e-6))), 0, n - 1).astype(np.int32)

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        total = np.bincount(self.index, cells.ravel(), minlength=self.count.size).reshape(BINS)
        floor = 0.02 * self.count.mean()
        mean = (gaussian_filter(total, SMOOTHING) + floor * float(cells.mean())) / (self.count + floor)
        return mean.astype(np.float32).ravel()[self.index].reshape(cells.shape)


def skin_map(seed: np.ndarray, near: np.ndarray, colour: SkinColour) -> np.ndarray:
    """Two rounds of seed -> colour -> map, kept near the seed: (T, h, w) in [0, 1.2]."""
    cells = seed
    for percent in (97, 97):
        cells = scaled(colour(cells) * near, percent)
    return scaled(cells, 95)


def scaled(cells: np.ndarray, percent: float) -> np.ndarray:
    """Divide by a percentile over the whole clip and clip to [0, 1.2]."""
    return np.clip(cells / (np.percentile(cells[::4], percent) + 1e-9), 0, 1.2)
