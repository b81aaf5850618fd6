"""The arithmetic of one element, written once.

Plain functions of scalars, without a decorator: each backend compiles them for itself (`numba.njit`,
`cuda.jit(device=True)`) and owns the loops. Constants are named np.float32, because a bare literal would turn a float32
kernel into a float64 one.
"""

import numpy as np

ZERO = np.float32(0.0)
HALF = np.float32(0.5)
ONE = np.float32(1.0)


def difference_ratio(before, after, offset):
    """(after - before) / (after + before + offset), 0 where the denominator is not positive (Eq. 15)."""
    total = after + before + offset
    return (after - before) / total if total > ZERO else ZERO


def growth(x, limit):
    """The relative gain of a value whose normalised difference to its successor is x: (1 + x)/(1 - x) - 1 (Eq. 17).

    Small where x is small, so that its rounding is small against a float64 state. |x| is clipped to limit < 1.
    """
    x = min(max(x, -limit), limit)
    return (x + x) / (ONE - x)


def step_along(x, gradient, scale):
    """Move along the gradient (Eq. 1, and Eq. 2 when scale carries the L1 norm)."""
    return x + scale * gradient


def step_magnitude(x, gradient, scale):
    """Move by the gradient's magnitude: scale alone decides the direction."""
    return x + scale * abs(gradient)


def step_away(x, gradient, scale):
    """Move by the gradient's magnitude in the direction of x's own sign; exactly 0 stays (Eq. 3)."""
    step = scale * abs(gradient)
    return x + (step if x > ZERO else (-step if x < ZERO else ZERO))


def section(value, z0, z1, b0, b1, b2, a1, a2):
    """One sample through one second-order section (transposed direct form II): the output and the two new states."""
    result = b0 * value + z0
    return result, b1 * value - a1 * result + z1, b2 * value - a2 * result


def add_rounded(value, change, low, high):
    """The integer value + change, rounded half up and held in [low, high], as an integer.

    A value that is outside [low, high] to begin with is not moved by the limits, and by the change only inwards.
    """
    total = np.int32(np.float32(value) + change + HALF)  # cuts towards 0, which differs from rounding down only below 0
    return max(min(total, max(value, high)), min(value, low))
