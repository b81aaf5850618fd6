"""What every backend's pyramid asks of its arguments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.pyramids import Steerable

COMPLEX: dict[np.dtype, np.dtype] = {
    np.dtype(np.float32): np.dtype(np.complex64),
    np.dtype(np.float64): np.dtype(np.complex128),
}
"""The type of subbands by that of frames."""


def chosen_levels(plan: Steerable, levels: Sequence[int] | None) -> Sequence[int]:
    """The levels asked for, all by default. Raises InputError where the plan has no such level."""
    chosen = range(plan.depth) if levels is None else levels
    if not all(0 <= level < plan.depth for level in chosen):
        raise InputError(f"levels must be 0 to {plan.depth - 1}; got {list(chosen)}: choose among them")
    return chosen


def check_subbands(subbands: NDArray, plan: Steerable, level: int, batch: int, dtype: np.dtype) -> None:
    """Raise InputError unless these are a level's subbands (batch, K, h, w), contiguous and of that type."""
    expected = (batch, plan.orientations, *plan.sizes[level])
    if subbands.shape != expected or subbands.dtype != dtype or not subbands.flags.c_contiguous:
        raise InputError(
            f"subbands of level {level} must be contiguous {expected} {dtype}; got {subbands.shape} {subbands.dtype}: "
            "take them from steerable_analysis"
        )
