"""The time axis of the chunk's form in float64 NumPy: windows, the band-pass as a matrix, the comb."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmag.coherent.wave import HARMONICS, HOP, OVERSAMPLING, SPAN_SECONDS, WIDE_HZ

Array = NDArray[Any]

FILTER_SECONDS = 4.0  # of the band-pass' impulse response on either side: what is cut off is 0.3 % of a series
RESPONSE_BINS = 1024  # frequencies at which its response is taken
TOOTH_HZ = 0.2  # half-width of the first tooth of the comb: a heart's rate wanders within a span
GAP_NOISE = 1.5  # times the geometric mean of the power between teeth: 1.2 times its median
TRUST = 0.02  # of a witness' power that counts as noise in any case
NONE = 1e-6  # slope of a witness that does not follow p: next to nothing, so that its noise is large
SLACK = 0.01  # of a frame: 4.9999999 frames are 5


def frames_of(seconds: float, fps: float) -> int:
    """Whole frames in a time."""
    return int(seconds * fps + SLACK)


def box(n: int, seconds: float, fps: float) -> Array:
    """The mean over a window along time as a matrix (n, n); the window is cut at the ends."""
    inside = np.abs(np.arange(n)[:, None] - np.arange(n)) <= frames_of(seconds, fps) // 2
    return inside / inside.sum(1, keepdims=True)


def wide_band(fps: float) -> tuple[float, float]:
    """The passband of a pulse with its harmonics."""
    return WIDE_HZ[0], min(WIDE_HZ[1], 0.45 * fps)


def response(frequency: Array, passband: tuple[float, float], fps: float) -> Array:
    """|H|^2 of the digital Butterworth band-pass with six poles, at frequencies above 0: run forward and backward."""
    warped, low, high = (np.tan(np.pi * np.asarray(f) / fps) for f in (frequency, *passband))
    return 1 / (1 + ((warped**2 - low * high) / (warped * (high - low))) ** 6)


def band(n: int, passband: tuple[float, float], fps: float) -> Array:
    """The zero-phase Butterworth band-pass of n samples without their mean, as a matrix (n, n).

    A row is the impulse response, cut after 4 s; at the ends the series goes on mirrored and upside down.
    """
    reach = frames_of(FILTER_SECONDS, fps)
    angle = (np.arange(RESPONSE_BINS) + 0.5) * (np.pi / RESPONSE_BINS)
    taps = np.cos(np.outer(np.arange(reach + 1), angle)) @ response(angle * fps / (2 * np.pi), passband, fps)
    at = np.arange(-reach, n + reach)
    lag = np.abs(at - np.arange(n)[:, None])
    rows = np.where(lag <= reach, taps[np.minimum(lag, reach)], 0) / RESPONSE_BINS
    inner = np.clip(at, 0, n - 1)
    outside = (at != inner)[:, None]
    extended = (1 + outside) * np.eye(n)[inner] - outside * np.eye(n)[np.clip(2 * inner - at, 0, n - 1)]
    matrix = rows @ extended
    return matrix - matrix.mean(1, keepdims=True)


def spans_of(fps: float) -> tuple[int, int, int]:
    """Samples of a span, from one span to the next, and of a span's spectrum."""
    n = frames_of(SPAN_SECONDS, fps) // 2 * 2
    return n, n // HOP, OVERSAMPLING * n


def frequencies(fps: float) -> Array:
    """The frequencies (F,) of a span's spectrum that a pulse with its harmonics can have, in hertz."""
    size = spans_of(fps)[2]
    return np.arange(1, int(wide_band(fps)[1] / fps * size + SLACK) + 1) * (fps / size)


def spectrum(series: Array, frequency: Array) -> Array:
    """Cosine and sine sums (2, ..., F) of series (..., n) at frequencies in cycles a sample."""
    turn = 2 * np.pi * np.outer(np.arange(series.shape[-1]), frequency)
    return np.stack([series @ np.cos(turn), series @ np.sin(turn)])


