"""The arithmetic of one element, written once.

Plain functions of scalars, without a decorator: each backend compiles them for itself (`numba.njit`,
`cuda.jit(device=True)`) and owns the loops. Constants are named np.float32, because a bare literal would turn a float32
kernel into a float64 one.
"""

import numpy as np

ZERO = np.float32(0.0)
HALF = np.float32(0.5)
ONE = np.float32(1.0)
KEYS_2, KEYS_3 = np.float32(2.5), np.float32(1.5)

PI = np.float32(3.1415925)  # the largest float32 below pi, so that no angle leaves (-pi, pi]
HALF_PI = np.float32(1.5707964)
OVER_PI = np.float32(0.31830987)
PI_HIGH, PI_MIDDLE, PI_LOW = np.float32(3.140625), np.float32(0.000967502594), np.float32(1.509958e-07)

ATAN_1, ATAN_3 = np.float32(0.99999934), np.float32(-0.3332986)
ATAN_5, ATAN_7 = np.float32(0.19946566), np.float32(-0.13908629)
ATAN_9, ATAN_11 = np.float32(0.09642197), np.float32(-0.05591233)
ATAN_13, ATAN_15 = np.float32(0.021862958), np.float32(-0.004054567)

SIN_3, SIN_5 = np.float32(-0.16666657), np.float32(0.008333017)
SIN_7, SIN_9 = np.float32(-0.00019806615), np.float32(2.6000548e-06)
COS_4, COS_6 = np.float32(0.041666657), np.float32(-0.001388857)
COS_8, COS_10 = np.float32(2.476943e-05), np.float32(-2.6193814e-07)


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


def arctangent(y, x):
    """The angle of (x, y) in (-pi, pi], 0 at the origin, pi (never -pi) where y is -0: within 5e-7 of atan2.

    A minimax polynomial of atan on 0 ... 1 (error 4e-8; the rest is rounding). Not for infinities.
    """
    ax, ay = abs(x), abs(y)
    large = max(ax, ay)
    z = min(ax, ay) / large if large != ZERO else ZERO
    s = z * z
    p = ATAN_11 + s * (ATAN_13 + s * ATAN_15)
    p = ATAN_5 + s * (ATAN_7 + s * (ATAN_9 + s * p))
    angle = z * (ATAN_1 + s * (ATAN_3 + s * p))
    angle = HALF_PI - angle if ay > ax else angle
    angle = PI - angle if x < ZERO else angle
    return -angle if y < ZERO else angle


def sine_cosine(x):
    """sin x and cos x, each within 2e-7 for |x| <= 8192; exactly 0 and 1 at 0.

    x is brought to -pi/2 ... pi/2 in three steps that round little (Cody and Waite); minimax polynomials there.
    Compile it without reassociation, which would join the three steps.
    """
    turns = np.int32(x * OVER_PI + (HALF if x >= ZERO else -HALF))
    n = np.float32(turns)
    r = ((x - n * PI_HIGH) - n * PI_MIDDLE) - n * PI_LOW
    s = r * r
    sine = r + r * s * (SIN_3 + s * (SIN_5 + s * (SIN_7 + s * SIN_9)))
    cosine = (ONE - HALF * s) + s * s * (COS_4 + s * (COS_6 + s * (COS_8 + s * COS_10)))
    odd = turns & 1
    return (-sine if odd else sine), (-cosine if odd else cosine)


def turned(re, im, sine, cosine):
    """z (exp(i d) - 1) from the sine and cosine of d / 2, with no cancellation where d is small."""
    a = -(sine + sine) * sine
    b = (sine + sine) * cosine
    return re * a - im * b, re * b + im * a


def crossed(a, b, c, d):
    """a b - c d. Compile it without contraction: exactly 0 then where both products are the same."""
    return a * b - c * d


def keys_near(t):
    """Keys' cubic kernel (a = -0.5) at a distance t in 0 ... 1."""
    return (KEYS_3 * t - KEYS_2) * t * t + ONE


def keys_far(t):
    """Keys' cubic kernel (a = -0.5) at a distance 1 + t, t in 0 ... 1."""
    return -HALF * t * (ONE - t) * (ONE - t)
