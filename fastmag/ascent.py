"""Gradient ascent in the input, Algorithm 1 lines 3-8, over any gradient: X (B, ...) -> (y (B,), dy/dX (B, ...))."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastmag import flow
from fastmag.ops import Ops

Gradient = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def ascend(x: np.ndarray, gradient: Gradient, ops: Ops, *, step_size: float, n_steps: int, rule: str) -> np.ndarray:
    """X_N from X_1 (B, ...) float32: N - 1 updates of Eq. 1 ("vanilla"), Eq. 2 ("l1") or Eq. 3 ("sign"), Eq. 4.

    y is one number, so the norm of Eq. 1 is |y| and its gradient sgn(y) dy/dX. Samples are independent. Returns a new
    array; a sample whose gradient is zero stays where it is. All of it is done on a device that has both the gradient
    and the kernels, without waiting for it in between.
    """
    x, back = flow.beside(gradient, x, ops)
    for _ in range(n_steps - 1):
        y, slope = gradient(x)
        ops.ascend_step(x, slope, step_size, rule, np.sign(y).astype(np.float32))
    return back(x)
