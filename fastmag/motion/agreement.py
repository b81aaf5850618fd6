"""What tells where the body follows the breath: maps of a section, for the network of motion/lift.py.

A body sways as far as it breathes, and by chance some of that agrees with y. Two things tell them apart. The network
that reads y looks for the breath at some places (its slope along the velocity of a place agrees with how the place
moves) and takes others, a head, for reference; what the latter do is regressed out beside y. And a breath lifts what it
lifts almost alike: the lift is the slope on y that most of the places where the network looks share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag import phase
from fastmag.motion.lens import RIDGE
from fastmag.motion.wave import Breath, rhythm
from fastmag.ops import Ops
from fastmag.temporal import butterworth

BORDER = 9  # samples from the border to which filters see the opposite one
FASTEST = np.float32(3.0)  # pixels from frame to frame at which flow is cut
TEXTURE = np.float32(3.0)  # energy of the texture at which a place counts half
OTHERS, USUAL = 2, 2.0  # motions that are regressed out, and how much further than elsewhere the body may go along
CHANCE = np.float32(0.01)  # of the squared correlation: below, a place does not follow
ALIKE = np.float32(0.5)  # of the lift: standard deviation of the slopes of what is lifted
LOOK, REGION, NEAR = 5.0, 10.0, 1.5  # sigmas in samples: of the looks, of their region, of slopes
FILL, FILLED = np.float32(0.1), 5.0  # share and sigma of a wider neighbourhood, for places without texture
FAINT = np.float32(0.01)  # weight of nothing to see
ELSEWHERE = (0.0, 0.3)  # of the look over the lift's: what is above is no reference
VECTORS, COUNT = 10, 23  # maps of evidence: the first are pairs, across and down
MOST, LOOKED = 3.0, 2.0  # at which slopes and the lift, in units of their own, and looks are cut
SWING = 1.5  # standard deviations
REACH = (0.3, 60.0)  # pixels: added to the largest motion, and the most that is told apart
BREATHES, SWAYS = (0.029, 0.035), 6.0  # see presence: from no breath to one; pixels per pixel of y: more is a sway
TINY = np.float32(1e-12)


@dataclass(frozen=True)
class Motion:
    """What a section of a clip shows: the flow (T, 2, h, w), across and down in pixels from frame to frame, its mean
    energy (h, w), the mean slope (2, h, w) of the network's reading along the velocity of a place; and the luma's mean
    and standard deviation over time (123, 123) each, grey levels."""

    flow: np.ndarray
    power: np.ndarray
    looks: np.ndarray
    luma: np.ndarray
    change: np.ndarray


@dataclass(frozen=True)
class Slope:
    """Of the flow on y: per_y (2, h, w) and correlation (h, w), squared, after what else moves has been taken out."""

    per_y: np.ndarray
    correlation: np.ndarray


@dataclass(frozen=True)
class Lift:
    """How y lifts the body: weight (h, w) of the places that show it, their mean slope (2,), and led (h, w), how much
    the network looks for it: 1 at those places, negative at what it takes for reference."""

    weight: np.ndarray
    slope: np.ndarray
    led: np.ndarray


class Agreement:
    """A section's motion against y (T,), its velocity within the passband.

    far: how far the wave will swing, in its pixels, when it is magnified. Gives `lift`; `evidence` (COUNT, h, w)
    float32, of which the first VECTORS maps turn with the picture and change their sign with y; and `unit`, pixels per
    pixel of y, in which the evidence has its slopes.
    """

    def __init__(self, motion: Motion, y: np.ndarray, far: float, passband: tuple[float, float], fps: float, ops: Ops):
        self._ops, y = ops, y.astype(np.float32)
        inner = np.zeros(motion.power.shape, np.float32)
        inner[BORDER:-BORDER, BORDER:-BORDER] = 1
        self._seen = inner * motion.power / (motion.power + TEXTURE)
        self._kept = motion.power / (motion.power + 2 * RIDGE)  # what the flow's ridge leaves of a motion
        self._looks = [smooth(motion.looks * inner, sigma, ops) for sigma in (LOOK, REGION)]
        band = ops.bandpass(np.clip(motion.flow, -FASTEST, FASTEST), butterworth(passband, fps))
        alone = regress(band, y[:, None], 0.0)
        lift = self._lift(alone)
        columns = np.concatenate([y[:, None], self._others(band, lift)], axis=1)
        free = len(band) * 2 * (passband[1] - passband[0]) / fps  # numbers that so many frames of the passband hold
        slope = regress(band, columns, _left(band, y[:, None], lift.weight) / free / USUAL**2)
        self.lift = self._lift(slope)
        counts = self._seen * np.maximum(slope.correlation - CHANCE, 0) ** 2 + TINY
        self.unit = float(np.sqrt(((slope.per_y**2).sum(0) * counts).sum() / counts.sum()) + TINY)
        vectors = self._vectors(slope, alone)
        self.evidence = np.stack([*vectors, *self._scalars(motion, band, y, far, slope, alone)]).astype(np.float32)

    def _vectors(self, slope: Slope, alone: Slope) -> np.ndarray:
        """Maps (VECTORS, h, w): slopes of neighbourhoods and of places, the former also before what else moves is taken
        out; where the network looks; the lift."""
        near = self._looks[0] / (np.percentile(np.abs(self._looks[0]), 99) + TINY)
        lift = np.broadcast_to(self.lift.slope[:, None, None], near.shape)
        slopes = [self._near(slope.per_y), slope.per_y, self._near(alone.per_y), lift]
        near_, own, before, lift = (np.clip(x / self.unit, -MOST, MOST) for x in slopes)
        return np.concatenate([near_, own, before, np.clip(near, -LOOKED, LOOKED), lift])

    def _scalars(
        self, motion: Motion, band: np.ndarray, y: np.ndarray, far: float, slope: Slope, alone: Slope
    ) -> list[np.ndarray]:
        """Maps (h, w): how well places agree with y, what there is to see, how the network looks at it, how it looks,
        what else moves; and two numbers of the whole section."""
        lift, left = self.lift, band - slope.per_y * y[:, None, None, None]
        rest, total = (np.sqrt((x**2).sum(1).mean(0)) for x in (left, band))
        agrees = float((slope.correlation * lift.weight).sum())
        reach = min(far * self.unit, REACH[1])
        return [
            self._mean(slope.correlation, self._seen), slope.correlation, alone.correlation,
            self._seen, np.log1p(motion.power) / 2,
            np.clip(lift.led, -MOST, MOST), lift.weight / (lift.weight.max() + TINY),
            _nodes(motion.luma) / 128 - 1, np.log1p(_nodes(motion.change)) / 2,
            np.log1p(rest / (self.unit * y.std() + TINY)), np.log1p(10 * total),
            np.full_like(total, agrees), np.full_like(total, np.log(reach + REACH[0])),
        ]  # fmt: skip

    def _near(self, per_y: np.ndarray) -> np.ndarray:
        """Slopes (2, h, w) of a neighbourhood, and of a wider one where that has no texture."""
        shown = np.concatenate([per_y * self._seen, (self._kept * self._seen)[None]])
        *slope, weight = smooth(shown, NEAR, self._ops) + FILL * smooth(shown, FILLED, self._ops)
        return np.stack(slope) / (weight + FAINT)

    def _lift(self, slope: Slope) -> Lift:
        """Where the network looks, slopes agree with it, and are alike."""
        near, region = self._looks
        correlation = self._mean(slope.correlation, self._seen)
        length = np.sqrt((slope.per_y**2).sum(0)) + TINY
        agrees = np.maximum((near * slope.per_y).sum(0) / length, 0)
        start = self._seen * np.maximum(correlation - CHANCE, 0) ** 3 * agrees + TINY**2
        weight, mean = start, self._rigid(slope, start)
        for _ in range(3):
            apart = ((slope.per_y - self._kept * mean[:, None, None]) ** 2).sum(0)
            weight = start * np.exp(-0.5 * apart / (ALIKE**2 * (mean @ mean) + TINY))
            mean = self._rigid(slope, weight)
        weight = weight / weight.sum()
        way = (near * smooth(weight[None], LOOK, self._ops)).sum((1, 2))
        led = np.tensordot(way / (np.linalg.norm(way) + TINY), region, 1)
        return Lift(weight, mean, led / max(float((led * weight).sum()), TINY))

    def _rigid(self, slope: Slope, weight: np.ndarray) -> np.ndarray:
        """The slope (2,) of what moves as one."""
        return (slope.per_y * weight).sum((1, 2)) / ((weight * self._kept).sum() + TINY**2)

    def _mean(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The weighted mean of a neighbourhood."""
        above, below = smooth(np.stack([x * weight, weight]), NEAR, self._ops)
        return above / (below + FAINT)

    def _others(self, band: np.ndarray, lift: Lift) -> np.ndarray:
        """The main motions (T, OTHERS) of what the network does not look at, in pixels."""
        weight = self._seen * (1 - ramp(lift.led, ELSEWHERE))
        fields = (band * np.sqrt(weight / (weight.sum() + TINY))).reshape(len(band), -1)
        power, waves = np.linalg.eigh((fields @ fields.T).astype(np.float64))
        return (waves * np.sqrt(np.maximum(power, 0)))[:, -OTHERS:].astype(np.float32)


