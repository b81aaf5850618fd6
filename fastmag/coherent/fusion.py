"""The pulse wave from three witnesses: the network, the skin as a whole, and every cell for itself.

Each of them is p plus noise of its own kind: the network's output suffers from turns of the head, the mean of the skin
from light, the cells from the camera. Around every harmonic the gap between the teeth of the comb shows how noisy each
is there and then, so they are combined for the least noise (minimum variance, each with unit gain on p), span by span,
and what remains is weighed against its noise frequency by frequency (Wiener).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fastmag.coherent import amplitude, sway
from fastmag.coherent.ends import LESS_UNSURE_SECONDS
from fastmag.coherent.regression import Evidence
from fastmag.coherent.wave import HARMONICS, TOOTH_HZ, Wave, by_spans, wide
from fastmag.ops import Ops
from fastmag.temporal import butterworth

SURROUNDINGS = 1.8  # half-widths of a tooth, from where on there is only noise
REACH = 3.5  # half-widths of a tooth that may be kept where the signal stands out
CERTAIN, CAUTIOUS = 1.2, 1.5  # noise is taken this much larger than it looks: for a whole tooth, for one frequency
DISAGREEMENT = 2.0  # noise of the sum against the power of what the witnesses do not share
TRUST = 0.02  # of a witness' power counts as noise in any case: no witness has exactly the gain that it should
SMOOTHING = 9, 17  # frequencies: of a power, of a disagreement


def witnesses(
    cells: np.ndarray, log_cells: np.ndarray, skin: np.ndarray, evidence: Evidence, wave: Wave, p_band: np.ndarray,
    fps: float, ops: Ops,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Three series (3, T): the integrated y, the skin's mean, the cells' best sum; and the z-score of p in the skin.

    log_cells (T, h, w, 3): the log of the cells, which is changed; skin (T, h, w) the map so far.
    """
    weight = sway.weights(cells, skin, evidence.residual, fps, ops)
    mean, trust = amplitude.skin_signal(cells, skin, evidence, fps, ops)
    slope, covariance = amplitude.regress(mean, trust, p_band, fps)
    log_wide = around(log_cells, wave.p, skin, slope, fps, ops)
    fitted = sway.fit(cells, skin, log_wide, weight)
    steady = sway.steady(cells, np.minimum(skin, 1), log_wide, fitted.shift)
    combined = np.einsum("thwc,thwc->thw", evidence.weights, steady)
    power = np.einsum("thw,thw->t", evidence.precision * skin, skin).astype(np.float64)
    matched = np.einsum("thw,thw->t", combined, skin) / (power + 1e-12)
    series = np.stack([wave.position, fitted.signal @ np.linalg.solve(covariance, slope), matched])
    return series, amplitude.score(slope, covariance)


def around(log_cells: np.ndarray, p: np.ndarray, skin: np.ndarray, slope: np.ndarray, fps: float, ops: Ops):
    """The log of cells (T, h, w, 3), band-passed for a pulse with its harmonics, and not disturbed by where the clip
    ends, as far as cells do what is known so far: skin (T, h, w) * slope (3,) * p (T,)."""
    known = skin[..., None] * (p[:, None] * slope).astype(np.float32)[:, None, None]
    log_cells -= known
    known += ops.bandpass(log_cells, butterworth(wide(fps), fps))
    return known


def fuse(series: np.ndarray, p: np.ndarray, in_band, fps: float, rate: float) -> np.ndarray:
    """One wave (T,) from witnesses (K, T) and a first p (T,), around `rate` hertz and its harmonics.

    in_band(series (T,)) is the band-pass of the passband: in it each witness is scaled to p.
    """
    reference = in_band(p)
    scales = [float(in_band(s) @ reference) / max(float(reference @ reference), 1e-30) for s in series]
    followers = [s / scale for s, scale in zip(series, scales, strict=True) if scale > 0]
    if not followers:
        return p
    return by_spans(np.stack(followers), fps, partial(fused_spectrum, rate=rate, fps=fps), LESS_UNSURE_SECONDS)


def fused_spectrum(spectra: np.ndarray, frequency: np.ndarray, rate: float, fps: float) -> np.ndarray:
    """The spectrum (F,) of one span from those of the witnesses (K, F): combined and weighed harmonic by harmonic."""
    local = local_rate(spectra, frequency, rate)
    out = np.zeros(len(frequency), complex)
    for k in range(1, HARMONICS + 1):
        if k * local > 0.42 * fps:
            break
        half = TOOTH_HZ * (1 + 0.35 * (k - 1))
        distance = np.abs(frequency - k * local)
        tooth, gap = distance < half, surroundings(distance, half, local)
        share = least_noise(spectra[:, gap], spectra[:, tooth])
        total = share @ spectra
        power = np.abs(total) ** 2
        noise = float(np.median(power[gap]))
        whole = max(0.0, 1 - CERTAIN * noise / (float(power[tooth].mean()) + 1e-20))
        apart = smooth((share[:, None] * np.abs(spectra - total) ** 2).sum(0), SMOOTHING[1])
        doubt = CAUTIOUS * np.minimum(CERTAIN * noise, DISAGREEMENT * apart)
        single = np.clip(1 - doubt / (smooth(power, SMOOTHING[0]) + 1e-20), 0, 1)
        gain = np.maximum(whole * taper(distance, 1.3 * half, 0.3 * half), single * taper(distance, REACH * half, half))
        out += total * gain
    return out


def local_rate(spectra: np.ndarray, frequency: np.ndarray, rate: float) -> float:
    """The frequency within 15 % of `rate` where the witnesses, each in units of its noise, have the most power."""
    distance = np.abs(frequency - rate)
    noise = np.median(np.abs(spectra[:, surroundings(distance, TOOTH_HZ, rate)]) ** 2, axis=1) + 1e-20
    power = np.abs((spectra / noise[:, None]).sum(0)) ** 2
    return float(frequency[np.argmax(np.where(distance < 0.15 * rate, np.convolve(power, np.ones(9), "same"), -1.0))])


def surroundings(distance: np.ndarray, half: float, rate: float) -> np.ndarray:
    """Where between two teeth there is only noise; a slow rate leaves a narrow rim of the tooth at least."""
    return (distance > SURROUNDINGS * half) & (distance < max(rate / 2, (SURROUNDINGS + 1) * half))


def least_noise(gap: np.ndarray, tooth: np.ndarray) -> np.ndarray:
    """Weights (K,) that sum to 1 and are not negative: minimum variance for the noise seen in the gap (K, F)."""
    noise = (gap @ gap.conj().T).real / gap.shape[1]
    noise += np.diag(TRUST * (np.abs(tooth) ** 2).mean(1)) + 1e-6 * np.eye(len(noise))
    share = np.clip(np.linalg.solve(noise, np.ones(len(noise))), 0, None)
    return share / share.sum()


def taper(distance: np.ndarray, end: float, width: float) -> np.ndarray:
    """1 up to end - width, falling to 0 at end."""
    return np.clip((end - distance) / width, 0, 1)


def smooth(power: np.ndarray, width: int) -> np.ndarray:
    """Hann-weighted mean over `width` frequencies."""
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(power, window / window.sum(), "same")
