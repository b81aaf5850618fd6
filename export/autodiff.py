"""From a forward ONNX graph y = f(X) to an ONNX graph of dy/dX: a walk backwards with one rule per operator."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from fastmag.errors import InputError
from fastmag.export import rules_curves, rules_layers, rules_shape, rules_spatial  # noqa: F401  (they register rules)
from fastmag.export.inlining import inlined
from fastmag.export.onnx_files import load, without_traces
from fastmag.export.rules import RULES, SEVERAL_OUTPUTS
from fastmag.export.tape import Array, Cotangent, Shape, Tape, needed, refusal, size

OLDEST_OPSET = 13
# Operators whose output does not change with small changes of their input: the gradient stops there.
FLAT = {"ArgMax", "ArgMin", "Ceil", "ConstantOfShape", "Equal", "Floor", "Greater", "GreaterOrEqual", "Less",
        "LessOrEqual", "Round", "Shape", "Sign", "Size"}  # fmt: skip
MOST_ELEMENTS = 1 << 28  # of one tensor, a sample's or a weight's
SHARED = 1024  # elements from which on a weight that can be computed from another one is not stored a second time


def gradient_model(forward: onnx.ModelProto | str | Path | bytes, share: bool = False) -> onnx.ModelProto:
    """The gradient of a network's output in its input, as an ONNX graph.

    forward: one input X (batch, ...) of float32 (or float64), fixed but for the batch axis, and one output y with one
        scalar per sample, (batch, 1) or (batch,); opset 13 or later.
    share: store every weight once. The turned and scaled weights of the way back become nodes, which ONNX Runtime
        computes while it loads the model: a file about the size of the network instead of twice that.
    Returns a model with the input "X" and the outputs "G" = dy/dX (the shape of X) and "y"; opset and dtype are kept.
    Raises InputError, naming the node, for an operator without a rule (supported() lists those that have one).
    """
    model = onnx.ModelProto()
    model.CopyFrom(load(forward))
    without_traces(model)
    try:
        model = _inlined(model)
        x, y = _ends(model)
        _check_order(model.graph)
        _rename(model.graph, x, y)
        _path(model.graph)
        model = _with_shapes(model)
        tape, path = _tape(model)
    except (UnicodeDecodeError, LookupError) as error:  # names that are no text, types that do not exist
        raise InputError(f"the model is damaged ({error}); export it again") from error
    return _assemble(model, tape, _walk(tape, path), share)


def supported() -> str:
    return ", ".join(sorted(RULES))


def _ends(model: onnx.ModelProto) -> tuple[str, str]:
    """The names of the one input and the one output, checked."""
    graph = model.graph
    stored = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in stored]
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise InputError(
            f"the model has opset {opset}, expected {OLDEST_OPSET} to {newest}; "
            "use onnx.version_converter.convert_version"
        )
    if {o.name for o in graph.output} == {"G", "y"}:
        raise InputError("the model is a gradient already (G and y); give the network that it was made of")
    if len(inputs) != 1 or len(graph.output) != 1 or inputs[0].name == graph.output[0].name:
        listed = [", ".join(v.name for v in list(side)[:5]) or "none" for side in (inputs, graph.output)]
        raise InputError(
            f"the model has {len(inputs)} inputs ({listed[0]}) and {len(graph.output)} outputs ({listed[1]}), expected "
            "one of each; export the part of the network between X (batch, ...) and y (batch, 1)"
        )
    kind = inputs[0].type.tensor_type
    shape = _shape(inputs[0])
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise InputError(f"the model's input is not float32; export the network in float32 (input {inputs[0].name!r})")
    if len(shape) < 2 or None in shape[1:]:
        raise InputError(
            f"the model's input has the shape {_words(shape)}, expected (batch, ...) with only the batch left open; "
            "export it with a fixed size of one sample"
        )
    return inputs[0].name, graph.output[0].name


def _shape(value: onnx.ValueInfoProto) -> Shape:
    dimensions = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dimensions)


def _words(shape: Shape) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"


def _rename(graph: onnx.GraphProto, x: str, y: str) -> None:
    """Call the input X and the output y, and free those names and G from whatever else bears them."""
    names = {name for node in graph.node for name in (*node.input, *node.output)} | {i.name for i in graph.initializer}
    mapping = {"": ""}
    for name in ("X", "y", "G"):
        free = name + "_"
        while free in names:
            free += "_"
        mapping[name] = free
    mapping |= {x: "X", y: "y"}
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [mapping.get(name, name) for name in field]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = mapping.get(value.name, value.name)
    del graph.value_info[:]


def _path(graph: onnx.GraphProto) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto], set[str]]:
    """The nodes that y needs, those of them through which it depends on X, and the tensors that depend on X.

    Raises InputError for nodes among them that nobody can differentiate.
    """
    kept, _ = needed(graph.node, ["y"])
    reached = {"X"}
    path = []
    for node in kept:
        if reached & set(node.input) and not (node.op_type in FLAT and node.domain in ("", "ai.onnx")):
            reached |= set(node.output)
            path.append(node)
    _refuse_unsupported(kept, path)
    if "y" not in reached:
        raise InputError("the model's output does not change smoothly with its input; export a network that does")
    return kept, path, reached


def _tape(model: onnx.ModelProto) -> tuple[Tape, list[onnx.NodeProto]]:
    """A tape over the forward nodes that y needs, and those of them through which it depends on X."""
    graph = model.graph
    kept, path, reached = _path(graph)
    constants = {i.name: _weight(i) for i in graph.initializer}
    taken = reached | set(constants) | {name for node in graph.node for name in node.output}
    element = next(i for i in graph.input if i.name == "X").type.tensor_type.elem_type
    shapes = {v.name: _shape(v) for v in (*graph.value_info, *graph.input, *graph.output)}
    tape = Tape(
        producers={name: node for node in kept for name in node.output}, shapes=shapes, constants=constants,
        active=reached, dtype=np.dtype(helper.tensor_dtype_to_np_dtype(element)), taken=taken, nodes=list(kept),
        opset=next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
    )  # fmt: skip
    shape = tape.shapes.get("y", ())
    if not shape or any(n != 1 for n in shape[1:]):
        raise InputError(
            f"the model's output has the shape {_words(shape)}, expected (batch, 1) or (batch,): a scalar per sample; "
            "export the network with the one output whose gradient is wanted"
        )
    return tape, path


def _check_order(graph: onnx.GraphProto) -> None:
    """InputError unless every tensor is made once, before it is read."""
    made = {"", *(i.name for i in graph.initializer), *(i.name for i in graph.input)}
    for node in graph.node:
        for name in node.input:
            if name not in made:
                raise InputError(
                    f"the model's node {node.name or node.op_type!r} reads {name!r}, which nothing before it makes: a "
                    "cycle or a missing weight; export it again"
                )
        if any(name and name in made for name in node.output):
            raise InputError(f"the model's node {node.name or node.op_type!r} makes what there is; export it again")
        made |= set(node.output)


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return inlined(model)
    except InputError:
        raise
    except Exception as error:
        raise _invalid(error) from error


def _weight(tensor: onnx.TensorProto) -> Array:
    try:
        array = numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model's weight {tensor.name!r} is damaged ({error}); export it again") from error
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise InputError(f"the model's weight {tensor.name!r} has values that are NaN; train the network again")
    return array


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shape of every tensor that can be inferred, once ONNX finds it valid."""
    try:
        shaped = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(shaped)
    except Exception as error:
        raise _invalid(error) from error
    graph = shaped.graph
    for value in (*graph.value_info, *graph.input, *graph.output):
        shape = _shape(value)
        if size(n or 1 for n in shape) > MOST_ELEMENTS:
            raise InputError(
                f"the model has a tensor of the shape {_words(shape)} ({value.name!r}), expected at most "
                f"{MOST_ELEMENTS:,} elements; use a smaller input"
            )
    return shaped


