"""How much in each channel, and whether there is a pulse at all."""

from __future__ import annotations

import numpy as np

from fastmag.coherent.regression import Evidence, V
from fastmag.coherent.sway import fit, weights
from fastmag.ops import Ops

PRIOR_MEAN, PRIOR_SPREAD, PRIOR_JITTER = 0.002, 0.0018, 0.4  # relative amplitude of green, its spread, each channel's
BANDWIDTH_HZ = 1.8  # of the passband: two independent samples per hertz and second
SHARED_LUMINANCE = 0.01  # part of the luminance noise that no averaging removes
ATTENUATION = 1.08  # the p that is read correlates with the true one by .96, so the slope on it is too small by that
Z_PER_CONFIDENCE, ABSENT, PRESENT, EDGE = (
    20.0,
    0.95,
    1.05,
    0.04,
)  # of the gate, set on people that no result is reported on


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
    return ATTENUATION * beta, float(combination @ slope / np.sqrt(combination @ v))


def presence(confidence: float, z: float, rate_hz: float, passband: tuple[float, float]) -> float:
    """Is there a pulse: 0 for no, 1 for yes, by how steady the wave is and how surely the skin carries it.

    A rhythm in the noise of y can be steady; but then the skin does not follow it in the colour of blood. A rate at the
    very edge of the passband belongs to something outside it.
    """
    if not passband[0] * (1 + EDGE) < rate_hz < passband[1] * (1 - EDGE):
        return 0.0
    return float(np.clip((confidence + z / Z_PER_CONFIDENCE - ABSENT) / (PRESENT - ABSENT), 0, 1))


def skin_signal(cells: np.ndarray, skin: np.ndarray, evidence: Evidence, fps: float, ops: Ops):
    """Mean log signal of the skin (T, 3) per unit of the map, without the sway; how much each frame may say (T,)."""
    fitted = fit(cells, skin, evidence.log_band, weights(cells, skin, evidence.residual[..., 1], fps, ops))
    return fitted.signal, np.minimum(fitted.weight / (np.median(fitted.weight) + 1e-9), 3.0)


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
