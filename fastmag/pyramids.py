"""Filter design: the complex steerable pyramid (Simoncelli and Freeman 1995, Portilla and Simoncelli 2000), and the
Riesz pyramid (Wadhwa et al. 2014) on the same grids."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError

Float64 = NDArray[np.float64]

SMALLEST = 8
"""Pixels of the shorter side below which a frame has no level."""
OVERLAP, FIRST, ENDS = 7, 1.5, 3.0
"""Smooth windows at any frequency; steps from the Nyquist frequency to the first one's centre, and from there to its
end, half a step early: what is left there, 1e-4, goes to the residual, and a sixth of the samples is spared."""


@dataclass(frozen=True)
class Steerable:
    """A complex steerable pyramid of frames of one size: which filters, and the grid of every level's subbands.

    shape         (H, W) of a frame, odd sizes too
    depth         number of levels; level 0 is the finest
    orientations  K, the subbands of a level; subband k looks along the angle pi k / K
    octaves       from a level to the next: 1 or 0.5 (0.25 with `Smooth` filters)
    transition    octaves over which a level hands over to the next: 1 (octave bandwidth), or 0.75 with half octaves

    A filter is one-sided (analytic): radial cos(pi/2 log2) flanks times 2 sqrt(c) cos^(K-1) over half a plane, so that
    a subband's magnitude is the local amplitude in the frame's own units, and its angle the local phase. Angles are
    those of the frequency, x to the right and y down: subband 0 sees what varies along x, and its phase falls by
    2 pi d / wavelength where the picture moves d pixels to the right.

    Sampling: a subband keeps the box of frequencies that its filter passes (below `edge`), widened to a length that
    transforms fast, hence (h, w) = `sizes[level]`, about (H, W) * edge, no matter whether H and W divide by two. Sample
    (0, 0) lies on pixel (0, 0) and samples are `spacing` pixels apart, at every level, so that grids are compared
    by position and never by half-pixel centres. The passed half plane fills at most half of the box: the rest is the
    room into which a product with a phase factor may spread before it folds over, which is why the boxes are not
    made smaller. Frames are taken to repeat beyond their edges.
    """

    shape: tuple[int, int]
    depth: int
    orientations: int = 4
    octaves: float = 1.0
    transition: float = 1.0

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(h, w) of the subbands of every level."""
        reaches = [self.reach(level) for level in range(self.depth)]
        return tuple((fast_length(2 * y + 1), fast_length(2 * x + 1)) for y, x in reaches)

    @property
    def angles(self) -> tuple[float, ...]:
        """The direction of every orientation's frequency, in radians from x towards y (down)."""
        return tuple(math.pi * k / self.orientations for k in range(self.orientations))

    def edge(self, level: int) -> float:
        """The frequency down and across from which on a level's filters are 0, as a share of the Nyquist frequency."""
        return 2.0 ** (-self.octaves * level)

    def reach(self, level: int) -> tuple[int, int]:
        """The highest frequency (down, across) that a level's filters pass, in cycles a frame."""
        y, x = (math.ceil(0.5 * n * self.edge(level)) - 1 for n in self.shape)
        return y, x

    def wavelength(self, level: int) -> float:
        """Pixels a cycle at the centre of a level's filters (geometric)."""
        return 2.0 ** (1.0 + self.octaves * level + 0.5 * (self.octaves + self.transition))

    def spacing(self, level: int) -> tuple[float, float]:
        """Pixels from sample to sample, (down, across)."""
        return self.shape[0] / self.sizes[level][0], self.shape[1] / self.sizes[level][1]

    def masks(self, level: int) -> Float64:
        """The filters of a level, (K, h, w), frequencies in the order of numpy.fft.fftfreq.

        At every frequency, (masks^2 there + masks^2 at its opposite) / 4 over all levels and `residual` sum to 1.
        """
        y, x, r = self._frequencies(level)
        radial = self._radial(r, level)
        n = self.orientations - 1
        peak = 2.0 * 2.0**n * math.factorial(n) / math.sqrt(self.orientations * math.factorial(2 * n))
        cosines = [(np.cos(a) * x + np.sin(a) * y[:, None]).clip(0) / np.where(r > 0, r, 1) for a in self.angles]
        return np.stack([peak * radial * cosine**n for cosine in cosines])

    def residual(self) -> Float64:
        """What the levels do not carry, (H, W // 2 + 1): the squared filters of the high- and low-pass residuals."""
        H, W = self.shape
        r = np.hypot(_grid(np.fft.fftfreq(H, 1 / H), H)[:, None], _grid(np.arange(W // 2 + 1.0), W))
        return self._flank(r, 0)[0] ** 2 + self._passed(r, self.depth) ** 2

    def _frequencies(self, level: int) -> tuple[Float64, Float64, Float64]:
        """Down (h,), across (w,) and in all (h, w), of a level's box, as shares of the Nyquist frequency."""
        (h, w), (H, W) = self.sizes[level], self.shape
        y, x = _grid(np.fft.fftfreq(h, 1 / h), H), _grid(np.fft.fftfreq(w, 1 / w), W)
        return y, x, np.hypot(y[:, None], x)

    def _radial(self, r: Float64, level: int) -> Float64:
        """A level's filter without its direction; the squares over all levels and `residual` sum to 1."""
        return self._passed(r, level) * self._flank(r, level + 1)[0]

    def _flank(self, r: Float64, level: int) -> tuple[Float64, Float64]:
        """Where a level takes over from the one before: what goes to the finer and to the coarser, squares sum to 1."""
        below = np.log2(self.edge(level)) - np.log2(np.where(r > 0, r, 1e-300))
        turn = 0.5 * np.pi * np.clip(below / self.transition, 0.0, 1.0)
        return np.where(turn < 0.5 * np.pi, np.cos(turn), 0.0), np.sin(turn)

    def _passed(self, r: Float64, level: int) -> Float64:
        """What finer levels leave to this one: the product of all low-passes, also where transitions overlap."""
        left = np.ones_like(r)
        for finer in range(level + 1):
            left = left * self._flank(r, finer)[1]
        return left


@dataclass(frozen=True)
class Smooth(Steerable):
    """A steerable pyramid whose levels are cos^6 of the logarithm of frequency, seven of them over each other.

    The quarter-octave pyramid of Wadhwa et al. 2013 in the windows of its released code: filters so narrow would ring
    with the flanks of `Steerable`. cos^12 over seven steps of pi / 7 sums to a constant, so that the frame is rebuilt.
    A level's centre lies (level + 1.5) steps of `octaves` below the Nyquist frequency; at half of their power filters
    are 1.5 steps wide. The finest two are sampled as finely as the frame and reach into the corners of its spectrum.
    """

    def edge(self, level: int) -> float:
        return min(1.0, 2.0 ** (self.octaves * (ENDS - FIRST - level)))

    def wavelength(self, level: int) -> float:
        return 2.0 ** (1.0 + self.octaves * (level + FIRST))

    def masks(self, level: int) -> Float64:
        masks, (y, x) = super().masks(level), self.reach(level)
        masks[:, y + 1 : masks.shape[1] - y] = 0  # the Nyquist frequency itself stands for both directions
        masks[:, :, x + 1 : masks.shape[2] - x] = 0
        return masks

    def residual(self) -> Float64:
        H, W = self.shape
        down, across = np.abs(np.fft.fftfreq(H, 1 / H))[:, None], np.arange(W // 2 + 1.0)
        r, left = np.hypot(_grid(down, H), _grid(across, W)), np.ones((H, W // 2 + 1))
        for level in range(self.depth):
            y, x = self.reach(level)
            left -= self._radial(r, level) ** 2 * ((down <= y) & (across <= x))
        return left.clip(0)

    def _radial(self, r: Float64, level: int) -> Float64:
        n = OVERLAP - 1
        steps = -np.log2(np.where(r > 0, r, 1e-300)) / self.octaves - (level + FIRST)
        scale = 2.0**n * math.factorial(n) / math.sqrt(OVERLAP * math.factorial(2 * n))
        return np.where(np.abs(steps) < ENDS, scale * np.cos(np.pi / OVERLAP * steps) ** n, 0.0)


@dataclass(frozen=True)
class Riesz(Steerable):
    """A Riesz pyramid of frames of one size: bands of all directions, each with its exact Riesz transform.

    Levels, sizes and spacing are those of `Steerable`; `steerable_analysis` takes this plan, too. With the band I
    (radial filter L) and its Riesz transform R1, R2 (filters -i L x / r, -i L y / r; Wadhwa et al. 2014), the two
    subbands of a level are I + i R1 and I + i R2, because a real filter L (1 + x / r) makes both parts at once. The
    transform is taken from the spectrum, where it is exact: the published taps (-.5 0 .5) answer a wave of w radians
    a sample by sin w instead of 1, 0.71 at a level's low end. Where the picture moves d pixels to the right, the phase
    along x falls by 2 pi d / wavelength.
    """

    def masks(self, level: int) -> Float64:
        """The filters of a level, (2, h, w), frequencies in the order of numpy.fft.fftfreq."""
        y, x, r = self._frequencies(level)
        over = 1 / np.where(r > 0, r, 1)
        return self._radial(r, level) * np.stack([1 + x * over, 1 + y[:, None] * over])

    def bands(self) -> Bands:
        """The plan with which `steerable_synthesis` makes frames of bands alone: of I, with no imaginary part."""
        return Bands(self.shape, self.depth, 1, self.octaves, self.transition)


@dataclass(frozen=True)
class Bands(Steerable):
    """The way back from the bands of a Riesz pyramid: one real subband a level, given as complex numbers."""

    def masks(self, level: int) -> Float64:
        """The filter of a level, (1, h, w), doubled as the synthesis of one-sided filters wants it."""
        return 2 * self._radial(self._frequencies(level)[2], level)[None]


def riesz(shape: tuple[int, int], depth: int | None = None, octaves: float = 1.0) -> Riesz:
    """The Riesz pyramid of frames (H, W), with as many levels as `steerable` by default; octaves 1 or 0.5.

    Raises InputError where the frame is too small, or a number makes no pyramid.
    """
    if octaves not in (1, 0.5):
        raise InputError(f"octaves of a Riesz pyramid must be 1 or 0.5; got {octaves:g}: choose one of them")
    plan = steerable(shape, depth, 2, octaves)
    return Riesz(plan.shape, plan.depth, 2, plan.octaves, plan.transition)


def steerable(
    shape: tuple[int, int],
    depth: int | None = None,
    orientations: int = 4,
    octaves: float = 1.0,
    transition: float | None = None,
) -> Steerable:
    """The pyramid of frames (H, W): octave bandwidth and four orientations by default (the paper's).

    depth is by default as many levels as there are octaves above a shorter side of 4 samples, as in pyrtools.
    transition is by default 1 for octaves and 0.75 for half octaves (Wadhwa et al. 2013); quarter octaves have smooth
    windows instead (`Smooth`).
    Raises InputError where the frame is too small, or a number makes no pyramid.
    """
    H, W = (int(n) for n in shape)
    if min(H, W) < SMALLEST:
        raise InputError(f"frames must be at least {SMALLEST} pixels high and wide for a pyramid; got {H}x{W}: enlarge")
    if octaves not in (1, 0.5, 0.25):
        raise InputError(f"octaves must be 1, 0.5 or 0.25; got {octaves:g}: choose one of them")
    if octaves == 0.25 and transition is not None:
        raise InputError(f"transition has no meaning for quarter octaves; got {transition:g}: leave it out")
    if transition is None:
        transition = {1: 1.0, 0.5: 0.75}.get(octaves, 0.0)
    elif not 0 < transition <= 1:
        raise InputError(f"transition must be above 0 and at most 1 octave; got {transition:g}")
    if not 2 <= orientations <= 16:
        raise InputError(f"orientations must be 2 to 16; got {orientations}: 4 and 8 are usual")
    most = int((math.floor(math.log2(min(H, W))) - 2) / octaves)
    depth = most if depth is None else depth
    if not 1 <= depth <= most:
        raise InputError(f"depth must be 1 to {most} levels for frames of {H}x{W}; got {depth}: lower it")
    kind = Smooth if octaves == 0.25 else Steerable
    return kind((H, W), depth, orientations, float(octaves), float(transition))


@lru_cache(maxsize=256)
def fast_length(n: int) -> int:
    """The shortest length of at least n that transforms fast: a multiple of 8 (of 4 up to 16) with factors up to 7."""
    return next(m for m in itertools.count(-(-n // 4) * 4, 4) if (m % 8 == 0 or m <= 16) and _smooth(m))


def _smooth(n: int) -> bool:
    for factor in (2, 3, 5, 7):
        while n % factor == 0:
            n //= factor
    return n == 1


def _grid(k: NDArray, n: int) -> Float64:
    """Cycles over n pixels as a share of the Nyquist frequency."""
    return k / (0.5 * n)
