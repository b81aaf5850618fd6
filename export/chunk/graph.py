"""What beats in a chunk, in ONNX operators: coherent/estimate.py and coherent/amplitude.py, step by step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from fastmag.coherent import amplitude
from fastmag.coherent.regression import INDEPENDENT
from fastmag.color import CELLS, DARK, LUMA
from fastmag.export.chunk.graph_cells import (
    SkinColour,
    along_time,
    blurred,
    each,
    flat,
    logs_of,
    nearness,
    over_cells,
    scaled,
    skin_map,
    stacked,
)
from fastmag.export.chunk.graph_evidence import (
    Evidence,
    V,
    fit,
    level,
    likelier,
    refine,
    skin_weights,
    steady,
    unexplained,
    weigh,
)
from fastmag.export.chunk.graph_map import clues, learned_map, spread
from fastmag.export.chunk.graph_wave import Clock, Wave, solve
from fastmag.export.chunk.writer import FLOAT, Value

LIGHT = np.array([LUMA["bt709"][0], 1 - sum(LUMA["bt709"]), LUMA["bt709"][1]])


@dataclass(frozen=True)
class Known:
    """coherent.estimate.Known."""

    wave: Wave
    p_band: Value
    witness: Value
    prior: Value
    near: Value
    evidence: Evidence
    z: Value
    agreement: Value


class Chunk:
    """Cells (n, 36, 36, 3) of a chunk, what the network says of them, and what beats."""

    def __init__(self, clock: Clock, cells: Value, skin_network: onnx.ModelProto):
        self.writer, self.clock, self.cells, self.network = clock.writer, clock, cells, skin_network
        self.logs = logs_of(cells)

    def change(self, y: Value, share: Value, alpha: Value) -> tuple[Value, Value]:
        """From y (n - 1,) and the L1-normalised |dy/dX| (n, 36, 36): the change as SkinCells takes it (n, 36, 36, 7),
        and the presence."""
        known = self._gather(y, share)
        seen = clues(self.cells, known.near, known.prior, known.evidence, known.p_band, self.clock)
        skin = learned_map(seen, self.network, self.clock)
        beta = self._amplitudes(skin, known)
        presence = self._presence(known)
        flush = self.cells * each(known.wave.p * (alpha * presence)).reshape(-1, 1, 1, 1) * beta
        light = (self.cells * LIGHT).sum(3) + DARK
        return spread(self.cells, flush, skin, light, self.clock), presence

    def _gather(self, y: Value, share: Value) -> Known:
        """coherent.estimate.gather."""
        clock, cells = self.clock, self.cells
        wave = clock.pulse_wave(y)
        near = nearness(share, clock.mean_over(5))
        start = ((near - 0.08) / 0.3).within(0, 1)
        p_band = clock.band @ wave.p
        prior, evidence = self._search(start, p_band)
        skin = refine(prior, evidence, p_band, clock)
        heard, z = self._witnesses(skin, evidence, wave, p_band)
        agreement, witness = _correlation(clock.band @ heard[-1], p_band), p_band
        wave = clock.fuse(heard, wave)
        p_band = clock.band @ wave.p
        evidence = level(weigh(cells, evidence.log_band, p_band, clock), start)
        return Known(wave, p_band, witness, prior, near, evidence, z, agreement)

    def _search(self, start: Value, p_band: Value) -> tuple[Value, Evidence]:
        """coherent.estimate.search."""
        clock, cells = self.clock, self.cells
        near = (blurred(clock.mean_over(15) @ flat(start), 4.0) / 0.25).within(0, 1)
        colour = SkinColour(self.logs)
        first = skin_map(start, near, colour)
        log_band = along_time(clock.band, self.logs)
        green = unexplained(log_band, p_band, clock).cut(3, 1, 2).reshape(-1, CELLS, CELLS)
        swaying = fit(cells, first, log_band, skin_weights(cells, first, green, clock))
        log_band = steady(cells, first.at_most(1), log_band, swaying.shift)
        evidence = level(weigh(cells, log_band, p_band, clock), start)

        first = likelier([first, start * first, start], evidence, p_band)
        beats = refine(first, evidence, p_band, clock)
        prior = skin_map(start * scaled(beats, 90), near, colour)
        return likelier([prior, beats], evidence, p_band), evidence

    def _witnesses(self, skin: Value, evidence: Evidence, wave: Wave, p_band: Value) -> tuple[list[Value], Value]:
        """coherent.fusion.witnesses."""
        clock, cells = self.clock, self.cells
        weight = skin_weights(cells, skin, evidence.residual, clock)
        mean = fit(cells, skin, evidence.log_band, weight)
        slope, covariance = self._regress(mean.signal, _trust(mean.weight), p_band, p_band)
        known = stacked([skin]) * each(wave.p).reshape(-1, 1, 1, 1) * slope
        log_wide = along_time(clock.wide, self.logs - known) + known
        fitted = fit(cells, skin, log_wide, weight)
        quiet = steady(cells, skin.at_most(1), log_wide, fitted.shift)
        power = over_cells(evidence.precision * skin * skin)
        matched = over_cells((evidence.weights * quiet).sum(3) * skin) / (power + 1e-12)
        told = (fitted.signal * _solved(covariance, slope)).sum(1)
        return [wave.position, told, matched], _score(slope, covariance)

    def _regress(self, signal: Value, weight: Value, p_band: Value, witness: Value) -> tuple[Value, Value]:
        """coherent.amplitude.regress: the slope (3,) and its covariance (3, 3)."""
        clock = self.clock
        p, other = p_band, clock.quadrature(p_band)
        w, wo = witness * weight, clock.quadrature(witness) * weight
        a, b, c, d = (w * p).sum() + 1e-9, (w * other).sum(), (wo * p).sum(), (wo * other).sum() + 1e-9
        first, second = w.reshape(1, -1) @ signal, wo.reshape(1, -1) @ signal
        determinant = a * d - b * c
        slope, turned = (first * d - second * b) / determinant, (second * a - first * c) / determinant
        rest = signal - p.reshape(-1, 1) * slope - other.reshape(-1, 1) * turned
        total = weight.sum()
        scatter = (rest * weight.reshape(-1, 1)).transposed(1, 0) @ rest / total
        p_power = ((weight * p * p).sum() / total).at_least(1e-12)
        independent = clock.n.to(FLOAT) / clock.fps * (2 * amplitude.BANDWIDTH_HZ)
        shared = scatter.sum() / (p_power * 9) * amplitude.SHARED_LUMINANCE
        return slope.reshape(-1), scatter / (independent * p_power) + 1e-10 * np.eye(3) + shared

    def _amplitudes(self, skin: Value, known: Known) -> Value:
        """coherent.amplitude.amplitudes: beta (3,)."""
        v = amplitude.PRIOR_COLOUR * V
        evidence, p_band = known.evidence, known.p_band
        told = over_cells(evidence.combined * skin)
        power = p_band * over_cells(evidence.precision * skin * skin)
        scale = ((known.witness * known.witness).sum() * (p_band * p_band).sum()).apply("Sqrt")
        instructive = (known.witness * p_band).sum() > scale * amplitude.INSTRUCTIVE
        witness = self.writer.where(instructive, known.witness, p_band)
        size = (witness * told).sum() / ((witness * power).sum() + 1e-9)
        wrong = size * amplitude.SIZE_ERROR
        doubt = wrong * wrong + 1 / (((p_band * power).sum() + 1e-9) * INDEPENDENT)
        share = amplitude.PRIOR_SPREAD**2 / (doubt + amplitude.PRIOR_SPREAD**2)
        mean = share * (size - amplitude.PRIOR_MEAN) + amplitude.PRIOR_MEAN
        jitter = mean.at_least(0)
        apart = jitter * jitter * np.diag((amplitude.PRIOR_JITTER * v) ** 2) + 1e-12 * np.eye(3)
        prior = doubt * share * np.outer(v, v) + apart
        weight = skin_weights(self.cells, skin, evidence.residual, self.clock)
        fitted = fit(self.cells, skin, evidence.log_band, weight)
        slope, covariance = self._regress(fitted.signal, _trust(fitted.weight), p_band, witness)
        away = slope - mean * v
        return (mean * v + prior @ _solved(prior + covariance, away)) * amplitude.ATTENUATION

    def _presence(self, known: Known) -> Value:
        """coherent.amplitude.presence."""
        low, high = self.clock.passband
        rate = known.wave.rate
        inside = (rate > low * (1 + amplitude.EDGE)) & (rate < high * (1 - amplitude.EDGE))
        seen = known.agreement + known.z / amplitude.Z_PER_AGREEMENT - amplitude.ABSENT
        return (seen / (amplitude.PRESENT - amplitude.ABSENT)).within(0, 1) * inside.to(FLOAT)


def _trust(weight: Value) -> Value:
    """How much each frame may say (n,), in units of the median."""
    ones = weight * 0 + 1
    return (weight / (weight.median(ones) + 1e-9)).at_most(3)


def _correlation(a: Value, b: Value) -> Value:
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).at_least(1e-30).apply("Sqrt")


def _solved(matrix: Value, v) -> Value:
    """matrix (3, 3)^-1 v (3,) for a symmetric positive matrix."""
    parts = matrix.reshape(-1)
    pairs = {(i, j): parts.cut(0, 3 * i + j, 3 * i + j + 1) for i in range(3) for j in range(i, 3)}
    wanted = [v.cut(0, i, i + 1) for i in range(3)] if isinstance(v, Value) else list(v)
    return matrix.writer.join(*solve(pairs, wanted, 1e-14))


def _score(slope: Value, covariance: Value) -> Value:
    """coherent.amplitude.score: ()."""
    combination = _solved(covariance, V)
    return (combination * slope).sum() / (combination * V).sum().apply("Sqrt")
