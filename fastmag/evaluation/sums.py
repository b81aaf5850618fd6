"""Sums over the pixels of judged frames, exact and in one pass: everything that is later divided into figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit

F = np.float32
BETWEEN, SKIN, OFF = 0, 1, 2  # zones of a picture
SKIN_SHARE, OFF_SHARE = 0.35, 0.02  # of a strong pulsation: above is skin, below is not
ADDED, CROSS, TRUE, SAMPLES = range(4)  # columns of the sums
ROWS_OF_BLOCKS = 60  # in the height of a frame: 8 pixels at 492


@njit(nogil=True, cache=True, error_model="numpy")
def show(frame, pulsation, scale, reference, true, zones):
    """What 8 bits show of frame + scale * pulsation, and where the skin is.

    frame, true (H, W, 3) uint8; pulsation (H, W, 3) float32 in grey levels; reference: the green pulsation of plain
    skin; zones (H, W, 3) uint8, alike in all channels. Rounded half up, cut at black and white.
    """
    high, low = F(SKIN_SHARE) * reference, F(OFF_SHARE) * reference
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            green = pulsation[y, x, 1]
            zone = SKIN if green > high else OFF if green < low else BETWEEN
            for c in range(3):
                level = F(frame[y, x, c]) + scale * pulsation[y, x, c] + F(0.5)
                true[y, x, c] = np.uint8(min(max(level, F(0.0)), F(255.0)))
                zones[y, x, c] = zone


@njit(nogil=True, cache=True, error_model="numpy")
def gather(frame, new, true, zones, sums):
    """Add one frame to the sums (3, 4) int64: per zone those of added^2, added * true, true^2, and the samples.

    frame, new, true, zones (H, 3 W) uint8: rows of samples, so that the loop runs on vectors; a row's sums fit 32 bits
    up to 11,000 pixels.
    """
    for y in range(frame.shape[0]):
        on_added = on_cross = on_true = on_count = np.int32(0)
        off_added = off_cross = off_true = off_count = np.int32(0)
        added = cross = both = np.int32(0)
        for i in range(frame.shape[1]):
            a = np.int32(new[y, i]) - np.int32(frame[y, i])
            t = np.int32(true[y, i]) - np.int32(frame[y, i])
            on, off = np.int32(zones[y, i] == SKIN), np.int32(zones[y, i] == OFF)
            aa, at, tt = a * a, a * t, t * t
            added, cross, both = np.int32(added + aa), np.int32(cross + at), np.int32(both + tt)
            on_added, on_cross = np.int32(on_added + on * aa), np.int32(on_cross + on * at)
            on_true, on_count = np.int32(on_true + on * tt), np.int32(on_count + on)
            off_added, off_cross = np.int32(off_added + off * aa), np.int32(off_cross + off * at)
            off_true, off_count = np.int32(off_true + off * tt), np.int32(off_count + off)
        here = (on_added, on_cross, on_true, on_count)
        there = (off_added, off_cross, off_true, off_count)
        whole = (added, cross, both, np.int32(frame.shape[1]))
        for k in range(4):
            sums[SKIN, k] += here[k]
            sums[OFF, k] += there[k]
            sums[BETWEEN, k] += whole[k] - here[k] - there[k]


@njit(nogil=True, cache=True, error_model="numpy")
def follow(frame, new, true, zones, block, moments):
    """Follow the green of the skin: returns its mean change, (added, true), and adds the blocks to their moments.

    frame, new, true, zones (H, W, 3) uint8; moments (H // block, W // block, 6) float64: over the frames in which a
    block is mostly skin, their number and the sums of a, t, a^2, t^2, a * t, the block's mean green changes.
    """
    on_added = on_true = on_skin = 0
    for row in range(moments.shape[0]):
        for column in range(moments.shape[1]):
            count = added = true_sum = 0
            for y in range(row * block, (row + 1) * block):
                for x in range(column * block, (column + 1) * block):
                    if zones[y, x, 1] == SKIN:
                        old = np.int32(frame[y, x, 1])
                        count += 1
                        added += np.int32(new[y, x, 1]) - old
                        true_sum += np.int32(true[y, x, 1]) - old
            on_added, on_true, on_skin = on_added + added, on_true + true_sum, on_skin + count
            if 2 * count > block * block:
                a, t = added / count, true_sum / count
                of = moments[row, column]
                of[0] += 1.0
                of[1] += a
                of[2] += t
                of[3] += a * a
                of[4] += t * t
                of[5] += a * t
    return on_added / max(on_skin, 1), on_true / max(on_skin, 1)


@dataclass
class Sums:
    """What has been gathered of one magnified clip; `shape` (height, width) of its frames. Sums are exact."""

    shape: tuple[int, int]
    zones: np.ndarray = field(init=False)  # (3, 4) int64, see gather
    moments: np.ndarray = field(init=False)
    traces: list[tuple[float, float]] = field(default_factory=list)  # mean green (added, true) on skin, per frame

    def __post_init__(self) -> None:
        self.block = max(1, round(self.shape[0] / ROWS_OF_BLOCKS))
        self.zones = np.zeros((3, 4), np.int64)
        self.moments = np.zeros((self.shape[0] // self.block, self.shape[1] // self.block, 6))

    def add(self, frame: np.ndarray, new: np.ndarray, true: np.ndarray, zones: np.ndarray) -> None:
        """One frame, its magnified version and the true one, and the zones, (H, W, 3) uint8."""
        flat = [part.reshape(len(part), -1) for part in (frame, new, true, zones)]
        gather(flat[0], flat[1], flat[2], flat[3], self.zones)
        self.traces.append(follow(frame, new, true, zones, self.block, self.moments))

    def total(self, column: int, *zones: int) -> float:
        """A column summed over some zones, or over all of them."""
        return float(self.zones[list(zones) or slice(None), column].sum())

    def error(self, factor: float = 1.0) -> float:
        """Sum over all samples of (factor * added - true)^2."""
        added, cross, true = (self.total(column) for column in (ADDED, CROSS, TRUE))
        return factor * factor * added - 2 * factor * cross + true

    def block_correlation(self) -> float:
        """Correlation over time of added and true change, per block of skin; the mean of all blocks, weighted by how
        long each is skin. A block that shows no added change counts as 0; NaN where no block shows a true one."""
        n, a, t, aa, tt, at = np.moveaxis(self.moments, -1, 0)
        n1 = np.maximum(n, 1)
        var_a, var_t, both = aa - a * a / n1, tt - t * t / n1, at - a * t / n1
        known = (n >= 8) & (var_t > 1e-6 * n1)
        if not known.any():
            return float("nan")
        r = both / np.sqrt(np.maximum(var_a * var_t, 1e-12))
        return float(np.average(np.where(var_a > 1e-6 * n1, r, 0.0)[known], weights=n[known]))
