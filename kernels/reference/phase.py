"""Local phase of complex subbands: differences, sums, shifts and smoothing (Eq. 20-21; Wadhwa et al. 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels.reference._out import into
from fastmag.kernels.reference.smooth import smooth_space


def phase_difference(subbands: NDArray, before: NDArray, out: NDArray | None = None) -> NDArray:
    """The phase of subbands against `before`, wrapped to (-pi, pi] (Eq. 20); 0 where either is 0.

    subbands (B, ...) complex; before of the same shape, or (...), one frame for all. Returns (B, ...).
    """
    angle = np.angle(subbands.astype(complex) * np.conj(before.astype(complex)))
    return into(out, np.where(angle == -np.pi, np.pi, angle))


def accumulate_phase(differences: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """The running sum of phase differences over time (Eq. 21); chunks in turn give the same as the whole.

    differences (T, ...); state (...) float64, the sum so far, updated in place. Returns (T, ...).
    """
    total = state + np.cumsum(differences, axis=0, dtype=np.float64)
    if len(total):
        state[...] = total[-1]
    return into(out, total)


def shift_phase(subbands: NDArray, delta: NDArray, factor: float = 1.0, out: NDArray | None = None) -> NDArray:
    """What a shift of the phase by factor * delta adds: subbands * (exp(i factor delta) - 1), exactly 0 where delta is.

    subbands (...) complex; delta (...) in radians, |factor delta| <= 16384. Returns (...) complex, the subbands of the
    difference of the frames.
    """
    half = 0.5 * factor * delta.astype(np.float64)
    return into(out, subbands * (2j * np.sin(half) * np.exp(1j * half)))


def amplitude(subbands: NDArray, squared: bool = False, out: NDArray | None = None) -> NDArray:
    """|subbands|, or its square. subbands (...) complex. Returns (...)."""
    square = subbands.real.astype(np.float64) ** 2 + subbands.imag.astype(np.float64) ** 2
    return into(out, square if squared else np.sqrt(square))


def smooth_amplitude_weighted(phase: NDArray, amplitude: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """Gaussian of `sigma` samples over the last two axes, weighted by the amplitude: G[amplitude phase] / G[amplitude].

    phase and amplitude (..., h, w), amplitude >= 0 (its square weighs harder); edges mirrored, cut at 4 sigma; 0 where
    no amplitude is in reach. Returns (..., h, w).
    """
    weight = amplitude.astype(np.float64).reshape(-1, *phase.shape[-2:])
    total = smooth_space(weight, sigma)
    moved = smooth_space(weight * phase.astype(np.float64).reshape(weight.shape), sigma)
    return into(out, np.where(total > 0, moved / np.where(total > 0, total, 1.0), 0.0).reshape(phase.shape))