def _invalid(error: Exception) -> InputError:
    """What ONNX's C++ side, which raises classes of its own, said."""
    why = " ".join(str(error).split())[:200]
    return InputError(f"the model is not valid or its shapes do not fit ({why}); export it again")


def _refuse_unsupported(kept: list[onnx.NodeProto], path: list[onnx.NodeProto]) -> None:
    """InputError for nodes of a foreign domain, nodes with graphs inside, and those on the way that have no rule."""
    inner = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    bad = [n for n in kept if n.domain not in ("", "ai.onnx") or any(a.type in inner for a in n.attribute)]
    bad += [n for n in path if n.op_type not in RULES and n not in bad]
    if bad:
        counts = Counter(f"{n.domain}.{n.op_type}".lstrip(".") for n in bad)
        first = bad[0].name or bad[0].output[0]
        raise InputError(
            f"no gradient for the operator {', '.join(counts)} (node {first!r}); supported: {supported()}; "
            "replace that layer by supported ones and export again"
        )


def _walk(tape: Tape, path: list[onnx.NodeProto]) -> Cotangent:
    """Apply the rules from y back to X; the cotangents that meet in a tensor are added."""
    seed = tape.add_constant(np.ones([1] * len(tape.shapes["y"])), "seed")
    cotangents = {"y": Cotangent(seed, np.ones(()))}
    for node in reversed(path):
        found = [cotangents.pop(name, None) for name in node.output]
        if not any(found):
            continue
        if any(found[1:]) and node.op_type not in SEVERAL_OUTPUTS:
            raise refusal(node, "y depends on more than its first output")
        for name, to_input in _apply_rule(tape, node, found).items():
            if name in tape.active:
                known = cotangents.get(name)
                cotangents[name] = to_input if known is None else tape.sum(known, to_input)
    return tape.spread_batch(tape.applied(cotangents["X"]), "X")


