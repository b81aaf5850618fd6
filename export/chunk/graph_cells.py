"""The cells of a chunk in ONNX operators: what is known of them, and how maps are blurred, scaled and told by colour.

Maps are (n, 36, 36), series of cells (n, 36, 36, 3).
"""

from __future__ import annotations

import numpy as np

from fastmag.coherent.estimate import DELTA
from fastmag.coherent.skin import BINS, SMOOTHING
from fastmag.color import CELLS
from fastmag.export.chunk.writer import FLOAT, INT, Value
from fastmag.kernels import plans

COUNT = CELLS * CELLS
STRONG_RANK = COUNT - round(0.95 * (COUNT - 1))  # the 95th percentile of a frame's cells, counted from the top


def flat(maps: Value) -> Value:
    return maps.reshape(-1, COUNT)


def channels(series: Value) -> list[Value]:
    """The three (n, h, w) of (n, h, w, 3)."""
    return [series.cut(3, c, c + 1).reshape(-1, CELLS, CELLS) for c in range(3)]


def stacked(maps: list[Value]) -> Value:
    """Maps as the last axis of one (n, h, w, k)."""
    return maps[0].writer.join(*(part.reshape(-1, CELLS, CELLS, 1) for part in maps), axis=3)


def each(series: Value) -> Value:
    """A number of every frame (n,), to be multiplied with maps."""
    return series.reshape(-1, 1, 1)


def over_cells(maps: Value) -> Value:
    """The sum over the cells of each frame: (n,)."""
    return maps.sum(1, 2)


def along_time(matrix: Value, series: Value) -> Value:
    """A matrix (m, n) along the time of series (n, h, w, 3)."""
    return (matrix @ series.reshape(0, COUNT * 3)).reshape(-1, CELLS, CELLS, 3)


def blur(n: int, sigma: float) -> np.ndarray:
    """A Gaussian along n cells as a matrix (n, n), edges mirrored."""
    taps = plans.gaussian(float(sigma))
    at = plans.mirrored(n, len(taps) // 2)
    matrix = np.zeros((n, n))
    for i in range(n):
        np.add.at(matrix[i], at[i : i + len(taps)], taps)
    return matrix


def blurred(maps: Value, sigma: float) -> Value:
    """ops.smooth_space of maps, flat or not."""
    matrix = blur(CELLS, sigma)
    return matrix @ maps.reshape(-1, CELLS, CELLS) @ matrix.T


def slopes(series: Value) -> list[Value]:
    """np.gradient of series (n, h, w, 3) along x and y."""
    out = []
    for axis, scale in ((2, (1, 1, -1, 1)), (1, (1, -1, 1, 1))):
        wide = series.writer.join(series.cut(axis, 0, 1), series, series.cut(axis, -1), axis=axis)
        half = np.full(CELLS, 0.5)
        half[[0, -1]] = 1
        out.append((wide.cut(axis, 2) - wide.cut(axis, 0, -2)) * half.reshape(scale))
    return out


def scaled(maps: Value, percent: int) -> Value:
    """coherent.skin.scaled."""
    return (maps / (maps.cut(0, step=4).reshape(-1).percentile(percent) + 1e-9)).within(0, 1.2)


def nearness(share: Value, mean_of_five: Value) -> Value:
    """coherent.seed.nearness of the share (n, 36, 36)."""
    smooth = blurred(mean_of_five @ flat(share), 1.0)
    return smooth / (flat(smooth).largest(STRONG_RANK) + 1e-12).reshape(-1, 1, 1)


class SkinColour:
    """coherent.skin.SkinColour of the logs of cells."""

    def __init__(self, logs: Value):
        red, green, blue = channels(logs)
        first, second, third = (
            _bins(axis, n) for axis, n in zip((red - green, blue - green, green), BINS, strict=True)
        )
        self.writer, self.index = logs.writer, (first * BINS[1] + second) * BINS[2] + third
        ones = self.writer.op("Expand", self.writer.constant(1.0), self.writer.op("Shape", self.index, gives=INT))
        self.count = self._histogram(ones)

    def __call__(self, maps: Value) -> Value:
        floor = self.count.mean() * 0.02
        mean = (self._histogram(maps.reshape(-1)) + floor * maps.mean()) / (self.count + floor)
        return mean.take(self.index).reshape(-1, CELLS, CELLS)

    def _histogram(self, amounts: Value) -> Value:
        """Amounts (m,) added up by colour, smoothed: (bins,)."""
        w = self.writer
        total = w.op("ScatterElements", w.zeros(int(np.prod(BINS))), self.index, amounts, axis=0, reduction="add")
        a, b, c = (blur(count, SMOOTHING) for count in BINS)
        rows = b @ (total.reshape(*BINS) @ c.T)
        return (a @ rows.reshape(BINS[0], -1)).reshape(-1)


def _bins(axis: Value, n: int) -> Value:
    """The bin (n h w,) of every cell along an axis of colour."""
    some, cells = axis.cut(0, step=8).reshape(-1), axis.reshape(-1)
    low, high = -(-some).percentile(99.5), some.percentile(99.5)
    return ((cells - low) * ((n - 1) / (high - low + 1e-6)) + 0.5).apply("Floor").within(0, n - 1).to(INT)


def skin_map(seed: Value, near: Value, colour: SkinColour) -> Value:
    """coherent.skin.skin_map."""
    cells = seed
    for _ in range(2):
        cells = scaled(colour(cells) * near, 97)
    return scaled(cells, 95)


def logs_of(cells: Value) -> Value:
    return (cells + DELTA).apply("Log")


def mask(condition: Value) -> Value:
    """1 or 0."""
    return condition.to(FLOAT)
