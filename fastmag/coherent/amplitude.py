"""How much in each channel, and whether there is a pulse at all."""

from __future__ import annotations

import numpy as np

from fastmag.coherent.regression import INDEPENDENT, Evidence, V
from fastmag.coherent.sway import fit, weights
from fastmag.ops import Ops

PRIOR_MEAN, PRIOR_SPREAD = 0.002, 0.0018  # relative amplitude of green, and its spread
PRIOR_COLOUR = np.array([0.9, 1.0, 0.97])  # times V: the pulse of people whom a network was trained on
PRIOR_JITTER = np.array([0.3, 0.1, 0.25])  # relative, of each channel
BANDWIDTH_HZ = 1.8  # of the passband: two independent samples per hertz and second
SIZE_ERROR = 0.2  # relative, of what the cells' sum says
ATTENUATION = 1.03  # maps are smooth and p not perfect: both slopes are that much too small
INSTRUCTIVE = 0.5  # correlation with p below which a witness is no instrument
SHARED_LUMINANCE = 0.01  # part of the luminance noise that no averaging removes
Z_PER_AGREEMENT, ABSENT, PRESENT, EDGE = 20.0, 0.86, 0.95, 0.04  # of the gate, set on people no result is reported on


def amplitudes(
    cells: np.ndarray, skin: np.ndarray, evidence: Evidence, p_band: np.ndarray, witness: np.ndarray, fps: float,
    ops: Ops,
) -> np.ndarray:  # fmt: skip
    """Relative pulse amplitude beta (3,) per unit of skin and p: the posterior mean of two measurements.

    p_band and witness (T,): p in the passband, and as the network alone reads it. What p took from the noise of the
    cells would make them seem to follow it too well; the witness does not share that noise, so it is the instrument of
    both regressions (Reiersoel 1945).

    The cells' own sum tells the size along v, however the head turns; its error is one of the model, not of chance. The
    mean skin signal, weighed by 1 / residual power (the total power would halve the gain) and regressed on p and on its
    quadrature, tells size and colour. Prior of the size N(0.002, 0.0018^2), of each channel 10 to 30 % more or less.
    """
    v = PRIOR_COLOUR * V
    told = np.einsum("thw,thw->t", evidence.combined, skin).astype(np.float64)
    power = p_band * np.einsum("thw,thw->t", evidence.precision * skin, skin).astype(np.float64)
    witness = witness if instructive(witness, p_band) else p_band
    size, power = float(witness @ told) / (float(witness @ power) + 1e-9), float(p_band @ power) + 1e-9
    doubt = (SIZE_ERROR * size) ** 2 + 1 / (INDEPENDENT * power)
    share = PRIOR_SPREAD**2 / (PRIOR_SPREAD**2 + doubt)
    mean, spread = PRIOR_MEAN + share * (size - PRIOR_MEAN), doubt * share
    prior = spread * np.outer(v, v) + np.diag((PRIOR_JITTER * max(mean, 0.0) * v) ** 2) + 1e-12 * np.eye(3)
    signal, weight = skin_signal(cells, skin, evidence, fps, ops)
    slope, covariance = regress(signal, weight, p_band, fps, witness)
    return ATTENUATION * (mean * v + prior @ np.linalg.solve(prior + covariance, slope - mean * v))


def score(slope: np.ndarray, covariance: np.ndarray) -> float:
    """The z-score of a slope (3,) on p in the colour of blood, against no pulse."""
    v = V.astype(np.float64)
    combination = np.linalg.solve(covariance, v)
    return float(combination @ slope / np.sqrt(combination @ v))


def presence(agreement: float, z: float, rate_hz: float, passband: tuple[float, float]) -> float:
    """Is there a pulse: 0 for no, 1 for yes, by how well the cells follow the network's p, and how surely.

    agreement: the in-band correlation of p, as the network alone reads it, with the cells' own sum; z: of the skin's
    slope on that p. A rhythm in the noise of y can be steady, but then no skin follows it in the colour of blood. A
    rate at the very edge of the passband belongs to something outside it.
    """
    if not passband[0] * (1 + EDGE) < rate_hz < passband[1] * (1 - EDGE):
        return 0.0
    return float(np.clip((agreement + z / Z_PER_AGREEMENT - ABSENT) / (PRESENT - ABSENT), 0, 1))


def skin_signal(cells: np.ndarray, skin: np.ndarray, evidence: Evidence, fps: float, ops: Ops):
    """Mean log signal of the skin (T, 3) per unit of the map, without the sway; how much each frame may say (T,)."""
    fitted = fit(cells, skin, evidence.log_band, weights(cells, skin, evidence.residual, fps, ops))
    return fitted.signal, np.minimum(fitted.weight / (np.median(fitted.weight) + 1e-9), 3.0)


def instructive(witness: np.ndarray, p_band: np.ndarray) -> bool:
    """Whether a witness (T,) follows p (T,) well enough to be an instrument."""
    return bool(witness @ p_band > INSTRUCTIVE * np.sqrt((witness @ witness) * (p_band @ p_band)))


def regress(signal: np.ndarray, weight: np.ndarray, p_band: np.ndarray, fps: float, witness: np.ndarray | None = None):
    """Slope (3,) of the signal on p, and its covariance (3, 3); some of the luminance noise is not averaged out.
    witness (T,): the instrument, p itself by default."""
    basis = np.stack([p_band, quadrature(p_band)], 1)
    instrument = basis if witness is None else np.stack([witness, quadrature(witness)], 1)
    normal = (instrument * weight[:, None]).T @ basis + 1e-9 * np.eye(2)
    fit = np.linalg.solve(normal, (instrument * weight[:, None]).T @ signal)
    rest = signal - basis @ fit
    scatter = (rest * weight[:, None]).T @ rest / weight.sum()
    p_power = max(float((weight * p_band**2).sum() / weight.sum()), 1e-12)
    independent = 2 * BANDWIDTH_HZ * len(p_band) / fps
    shared = SHARED_LUMINANCE * float(scatter.sum() / 9 / p_power)
    return fit[0], scatter / (independent * p_power) + 1e-10 * np.eye(3) + shared


def quadrature(series: np.ndarray) -> np.ndarray:
    """The Hilbert transform of a real series (T,)."""
    spectrum = np.fft.rfft(series)
    spectrum = -1j * spectrum
    spectrum[0] = 0
    if len(series) % 2 == 0:
        spectrum[-1] = 0
    return np.fft.irfft(spectrum, len(series))
