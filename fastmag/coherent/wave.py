"""The pulse wave p from the network's output y: an adaptive comb.

The network answers dp/dt, frame by frame, with noise of its own. A heart beats at a slowly varying rate with a few
harmonics, so p is what is left of the integrated y inside narrow teeth around the rate and its multiples, each weighed
by how far it stands out of its surroundings (a Wiener gain).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastmag.coherent.ends import UNSURE_SECONDS, continued
from fastmag.temporal import butterworth

SPAN_SECONDS = 10.0  # of one short-time spectrum: four to ten beats, long enough to tell neighbours 0.1 Hz apart
TOOTH_HZ = 0.15  # half-width of the first tooth: heart-rate variability within a span
HARMONICS = 3
HOP = 8  # spans overlap by 7/8
OVERSAMPLING = 4  # of a span's spectrum
EDGE_SECONDS = 0.5  # where a narrow filter does not yet follow the phase
WIDE_HZ = (0.6, 8.0)  # everything that a pulse with its harmonics can hold


@dataclass(frozen=True)
class Wave:
    """A pulse wave: `p` (T,) float64 with unit standard deviation, its mean rate in hertz, `confidence` in [0, 1], and
    the integrated y (T,) that it was found in, filtered around p: a filter takes the end of a wave for a step, so it is
    given what p leaves, and p is added to what it makes of that."""

    p: np.ndarray
    rate_hz: float
    confidence: float
    position: np.ndarray


def pulse_wave(y: np.ndarray, fps: float, passband: tuple[float, float], bandpass) -> Wave:
    """Integrate `y` (T - 1,), find the rate and keep its comb: a Wave of T samples.

    `bandpass(series, sections)` is the zero-phase filter of the backend. `confidence` is the share of the in-band power
    of the integrated y that the comb explains.
    """
    position = np.concatenate([[0.0], np.cumsum(y - y.mean())])
    q = filtered(position, wide(fps), fps, bandpass)
    rate = dominant_rate(q, fps, passband)
    p = comb(q, fps, rate)
    in_band = filtered(position, passband, fps, bandpass)
    kept = filtered(p, passband, fps, bandpass)
    scale = np.sqrt((in_band @ in_band) * (kept @ kept))
    confidence = float((in_band @ kept) / scale) ** 2 if scale > 0 else 0.0
    known = p * (float(q @ p) / max(float(p @ p), 1e-30))
    around = filtered(position - known, wide(fps), fps, bandpass) + known
    return Wave(p / max(p.std(), 1e-12), mean_rate(p, fps, passband), confidence, around)


def wide(fps: float) -> tuple[float, float]:
    """The passband of a pulse with its harmonics."""
    return WIDE_HZ[0], min(WIDE_HZ[1], 0.45 * fps)


def filtered(series: np.ndarray, passband: tuple[float, float], fps: float, bandpass) -> np.ndarray:
    """Zero-phase band-pass of one series (T,), scaled first so that float32 keeps its digits."""
    scale = np.abs(series).max() or 1.0
    column = np.ascontiguousarray((series / scale)[:, None], np.float32)
    return bandpass(column, butterworth(passband, fps))[:, 0].astype(np.float64) * scale


def dominant_rate(q: np.ndarray, fps: float, passband: tuple[float, float]) -> float:
    """The rate in hertz whose first two harmonics hold the most power: argmax |Q(f)|^2 + |Q(2f)|^2 / 2."""
    n = max(1 << 15, 1 << int(np.ceil(np.log2(len(q)))))
    power = np.abs(np.fft.rfft(q * np.hanning(len(q)), n)) ** 2
    frequency = np.fft.rfftfreq(n, 1 / fps)
    width = max(1, round(0.02 / frequency[1]))
    power = np.convolve(power, np.ones(width) / width, "same")
    octave = np.interp(2 * frequency, frequency, power) * (2 * frequency < 0.45 * fps)
    inside = (frequency >= passband[0]) & (frequency <= passband[1])
    return float(frequency[np.argmax(np.where(inside, power + 0.5 * octave, -1.0))])


def mean_rate(wave: np.ndarray, fps: float, passband: tuple[float, float]) -> float:
    """Mean frequency in hertz: beats over time, by the phase of the fundamental (T,) around the dominant rate."""
    wave = wave - wave.mean()
    rate = dominant_rate(wave, fps, passband)
    n = 2 * len(wave)
    spectrum, frequency = np.fft.rfft(wave, n), np.fft.rfftfreq(n, 1 / fps)
    taper = np.clip((0.4 * rate - np.abs(frequency - rate)) / (0.1 * rate), 0, 1)
    analytic = np.fft.ifft(np.concatenate([spectrum * taper, np.zeros(n - len(spectrum))]))[: len(wave)]
    turn = np.angle(analytic[1:] * analytic[:-1].conj())
    edge = int(EDGE_SECONDS * fps) if len(turn) > 6 * EDGE_SECONDS * fps else 0
    return float(turn[edge : len(turn) - edge].mean() * fps / (2 * np.pi)) if turn.any() else rate


def comb(q: np.ndarray, fps: float, rate: float) -> np.ndarray:
    """Keep the teeth of `q` (T,) around the local rate, span by span."""

    def kept(spectra: np.ndarray, frequency: np.ndarray) -> np.ndarray:
        return spectra[0] * tooth_gain(np.abs(spectra[0]) ** 2, frequency, rate, fps)

    return by_spans(q[None], fps, kept)


def by_spans(
    series: np.ndarray, fps: float, kept: Callable[[np.ndarray, np.ndarray], np.ndarray],
    unsure_seconds: float = UNSURE_SECONDS,
) -> np.ndarray:  # fmt: skip
    """One wave (T,) from waves (K, T) of zero mean, over overlapping spans of 10 s: kept(spectra (K, F), frequencies in
    hertz (F,)) is its spectrum (F,) in a span. The ends are those of waves that go on, see `continued`."""
    n = int(SPAN_SECONDS * fps) // 2 * 2
    hop, window, longer = n // HOP, np.hanning(n + 1)[:-1], OVERSAMPLING * n
    padded = np.pad(continued(series, n // 2, fps, unsure_seconds), ((0, 0), (n // 2, n // 2 + hop)))
    frequency = np.fft.rfftfreq(longer, 1 / fps)
    out, weight = np.zeros(padded.shape[1]), np.zeros(padded.shape[1])
    for start in range(0, padded.shape[1] - n + 1, hop):
        at = slice(start, start + n)
        out[at] += np.fft.irfft(kept(np.fft.rfft(padded[:, at] * window, longer), frequency), longer)[:n] * window
        weight[at] += window * window
    return (out / np.maximum(weight, 1e-6))[n : n + series.shape[1]]


def tooth_gain(power: np.ndarray, frequency: np.ndarray, rate: float, fps: float) -> np.ndarray:
    """Wiener gain of one span: max(0, 1 - N/S) in each tooth, N from the gaps between teeth, tapered at the edges."""
    near = (frequency > 0.85 * rate) & (frequency < 1.15 * rate)
    local = frequency[np.argmax(np.where(near, np.convolve(power, np.ones(9), "same"), -1.0))]
    gain = np.zeros_like(power)
    for k in range(1, HARMONICS + 1):
        if k * local > 0.42 * fps:
            break
        half = TOOTH_HZ * (1 + 0.35 * (k - 1))
        distance = np.abs(frequency - k * local)
        gap = (distance < local / 2) & (distance > 1.8 * half)
        noise = 1.2 * np.median(power[gap]) if gap.any() else 0.0
        signal = power[distance < half].mean()
        taper = np.clip((1.3 * half - distance) / (0.3 * half), 0, 1)
        gain = np.maximum(gain, max(0.0, 1 - noise / (signal + 1e-20)) * taper)
    return gain
