"""How strongly each cell beats: a weighted regression of its log signal on p, shrunk towards the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.ops import Ops

V = np.array([0.33, 0.77, 0.53], np.float32) / np.float32(0.77)  # the pulse in R, G, B, relative to green (Eq. 11)
FIT_SECONDS, COVARIANCE_SECONDS, RATIO_SECONDS = 6.0, 4.0, 8.0
QUANTISATION = 0.12  # grey levels: noise of a cell mean from 8-bit rounding and the sensor
INDEPENDENT = 0.12  # independent samples per frame of an in-band series, over smoothed cells
LIMITS = (0.3, 2.0)  # of the ratio to the map
FAINTEST = 3e-4  # relative amplitude below which the regression only adds noise


@dataclass(frozen=True)
class Evidence:
    """In-band log signal (T, h, w, 3), what p leaves of it, and its best combination Q = v'S^-1 L, pi = v'S^-1 v."""

    log_band: np.ndarray
    residual: np.ndarray
    combined: np.ndarray
    precision: np.ndarray


def box(series: np.ndarray, seconds: float, fps: float, ops: Ops) -> np.ndarray:
    """Mean over a window of `seconds` along time."""
    return ops.smooth_time(np.ascontiguousarray(series), min(int(seconds * fps) | 1, 2 * len(series) - 1))


def weigh(cells: np.ndarray, log_band: np.ndarray, p_band: np.ndarray, fps: float, ops: Ops) -> Evidence:
    """Combine the channels of each cell for the least noise; the noise is what a windowed fit of p leaves."""
    p = p_band.astype(np.float32)[:, None, None, None]
    fit = box(log_band * p, FIT_SECONDS, fps, ops) / (box(p * p, FIT_SECONDS, fps, ops) + 1e-12)
    residual = log_band - fit * p
    noise = {}
    for a in range(3):
        for b in range(a, 3):
            product = box(residual[..., a] * residual[..., b], COVARIANCE_SECONDS, fps, ops)
            noise[a, b] = ops.smooth_space(product, 1.0)
        noise[a, a] = noise[a, a] + (3e-7 + (QUANTISATION / (cells[..., a] + 4)) ** 2)
    weights = solve(noise)
    combined = sum(log_band[..., c] * weights[c] for c in range(3))
    precision = sum(V[c] * weights[c] for c in range(3))
    return Evidence(log_band, residual, combined, precision)


def solve(s: dict[tuple[int, int], np.ndarray]) -> list[np.ndarray]:
    """S^-1 v for a symmetric 3x3 S per cell, by cofactors."""
    c00 = s[1, 1] * s[2, 2] - s[1, 2] ** 2
    c01 = s[0, 2] * s[1, 2] - s[0, 1] * s[2, 2]
    c02 = s[0, 1] * s[1, 2] - s[0, 2] * s[1, 1]
    c11 = s[0, 0] * s[2, 2] - s[0, 2] ** 2
    c12 = s[0, 1] * s[0, 2] - s[0, 0] * s[1, 2]
    c22 = s[0, 0] * s[1, 1] - s[0, 1] ** 2
    determinant = s[0, 0] * c00 + s[0, 1] * c01 + s[0, 2] * c02
    rows = ((c00, c01, c02), (c01, c11, c12), (c02, c12, c22))
    return [sum(V[b] * row[b] for b in range(3)) / determinant for row in rows]


def refine(cells: np.ndarray, evidence: Evidence, p_band: np.ndarray, fps: float, ops: Ops) -> np.ndarray:
    """The map (T, h, w) times clip((n/a + 3/a^2) / (d + 3/a^2), 0.3, 2): the regression, shrunk to the map."""
    p = p_band.astype(np.float32)[:, None, None]
    q, pi = evidence.combined, evidence.precision
    a = float((q * cells * p).sum(dtype=np.float64) / ((pi * (cells * p) ** 2).sum(dtype=np.float64) + 1e-12))
    if a < FAINTEST:
        return cells
    m = np.maximum(cells, 0.05)
    window = int(RATIO_SECONDS * fps) | 1
    n = ops.smooth_space(box(q * p * m, RATIO_SECONDS, fps, ops), 1.2) * (INDEPENDENT * window)
    d = ops.smooth_space(box(pi * (p * m) ** 2, RATIO_SECONDS, fps, ops), 1.2) * (INDEPENDENT * window)
    return cells * np.clip((n / a + 3 / a**2) / (d + 3 / a**2), *LIMITS).astype(np.float32)
