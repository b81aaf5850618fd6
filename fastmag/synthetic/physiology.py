"""Blood volume pulse and breath over time."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, lfilter, sosfiltfilt

_LEAST, _MOST = 0.2, 10.0  # of a walk's deviation: that of a piece of it, and any value


def wander(rng: np.random.Generator, n: int, fps: float, seconds: float, std: float, top_hz: float = 4.0) -> np.ndarray:
    """A smooth random walk around 0, (n,): Ornstein-Uhlenbeck with that time constant, nothing above `top_hz`."""
    extra = int(2 * fps) + 16
    keep = np.exp(-1 / (seconds * fps))
    steps = rng.normal(size=n + 2 * extra)
    walk = lfilter([np.sqrt(1 - keep * keep)], [1, -keep], steps, zi=[keep * steps[0]])[0]
    sos = butter(2, min(top_hz, 0.45 * fps), fs=fps, output="sos")
    walk = sosfiltfilt(sos, walk)[extra : extra + n]
    # a short piece hardly varies: its own deviation, or a place far out, would make a giant of it
    usual = np.sqrt(2 / np.pi * np.arctan(2 * np.pi * top_hz * seconds))
    return std * np.clip(walk / max(float(walk.std()), _LEAST * usual), -_MOST, _MOST)


def breath(rng: np.random.Generator, n: int, fps: float, breaths: float | None = None) -> np.ndarray:
    """Respiration (n,), about -1..1, with varying depth; breaths a minute, by default drawn from 10..22."""
    drawn = rng.uniform(10, 22)
    rate = (drawn if breaths is None else breaths) / 60 * (1 + wander(rng, n, fps, 6, 0.08, 0.3))
    phase = 2 * np.pi * np.cumsum(rate) / fps + rng.uniform(0, 2 * np.pi)
    return (1 + wander(rng, n, fps, 6, 0.15, 0.3)) * (np.sin(phase) + 0.2 * np.sin(2 * phase + 1.0))


def pulse(
    rng: np.random.Generator, n: int, fps: float, bpm: float | None = None, breathing: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Blood volume pulse (n,) float32 of zero mean and unit standard deviation, and its mean rate in beats per minute.

    Three harmonics with random strength and phase; the rate varies by 1 to 5 % (heart-rate variability) and with the
    breath (sinus arrhythmia), and so does the height. bpm: mean rate, by default drawn from 48..120.
    """
    bpm = rng.uniform(48, 120) if bpm is None else bpm
    air = np.zeros(n) if breathing is None else breathing
    variability = wander(rng, n, fps, 3.0, rng.uniform(0.01, 0.05), 1.0) + rng.uniform(0, 0.04) * air
    rate = bpm / 60 * (1 + variability - variability.mean())
    phase = 2 * np.pi * np.cumsum(rate) / fps + rng.uniform(0, 2 * np.pi)
    second, third = rng.uniform(0.2, 0.5), rng.uniform(0.03, 0.18)
    shift2, shift3 = rng.normal(-0.9, 0.4), rng.normal(-1.8, 0.5)
    height = 1 + wander(rng, n, fps, 3.0, 0.15, 1.0) + rng.uniform(0, 0.12) * air
    wave = height * (np.cos(phase) + second * np.cos(2 * phase + shift2) + third * np.cos(3 * phase + shift3))
    wave = wave + rng.uniform(0, 0.15) * air  # the baseline follows the breath
    wave = wave - wave.mean()
    return (wave / wave.std()).astype(np.float32), float(bpm)


def rate(wave: np.ndarray, fps: float) -> float:
    """Mean frequency in hertz of a pulse (n,): where its spectrum and that of its second harmonic are strongest."""
    n = 16 * len(wave)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), n)) ** 2
    frequency = np.fft.rfftfreq(n, 1 / fps)
    twice = np.interp(2 * frequency, frequency, power, right=0.0)
    return float(frequency[np.where((frequency > 0.6) & (frequency < 3.5), power + 0.5 * twice, 0).argmax()])
