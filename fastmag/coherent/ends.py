"""What came before a clip and what comes after it, as far as its rhythm tells: linear prediction (Burg 1975).

A spectrum of a span that reaches over the end of a clip sees a wave that breaks off there, and a zero-phase filter does
not know the phase of its very last samples. Both ends of a wave are therefore continued by what its own past foretells.
"""

from __future__ import annotations

import numpy as np

PAST_SECONDS = 2.0  # that foretell a sample: two beats, or more
UNSURE_SECONDS = 0.33  # at either end, where a filter does not yet follow the phase: foretold as well
LESS_UNSURE_SECONDS = 0.2  # the same, where a filter was spared the wave


def predictor(series: np.ndarray, order: int) -> np.ndarray:
    """Coefficients c (order,) of x[t] = c[0] x[t-1] + c[1] x[t-2] + ..., by Burg's method: what they foretell never
    grows."""
    ahead, behind, error = series[1:], series[:-1], np.array([1.0])
    for _ in range(order):
        reflection = -2 * (ahead @ behind) / (ahead @ ahead + behind @ behind + 1e-30)
        error = np.append(error, 0.0)
        error = error + reflection * error[::-1]
        ahead, behind = ahead[1:] + reflection * behind[1:], behind[:-1] + reflection * ahead[:-1]
    return -error[1:]


def foretold(series: np.ndarray, count: int, order: int) -> np.ndarray:
    """The `count` samples after a series (T,), T > order."""
    coefficients = predictor(series, order)[::-1]
    out = np.concatenate([series[len(series) - order :], np.zeros(count)])
    for t in range(order, order + count):
        out[t] = coefficients @ out[t - order : t]
    return out[order:]


def continued(series: np.ndarray, count: int, fps: float, unsure_seconds: float = UNSURE_SECONDS) -> np.ndarray:
    """Waves (K, T) of zero mean with `count` samples more at either end: (K, T + 2 count); nothing but zeros is added
    where they are too short to be foretold. What is not sure is foretold as well."""
    order, unsure = round(PAST_SECONDS * fps), round(unsure_seconds * fps)
    sure = series[:, unsure : series.shape[1] - unsure]
    if sure.shape[1] <= 2 * order:
        return np.pad(series, ((0, 0), (count, count)))
    rows = []
    for wave in sure:
        before, after = (foretold(way, unsure + count, order) for way in (wave[::-1], wave))
        rows.append(np.concatenate([before[::-1], wave, after]))
    return np.stack(rows)
