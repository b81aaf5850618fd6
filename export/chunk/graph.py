"""The chunk's form in ONNX operators: form.estimate and form.change_of, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.coherent.amplitude import ATTENUATION, EDGE, PRIOR_MEAN, PRIOR_SPREAD
from fastmag.coherent.estimate import DELTA
from fastmag.coherent.regression import (
    FAINTEST,
    FIT_SECONDS,
    FLOOR,
    INDEPENDENT,
    LIMITS,
    QUANTISATION,
)
from fastmag.coherent.wave import WIDE_HZ
from fastmag.color import CELLS, DARK
from fastmag.export.chunk.form import (
    ABSENT,
    BIN_SIGMA,
    BINS,
    COLOURS,
    COVARIANCE_SECONDS,
    GATE_SECONDS,
    LIGHT,
    PRESENT,
    PRIOR_JITTER,
    RATIO_SECONDS,
    SEED_SECONDS,
    SIZE_ERROR,
    STRONG_RANK,
    VECTOR,
    blur,
)
from fastmag.export.chunk.graph_wave import Clock
from fastmag.export.chunk.writer import FLOAT, INT, Operand, Value

COUNT = CELLS * CELLS


@dataclass(frozen=True)
class Evidence:
    """form.evidence, as the steps after it need it: weights (n, h, w, 3), and the (n, h, w) made of them."""

    weights: Value
    combined: Value
    precision: Value


class Chunk:
    """Cells (n, 36, 36, 3) of a chunk, what the network says of them, and what beats."""

    def __init__(self, clock: Clock, cells: Value, passband: tuple[float, float]):
        self.writer, self.clock, self.cells, self.passband = clock.writer, clock, cells, passband
        self.logs = (cells + DELTA).apply("Log")

    def change(self, y: Value, share: Value, alpha: Value) -> tuple[Value, Value]:
        """From y (n - 1,) and the L1-normalised |dy/dX| (n, 36, 36): the change over the light, and the presence."""
        clock, passband = self.clock, self.passband
        in_band, wide = clock.band(*passband), clock.band(WIDE_HZ[0], clock.wide_high)
        q = wide @ self._integral(y)
        rate = clock.dominant_rate(q, passband)
        p_band = in_band @ clock.comb(q.reshape(1, -1), rate)

        start = self._seed(share)
        near = (self._blurred(clock.box(GATE_SECONDS) @ flat(start), 4.0) / 0.25).within(0, 1)
        log_band = self._along_time(in_band, self.logs)
        found = self._evidence(log_band, p_band, start)
        skin = self._skin(start, near, found, p_band)

        power = (found.precision * skin * skin).sum(1, 2) + 1e-9
        presence = self._presence((found.combined * skin).sum(1, 2) / power, p_band, rate)
        matched = ((found.weights * self._along_time(wide, self.logs)).sum(3) * skin).sum(1, 2) / power
        witnesses = [(s / clock.slope(in_band @ s, p_band)).reshape(1, -1) for s in (q, matched)]
        p = clock.comb(self.writer.op("Concat", *witnesses, axis=0), rate)
        beta = self._amplitudes(log_band, skin, found, in_band @ p)
        light = (self.cells * LIGHT).sum(3) + DARK
        amount = p.reshape(-1, 1, 1) * skin / light * (alpha * presence)
        return self.cells * amount.reshape(-1, CELLS, CELLS, 1) * beta, presence

    def _integral(self, y: Value) -> Value:
        w = self.writer
        sums = w.op("CumSum", y - y.mean(), w.constant(0, INT))
        return w.op("Concat", w.constant(np.zeros(1)), sums, axis=0)

    def _along_time(self, matrix: Value, series: Value) -> Value:
        return (matrix @ series.reshape(0, COUNT * 3)).reshape(-1, CELLS, CELLS, 3)

    def _blurred(self, maps: Value, sigma: float) -> Value:
        matrix = blur(CELLS, sigma)
        return matrix @ maps.reshape(-1, CELLS, CELLS) @ matrix.T

    def _presence(self, sum_of_cells: Value, p_band: Value, rate: Value) -> Value:
        scale = ((sum_of_cells * sum_of_cells).sum() * (p_band * p_band).sum() + 1e-30).apply("Sqrt")
        agreement = (sum_of_cells * p_band).sum() / scale
        low, high = self.passband
        inside = (rate > low * (1 + EDGE)) & (rate < high * (1 - EDGE))
        return ((agreement - ABSENT) / (PRESENT - ABSENT)).within(0, 1) * inside.to(FLOAT)

    def _seed(self, share: Value) -> Value:
        smooth = flat(self._blurred(self.clock.box(SEED_SECONDS) @ flat(share), 1.0))
        high = smooth.largest(STRONG_RANK)
        return ((smooth / (high + 1e-12) - 0.08) / 0.3).within(0, 1).reshape(-1, CELLS, CELLS)

    def _bins(self) -> Value:
        """form.bins_of, as one list (n h w,)."""
        red, green, blue = (part.reshape(-1) for part in channels(self.logs))
        axes = [
            (((axis - first) / width + 0.5).apply("Floor").within(0, count - 1)).to(INT)
            for axis, (first, width), count in zip((red - green, blue - green, green), COLOURS, BINS, strict=True)
        ]
        return (axes[0] * BINS[1] + axes[1]) * BINS[2] + axes[2]

    def _histogram(self, colour: Value, amounts: Value) -> Value:
        """Amounts (m,) added up by colour, smoothed: (bins,)."""
        w = self.writer
        total = w.op("ScatterElements", w.zeros(int(np.prod(BINS))), colour, amounts, axis=0, reduction="add")
        a, b, c = (blur(count, BIN_SIGMA) for count in BINS)
        rows = b @ (total.reshape(*BINS) @ c.T)
        return (a @ rows.reshape(BINS[0], -1)).reshape(-1)

    def _skin(self, start: Value, near: Value, found: Evidence, p_band: Value) -> Value:
        """form.skin_of."""
        colour = self._bins()
        ones = self.writer.op("Expand", self.writer.constant(1.0), self.writer.op("Shape", colour, gives=INT))
        count = self._histogram(colour, ones)
        first = self._skin_map(start, near, colour, count)
        beats = self._refined(first, found, p_band)
        prior = self._skin_map(start * self._scaled(beats, 90), near, colour, count)
        return self._refined(prior, found, p_band)

    def _skin_map(self, start: Value, near: Value, colour: Value, count: Value) -> Value:
        cells, floor = start, count.mean() * 0.02
        for _ in range(2):
            total = self._histogram(colour, cells.reshape(-1)) + floor * cells.mean()
            by_colour = (total / (count + floor)).take(colour).reshape(-1, CELLS, CELLS)
            cells = self._scaled(by_colour * near, 97)
        return self._scaled(cells, 95)

    def _scaled(self, maps: Value, percent: int) -> Value:
        some = maps.cut(0, step=4).reshape(-1)
        rank = (some.size(0) * (100 - percent) // 100).at_least(1)
        return (maps / (some.largest(rank) + 1e-9)).within(0, 1.2)

    def _evidence(self, log_band: Value, p_band: Value, start: Value) -> Evidence:
        """form.evidence."""
        p = p_band.reshape(-1, 1)
        fit = self.clock.box(FIT_SECONDS)
        fit = fit / (fit @ (p * p) + 1e-12) * p_band * p
        rest = channels(log_band - self._along_time(fit, log_band))
        mean, levels = self.clock.box(COVARIANCE_SECONDS), channels(self.cells)
        s = {}
        for a in range(3):
            for b in range(a, 3):
                s[a, b] = self._blurred(mean @ flat(rest[a] * rest[b]), 1.0)
            rounding = QUANTISATION / (levels[a] + DELTA)
            s[a, a] = s[a, a] + 3e-7 + rounding * rounding
        weights = self.writer.op(
            "Concat", *(x.reshape(-1, CELLS, CELLS, 1) for x in solve(s, VECTOR, float(FLOOR))), axis=3
        )
        precision = (weights * VECTOR).sum(3)
        strong = (start > 0.5).to(FLOAT)
        usual = ((precision.apply("Log") * strong).sum() / strong.sum().at_least(1)).apply("Exp")
        weights = weights * (usual * 2 / precision).at_most(1).reshape(-1, CELLS, CELLS, 1)
        return Evidence(weights, (weights * log_band).sum(3), (weights * VECTOR).sum(3))

    def _refined(self, skin: Value, found: Evidence, p_band: Value) -> Value:
        """form.refine."""
        p, follows = p_band.reshape(-1, 1, 1), skin * p_band.reshape(-1, 1, 1)
        a = (found.combined * follows).sum() / ((found.precision * follows * follows).sum() + 1e-12)
        a = a.at_least(FAINTEST)
        mp, mean = skin.at_least(0.05) * p, self.clock.box(RATIO_SECONDS)
        window = self.clock.frames_of(RATIO_SECONDS)
        scale = (window + 1 - window % 2).to(FLOAT) * INDEPENDENT
        n = self._blurred(mean @ flat(found.combined * mp), 1.2) * scale
        d = self._blurred(mean @ flat(found.precision * mp * mp), 1.2) * scale
        known = 3 / (a * a)
        return skin * ((n / a + known) / (d + known)).within(*LIMITS)

    def _amplitudes(self, log_band: Value, skin: Value, found: Evidence, p_band: Value) -> Value:
        """form.amplitudes: beta (3,)."""
        follows = skin * p_band.reshape(-1, 1, 1)
        power = (found.precision * follows * follows).sum() + 1e-9
        size = (found.combined * follows).sum() / power
        wrong = size * SIZE_ERROR
        doubt = wrong * wrong + 1 / (power * INDEPENDENT)
        share = PRIOR_SPREAD**2 / (doubt + PRIOR_SPREAD**2)
        mean = share * (size - PRIOR_MEAN) + PRIOR_MEAN
        weight = found.precision * skin
        total = ((weight * skin).sum(1, 2) + 1e-9).reshape(-1, 1)
        signal = (weight.reshape(-1, CELLS, CELLS, 1) * log_band).sum(1, 2) / total
        p, p_power = p_band.reshape(-1, 1), (p_band * p_band).sum() + 1e-12
        slopes = (signal * p).sum(0) / p_power
        rest = signal - slopes * p
        jitter = mean.at_least(0) * PRIOR_JITTER
        prior = share * doubt * np.outer(VECTOR, VECTOR) + (jitter * jitter * np.diag(VECTOR**2) + 1e-12 * np.eye(3))
        scatter = rest.transposed(1, 0) @ rest / (self.clock.n.to(FLOAT) * INDEPENDENT * p_power)
        parts = (prior + scatter).reshape(-1)
        pairs = {(i, j): one(parts, 3 * i + j) for i in range(3) for j in range(i, 3)}
        away = slopes - mean * VECTOR
        solved = solve(pairs, [one(away, i) for i in range(3)], 1e-14)
        return (mean * VECTOR + prior @ self.writer.op("Concat", *solved, axis=0)) * ATTENUATION


def flat(maps: Value) -> Value:
    return maps.reshape(-1, COUNT)


def channels(series: Value) -> list[Value]:
    """The three (n, h, w) of (n, h, w, 3)."""
    return [series.cut(3, c, c + 1).reshape(-1, CELLS, CELLS) for c in range(3)]


def one(series: Value, i: int) -> Value:
    """Element i of a list: (1,)."""
    return series.cut(0, i, i + 1)


def solve(s: dict[tuple[int, int], Value], v: Operand, floor: float) -> list[Value]:
    """form.solve."""
    l10, l20 = s[0, 1] / s[0, 0], s[0, 2] / s[0, 0]
    d1 = (s[1, 1] - l10 * s[0, 1]).at_least(floor)
    rest = s[1, 2] - l10 * s[0, 2]
    l21 = rest / d1
    d2 = (s[2, 2] - l20 * s[0, 2] - l21 * rest).at_least(floor)
    y1 = v[1] - l10 * v[0]
    x2 = (v[2] - l20 * v[0] - l21 * y1) / d2
    x1 = y1 / d1 - l21 * x2
    return [v[0] / s[0, 0] - l10 * x1 - l20 * x2, x1, x2]
