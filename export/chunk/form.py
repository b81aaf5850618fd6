"""The chunk's form in float64 NumPy: frames and a network in, magnified frames out. The judge of the ONNX graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmag.coherent.amplitude import ATTENUATION, EDGE, PRIOR_MEAN, PRIOR_SPREAD
from fastmag.coherent.estimate import DELTA
from fastmag.coherent.regression import (
    FAINTEST,
    FIT_SECONDS,
    FLOOR,
    INDEPENDENT,
    LIMITS,
    QUANTISATION,
    V,
)
from fastmag.color import CELLS, DARK, LUMA
from fastmag.export.chunk.form_wave import band, box, comb, dominant_rate, frames_of, slope, wide_band
from fastmag.kernels import plans, reference
from fastmag.passes import TRAINED_FPS

Array = NDArray[Any]
Network = Callable[[Array], tuple[Array, Array]]  # X (B, 3, 36, 36) -> y (B,), dy/dX

COVARIANCE_SECONDS, RATIO_SECONDS = 4.0, 8.0  # of the noise, of the regression
PRIOR_JITTER, SIZE_ERROR = 0.4, 0.35  # as coherent.amplitude has them, for a map that is told without a network
MAP_STRIDE = 3  # frames from one |dy/dX| to the next
SEED_SECONDS, GATE_SECONDS = 5 / 30, 15 / 30
STRONG_RANK = 66  # of 1296 cells: the 95th percentile
BINS = (36, 36, 20)  # of log R/G, log B/G, log G
COLOURS = ((-0.36, 0.035), (-0.95, 0.035), (1.5, 0.2))  # the first bin's centre and a bin's width
BIN_SIGMA = 2.0
ABSENT, PRESENT = 0.8, 0.92  # agreement of the cells with p: no pulse below, a pulse above
VECTOR = V.astype(np.float64)
LIGHT = np.array([LUMA["bt709"][0], 1 - sum(LUMA["bt709"]), LUMA["bt709"][1]])


@dataclass(frozen=True)
class Found:
    """p (T,) of unit standard deviation, skin (T, h, w), beta (3,), the rate in hertz, and what was seen of a pulse."""

    p: Array
    skin: Array
    beta: Array
    rate_hz: float
    agreement: float
    presence: float


def magnify(frames: Array, alpha: float, fps: float, passband: tuple[float, float], network: Network):
    """(frames (T, H, W, 3) uint8 with the pulse (1 + alpha) times as large, presence in 0..1)."""
    cells = np.maximum([reference.downsample_bicubic(frame, (CELLS, CELLS)) for frame in frames], 0)
    stride = max(1, int(fps / TRAINED_FPS + 0.5))
    found = estimate(cells[::stride], fps / stride, passband, network)
    change = change_of(cells[::stride], found, alpha)
    time = np.minimum(np.arange(len(frames)) / stride, len(change) - 1)
    left = time.astype(int)
    right, share = np.minimum(left + 1, len(change) - 1), (time - left)[:, None, None, None]
    change = change[left] * (1 - share) + change[right] * share
    pairs = zip(frames, change, strict=True)
    return np.stack([reference.upsample_scaled_add(f, f @ LIGHT, c, DARK) for f, c in pairs]), found.presence


def estimate(cells: Array, fps: float, passband: tuple[float, float], network: Network) -> Found:
    """What beats in cells (T, 36, 36, 3) >= 0 at fps, of about 30 a second."""
    y, share = read(cells, fps, network)
    n = len(cells)
    in_band, wide = band(n, passband, fps), band(n, wide_band(fps), fps)
    q = wide @ np.concatenate([[0.0], np.cumsum(y - y.mean())])
    rate = dominant_rate(q, fps, passband)
    p_band = in_band @ comb(q[None], fps, rate)

    start = seed(share, fps)
    near = np.clip(blurred(box(n, GATE_SECONDS, fps) @ flat(start), 4.0) / 0.25, 0, 1)
    logs = np.log(cells + DELTA)
    log_band = along_time(in_band, logs)
    weights = evidence(cells, log_band, p_band, fps, start)
    combined, precision = (weights * log_band).sum(-1), weights @ VECTOR
    skin = skin_of(start, near, bins_of(logs), combined, precision, p_band, fps)

    power = (precision * skin**2).sum((1, 2)) + 1e-9
    agreement = correlation((combined * skin).sum((1, 2)) / power, p_band)
    matched = ((weights * along_time(wide, logs)).sum(-1) * skin).sum((1, 2)) / power
    p = comb(np.stack([q / slope(in_band @ q, p_band), matched / slope(in_band @ matched, p_band)]), fps, rate)
    beta = amplitudes(log_band, skin, combined, precision, in_band @ p)
    return Found(p, skin, beta, rate, agreement, presence(agreement, rate, passband))


def along_time(matrix: Array, series: Array) -> Array:
    return (matrix @ series.reshape(len(series), -1)).reshape(-1, *series.shape[1:])


def correlation(a: Array, b: Array) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-30))


def presence(agreement: float, rate: float, passband: tuple[float, float]) -> float:
    """1 for a pulse, 0 for none: do the cells follow the p that the network alone reads, at a rate inside the band?"""
    inside = passband[0] * (1 + EDGE) < rate < passband[1] * (1 - EDGE)
    return float(np.clip((agreement - ABSENT) / (PRESENT - ABSENT), 0, 1)) * inside


def read(cells: Array, fps: float, network: Network) -> tuple[Array, Array]:
    """y (T - 1,), odd in X, and the L1-normalised |dy/dX| (T, 36, 36), taken at every third frame."""
    total = cells[1:] + cells[:-1] + 2 * DELTA
    x = np.moveaxis((cells[1:] - cells[:-1]) / total, -1, 1) * (fps / TRAINED_FPS)
    y = (network(x)[0] - network(-x)[0]) / 2
    slopes = np.abs(network(x[::MAP_STRIDE])[1]).mean(1)
    share = slopes / np.maximum(slopes.mean((1, 2)), 1e-30)[:, None, None]
    nearest = (np.arange(-1, len(y)).clip(0) + MAP_STRIDE // 2) // MAP_STRIDE
    return y, share[np.minimum(nearest, len(share) - 1)]


def flat(maps: Array) -> Array:
    """(T, h, w) as (T, h w)."""
    return maps.reshape(len(maps), -1)


def blur(n: int, sigma: float) -> Array:
    """A Gaussian along n cells as a matrix (n, n), edges mirrored."""
    taps = plans.gaussian(float(sigma))
    at = plans.mirrored(n, len(taps) // 2)
    matrix = np.zeros((n, n))
    for i in range(n):
        np.add.at(matrix[i], at[i : i + len(taps)], taps)
    return matrix


def blurred(maps: Array, sigma: float) -> Array:
    """Maps (T, 1296) under a Gaussian in space: (T, 36, 36)."""
    matrix = blur(CELLS, sigma)
    return matrix @ maps.reshape(-1, CELLS, CELLS) @ matrix.T


def seed(share: Array, fps: float) -> Array:
    """clip((M / p95 - 0.08) / 0.3, 0, 1) of the smoothed share (T, 36, 36)."""
    smooth = blurred(box(len(share), SEED_SECONDS, fps) @ flat(share), 1.0)
    high = np.sort(flat(smooth), axis=1)[:, -STRONG_RANK][:, None, None]
    return np.clip((smooth / (high + 1e-12) - 0.08) / 0.3, 0, 1)


def bins_of(logs: Array) -> Array:
    """The bin of the colour of every cell (T, h, w)."""
    red, green, blue = np.moveaxis(logs, -1, 0)
    axes = [
        np.clip(np.floor((axis - first) / width + 0.5), 0, count - 1).astype(np.int64)
        for axis, (first, width), count in zip((red - green, blue - green, green), COLOURS, BINS, strict=True)
    ]
    return (axes[0] * BINS[1] + axes[1]) * BINS[2] + axes[2]


def by_colour(maps: Array, colour: Array) -> Array:
    """The mean of a map over all cells of about the same colour."""
    smooth = [blur(count, BIN_SIGMA) for count in BINS]
    totals = [np.bincount(colour.ravel(), w.ravel(), int(np.prod(BINS))) for w in (maps, np.ones_like(maps))]
    total, count = (np.einsum("ai,bj,ck,ijk->abc", *smooth, t.reshape(BINS), optimize=True).ravel() for t in totals)
    floor = 0.02 * count.mean()
    return ((total + floor * maps.mean()) / (count + floor))[colour]


def skin_of(start: Array, near: Array, colour: Array, combined: Array, precision: Array, p_band: Array, fps: float):
    """The map (T, h, w): colours of the seed, corrected by how the cells beat, twice."""
    first = skin_map(start, near, colour)
    beats = refine(first, combined, precision, p_band, fps)
    prior = skin_map(start * scaled(beats, 90), near, colour)
    return refine(prior, combined, precision, p_band, fps)


def skin_map(start: Array, near: Array, colour: Array) -> Array:
    """Two rounds of seed -> colour -> map, kept near the seed: (T, h, w) in [0, 1.2]."""
    cells = start
    for _ in range(2):
        cells = scaled(by_colour(cells, colour) * near, 97)
    return scaled(cells, 95)


def scaled(maps: Array, percent: int) -> Array:
    """Divided by a percentile over every fourth frame, cut to [0, 1.2]."""
    some = maps[::4].ravel()
    rank = max(1, len(some) * (100 - percent) // 100)
    return np.clip(maps / (np.sort(some)[-rank] + 1e-9), 0, 1.2)


def evidence(cells: Array, log_band: Array, p_band: Array, fps: float, start: Array) -> Array:
    """S^-1 v (T, h, w, 3) per cell: its channels combined for the least noise; none far louder than usual on skin."""
    n, p = len(cells), p_band[:, None]
    fit = box(n, FIT_SECONDS, fps)
    rest = log_band - along_time((fit / (fit @ p**2 + 1e-12)) * p.T * p, log_band)
    mean = box(n, COVARIANCE_SECONDS, fps)
    s = {}
    for a in range(3):
        for b in range(a, 3):
            s[a, b] = blurred(mean @ flat(rest[..., a] * rest[..., b]), 1.0)
        s[a, a] = s[a, a] + 3e-7 + (QUANTISATION / (cells[..., a] + DELTA)) ** 2
    weights = np.stack(solve(s, VECTOR, float(FLOOR)), -1)
    precision = weights @ VECTOR
    strong = start > 0.5
    usual = np.exp(np.where(strong, np.log(precision), 0).sum() / max(strong.sum(), 1))
    return weights * np.minimum(1, 2 * usual / precision)[..., None]


def solve(s: dict[tuple[int, int], Array], v: Array, floor: float) -> list[Array]:
    """S^-1 v for symmetric positive 3x3 S, by LDL' with a floor under what remains."""
    l10, l20 = s[0, 1] / s[0, 0], s[0, 2] / s[0, 0]
    d1 = np.maximum(s[1, 1] - l10 * s[0, 1], floor)
    rest = s[1, 2] - l10 * s[0, 2]
    l21 = rest / d1
    d2 = np.maximum(s[2, 2] - l20 * s[0, 2] - l21 * rest, floor)
    y1 = v[1] - l10 * v[0]
    x2 = (v[2] - l20 * v[0] - l21 * y1) / d2
    x1 = y1 / d1 - l21 * x2
    return [v[0] / s[0, 0] - l10 * x1 - l20 * x2, x1, x2]


