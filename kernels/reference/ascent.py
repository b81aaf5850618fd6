"""One step of gradient ascent in the network's input (Eq. 1-3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RULES = ("vanilla", "l1", "sign", "coherent")


def ascend_step(X: NDArray, G: NDArray, step_size: float, rule: str, weight: NDArray | None = None) -> NDArray:
    """Move X, in place, by one step; the mean of |G| is taken over the elements of one sample, never over the batch.

    X, G (B, ...); weight (B,), ones by default; rule:
    "vanilla"   X += step_size * weight * G                          (Eq. 1)
    "l1"        X += step_size * weight * G / mean|G|                (Eq. 2)
    "sign"      X += step_size * |G| / mean|G| * sgn(X)              (Eq. 3; no weight)
    "coherent"  X += step_size * weight * |G| / mean|G|              (the weight carries the direction)
    A sample whose G is zero everywhere stays; so does, under "sign", an element that is exactly 0. Returns X.
    """
    w = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    for x, g, scale in zip(X, G.astype(np.float64), step_size * w, strict=True):
        mean = np.abs(g).mean()
        if mean == 0:
            continue
        if rule == "vanilla":
            x[...] = x + scale * g
        elif rule == "l1":
            x[...] = x + scale * g / mean
        elif rule == "sign":
            x[...] = x + step_size * np.abs(g) / mean * np.sign(x)
        elif rule == "coherent":
            x[...] = x + scale * np.abs(g) / mean
        else:
            raise ValueError(f"rule must be one of {', '.join(RULES)}; got {rule!r}")
    return X
