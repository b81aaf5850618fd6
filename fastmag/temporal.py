"""Filter design and the time axis: Butterworth sections, and series on an even grid."""

from __future__ import annotations

import functools

import numpy as np

from fastmag.errors import InputError


@functools.lru_cache(maxsize=64)
def butterworth(passband: tuple[float, float], fps: float, order: int = 3) -> np.ndarray:
    """Second-order sections (order, 6) of a Butterworth band-pass with 2 * `order` poles, float64.

    The paper's "6th-order Butterworth filter" is `order=3`: six poles, run forward and backward.
    Raises InputError when the passband does not lie in (0, fps / 2).
    """
    from scipy.signal import butter

    check_passband(passband, fps)
    sections = butter(order, passband, "bandpass", fs=fps, output="sos")
    return sections


def between_low_passes(low: tuple[np.ndarray, np.ndarray], high: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The section (1, 6) of one first-order low-pass less a slower one; each is (b, a) with two coefficients each."""
    (b_low, a_low), (b_high, a_high) = low, high
    numerator = np.polymul(b_high, a_low) - np.polymul(b_low, a_high)
    return np.concatenate([numerator, np.polymul(a_low, a_high)])[None]


def butterworth_difference(passband: tuple[float, float], fps: float) -> np.ndarray:
    """The difference of two first-order Butterworth low-passes at the ends of a passband, as a section (1, 6)."""
    from scipy.signal import butter

    low, high = (butter(1, corner, fs=fps) for corner in passband)
    return between_low_passes(low, high)


def iir_difference(rates: tuple[float, float]) -> np.ndarray:
    """A fast running mean less a slow one, y += rate (x - y), as a section (1, 6); rates are (fast, slow)."""
    fast, slow = ((np.array([rate, 0.0]), np.array([1.0, rate - 1.0])) for rate in rates)
    return between_low_passes(slow, fast)


def check_passband(passband: tuple[float, float], fps: float) -> None:
    """Raise InputError unless 0 < low < high < fps / 2 (hertz)."""
    low, high = passband
    if not 0 < low < high:
        raise InputError(f"passband must be LOW < HIGH, both above 0 Hz; got {low:g}-{high:g}: swap or correct them")
    if high >= fps / 2:
        raise InputError(
            f"passband must end below half the frame rate ({fps / 2:g} Hz at {fps:g} fps); got {low:g}-{high:g} Hz: "
            "lower it, or use a faster recording"
        )


def ideal(passband: tuple[float, float], series: np.ndarray, fps: float, *, one_sided: bool = False) -> np.ndarray:
    """The part of series (T, n) within a passband: all other frequencies of their Fourier series are dropped.

    The edges belong to the band. one_sided: MIT's released form, which keeps low < f < high among positive frequencies
    alone, and so half of the amplitude. Raises InputError where no frequency of so short a series falls into the band.
    """
    from scipy.fft import irfft, rfft

    count, (low, high) = len(series), passband
    frequency = np.arange(count // 2 + 1) * (fps / count)
    slack = 0.0 if one_sided else 1e-9 * fps
    keep = (frequency > low - slack) & (frequency < high + slack)
    if not keep.any():
        raise InputError(
            f"{count} frames at {fps:g} a second tell frequencies {fps / count:.3g} Hz apart, and none lies within "
            f"{low:.3g}-{high:.3g} Hz: widen the passband, or use a longer clip"
        )
    spectrum = rfft(series - series.mean(axis=0), axis=0)
    spectrum[~keep] = 0
    band = irfft(spectrum, count, axis=0)
    return band / 2 if one_sided else band


def windowed(passband: tuple[float, float], series: np.ndarray, fps: float) -> np.ndarray:
    """Series (T, n) through a zero-phase band-pass as long as they are: a sinc in a Hamming window, as MATLAB's fir1.

    The series are taken to repeat. The band's middle keeps its amplitude.
    """
    from scipy.fft import irfft, rfft
    from scipy.signal import firwin

    count = len(series)
    length = count - 1 + count % 2
    taps = np.zeros(count)
    taps[:length] = firwin(length, passband, pass_zero=False, fs=fps)
    response = rfft(np.roll(taps, -(length // 2))).real.astype(series.dtype)
    return irfft(rfft(series - series.mean(axis=0), axis=0) * response[:, None], count, axis=0)


def shortest(passband: tuple[float, float], fps: float) -> int:
    """Fewest frames that a passband can be told from: two periods of its low end."""
    return int(np.ceil(2 * fps / passband[0])) + 1


def resample(series: np.ndarray, times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Linear interpolation along axis 0 of `series` (T, ...), known at increasing `times` (T,), at the times `at`."""
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2) if len(times) > 1 else 0
    if len(times) == 1:
        return np.repeat(series, len(at), axis=0)
    share = np.clip((at - times[left]) / np.maximum(times[left + 1] - times[left], 1e-9), 0.0, 1.0)
    share = share.astype(series.dtype).reshape((-1,) + (1,) * (series.ndim - 1))
    return series[left] * (1 - share) + series[left + 1] * share
