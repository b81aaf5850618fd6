"""Reverse rules of the operators that pick, repeat or blend elements axis by axis: Slice, Gather, Pad, Resize.

Along an axis each of them is a matrix, mostly one of zeros and ones, and its reverse rule the transposed matrix. What
the rule emits depends on that matrix alone: a Slice and a Pad where the elements are a run, AveragePool where each of
them is repeated, a matrix product otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from fastmag.export.rules import rule
from fastmag.export.tape import Array, Cotangent, Tape, attribute, refusal

MOST_WEIGHTS = 1 << 24  # elements of a matrix along one axis


@rule("Slice")
def slice_(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    rank = len(tape.shapes[x])
    given = [tape.required_constant(node, i, "range").tolist() if n else [] for i, n in enumerate(node.input) if i]
    starts, ends, axes, steps = (*given, [], [])[:4]
    axes = [axis % rank for axis in axes or range(len(starts))]
    if 0 in axes:
        raise refusal(node, "it cuts the batch")
    fixed = (0, *tape.fixed_shape(node, x))
    spans = zip(axes, starts, ends, steps or [1] * len(axes), strict=True)
    return _back(tape, node, g, {axis: np.arange(fixed[axis])[slice(*span)] for axis, *span in spans})


@rule("Gather")
def gather(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """One index of an axis, as in x[:, 0], or a list of them."""
    x = node.input[0]
    axis = attribute(node, "axis", 0) % len(tape.shapes[x])
    index = tape.required_constant(node, 1, "index")
    if index.ndim > 1 or axis == 0:
        raise refusal(node, "only one index, or a list, of an axis other than the batch has a rule")
    if not index.ndim:
        g = tape.spread(tape.with_scalar_scale(g), node.output[0])
        g = Cotangent(tape.emit("Unsqueeze", g.name, tape.add_constant(np.array([axis]), "axes")), g.scale)
    n = tape.fixed_shape(node, x)[axis - 1]
    return _back(tape, node, g, {axis: np.atleast_1d(index) % n})


@rule("Pad")
def pad(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    x = node.input[0]
    rank = len(tape.shapes[x])
    mode = attribute(node, "mode", "constant")
    amounts = np.zeros((2, rank), np.int64)
    axes: Array = np.arange(rank)
    if len(node.input) > 3 and node.input[3]:
        axes = tape.required_constant(node, 3, "list of axes") % rank
    amounts[:, axes] = tape.required_constant(node, 1, "amount").reshape(2, -1)
    if amounts[:, 0].any():
        raise refusal(node, "it pads the batch axis")
    if mode != "constant" and amounts.min() < 0:
        raise refusal(node, f"it cuts and pads by {mode}")
    moves: dict[int, Array] = {}
    for axis, n in enumerate(tape.fixed_shape(node, x), start=1):
        begin, end = amounts[:, axis].tolist()
        if mode == "constant":
            places = np.arange(-begin, n + end)
            moves[axis] = np.where((places < 0) | (places >= n), -1, places)
        else:
            moves[axis] = np.pad(np.arange(n), (begin, end), mode)
    return _back(tape, node, g, moves)


@rule("Resize")
def resize(tape: Tape, node: onnx.NodeProto, g: Cotangent) -> dict[str, Cotangent]:
    """Nearest and linear, with every way to lay out the coordinates but tf_crop_and_resize."""
    mode = attribute(node, "mode", "nearest")
    layout = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode not in ("nearest", "linear") or layout not in LAYOUTS or attribute(node, "antialias", 0):
        raise refusal(node, "only nearest and linear without antialiasing or cropping have a rule")
    x, y = (tape.shapes[name] for name in (node.input[0], node.output[0]))
    scales = _scales(tape, node, len(x))
    if scales[0] != 1 and x[0] != y[0]:
        raise refusal(node, "it scales the batch axis")
    moves: dict[int, Array] = {}
    sizes = zip(tape.fixed_shape(node, node.input[0]), tape.fixed_shape(node, node.output[0]), strict=True)
    for axis, (n, m) in enumerate(sizes, start=1):
        if n == m and scales[axis] in (0, 1):
            continue
        at = LAYOUTS[layout](np.arange(m, dtype=np.float64), scales[axis] or m / n, n, m)
        if mode == "nearest":
            moves[axis] = _nearest(at, attribute(node, "nearest_mode", "round_prefer_floor")).clip(0, n - 1)
        elif n * m > MOST_WEIGHTS:
            raise refusal(node, f"it blends {n} elements into {m}, which is too large")
        else:
            low = np.floor(at)
            moves[axis] = np.zeros((n, m))
            for place, weight in ((low, 1 - (at - low)), (low + 1, at - low)):
                np.add.at(moves[axis], (place.clip(0, n - 1).astype(int), np.arange(m)), weight)
    return _back(tape, node, g, moves)


def _scales(tape: Tape, node: onnx.NodeProto, rank: int) -> list[float]:
    """The scale of every axis; 0 where sizes are given, from which it follows."""
    by_size = len(node.input) > 3 and bool(node.input[3])
    if by_size and attribute(node, "keep_aspect_ratio_policy", "stretch") != "stretch":
        raise refusal(node, "only the policy stretch has a rule")
    axes = [axis % rank for axis in attribute(node, "axes", None) or range(rank)]
    scales = [1.0] * rank
    given = [0.0] * len(axes) if by_size else tape.required_constant(node, 2, "scale").tolist()
    for axis, scale in zip(axes, given, strict=True):
        scales[axis] = scale
    return scales


# Where the m outputs lie among the n inputs, by their numbers i and the scale s (the ONNX specification of Resize).
LAYOUTS = {
    "half_pixel": lambda i, s, n, m: (i + 0.5) / s - 0.5,
    "pytorch_half_pixel": lambda i, s, n, m: (i + 0.5) / s - 0.5 if m > 1 else np.zeros(1),
    "align_corners": lambda i, s, n, m: i * (n - 1) / (m - 1) if m > 1 else np.zeros(1),
    "asymmetric": lambda i, s, n, m: i / s,
    "half_pixel_symmetric": lambda i, s, n, m: n / 2 * (1 - m / (s * n)) + (i + 0.5) / s - 0.5,
}


def _nearest(at: Array, mode: str) -> Array:
    at = at.astype(np.float32)  # as the runtimes have it, so that ties fall alike
    half = np.float32(0.5)
    rounded = {"round_prefer_floor": np.ceil(at - half), "round_prefer_ceil": np.floor(at + half)}
    return (rounded | {"floor": np.floor(at), "ceil": np.ceil(at)})[mode].astype(int)


def _back(tape: Tape, node: onnx.NodeProto, g: Cotangent, moves: dict[int, Array]) -> dict[str, Cotangent]:
    """The cotangent of x from that of y.

    moves: along each axis, the places (m,) in x where y has its elements from, -1 for none; or the weights (n, m).
    """
    x = node.input[0]
    sizes = (0, *tape.fixed_shape(node, x))
    shape = [moves[axis].shape[-1] if axis in moves else n for axis, n in enumerate(sizes)]
    g = tape.spread(tape.with_scalar_scale(g), node.output[0])
    name = g.name
    cuts: list[tuple[int, int, int]] = []
    pads = np.zeros((2, len(sizes)), np.int64)
    factors = [1] * len(sizes)
    for axis, move in moves.items():
        n = sizes[axis]
        run = _run(move)
        if run is not None:
            start, stop, first = run
            if stop - start < len(move):
                cuts.append((start, stop, axis))
                shape[axis] = stop - start
            pads[:, axis] = first, n - first - (stop - start)
        elif 1 < axis < len(sizes) <= 5 and np.array_equal(move, np.repeat(np.arange(n), len(move) // n or 1)):
            factors[axis] = len(move) // n
    if cuts:
        name = tape.cut(name, *zip(*cuts, strict=True))
    for axis, move in moves.items():
        if _run(move) is None and factors[axis] == 1:
            name = _along(tape, name, axis, _weights(move, sizes[axis]), shape)
    if max(factors) > 1:
        name = tape.emit("AveragePool", name, kernel_shape=factors[2:], strides=factors[2:])
        g = g.scaled(math.prod(factors))
    if pads.any():
        name = tape.emit("Pad", name, tape.add_constant(pads.ravel(), "pads"))
    return {x: Cotangent(name, g.scale)}


def _run(move: Array) -> tuple[int, int, int] | None:
    """Where in y a single run of neighbours from x starts and stops, and where it starts in x; None if it is no run."""
    if move.ndim != 1:
        return None
    (taken,) = np.nonzero(move >= 0)
    if not len(taken) or taken[-1] - taken[0] != len(taken) - 1 or np.any(np.diff(move[taken]) != 1):
        return None
    return int(taken[0]), int(taken[-1]) + 1, int(move[taken[0]])


def _weights(move: Array, n: int) -> Array:
    """Places (m,) as weights (n, m)."""
    if move.ndim == 2:
        return move
    if n * len(move) > MOST_WEIGHTS:
        raise ValueError(f"{n} elements into {len(move)} are too many")
    return (np.arange(n)[:, None] == move).astype(np.float64)


def _along(tape: Tape, name: str, axis: int, weights: Array, shape: list[int]) -> str:
    """weights (n, m) times the m elements along an axis, n of them; `shape` is kept up with it."""
    rank = len(shape)
    before = [-1, shape[axis], math.prod(shape[axis + 1 :])]
    shape[axis] = len(weights)
    if axis == rank - 1:
        return tape.emit("MatMul", name, tape.add_constant(weights.T, "weight"))
    left = tape.add_constant(weights, "weight")
    if axis == rank - 2:
        return tape.emit("MatMul", left, name)
    flat, whole = (tape.add_constant(np.array(v, np.int64), "shape") for v in (before, [-1, *shape[1:]]))
    return tape.emit("Reshape", tape.emit("MatMul", left, tape.emit("Reshape", name, flat)), whole)