def hann(n: int, offset: float = 0.0) -> Array:
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + offset) / n)


def dominant_rate(q: Array, fps: float, passband: tuple[float, float]) -> float:
    """The rate in hertz whose first two harmonics hold the most power: argmax |Q(f)|^2 + |Q(2f)|^2 / 2."""
    frequency = frequencies(fps)
    power = (spectrum(q * hann(len(q), 0.5), frequency / fps) ** 2).sum(0)
    octave = np.minimum(2 * np.arange(1, len(power) + 1) - 1, len(power) - 1)
    inside = (frequency >= passband[0]) & (frequency <= passband[1])
    return float(frequency[np.argmax(np.where(inside, power + 0.5 * power[octave], -1.0))])


def comb(series: Array, fps: float, rate: float) -> Array:
    """p (T,) of witnesses (K, T): the teeth around the local rate and its multiples, in spans that overlap by 7/8."""
    length, (n, hop, size) = series.shape[1], spans_of(fps)
    frequency, window = frequencies(fps), hann(n)
    at = np.arange(-n, length, hop)[:, None] + np.arange(n)
    valid = (at >= 0) & (at < length)
    spans = np.where(valid, series[:, np.clip(at, 0, length - 1)], 0) * window
    cosine, sine = fused(spectrum(spans, frequency / fps), frequency, rate)
    turn = 2 * np.pi * np.outer(frequency / fps, np.arange(n))
    wave = window * (2 / size) * (cosine @ np.cos(turn) + sine @ np.sin(turn))
    out, weight = np.zeros(length), np.zeros(length)
    np.add.at(out, at[valid], wave[valid])
    np.add.at(weight, at[valid], np.broadcast_to(window**2, at.shape)[valid])
    p = out / np.maximum(weight, 1e-6)
    p = p - p.mean()
    return p / max(np.sqrt((p**2).mean()), 1e-12)


def fused(spectra: Array, frequency: Array, rate: float) -> Array:
    """One spectrum (2, S, F) of the witnesses' (2, K, S, F): in each tooth combined for the least noise, and weighed by
    how far their sum stands out of the gaps between the teeth (Wiener), tapered at the edges."""
    close = np.abs(frequency - rate) < 0.15 * rate
    power = (spectra**2).sum(0)
    local = frequency[np.argmax(np.where(close, power[0], -1.0), axis=1)][:, None]
    out = np.zeros((2, *power.shape[1:]))
    for k in range(1, HARMONICS + 1):
        half = TOOTH_HZ * (1 + 0.35 * (k - 1))
        distance = np.abs(frequency - k * local)
        gap, tooth = (distance < local / 2) & (distance > 1.8 * half), distance < half
        noise, signal = between(power, gap, tooth)
        share = 1 / (noise + TRUST * signal + 1e-12)
        total = (share[..., None] * spectra).sum(1) / share.sum(0)[:, None]
        noise, signal = between((total**2).sum(0), gap, tooth)
        taper = np.clip((1.3 * half - distance) / (0.3 * half), 0, 1)
        out += total * np.maximum(0, 1 - noise / (signal + 1e-20))[:, None] * taper
    return out


def between(power: Array, gap: Array, tooth: Array) -> tuple[Array, Array]:
    """(..., S): the noise, from the geometric mean of the power in the gap, and the mean power in the tooth."""
    logs = np.where(gap, np.log(power + 1e-30), 0).sum(-1) / np.maximum(gap.sum(-1), 1)
    noise = np.where(gap.any(-1), GAP_NOISE * np.exp(logs), 0)
    return noise, np.where(tooth, power, 0).sum(-1) / np.maximum(tooth.sum(-1), 1)


def slope(series: Array, p: Array) -> float:
    """Of a series on p; next to nothing for one that does not follow p."""
    found = float(series @ p) / (float(p @ p) + 1e-12)
    return found if found > 0 else NONE
