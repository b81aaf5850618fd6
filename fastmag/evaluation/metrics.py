"""Measures that tell the truth: gain on the target, leak off it, distance to a picture or to the true magnified one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

HALF_WIDTH_HZ = 0.25  # of "in-band" around a known rate
TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)  # of the window of structural similarity
TAPS /= TAPS.sum()


def psnr_of(mean_square: float, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB from a mean squared error; infinite for none, NaN for NaN."""
    return float("inf") if mean_square == 0 else float(10 * np.log10(peak**2 / mean_square))


@njit(nogil=True, cache=True, error_model="numpy")
def _blur(plane, taps, row, out):
    """out (H - n + 1, W - n + 1): plane (H, W) weighted by taps (n,) down and across; row (W,) is scratch."""
    for y in range(out.shape[0]):
        row[:] = 0
        for k in range(len(taps)):
            for x in range(len(row)):
                row[x] += taps[k] * plane[y + k, x]
        out[y] = 0
        for k in range(len(taps)):
            for x in range(out.shape[1]):
                out[y, x] += taps[k] * row[x + k]


class Similar:
    """A plane (H, W) ready to be compared with others: their structural similarity (Wang et al. 2004).

    Gaussian window, sigma 1.5, 11 x 11, where it lies within the plane (smaller planes are mirrored at their edges);
    its own mean and variance are computed once. The arithmetic has the plane's precision: float32 is off by less than
    1e-5.
    """

    def __init__(self, plane: np.ndarray, peak: float = 255.0):
        small = min(plane.shape) < len(TAPS)
        self.plane = np.pad(plane, len(TAPS) // 2, "symmetric") if small else np.ascontiguousarray(plane)
        self.c1, self.c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
        self.mean = self._blurred(self.plane)
        self.variance = self._blurred(self.plane * self.plane) - self.mean**2

    @staticmethod
    def _blurred(plane: np.ndarray) -> np.ndarray:
        out = np.empty((plane.shape[0] - len(TAPS) + 1, plane.shape[1] - len(TAPS) + 1), plane.dtype)
        _blur(plane, TAPS.astype(plane.dtype), np.empty(plane.shape[1], plane.dtype), out)
        return out

    def __call__(self, other: Similar) -> float:
        """Mean similarity of the two planes, in [-1, 1]."""
        means = self.mean * other.mean
        both = self._blurred(self.plane * other.plane) - means
        above = (2 * means + self.c1) * (2 * both + self.c2)
        below = (self.mean**2 + other.mean**2 + self.c1) * (self.variance + other.variance + self.c2)
        return float((above / below).mean(dtype=np.float64))


def ssim(a: np.ndarray, b: np.ndarray, peak: float = 255.0) -> float:
    """Mean structural similarity of two planes (H, W), in float64: see Similar."""
    return Similar(a.astype(np.float64), peak)(Similar(b.astype(np.float64), peak))


def luma(rgb: np.ndarray) -> np.ndarray:
    """BT.601 luma (...) float32 of RGB (..., 3)."""
    return rgb @ np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class InBand:
    """The part of a trace within 0.25 Hz of a rate: its root mean square and the wave (T,)."""

    rms: float
    wave: np.ndarray


def in_band(trace: np.ndarray, fps: float, rate_hz: float) -> InBand:
    """Detrend (quadratic), window (Hann) and keep rate +- 0.25 Hz of a trace (T,)."""
    t = np.linspace(-1, 1, len(trace))
    trace = trace - np.polynomial.Polynomial.fit(t, trace, 2)(t)
    spectrum = np.fft.rfft(trace * np.hanning(len(trace)))
    keep = np.abs(np.fft.rfftfreq(len(trace), 1 / fps) - rate_hz) <= HALF_WIDTH_HZ
    spectrum = np.where(keep, spectrum, 0)
    rms = float(np.sqrt(2 * (np.abs(spectrum) ** 2).sum()) * 2 / len(trace))
    return InBand(rms, np.fft.irfft(spectrum, len(trace)))


@dataclass(frozen=True)
class Judgement:
    """A magnified clip against its source: amplitude out / in on the target, correlation of the two waves, in-band
    change off the target over that on it, and PSNR (dB) and SSIM to the source."""

    gain: float
    correlation: float
    leak: float
    psnr: float
    ssim: float


def judge(
    before: np.ndarray, after: np.ndarray, targets: int, fps: float, rate_hz: float
) -> tuple[float, float, float]:
    """(gain, correlation, leak) from traces (T, boxes) of one channel; the first `targets` boxes lie on the target."""
    n = min(len(before), len(after))
    before, after = before[:n], after[:n]
    pairs = [(in_band(before[:, i], fps, rate_hz), in_band(after[:, i], fps, rate_hz)) for i in range(targets)]
    gain = float(np.mean([new.rms / old.rms for old, new in pairs]))
    correlation = float(np.mean([np.corrcoef(old.wave, new.wave)[0, 1] for old, new in pairs]))
    change = [in_band((after - before)[:, i], fps, rate_hz).rms for i in range(before.shape[1])]
    on, off = float(np.mean(change[:targets])), float(np.mean(change[targets:]))
    return gain, correlation, off / max(on, 1e-12)
