"""magnify.onnx: a chunk of frames in, magnified frames out; one graph of standard operators, to run without Python.

    frames (T, H, W, 3) uint8 RGB, alpha () float32, fps () float32 -> magnified (T, H, W, 3) uint8, presence () float32

T, H and W are open. What it computes is chunk/form.py. Frames pass through one at a time (Scan), so beside the frames
and the result it needs memory for the cells alone.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from fastmag import models
from fastmag.coherent.estimate import DELTA
from fastmag.coherent.local import MODELS
from fastmag.color import CELLS
from fastmag.deepmag import MAP_STRIDE
from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.chunk.graph import Chunk
from fastmag.export.chunk.graph_wave import Clock
from fastmag.export.chunk.writer import BYTE, FLOAT, INT, Value, Writer, describe
from fastmag.export.onnx_files import OPSET, load
from fastmag.passes import TRAINED_FPS

BLOCK = 12  # differences in one run of the network: its activations stay in the cache
SAMPLE = (3, CELLS, CELLS)


def magnify_model(forward, passband: tuple[float, float] = (0.7, 2.5)) -> onnx.ModelProto:
    """The whole coherent form of colour as one ONNX graph, for a network X (batch, 3, 36, 36) -> y (batch, 1).

    forward: a path, bytes or a ModelProto, with an open batch. passband: hertz that a pulse may have, fixed in the
    graph. The metadata say what the graph is ("fastmag": "magnify"), its passband in hertz, and of how many seconds a
    chunk must be at least. Raises InputError for another network.
    """
    model = load(forward)
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if 0 < opset < OPSET:
        model = onnx.version_converter.convert_version(model, OPSET)
    network = gradient_model(model, share=True)
    dims = network.graph.input[0].type.tensor_type.shape.dim
    if tuple(d.dim_value for d in dims[1:]) != SAMPLE or dims[0].dim_value:
        raise InputError(
            f"magnify.onnx is made of a network X (batch, 3, {CELLS}, {CELLS}) -> y (batch, 1) with an open batch; "
            f"got X ({', '.join(str(d.dim_value or d.dim_param or '?') for d in dims)}): export that network"
        )
    return _assembled(network, passband)


def _assembled(network: onnx.ModelProto, passband: tuple[float, float]) -> onnx.ModelProto:
    w = Writer("m_")
    frames, alpha, fps = w.input("frames", BYTE), w.input("alpha", FLOAT), w.input("fps", FLOAT)
    cells = _cells(w, frames)
    stride = (fps / TRAINED_FPS).apply("Round").to(INT).at_least(1)
    some, rate = cells.cut(0, step=stride), fps / stride.to(FLOAT)
    y, share = _read(w, some, rate, network)
    clock = Clock(w, some.size(0), rate, passband)
    change, presence = Chunk(clock, some, onnx.load(models.path("skin"))).change(y, share, alpha)
    magnified = _composed(w, frames, _in_between(w, change, frames.size(0), stride))
    w.rename(magnified, "magnified")
    w.rename(presence, "presence")

    picture: list[int | str] = ["T", "H", "W", 3]
    graph = helper.make_graph(
        w.nodes, "magnify",
        [describe("frames", BYTE, picture), describe("alpha", FLOAT, []), describe("fps", FLOAT, [])],
        [describe("magnified", BYTE, picture), describe("presence", FLOAT, [])], w.constants,
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=list(network.opset_import), ir_version=network.ir_version, producer_name="fastmag"
    )
    low, high = passband
    seconds = f"{2 / low:.4g}"
    helper.set_model_props(model, {"fastmag": "magnify", "passband": f"{low:g} {high:g}", "seconds": seconds})
    onnx.checker.check_model(model, full_check=True)
    return model


def _cells(w: Writer, frames: Value) -> Value:
    """Cells (T, 36, 36, 3) >= 0: antialiased bicubic, rows by one matrix, columns of all three channels by another."""
    rows = _antialiased(w, frames.size(1))
    columns = _for_channels(w, _antialiased(w, frames.size(2)).transposed(1, 0))
    body = Writer("d_")
    outer_rows, outer_columns = body.input(rows.name, FLOAT), body.input(columns.name, FLOAT)
    frame = body.input("d_frame", BYTE).to(FLOAT).reshape(0, -1)
    cells = ((outer_rows @ frame) @ outer_columns).reshape(CELLS, CELLS, 3).at_least(0)
    return w.scan(body, [frames], [describe("d_frame", BYTE, ["H", "W", 3])], [cells])[0]


def _composed(w: Writer, frames: Value, change: Value) -> Value:
    """frames + what beats of their light times the enlarged change, rounded half up, in 0..255: color.SkinCells.add."""
    tall, wide = frames.size(1), frames.size(2)
    smooth = _interpolating(w, tall), _for_channels(w, _interpolating(w, wide).transposed(1, 0))
    straight = _between_centres(w, wide).transposed(1, 0)
    linear = _between_centres(w, tall), _for_channels(w, straight), straight
    body = Writer("u_")
    rows, columns, linear_rows, for_shares, for_constant = (body.input(m.name, FLOAT) for m in (*smooth, *linear))
    levels = body.input("u_frame", BYTE).to(FLOAT)
    small = body.input("u_change", FLOAT)
    enlarged = (rows @ (small.cut(2, 0, 3).reshape(CELLS, -1) @ columns)).reshape(0, -1, 3)
    shares = (linear_rows @ (small.cut(2, 3, 6).reshape(CELLS, -1) @ for_shares)).reshape(0, -1, 3)
    constant = (linear_rows @ (small.cut(2, 6).reshape(CELLS, -1) @ for_constant)).reshape(0, -1, 1)
    light = ((levels * shares) @ np.ones((3, 1)) + constant).at_least(0)
    total = (levels + light * enlarged + 0.5).within(0, 255).apply("Floor").to(BYTE)
    inputs = [describe("u_frame", BYTE, ["H", "W", 3]), describe("u_change", FLOAT, [CELLS, CELLS, 3 + MODELS])]
    return w.scan(body, [frames, change], inputs, [total])[0]


def _between_centres(w: Writer, m: Value) -> Value:
    """kernels.plans.linear from the centres of 36 cells to m pixels as a matrix (m, 36), held beyond the outermost."""
    centre = ((w.range(0, m).to(FLOAT) + 0.5) * CELLS / m.to(FLOAT) - 0.5).within(0, CELLS - 1)
    return (1 - (centre.reshape(-1, 1) - np.arange(CELLS)).apply("Abs")).at_least(0)


def _antialiased(w: Writer, n: Value) -> Value:
    """kernels.plans.antialiased from n samples to 36 as a matrix (36, n)."""
    length = n.to(FLOAT)
    scale = length / CELLS
    stretch = scale.at_least(1)
    centre = scale * (np.arange(CELLS) + 0.5)[:, None]
    first = (centre - stretch * 2 + 0.5).at_least(0).apply("Floor")
    after = (centre + stretch * 2 + 0.5).at_most(length).apply("Floor")
    at = w.range(0, n).to(FLOAT)
    inside = ((at >= first) & (at < after)).to(FLOAT)
    weights = _keys((at - centre + 0.5) / stretch) * inside
    return weights / weights.sum(1, keep=True)


def _interpolating(w: Writer, m: Value) -> Value:
    """kernels.plans.interpolating from 36 samples to m as a matrix (m, 36): beyond the edges the last sample counts."""
    beyond = np.arange(-2, CELLS + 2)
    centre = (w.range(0, m).to(FLOAT) + 0.5) * CELLS / m.to(FLOAT) - 0.5
    return _keys(centre.reshape(-1, 1) - beyond) @ np.eye(CELLS)[np.clip(beyond, 0, CELLS - 1)]


def _keys(x: Value) -> Value:
    """kernels.plans.keys."""
    x = x.apply("Abs").at_most(2)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return x.writer.where(x < 1, near, far)


def _for_channels(w: Writer, matrix: Value) -> Value:
    """A matrix (a, b) for rows of interleaved channels: (3 a, 3 b)."""
    return (matrix.reshape(0, 1, -1, 1) * np.eye(3)[:, None]).reshape(matrix.size(0) * 3, -1)


def _in_between(w: Writer, change: Value, count: Value, stride: Value) -> Value:
    """The change of every stride-th frame as one of each of `count` frames, linear between."""
    last, at = change.size(0) - 1, w.range(0, count)
    left = at // stride
    share = (at % stride).to(FLOAT).reshape(-1, 1, 1, 1) / stride.to(FLOAT)
    return change.take(left.at_most(last)) * (1 - share) + change.take((left + 1).at_most(last)) * share


def _read(w: Writer, cells: Value, fps: Value, network: onnx.ModelProto) -> tuple[Value, Value]:
    """deepmag.read_pulse: y (n - 1,) and the L1-normalised |dy/dX| (n, 36, 36), by the network in blocks."""
    before, after = cells.cut(0, 0, -1), cells.cut(0, 1)
    x = ((after - before) / (after + before + 2 * DELTA)).transposed(0, 3, 1, 2) * (fps / TRAINED_FPS)
    count = x.size(0)
    missing = (BLOCK - count % BLOCK) % BLOCK
    blocks = w.op("Concat", x, w.zeros(missing, *SAMPLE), axis=0).reshape(-1, BLOCK, *SAMPLE)

    body = Writer("n_")
    block = body.input("n_X", FLOAT)
    both = body.op("Concat", block, -block, axis=0)
    y = body.call(network, "y", both, "f_").reshape(2, BLOCK)
    odd = ((y.cut(0, 0, 1) - y.cut(0, 1)) / 2).reshape(BLOCK)
    slope = body.call(network, "G", block.cut(0, step=MAP_STRIDE), "g_").apply("Abs").mean(1)
    share = slope / slope.mean(1, 2, keep=True).at_least(1e-30)
    body_inputs = [describe("n_X", FLOAT, [BLOCK, *SAMPLE])]
    ys, shares = w.scan(body, [blocks], body_inputs, [odd, share])

    marked = (count + MAP_STRIDE - 1) // MAP_STRIDE
    nearest = ((w.range(0, count + 1) - 1).at_least(0) + MAP_STRIDE // 2) // MAP_STRIDE
    share = shares.reshape(-1, CELLS, CELLS).take(nearest.at_most(marked - 1))
    return ys.reshape(-1).cut(0, 0, count), share
