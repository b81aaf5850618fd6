"""The files of `fastmag export`: gradient.onnx, ascent.onnx and, for a network of the pulse, magnify.onnx."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastmag import __version__
from fastmag.ascent import ascend
from fastmag.errors import InputError
from fastmag.export.autodiff import gradient_model
from fastmag.export.onnx_files import load
from fastmag.export.tape import needed
from fastmag.files import WholeFile, check_destination, write_error
from fastmag.gradients import InputGradient
from fastmag.kernels import reference
from fastmag.onnx_bytes import keeps_weights_outside, read
from fastmag.params import RULES
from fastmag.providers.ort import PROVIDERS, session

PULSE_SHAPE = (3, 36, 36)
GAMMA, CLOSE = 1e-3, 1e-3  # of the trial run: the step, and how far float32 may be off (measured: 1e-7 to 1e-5)


@dataclass(frozen=True)
class Written:
    """A file that was written: where, its size in bytes, and what goes in and comes out."""

    path: Path
    size: int
    ends: str

    def __str__(self) -> str:
        return f"{self.path}  {self.size / 1e6:.2f} MB  {self.ends}"


def write_all(source: str | Path, folder: str | Path, *, rule: str = "sign", overwrite: bool = False) -> list[Written]:
    """Make gradient.onnx, ascent.onnx and, where X is (batch, 3, 36, 36), magnify.onnx from a forward ONNX model.

    source: the file of a network with one input X (batch, ...) float32 and one output y (batch, 1); see gradient_model.
    folder: made if it does not exist. rule: "sign" (Eq. 3), "l1" (Eq. 2) or "vanilla" (Eq. 1), of the ascent.
    Each file holds every weight once, has standard operators only, and tells in its metadata fastmag's version and the
    source's SHA-256. The gradient is compared with differences of y before anything is written; files appear whole.
    Raises InputError for a model that is none, unsafe or unsupported, and for files that exist, without `overwrite`.
    """
    forward = load(source)
    content = read(source)
    if keeps_weights_outside(content):
        content = forward.SerializeToString(deterministic=True)
    origin = hashlib.sha256(content).hexdigest()
    try:
        models = models_of(forward, rule)
        whole = {f"{name}.onnx": _stamped(model, origin) for name, model in models.items()}
        _try(whole["gradient.onnx"], whole["ascent.onnx"], rule)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {home} cannot be made ({error.strerror}): choose another") from error
    paths = [check_destination(home / name, [source], overwrite=overwrite) for name in whole]
    for path, content in zip(paths, whole.values(), strict=True):
        _write(path, content)
    described = zip(paths, whole.values(), models.values(), strict=True)
    return [Written(home / path.name, len(content), ends(model)) for path, content, model in described]


def models_of(forward: onnx.ModelProto, rule: str = "sign") -> dict[str, onnx.ModelProto]:
    """The graphs that can be made of a forward model, by name: gradient, ascent, and magnify for one of the pulse."""
    gradient = gradient_model(forward, share=True)
    models = {"gradient": gradient, "ascent": ascent_model(gradient, rule)}
    shape = tuple(d.dim_value for d in gradient.graph.input[0].type.tensor_type.shape.dim)[1:]
    if shape == PULSE_SHAPE:
        from fastmag.export.magnify_graph import magnify_model

        models["magnify"] = magnify_model(forward)
    return models


def ascent_model(gradient: onnx.ModelProto, rule: str = "sign") -> onnx.ModelProto:
    """Algorithm 1, lines 3-8, as one graph: X_1 -> X_N by N - 1 updates of Eq. 3, 2 or 1 (and Eq. 4).

    gradient: as gradient_model makes it. rule: "sign" (Eq. 3), "l1" (Eq. 2) or "vanilla" (Eq. 1).
    Inputs: X (batch, ...); step_size (), gamma, in X's dtype; n_steps () int64, N. Output: X_N, of the shape of X.
    The mean of |dy/dX| is taken over the elements of one sample; a sample whose gradient is zero stays where it is.
    """
    if rule not in RULES:
        raise InputError(f"rule must be one of {', '.join(RULES)}; got {rule!r}: choose one of them")
    x = next(i for i in gradient.graph.input if i.name == "X")
    nodes, _ = needed(gradient.graph.node, ["G"] if rule == "sign" else ["G", "y"])
    moving, still = _by_dependence(nodes)
    element = x.type.tensor_type.elem_type
    shape = [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim]
    update, stored = _update(rule, helper.tensor_dtype_to_np_dtype(element), shape)
    scalar = {name: helper.make_tensor_value_info(name, kind, []) for name, kind in (
        ("step_size", element), ("n_steps", TensorProto.INT64), ("i", TensorProto.INT64),
        ("go", TensorProto.BOOL), ("go_on", TensorProto.BOOL),
    )}  # fmt: skip
    like_x = {name: helper.make_tensor_value_info(name, element, shape) for name in ("x", "x_next", "X_N")}
    body = helper.make_graph(
        [*moving, *update, helper.make_node("Identity", ["go"], ["go_on"])], "step",
        [scalar["i"], scalar["go"], like_x["x"]], [scalar["go_on"], like_x["x_next"]],
    )  # fmt: skip
    outer = [
        *still,
        helper.make_node("Sub", ["n_steps", "one"], ["updates"]),
        helper.make_node("Loop", ["updates", "", "X"], ["X_N"], body=body),
    ]
    read_by = {name for node in (*still, *moving) for name in node.input}
    for weight in gradient.graph.initializer:
        if _inside(weight.name) in read_by:
            stored[_inside(weight.name)] = weight
    graph = helper.make_graph(outer, "ascent", [x, scalar["step_size"], scalar["n_steps"]], [like_x["X_N"]])
    for name, weight in stored.items():
        graph.initializer.add().CopyFrom(weight)
        graph.initializer[-1].name = name
    return helper.make_model(graph, opset_imports=gradient.opset_import, ir_version=gradient.ir_version)


def _inside(name: str) -> str:
    """What a tensor of the gradient model is called in the ascent: nothing there can collide with it."""
    return {"": "", "X": "x", "G": "G", "y": "y"}.get(name, f"net.{name}")


def _by_dependence(nodes: Iterable[onnx.NodeProto]) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """The nodes through which X passes, and those that it does not reach, with their names inside the ascent."""
    reached, moving, still = {"X"}, [], []
    for node in nodes:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = map(_inside, node.input)
        copy.output[:] = map(_inside, node.output)
        if reached & set(node.input):
            reached |= set(node.output)
            moving.append(copy)
        else:
            still.append(copy)
    return moving, still


def _update(rule: str, dtype: Any, shape: list) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
    """x_next from x, G, y and step_size, and the constants that the whole ascent reads."""
    axes = list(range(1, len(shape)))
    stored = {"one": np.array(1, np.int64)}
    steps: list[onnx.NodeProto] = []

    def node(op: str, output: str, *inputs: str, **constants: Any) -> None:
        stored.update({name: np.array(value) for name, value in constants.items()})
        steps.append(helper.make_node(op, [*inputs, *constants], [output], name=output))

    if rule != "vanilla":  # a mean of zero: stay
        node("Abs", "size", "G")
        node("ReduceSum", "total", "size", axes=np.array(axes, np.int64))
        node("Mul", "mean", "total", share=dtype.type(1 / math.prod(shape[1:])))
        node("Div", "ratio", "step_size", "mean")
        node("Greater", "moves", "mean", zero=dtype.type(0))
        node("Where", "gain", "moves", "ratio", "zero")
    if rule == "sign":
        node("Mul", "length", "gain", "size")
        node("Sign", "direction", "x")
        node("Mul", "move", "length", "direction")
    else:
        node("Sign", "sign", "y")
        node("Reshape", "direction", "sign", sample=np.array([-1, *[1] * len(axes)], np.int64))
        node("Mul", "scale", "step_size" if rule == "vanilla" else "gain", "direction")
        node("Mul", "move", "scale", "G")
    node("Add", "x_next", "x", "move")
    return steps, {name: numpy_helper.from_array(value, name) for name, value in stored.items()}


def _stamped(model: onnx.ModelProto, origin: str) -> bytes:
    """The model's file: checked, with fastmag's version and where it comes from in its metadata."""
    model.producer_name, model.producer_version = "fastmag", __version__
    told = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, told | {"fastmag_version": __version__, "source_sha256": origin})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _try(gradient: bytes, ascent: bytes, rule: str) -> None:
    """Run both files: G against differences of y, and one update of the ascent against the rule's meaning on that G."""
    slope = InputGradient(gradient, threads=1)
    run = session(ascent, "the ascent", PROVIDERS["cpu"])
    batch = run.get_inputs()[0].shape[0]
    count = batch if isinstance(batch, int) else 2
    X = (0.05 * np.random.default_rng(0).standard_normal((count, *slope.shape))).astype(np.float32)
    want = ascend(X, slope.gradient, reference, step_size=GAMMA, n_steps=2, rule=rule) - X
    (got,) = run.run(["X_N"], {"X": X, "step_size": np.array(GAMMA, np.float32), "n_steps": np.array(2)})
    if not np.linalg.norm(got - X - want) <= CLOSE * np.linalg.norm(want):
        raise RuntimeError("the ascent as a graph disagrees with fastmag.ascent")


def _write(path: Path, content: bytes) -> None:
    file = WholeFile(path)
    try:
        file.path.write_bytes(content)
        file.commit()
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        file.discard()


def ends(model: onnx.ModelProto) -> str:
    """What goes in and what comes out, as "X (batch, 3, 36, 36) -> G (batch, 3, 36, 36), y (batch, 1)"."""

    def words(value: onnx.ValueInfoProto) -> str:
        shape = [d.dim_param or str(d.dim_value) for d in value.type.tensor_type.shape.dim]
        return f"{value.name} ({', '.join(shape)})" if shape else value.name

    return " -> ".join(", ".join(map(words, side)) for side in (model.graph.input, model.graph.output))
