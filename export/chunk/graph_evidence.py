"""How strongly cells beat, in ONNX operators: coherent/regression.py and coherent/sway.py."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastmag.coherent import regression, sway
from fastmag.export.chunk.graph_cells import (
    along_time,
    blurred,
    channels,
    each,
    flat,
    logs_of,
    mask,
    over_cells,
    slopes,
    stacked,
)
from fastmag.export.chunk.graph_wave import Clock, solve
from fastmag.export.chunk.writer import FLOAT, Value, added

V = regression.V.astype(float)


@dataclass(frozen=True)
class Evidence:
    """coherent.regression.Evidence."""

    log_band: Value
    residual: Value
    weights: Value
    combined: Value
    precision: Value


@dataclass(frozen=True)
class Fit:
    """coherent.sway.Fit: signal (n, 3), shift along x and y (n,) each, weight (n,)."""

    signal: Value
    shift: tuple[Value, Value]
    weight: Value


def unexplained(log_band: Value, p_band: Value, clock: Clock) -> Value:
    """coherent.regression.unexplained."""
    p = p_band.reshape(-1, 1)
    mean = clock.box(regression.FIT_SECONDS)
    fit = mean / (mean @ (p * p) + 1e-12) * p_band * p
    return log_band - along_time(fit, log_band)


def weigh(cells: Value, log_band: Value, p_band: Value, clock: Clock) -> Evidence:
    """coherent.regression.weigh."""
    rest, levels = channels(unexplained(log_band, p_band, clock)), channels(cells)
    mean = clock.box(regression.COVARIANCE_SECONDS)
    noise = {}
    for a in range(3):
        for b in range(a, 3):
            noise[a, b] = blurred(mean @ flat(rest[a] * rest[b]), 1.0)
        noise[a, a] = noise[a, a] + rounding(levels[a]) + 3e-7
    weights = stacked(solve(noise, V, float(regression.FLOOR)))
    return Evidence(log_band, rest[1], weights, (weights * log_band).sum(3), (weights * V).sum(3))


def rounding(level: Value) -> Value:
    """The power of a level's noise by rounding, of its log."""
    share = regression.QUANTISATION / (level + 4)
    return share * share


def level(evidence: Evidence, seed: Value) -> Evidence:
    """coherent.regression.level."""
    strong = mask(seed > 0.5).reshape(-1)
    usual = evidence.precision.reshape(-1).median(strong)
    share = (usual * 2 / evidence.precision).at_most(1)
    share = share.writer.where(strong.sum() > 0.5, share, 1.0)
    return replace(
        evidence,
        weights=evidence.weights * stacked([share]),
        combined=evidence.combined * share,
        precision=evidence.precision * share,
    )


def explained(maps: Value, evidence: Evidence, p_band: Value) -> Value:
    """How much of the signal a map explains as skin that follows p: ()."""
    follows = maps * each(p_band)
    agreement = (evidence.combined * follows).sum().at_least(0)
    return agreement * agreement / ((evidence.precision * follows * follows).sum() + 1e-12)


def likelier(maps: list[Value], evidence: Evidence, p_band: Value) -> Value:
    """coherent.regression.likelier."""
    usual, *others = maps
    best, most = others[0], explained(others[0], evidence, p_band)
    for other in others[1:]:
        new = explained(other, evidence, p_band)
        best, most = best.writer.where(new > most, other, best), most.at_least(new)
    return best.writer.where(most > regression.MARGIN * explained(usual, evidence, p_band), best, usual)


def refine(maps: Value, evidence: Evidence, p_band: Value, clock: Clock) -> Value:
    """coherent.regression.refine."""
    p, q, pi = each(p_band), evidence.combined, evidence.precision
    follows = maps * p
    a = (q * follows).sum() / ((pi * follows * follows).sum() + 1e-12)
    some, known = a.at_least(regression.FAINTEST), clock.n.to(FLOAT) * regression.INDEPENDENT
    mp = maps.at_least(0.05) * p
    n, d = (blurred(part.mean(0, keep=True) * known, 1.2) for part in (q * mp, pi * mp * mp))
    doubt = 3 / (some * some) + d * regression.NODDING
    ratio = ((n / some + doubt) / (d + doubt)).within(*regression.LIMITS)
    return maps * maps.writer.where(a < regression.FAINTEST, 1.0, ratio)


def skin_weights(cells: Value, skin: Value, residual: Value, clock: Clock) -> Value:
    """coherent.sway.weights."""
    power = blurred(clock.box(2.0) @ flat(residual * residual), 1.0)
    quiet = 1 / (power + rounding(channels(cells)[1]) + 1e-7)
    strong = mask(skin > 0.5).reshape(-1)
    loudest = quiet.reshape(-1).median(strong) * sway.LOUDEST
    limit = quiet.writer.where(strong.sum() > 0.5, loudest, 1e30)
    return skin * mask(skin > 0.15) * quiet.at_most(limit)


def fit(cells: Value, skin: Value, log_band: Value, weight: Value) -> Fit:
    """coherent.sway.fit."""
    ws = weight * skin
    total = over_cells(ws * skin).at_least(1e-9)
    heavy = stacked([ws])
    on_map = over_cells(heavy * log_band)
    grad = slopes(logs_of(cells))
    cross = [over_cells(heavy * g) for g in grad]
    heavy = stacked([weight])

    def against(a: Value, b: Value) -> Value:
        return (heavy * a * b).sum(1, 2, 3)

    def without_map(a: Value, b: Value) -> Value:
        return (a * b).sum(1) / total

    power = [against(grad[i], grad[j]) for i, j in ((0, 0), (0, 1), (1, 1))]
    ridge = (power[0] + power[2]) * 1e-3 + 1e-9
    xx = power[0] - without_map(cross[0], cross[0]) + ridge
    xy = power[1] - without_map(cross[0], cross[1])
    yy = power[2] - without_map(cross[1], cross[1]) + ridge
    x, y = (against(g, log_band) - without_map(c, on_map) for g, c in zip(grad, cross, strict=True))
    determinant = xx * yy - xy * xy
    shift = (yy * x - xy * y) / determinant, (xx * y - xy * x) / determinant
    moved = added(*(c * s.reshape(-1, 1) for c, s in zip(cross, shift, strict=True)))
    return Fit((on_map - moved) / total.reshape(-1, 1), shift, total)


def steady(cells: Value, near: Value, log_band: Value, shift: tuple[Value, Value]) -> Value:
    """coherent.sway.steady."""
    x, y = (g * each(s).reshape(-1, 1, 1, 1) for g, s in zip(slopes(logs_of(cells)), shift, strict=True))
    return log_band - (x + y) * stacked([near])
