"""How much in each channel, and whether there is a pulse at all."""

from __future__ import annotations

import numpy as np

from fastmag.coherent.regression import QUANTISATION, Evidence, V, box
from fastmag.ops import Ops

PRIOR_MEAN, PRIOR_SPREAD, PRIOR_JITTER = 0.002, 0.0018, 0.4  # relative amplitude of green, its spread, each channel's
BANDWIDTH_HZ = 1.8  # of the passband: two independent samples per hertz and second
SHARED_LUMINANCE = 0.01  # part of the luminance noise that no averaging removes


def amplitudes(
    cells: np.ndarray, skin: np.ndarray, evidence: Evidence, p_band: np.ndarray, fps: float, ops: Ops
) -> tuple[np.ndarray, float]:
    """Relative pulse amplitude beta (3,) per unit of skin and p: the posterior mean, and its z-score against none.

    The mean skin signal, weighed by 1 / residual power (the total power would halve the gain), is regressed on p and on
    its quadrature; prior N(0.002 v, 0.0018^2 vv' + diag(0.4 * 0.002 v)^2).
    """
    signal, weight = skin_signal(cells, skin, evidence, fps, ops)
    slope, covariance, luminance = regress(signal, weight, p_band, fps)
    covariance = covariance + SHARED_LUMINANCE * luminance * np.ones((3, 3))
    v = V.astype(np.float64)
    prior = PRIOR_SPREAD**2 * np.outer(v, v) + np.diag((PRIOR_JITTER * PRIOR_MEAN * v) ** 2)
    beta = PRIOR_MEAN * v + prior @ np.linalg.solve(prior + covariance, slope - PRIOR_MEAN * v)
    combination = np.linalg.solve(covariance, v)
    return beta, float(combination @ slope / np.sqrt(combination @ v))


def skin_signal(cells: np.ndarray, skin: np.ndarray, evidence: Evidence, fps: float, ops: Ops):
    """Mean log signal of the skin (T, 3) per unit of the map, and how much each frame may say (T,).

    A head that sways, with the heartbeat too, shifts its shading over the cells. So each frame is fitted by the map,
    per channel, and by one common translation of the log image; the translation is thrown away.
    """
    power = ops.smooth_space(box(evidence.residual[..., 1] ** 2, 2.0, fps, ops), 1.0)
    w = np.where(skin > 0.15, skin, 0) / (power + (QUANTISATION / (cells[..., 1] + 4)) ** 2 + 1e-7)
    log_cells = np.log(cells + np.float32(4))
    slopes = (np.gradient(log_cells, axis=2), np.gradient(log_cells, axis=1))
    total = np.maximum((w * skin**2).sum((1, 2), dtype=np.float64), 1e-9)
    on_map = np.einsum("thw,thwc->tc", w * skin, evidence.log_band, dtype=np.float64)
    cross = np.stack([np.einsum("thw,thwc->tc", w * skin, g, dtype=np.float64) for g in slopes], 2)
    wg = [w[..., None] * g for g in slopes]
    on_slopes = np.stack([np.einsum("thwc,thwc->t", g, evidence.log_band, dtype=np.float64) for g in wg], 1)
    power2 = np.array([[np.einsum("thwc,thwc->t", a, b, dtype=np.float64) for b in slopes] for a in wg]).transpose(
        2, 0, 1
    )
    normal = power2 - np.einsum("tci,tcj->tij", cross, cross) / total[:, None, None]
    normal = normal + (1e-3 * np.trace(power2, axis1=1, axis2=2) + 1e-9)[:, None, None] * np.eye(2)
    target = on_slopes - np.einsum("tci,tc->ti", cross, on_map) / total[:, None]
    shift = np.linalg.solve(normal, target[..., None])[..., 0]
    signal = (on_map - np.einsum("tci,ti->tc", cross, shift)) / total[:, None]
    return signal, np.minimum(total / (np.median(total) + 1e-9), 3.0)


def regress(signal: np.ndarray, weight: np.ndarray, p_band: np.ndarray, fps: float):
    """Slope (3,) of the signal on p, its covariance (3, 3), and the variance of its luminance noise per p^2."""
    basis = np.stack([p_band, quadrature(p_band)], 1)
    normal = (basis * weight[:, None]).T @ basis + 1e-9 * np.eye(2)
    fit = np.linalg.solve(normal, (basis * weight[:, None]).T @ signal)
    rest = signal - basis @ fit
    scatter = (rest * weight[:, None]).T @ rest / weight.sum()
    p_power = max(float((weight * p_band**2).sum() / weight.sum()), 1e-12)
    independent = 2 * BANDWIDTH_HZ * len(p_band) / fps
    return fit[0], scatter / (independent * p_power) + 1e-10 * np.eye(3), float(scatter.sum() / 9 / p_power)


def quadrature(series: np.ndarray) -> np.ndarray:
    """The Hilbert transform of a real series (T,)."""
    spectrum = np.fft.rfft(series)
    spectrum = -1j * spectrum
    spectrum[0] = 0
    if len(series) % 2 == 0:
        spectrum[-1] = 0
    return np.fft.irfft(spectrum, len(series))