def _nodes(luma: np.ndarray) -> np.ndarray:
    """A picture (123, 123) at the samples of the flow, which start at the same corner: (128, 128)."""
    for _ in range(2):
        at = np.arange(phase.SHAPE[1]) * (len(luma) / phase.SHAPE[1])
        luma = np.stack([np.interp(at, np.arange(len(luma)), column) for column in luma.T])
    return luma


def regress(band: np.ndarray, columns: np.ndarray, ridge: float) -> Slope:
    """Least squares of the flow (T, 2, h, w) on columns (T, n), of which the first is y and the others cost `ridge`."""
    shape, flat = band.shape[1:], band.reshape(len(band), -1)
    matrix = (columns.T @ columns).astype(np.float64)
    matrix += np.diag([TINY, *(ridge + TINY,) * (len(matrix) - 1)])
    products = columns.T @ flat
    per_y = (np.linalg.inv(matrix)[0] @ products).astype(np.float32).reshape(shape)
    own, taken = matrix[0, 0], np.zeros(shape, np.float32)
    if len(matrix) > 1:
        inverse = np.linalg.inv(matrix[1:, 1:])
        own -= matrix[0, 1:] @ inverse @ matrix[1:, 0]
        taken = (products[1:] * (inverse @ products[1:])).sum(0).reshape(shape)
    left = (np.einsum("tchw,tchw->chw", band, band) - taken).sum(0)
    return Slope(per_y, np.clip((per_y**2).sum(0) * own / (left + np.float32(1e-3)), 0, 1).astype(np.float32))


