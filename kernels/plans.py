"""What depends on sizes and filters alone: weights, taps, initial states. Float64 NumPy, shared by all backends."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

GAUSSIAN_REACH = 4.0
"""A Gaussian is cut at this many sigmas, as scipy.ndimage does."""

BINOMIAL = (0.0625, 0.25, 0.375, 0.25, 0.0625)
"""From one level of a Gaussian or Laplacian pyramid to the next (Burt and Adelson 1983)."""


def keys(x: Float64) -> Float64:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981), as MATLAB's imresize and Pillow use it."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _frozen(*arrays: NDArray) -> tuple[NDArray, ...]:
    for array in arrays:
        array.flags.writeable = False
    return arrays


@lru_cache(maxsize=64)
def antialiased(n: int, m: int) -> tuple[Index, Float64]:
    """Resample n samples to m: (first (m,), weights (m, taps)); output i is sum_t weights[i, t] * x[first[i] + t].

    The kernel is stretched by n / m where that exceeds 1 (antialiasing), cut at the edges and normalised, as in Pillow.
    first + taps never exceeds n; weights of absent taps are 0.
    """
    scale = n / m
    stretch = max(scale, 1.0)
    centre = (np.arange(m) + 0.5) * scale
    start = np.maximum((centre - 2.0 * stretch + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + 2.0 * stretch + 0.5).astype(np.int64), n)
    taps = int((stop - start).max())
    first = np.minimum(start, n - taps)
    at = first[:, None] + np.arange(taps)
    weights = keys((at - centre[:, None] + 0.5) / stretch)
    weights[(at < start[:, None]) | (at >= stop[:, None])] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    return _frozen(first, weights)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def interpolating(n: int, m: int, spacing: int | None = None) -> tuple[Index, Float64]:
    """Interpolate n samples at m points: (index (m, 4), weights (m, 4)), edge samples repeated.

    Sample i lies at point i * spacing; without a spacing, samples share the m points evenly (half-pixel centres).
    """
    centre = np.arange(m) / spacing if spacing else (np.arange(m) + 0.5) * n / m - 0.5
    left = np.floor(centre).astype(np.int64)
    around = left[:, None] + np.arange(-1, 3)
    return _frozen(np.clip(around, 0, n - 1), keys(centre[:, None] - around))  # type: ignore[return-value]


@lru_cache(maxsize=64)
def linear(n: int, m: int, offset: float, step: float) -> tuple[Index, Float64]:
    """Between m nodes that lie at offset + i * step: (node before each of n pixels (n,), share of the next one (n,)).

    Ends are held.
    """
    at = np.clip((np.arange(n) - offset) / step, 0, m - 1)
    first = np.minimum(at.astype(np.int64), max(m - 2, 0))
    return _frozen(first, at - first)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def gaussian_level(n: int, level: int) -> tuple[Index, Float64]:
    """From n samples to level `level` of their Gaussian pyramid in one step: (first (m,), weights (m, taps)).

    Each level is blurred by BINOMIAL, the samples mirrored about the first and the last, and every second one kept.
    Output i is sum_t weights[i, t] * x[first[i] + t]; m = ceil(n / 2**level); first + taps never exceeds n.
    """
    rows = np.eye(n)
    for _ in range(level):
        at = reflected(len(rows), 2)
        rows = np.sum([tap * rows[at[k : k + len(rows) : 2]] for k, tap in enumerate(BINOMIAL)], axis=0)
    start, stop = (rows != 0).argmax(axis=1), n - (rows != 0)[:, ::-1].argmax(axis=1)
    taps = int((stop - start).max())
    first = np.minimum(start, n - taps)
    return _frozen(first, np.take_along_axis(rows, first[:, None] + np.arange(taps), 1))  # type: ignore[return-value]


@lru_cache(maxsize=64)
def gaussian(sigma: float) -> Float64:
    """The taps of a sampled Gaussian, cut at GAUSSIAN_REACH sigmas, with sum 1 (odd length; one tap for sigma 0)."""
    reach = int(GAUSSIAN_REACH * sigma + 0.5)
    at = np.arange(-reach, reach + 1, dtype=np.float64)
    taps = np.exp(-0.5 * (at / sigma) ** 2) if reach else np.ones(1)
    return _frozen(taps / taps.sum())[0]


@lru_cache(maxsize=64)
def half_gaussian(sigma: float) -> NDArray[np.float32]:
    """The centre of `gaussian` and one side, float32, with a zero at the end where that makes whole pairs of a side."""
    side = gaussian(sigma)[int(GAUSSIAN_REACH * sigma + 0.5) :]
    taps = np.zeros(len(side) + (len(side) + 1) % 2, np.float32)
    taps[: len(side)] = side
    return _frozen(taps)[0]


def mirrored(n: int, reach: int) -> Index:
    """The indices -reach ... n + reach - 1 folded into 0 ... n - 1, edges repeated (d c b a | a b c d | d c b a)."""
    at = np.arange(-reach, n + reach) % (2 * n)
    return np.minimum(at, 2 * n - 1 - at)


def reflected(n: int, reach: int) -> Index:
    """The indices -reach ... n + reach - 1 folded into 0 ... n - 1, edges not repeated (c b | a b c d | c b)."""
    at = np.arange(-reach, n + reach) % max(2 * (n - 1), 1)
    return np.minimum(at, 2 * (n - 1) - at)


def settled(sos: Float64) -> Float64:
    """State (n, 2) of the sections after a constant input of 1 has gone on for ever, as scipy.signal.sosfilt_zi."""
    state = np.empty((len(sos), 2))
    level = 1.0
    for s, (b0, b1, b2, _, a1, a2) in enumerate(sos):
        gain = (b0 + b1 + b2) / (1.0 + a1 + a2)
        state[s] = level * (b1 + b2 - (a1 + a2) * gain), level * (b2 - a2 * gain)
        level *= gain
    return state


def padding(sos: Float64, length: int) -> int:
    """Samples of odd extension at either end: scipy.signal.sosfiltfilt's default, at most length - 1."""
    taps = 2 * len(sos) + 1 - min(int((sos[:, 2] == 0).sum()), int((sos[:, 5] == 0).sum()))
    return min(3 * taps, length - 1)
