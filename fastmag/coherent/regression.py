"""How strongly each cell beats: a weighted regression of its log signal on p, shrunk towards the map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastmag.ops import Ops

V = np.array([0.33, 0.77, 0.53], np.float32) / np.float32(0.77)  # the pulse in R, G, B, relative to green (Eq. 11)
FIT_SECONDS, COVARIANCE_SECONDS = 6.0, 1.5
QUANTISATION = 0.12  # grey levels: noise of a cell mean from 8-bit rounding and the sensor
INDEPENDENT = 0.12  # independent samples per frame of an in-band series, over smoothed cells
LIMITS = (0.3, 2.0)  # of the ratio to the map
NODDING = 0.4  # of what a regression knows, taken from it: a head that nods with the heart misleads it, however sure
FLOOR = np.float32(1e-8)  # of a variance that remains: far below that of rounding
MARGIN = 1.2  # of explained power, for another map to be preferred
FAINTEST = 3e-4  # relative amplitude below which the regression only adds noise


@dataclass(frozen=True)
class Evidence:
    """In-band log signal L (T, h, w, 3), what p leaves of green in it (T, h, w), and per cell the channels' weights
    S^-1 v (T, h, w, 3), the combination v'S^-1 L (T, h, w) and its precision v'S^-1 v (T, h, w)."""

    log_band: np.ndarray
    residual: np.ndarray
    weights: np.ndarray
    combined: np.ndarray
    precision: np.ndarray


def box(series: np.ndarray, seconds: float, fps: float, ops: Ops) -> np.ndarray:
    """Mean over a window of `seconds` along time."""
    return ops.smooth_time(np.ascontiguousarray(series), min(int(seconds * fps) | 1, 2 * len(series) - 1))


def weigh(cells: np.ndarray, log_band: np.ndarray, p_band: np.ndarray, fps: float, ops: Ops) -> Evidence:
    """Combine the channels of each cell for the least noise; the noise is what a windowed fit of p leaves."""
    residual = unexplained(log_band, p_band, fps, ops)
    noise = {}
    for a in range(3):
        for b in range(a, 3):
            product = box(residual[..., a] * residual[..., b], COVARIANCE_SECONDS, fps, ops)
            noise[a, b] = ops.smooth_space(product, 1.0)
        noise[a, a] = noise[a, a] + (3e-7 + (QUANTISATION / (cells[..., a] + 4)) ** 2)
    green = np.ascontiguousarray(residual[..., 1])
    del residual
    weights = np.stack(solve(noise), -1)
    return Evidence(log_band, green, weights, np.einsum("thwc,thwc->thw", log_band, weights), weights @ V)


def unexplained(log_band: np.ndarray, p_band: np.ndarray, fps: float, ops: Ops) -> np.ndarray:
    """What a fit of p in windows of 6 s leaves of the in-band log signal (T, h, w, 3)."""
    p = p_band.astype(np.float32)[:, None, None, None]
    fit = box(log_band * p, FIT_SECONDS, fps, ops) / (box(p * p, FIT_SECONDS, fps, ops) + 1e-12)
    return log_band - fit * p


def solve(s: dict[tuple[int, int], np.ndarray], v=V) -> list[np.ndarray]:
    """S^-1 v for a symmetric positive 3x3 S per cell, by LDL': light makes S nearly singular, and cofactors cancel."""
    l10, l20 = s[0, 1] / s[0, 0], s[0, 2] / s[0, 0]
    d1 = np.maximum(s[1, 1] - l10 * s[0, 1], FLOOR)
    rest = s[1, 2] - l10 * s[0, 2]
    l21 = rest / d1
    d2 = np.maximum(s[2, 2] - l20 * s[0, 2] - l21 * rest, FLOOR)
    y1 = v[1] - l10 * v[0]
    y2 = v[2] - l20 * v[0] - l21 * y1
    x2 = y2 / d2
    x1 = y1 / d1 - l21 * x2
    return [v[0] / s[0, 0] - l10 * x1 - l20 * x2, x1, x2]


def level(evidence: Evidence, seed: np.ndarray) -> Evidence:
    """Let no cell speak louder than twice what is usual where the seed is strong: a flat wall has hardly any noise."""
    strong = evidence.precision[seed > 0.5]
    if not strong.size:
        return evidence
    share = np.minimum(1, 2 * np.median(strong) / evidence.precision)
    weights, combined, precision = (
        evidence.weights * share[..., None],
        evidence.combined * share,
        evidence.precision * share,
    )
    return replace(evidence, weights=weights, combined=combined, precision=precision)


def likelier(maps, evidence: Evidence, p_band: np.ndarray) -> np.ndarray:
    """The first of several maps (T, h, w), or another that explains far more of the signal as skin that follows p."""
    p = p_band.astype(np.float32)[:, None, None]

    def explained(cells: np.ndarray) -> float:
        mp = cells * p
        agreement = float(np.vdot(evidence.combined, mp))
        return max(agreement, 0.0) ** 2 / (float((evidence.precision * mp * mp).sum(dtype=np.float64)) + 1e-12)

    usual, *others = maps
    best = max(others, key=explained)
    return best if explained(best) > MARGIN * explained(usual) else usual


def refine(cells: np.ndarray, evidence: Evidence, p_band: np.ndarray, ops: Ops) -> np.ndarray:
    """The map (T, h, w) times clip((n/a + k) / (d + k), 0.3, 2), k = 3/a^2 + 0.4 d: the regression over the whole
    section, shrunk to the map, where it is noisy and everywhere a little."""
    p = p_band.astype(np.float32)[:, None, None]
    q, pi = evidence.combined, evidence.precision
    a = float((q * cells * p).sum(dtype=np.float64) / ((pi * (cells * p) ** 2).sum(dtype=np.float64) + 1e-12))
    if a < FAINTEST:
        return cells
    mp = np.maximum(cells, 0.05) * p
    sums = (part.mean(0, keepdims=True) * (INDEPENDENT * len(p)) for part in (q * mp, pi * mp * mp))
    n, d = (ops.smooth_space(part, 1.2) for part in sums)
    doubt = 3 / a**2 + NODDING * d
    return cells * np.clip((n / a + doubt) / (d + doubt), *LIMITS).astype(np.float32)