def _left(band: np.ndarray, columns: np.ndarray, weight: np.ndarray) -> float:
    """Power (a component's) that columns leave of the mean motion of weighted places."""
    body = np.tensordot(band, weight, 2)
    rest = body - columns @ np.linalg.lstsq(columns, body, rcond=None)[0]
    return float((rest**2).sum()) / 2


def smooth(x: np.ndarray, sigma: float, ops: Ops) -> np.ndarray:
    """Maps (n, h, w) smoothed in space, float32."""
    return ops.smooth_space(np.ascontiguousarray(x, np.float32), sigma)


def ramp(x: np.ndarray | np.floating, limits: tuple[float, float]) -> np.ndarray:
    """0 below the limits, 1 above."""
    low, high = limits
    return np.clip((x - np.float32(low)) / np.float32(high - low), 0, 1)


def swing(wave: np.ndarray, gain: float) -> float:
    """How far a wave (T,) swings, in its pixels, when it is magnified."""
    return SWING * float(wave.std()) * gain


def presence(
    y: np.ndarray, found: Breath, rows: slice, fps: float, passband: tuple[float, float], unit: float = 0.0
) -> float:
    """How surely y (T,), of the differences `rows`, is a breath, 0 to 1.

    By the size of the wave in pixels, times its rhythm squared, times how much of y lies in the passband: with the
    breath held y is small, uneven and everywhere. unit, where it is known: pixels that places go along per pixel of y.
    Where they go much further than y says, a sway moves them of which y holds a little.
    """
    wave, velocity = found.wave[1:][rows], found.velocity[rows]
    own = float(y.std()) * phase.ANALYSIS_FPS / fps
    likely = wave.std() * rhythm(wave, fps, passband) ** 2 * velocity.std() / max(own, 1e-12)
    return float(ramp(likely * min(1.0, (SWAYS / max(unit, SWAYS)) ** 2), BREATHES))