def refine(skin: Array, combined: Array, precision: Array, p_band: Array, fps: float) -> Array:
    """The map times clip((n/a + 3/a^2) / (d + 3/a^2), 0.3, 2): the windowed regression, shrunk to the map."""
    p = p_band[:, None, None]
    a = (combined * skin * p).sum() / ((precision * (skin * p) ** 2).sum() + 1e-12)
    a = max(a, FAINTEST)
    m, mean = np.maximum(skin, 0.05), box(len(skin), RATIO_SECONDS, fps)
    scale = INDEPENDENT * (frames_of(RATIO_SECONDS, fps) | 1)
    n = blurred(mean @ flat(combined * p * m), 1.2) * scale
    d = blurred(mean @ flat(precision * (p * m) ** 2), 1.2) * scale
    return skin * np.clip((n / a + 3 / a**2) / (d + 3 / a**2), *LIMITS)


def amplitudes(log_band: Array, skin: Array, combined: Array, precision: Array, p_band: Array) -> Array:
    """beta (3,): the posterior given the cells' sum, which tells the size, and the skin's mean, which tells colour."""
    p = p_band[:, None, None]
    power = (precision * (skin * p) ** 2).sum() + 1e-9
    size = (combined * skin * p).sum() / power
    doubt = (SIZE_ERROR * size) ** 2 + 1 / (INDEPENDENT * power)
    share = PRIOR_SPREAD**2 / (PRIOR_SPREAD**2 + doubt)
    mean = PRIOR_MEAN + share * (size - PRIOR_MEAN)
    weight = precision * skin
    signal = (weight[..., None] * log_band).sum((1, 2)) / ((weight * skin).sum((1, 2)) + 1e-9)[:, None]
    p_power = (p_band**2).sum() + 1e-12
    slopes = (signal * p_band[:, None]).sum(0) / p_power
    rest = signal - slopes * p_band[:, None]
    prior = share * doubt * np.outer(VECTOR, VECTOR) + np.diag((PRIOR_JITTER * max(mean, 0.0) * VECTOR) ** 2 + 1e-12)
    total = prior + rest.T @ rest / (len(rest) * INDEPENDENT * p_power)
    pairs = {(i, j): total[i, j] for i in range(3) for j in range(i, 3)}
    return ATTENUATION * (mean * VECTOR + prior @ np.array(solve(pairs, slopes - mean * VECTOR, 1e-14)))


def change_of(cells: Array, found: Found, alpha: float) -> Array:
    """The change of cells (T, h, w, 3) over their light, for a pulse (1 + alpha) times as large."""
    amount = alpha * found.presence * found.p[:, None, None] * found.skin / (cells @ LIGHT + DARK)
    return cells * amount[..., None] * found.beta
