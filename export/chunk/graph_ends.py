"""coherent.ends in ONNX operators: waves that go on beyond both ends of a chunk, foretold in float64."""

from __future__ import annotations

from fastmag.coherent.ends import PAST_SECONDS
from fastmag.export.chunk.writer import DOUBLE, FLOAT, INT, Value, Writer, describe


def continued(w: Writer, series: Value, count: Value, fps: Value, unsure_seconds: float) -> Value:
    """coherent.ends.continued of (K, n): (K, n + 2 count); zeros are added where a chunk is too short to foretell."""
    n, rows = series.size(1), series.size(0)
    order, unsure = ((fps * seconds).apply("Round").to(INT) for seconds in (PAST_SECONDS, unsure_seconds))
    sure = series.cut(1, unsure, n - unsure)
    coefficients = _predictor(w, sure.to(DOUBLE), order)
    at, end = w.range(0, order), sure.size(1) - 1
    first, last = (sure.take(place.within(0, end), axis=1) for place in (order - 1 - at, end - order + 1 + at))
    both = _foretold(w, w.join(first, last), w.join(coefficients, coefficients), unsure + count)
    before, after = _reversed(w, both.cut(0, 0, rows)), both.cut(0, rows)
    rim = w.zeros(rows, count)
    long = sure.size(1) > order * 2
    return w.where(long, w.join(before, sure, after, axis=1), w.join(rim, series, rim, axis=1))


def _reversed(w: Writer, series: Value) -> Value:
    return series.take(series.size(1) - 1 - w.range(0, series.size(1)), axis=1)


def _predictor(w: Writer, series: Value, order: Value) -> Value:
    """coherent.ends.predictor of (K, L), oldest first: (K, order). A place that a step has used up is passed over."""
    places = w.range(0, order + 1)
    start = (places < 1).to(DOUBLE) + series.cut(1, 0, 1) * 0
    length = series.size(1)
    body = Writer("b_")
    ahead, behind, error = (body.input(f"b_{name}", DOUBLE) for name in ("ahead", "behind", "error"))
    step, numbers, whole = body.input("b_step", INT), body.input(places.name, INT), body.input(length.name, INT)
    now, past = ahead.cut(1, 1), behind.cut(1, 0, -1)
    valid = (body.range(1, whole) > step).to(DOUBLE)
    both = (now * past * valid).sum(1, keep=True)
    power = ((now * now + past * past) * valid).sum(1, keep=True)
    reflection = both * -2 / (power + 1e-30)
    nothing = ahead.cut(1, 0, 1) * 0
    turned = step + 1 - numbers
    mirrored = error.take(turned.at_least(0), axis=1) * (turned >= 0).to(DOUBLE)
    made = [
        body.join(nothing, now + reflection * past, axis=1),
        body.join(nothing, past + reflection * now, axis=1),
        error + reflection * mirrored,
    ]
    states = [describe(f"b_{name}", DOUBLE, ["K", size]) for name, size in _SIZES]
    inputs = [*states, describe("b_step", INT, [])]
    error = w.scan(body, [w.range(0, order)], inputs, made, [series, series, start])[2]
    return _reversed(w, -error.cut(1, 1))


_SIZES = (("ahead", "L"), ("behind", "L"), ("error", "M"))


def _foretold(w: Writer, past: Value, coefficients: Value, count: Value) -> Value:
    """The `count` samples after (R, order), by coefficients of these: (R, count)."""
    body = Writer("p_")
    window, weights = body.input("p_window", DOUBLE), body.input(coefficients.name, DOUBLE)
    new = (window * weights).sum(1, keep=True)
    moved = body.join(window.cut(1, 1), new, axis=1)
    inputs = [describe("p_window", DOUBLE, ["R", "M"]), describe("p_step", INT, [])]
    made = w.scan(body, [w.range(0, count)], inputs, [moved, new.reshape(-1)], [past.to(DOUBLE)])[1]
    return made.transposed(1, 0).to(FLOAT)
