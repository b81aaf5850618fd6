"""The map in ONNX operators: the clues of coherent/clues.py, the skin network, and models of colour (local.py)."""

from __future__ import annotations

from math import log

import numpy as np
import onnx

from fastmag.coherent import clues as c
from fastmag.coherent.local import FLAT, LEVELS
from fastmag.coherent.regression import FAINTEST, FLOOR, INDEPENDENT
from fastmag.color import CELLS
from fastmag.export.chunk.graph_cells import blurred, channels, each, flat, logs_of, stacked
from fastmag.export.chunk.graph_evidence import Evidence
from fastmag.export.chunk.graph_wave import Clock, solve
from fastmag.export.chunk.writer import FLOAT, Value, added


def clues(cells: Value, near: Value, prior: Value, evidence: Evidence, p_band: Value, clock: Clock) -> Value:
    """coherent.clues.clues: (N, 18, h, w), every third frame."""
    w = cells.writer
    marked_near, marked = every(near), every(prior)
    red, green, blue = channels(logs_of(every(cells)))
    tint = [red - green, blue - green, green]
    weight = marked_near.at_most(1) * marked + 1e-6
    weight = weight / weight.sum()
    apart = [part - (weight * part).sum() for part in tint]
    own = [(part / ((weight * part * part).sum().apply("Sqrt") + 0.05)).within(-4, 4) / 2 for part in apart]
    steps = channels(logs_of(cells))[1]
    steps = (steps.cut(0, 1) - steps.cut(0, 0, -1)).apply("Abs")
    steps = w.join(steps.cut(0, 0, 1), steps)
    moving = blurred(every(clock.mean_over(5)) @ flat(steps), 1.0)
    mean = every(clock.mean_over(clock.frames_of(1.0) * 2 + 1))
    noise = blurred(mean @ flat(evidence.residual * evidence.residual), 1.0)
    rows = [
        *(part * 2 for part in apart),
        *own,
        green - log(128),
        marked_near.at_most(2),
        (marked_near + 0.03).apply("Log") / 2,
        marked,
        (moving + 1e-4).apply("Log") / log(10) + 2,
        (noise + 1e-8).apply("Log") / (2 * log(10)) + 3,
        *followed(prior, evidence, p_band, clock),
    ]
    return w.join(*(row.reshape(-1, 1, CELLS, CELLS) for row in rows), axis=1)


def every(series: Value) -> Value:
    """Every third frame."""
    return series.cut(0, step=c.STRIDE)


def followed(prior: Value, evidence: Evidence, p_band: Value, clock: Clock) -> list[Value]:
    """coherent.clues.followed."""
    p = each(p_band)
    q, pi = evidence.combined * p, evidence.precision * p * p
    usual = ((q * prior).sum() / ((pi * prior * prior).sum() + 1e-12)).at_least(FAINTEST)
    likely, known = prior.at_least(0.05), clock.n.to(FLOAT) * INDEPENDENT
    n, d = (blurred(part.mean(0, keep=True) * known, 1.2) for part in (q * likely, pi * likely * likely))
    all_frames = every(prior) * 0
    out = [part + all_frames for part in shrunk(n / usual - d, d, usual)]
    for seconds in c.WINDOWS:
        mean, frames = every(clock.box(seconds)), clock.fps * (INDEPENDENT * seconds)
        n, d = (blurred(mean @ flat(part), 1.2) * frames for part in (q, pi))
        out += shrunk(n / usual, d, usual)
    return out


def shrunk(over: Value, d: Value, usual: Value) -> list[Value]:
    """coherent.clues.shrunk."""
    doubt = c.DOUBT / (usual * usual)
    return [(over / (d + doubt)).within(-2, 3), d / (d + doubt)]


def learned_map(seen: Value, network: onnx.ModelProto, clock: Clock) -> Value:
    """coherent.learned.learned_map: (n, 36, 36)."""
    w = seen.writer
    return between(w.call(network, "y", seen, "k_").reshape(-1, CELLS, CELLS), clock)


def between(maps: Value, clock: Clock) -> Value:
    """coherent.learned.between: maps (N, ...) of every third frame at all of them."""
    last = maps.size(0) - 1
    before = (clock.at // c.STRIDE).at_most(last)
    share = (clock.at.to(FLOAT) / c.STRIDE - before.to(FLOAT)).reshape(-1, 1, 1)
    first = maps.take(before)
    return first + (maps.take((before + 1).at_most(last)) - first) * share


def local_models(cells: Value, target: Value) -> list[Value]:
    """coherent.local.local_models: the shares of R, G, B and the constant, (N, h, w) each."""
    colours = [part / float(LEVELS) for part in channels(cells)]
    means, mean = [around(colour) for colour in colours], around(target)
    spread = {(a, b): around(colours[a] * colours[b]) - means[a] * means[b] for a in range(3) for b in range(a, 3)}
    for k in range(3):
        spread[k, k] = spread[k, k] + float(FLAT)
    shares = solve(spread, [around(colours[k] * target) - means[k] * mean for k in range(3)], float(FLOOR))
    rest = mean - added(*(s * m for s, m in zip(shares, means, strict=True)))
    return [*(around(share) / float(LEVELS) for share in shares), around(rest)]


def around(maps: Value) -> Value:
    """coherent.local.around."""
    matrix = np.zeros((CELLS, CELLS))
    for step in (-1, 0, 1):
        np.add.at(matrix, (np.arange(CELLS), np.clip(np.arange(CELLS) + step, 0, CELLS - 1)), 1 / 3)
    return matrix @ maps @ matrix.T


def spread(cells: Value, change: Value, skin: Value, light: Value, clock: Clock) -> Value:
    """coherent.local.SkinCells.spread: (n, 36, 36, 7)."""
    models = local_models(every(cells), every(skin * light))
    return stacked([*channels(change / stacked([light])), *(between(model, clock) for model in models)])