def _apply_rule(tape: Tape, node: onnx.NodeProto, found: list[Cotangent | None]) -> dict[str, Cotangent]:
    rule = RULES[node.op_type]
    try:
        if node.op_type in SEVERAL_OUTPUTS:
            return rule(tape, node, [g or tape.zeros(name) for g, name in zip(found, node.output, strict=True)])
        return rule(tape, node, found[0])
    except InputError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise refusal(node, f"its attributes and inputs do not fit together ({error})") from error


def _assemble(model: onnx.ModelProto, tape: Tape, g: Cotangent, share: bool) -> onnx.ModelProto:
    """The forward and the backward nodes that y and G need, in one checked model."""
    last = next((n for n in tape.nodes if g.name in n.output), None)
    if last is None or g.name in tape.producers or any(g.name in n.input for n in tape.nodes):
        tape.nodes.append(helper.make_node("Identity", [g.name], ["G"], name="G"))
    else:
        last.output[:] = ["G" if name == g.name else name for name in last.output]
    nodes = tape.nodes
    if share:  # recipes read constants alone, so they may stand after the forward nodes, which may compute those
        large = [node for name, node in tape.recipes.items() if tape.constants[name].size >= SHARED]
        nodes = [*nodes[: tape.forward], *large, *nodes[tape.forward :]]
    nodes, names = needed(nodes, ["G", "y"])
    made = {name for node in nodes for name in node.output}
    stored = [name for name in tape.constants if name in names and name not in made]
    x = next(i for i in model.graph.input if i.name == "X")
    slope = onnx.ValueInfoProto()
    slope.CopyFrom(x)
    slope.name = "G"
    graph = helper.make_graph(
        nodes, "gradient", [x], [slope, model.graph.output[0]],
        [numpy_helper.from_array(tape.constants[name], name) for name in stored],
    )  # fmt: skip
    opsets = [o for o in model.opset_import if o.domain in ("", "ai.onnx")]
    result = helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version, producer_name="fastmag")
    onnx.checker.check_model(result, full_check=True)
    return result
