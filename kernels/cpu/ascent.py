"""One step of gradient ascent on the CPU (Eq. 1-3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

RULES = ("vanilla", "l1", "sign", "coherent")

_CHUNK = 4096  # elements summed in float32 before the sum moves to float64

_step_along = scalar(scalars.step_along)
_step_magnitude = scalar(scalars.step_magnitude)
_step_away = scalar(scalars.step_away)


@kernel
def _mean_magnitude(g):
    total = 0.0
    for low in range(0, g.shape[0], _CHUNK):
        part = g[low : low + _CHUNK]
        partial = np.float32(0.0)
        for i in range(part.shape[0]):
            partial += abs(part[i])
        total += partial
    return total / g.shape[0]


@kernel
def _ascend(X, G, scale, rule, start, stop):
    for b in range(start, stop):
        x = X[b]
        g = G[b]
        k = scale[b]
        if rule != 0:
            mean = _mean_magnitude(g)
            k = k / mean if mean > 0.0 else 0.0
        step = np.float32(k)
        if rule <= 1:
            for i in range(x.shape[0]):
                x[i] = _step_along(x[i], g[i], step)
        elif rule == 2:
            for i in range(x.shape[0]):
                x[i] = _step_away(x[i], g[i], step)
        else:
            for i in range(x.shape[0]):
                x[i] = _step_magnitude(x[i], g[i], step)


def ascend_step(X: NDArray, G: NDArray, step_size: float, rule: str, weight: NDArray | None = None) -> NDArray:
    """Move X, in place, by one step; the mean of |G| is taken over the elements of one sample, never over the batch.

    X, G (B, ...) float32; weight (B,), ones by default; rule:
    "vanilla"   X += step_size * weight * G                          (Eq. 1)
    "l1"        X += step_size * weight * G / mean|G|                (Eq. 2)
    "sign"      X += step_size * |G| / mean|G| * sgn(X)              (Eq. 3; no weight)
    "coherent"  X += step_size * weight * |G| / mean|G|              (the weight carries the direction)
    A sample whose G is zero everywhere stays; so does, under "sign", an element that is exactly 0. Returns X.
    """
    if rule not in RULES:
        raise InputError(f"rule must be one of {', '.join(RULES)}; got {rule!r}: choose one of them")
    G = reading(G)
    writing(X, G.shape)
    scale = np.full(len(G), step_size, np.float64)
    if weight is not None and rule != "sign":
        scale *= weight
    x, g, code = X.reshape(len(G), -1), G.reshape(len(G), -1), RULES.index(rule)
    spread(lambda start, stop: _ascend(x, g, scale, code, start, stop), len(G), 1, G.size)
    return X
