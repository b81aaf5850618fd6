"""Models from anywhere: refused in one line, with nothing written and no file read outside the model's folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from test_autodiff_graphs import small_net

import fastmag
from fastmag.cli import main
from fastmag.errors import InputError
from fastmag.export.graphs import write_all
from fastmag.export.onnx_files import save
from fastmag.gradients import InputGradient
from fastmag.onnx_bytes import vet
from fastmag.params import Pulse


def changed(change: Callable[[onnx.ModelProto], None]) -> onnx.ModelProto:
    model = small_net().model()
    change(model)
    return model


def attribute(model: onnx.ModelProto, node: int, name: str) -> onnx.AttributeProto:
    return next(a for a in model.graph.node[node].attribute if a.name == name)


def before_all(model: onnx.ModelProto, *nodes: onnx.NodeProto, **constants: Any) -> None:
    """Nodes put in front of the network; the last one makes "X2", which it then takes in place of X."""
    for at, node in enumerate(nodes):
        model.graph.node.insert(at, node)
    model.graph.node[len(nodes)].input[0] = "X2"
    model.graph.initializer.extend(numpy_helper.from_array(np.array(v), name) for name, v in constants.items())


def filled(model: onnx.ModelProto, *nodes: onnx.NodeProto, **constants: Any) -> None:
    """A tensor of the size that the nodes compute as "n", summed and added to X."""
    before_all(
        model, *nodes, helper.make_node("ConstantOfShape", ["n"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["sum"], keepdims=0), helper.make_node("Add", ["X", "sum"], ["X2"]),
        **constants,
    )  # fmt: skip


def weight(model: onnx.ModelProto, value: float) -> None:
    tensor = model.graph.initializer[0]
    array = numpy_helper.to_array(tensor).copy()
    array.flat[3] = value
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def sized(model: onnx.ModelProto, *sizes: int) -> None:
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim[1:], sizes, strict=True):
        dim.dim_value = size


def recursive(model: onnx.ModelProto) -> None:
    opsets = [helper.make_opsetid("own", 1), helper.make_opsetid("", 20)]
    call = helper.make_node("F", ["a"], ["b"], domain="own")
    model.functions.append(helper.make_function("own", "F", ["a"], ["b"], [call], opsets))
    model.opset_import.append(opsets[0])
    before_all(model, helper.make_node("F", ["X"], ["X2"], domain="own"))


def nested(model: onnx.ModelProto) -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["X"], ["b"])], "b", [], [helper.make_tensor_value_info("b", 1, None)]
    )
    before_all(model, helper.make_node("If", ["c"], ["X2"], then_branch=inner, else_branch=inner), c=True)


def dense(model: onnx.ModelProto) -> None:
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("i", TensorProto.INT64, [1, 2], [0, 0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 20, 1 << 20]))


def more_ends(model: onnx.ModelProto, inputs: int, outputs: int) -> None:
    model.graph.input.extend(helper.make_tensor_value_info(f"in{i}", 1, ["batch", 2]) for i in range(inputs))
    model.graph.output.extend(helper.make_tensor_value_info(f"t{i}", 1, None) for i in range(outputs))


def scalar_less(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-2].output[0]


HUGE = 1 << 33
MODELS: dict[str, tuple[Callable[[onnx.ModelProto], Any], str]] = {
    "a huge input": (lambda m: sized(m, 3, 8, 1 << 40), "shapes do not fit"),
    "an input that overflows": (lambda m: sized(m, 1 << 62, 1 << 62, 4), "shapes do not fit"),
    "a negative input": (lambda m: sized(m, 3, -8, 9), "(?, 3, ?, 9)"),
    "a weight of 2 GB": (lambda m: m.graph.initializer[0].dims.__setitem__(0, 20_000_000), "claims"),
    "a weight without data": (lambda m: m.graph.initializer[0].ClearField("raw_data"), "claims"),
    "a negative weight": (lambda m: m.graph.initializer[0].dims.__setitem__(0, -8), "negative size"),
    "a weight of many axes": (lambda m: m.graph.initializer[0].dims.extend([1] * 9999), "10003 axes"),
    "a weight of an unknown type": (lambda m: setattr(m.graph.initializer[0], "data_type", 77), "damaged (77)"),
    "a weight in the attribute of a node": (
        lambda m: before_all(m, helper.make_node("Constant", [], ["k"], value=TensorProto(dims=[1 << 40], data_type=1)),
                             helper.make_node("Add", ["X", "k"], ["X2"])), "claims",
    ),
    "a tensor of 32 GB": (lambda m: filled(m, n=[HUGE]), "(8589934592)"),
    "a tensor whose size is computed": (
        lambda m: filled(m, helper.make_node("Mul", ["k", "k"], ["n"]), k=[1 << 17]), "(17179869184)",
    ),
    "a tensor whose size comes from X": (
        lambda m: filled(m, helper.make_node("Shape", ["X"], ["s"], start=1, end=2),
                         helper.make_node("Mul", ["s", "k"], ["n"]), k=[HUGE]), "(25769803776)",
    ),
    "huge padding": (lambda m: attribute(m, 0, "pads").ints.__setitem__(slice(4), [1 << 30] * 4), "do not fit"),
    "a negative stride": (lambda m: attribute(m, 0, "strides").ints.__setitem__(0, -1), "strides"),
    "no groups": (lambda m: setattr(attribute(m, 0, "group"), "i", 0), "in 0 groups"),
    "sparse weights": (dense, "sparse"),
    "a cycle": (lambda m: m.graph.node[0].input.__setitem__(0, m.graph.node[2].output[0]), "cycle"),
    "a node that reads itself": (lambda m: m.graph.node[1].input.__setitem__(0, m.graph.node[1].output[0]), "cycle"),
    "a missing weight": (lambda m: m.graph.initializer.pop(0), "missing weight"),
    "a tensor made twice": (lambda m: m.graph.node[1].output.__setitem__(0, m.graph.node[0].output[0]), "makes what"),
    "no nodes": (lambda m: m.graph.ClearField("node"), "does not change"),
    "a function that calls itself": (recursive, "calls itself"),
    "a line break in a name": (lambda m: setattr(m.graph.node[1], "op_type", "Re\n\x1b[2Jlu"), "operator Re  [2Jlu"),
    "a graph in a node": (nested, "no gradient for the operator If"),
    "NaN": (lambda m: weight(m, np.nan), "NaN"),
    "infinity": (lambda m: weight(m, np.inf), "not a finite number"),
    "an old opset": (lambda m: setattr(m.opset_import[0], "version", 7), "opset 7, expected 13"),
    "an opset to come": (lambda m: setattr(m.opset_import[0], "version", 99), "opset 99, expected 13"),
    "no opset": (lambda m: m.ClearField("opset_import"), "opset 0"),
    "a format to come": (lambda m: setattr(m, "ir_version", 99), "ir_version 99"),
    "several inputs": (lambda m: more_ends(m, 2, 0), "3 inputs (X, in0, in1)"),
    "several outputs": (lambda m: more_ends(m, 0, 1), "2 outputs (y, t0)"),
    "an output that is no scalar": (scalar_less, "a scalar per sample"),
}  # fmt: skip


def refused(path: Path, words: str) -> None:
    """As a network to export, and as --model: one line, and nothing is left behind."""
    before = sorted(path.parent.iterdir())
    frames = np.zeros((40, 48, 48, 3), np.uint8)
    uses = {
        "export": lambda: write_all(path, path.parent / "out"),
        "network": lambda: InputGradient(path, threads=1),
        "magnify": lambda: fastmag.magnify(frames, method=Pulse(model=str(path)), fps=30),
    }
    for name, use in uses.items():
        with pytest.raises(InputError) as caught:
            use()
        said = str(caught.value)
        assert "\n" not in said and len(said) < 900 and path.name.replace("\0", " ") in said, said
        assert words in said or (name == "magnify" and "expected (3, 36, 36)" in said), said
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize("name", MODELS)
def test_hostile_models(name: str, tmp_path: Path) -> None:
    change, words = MODELS[name]
    refused(save(changed(change), tmp_path / "net.onnx"), words)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    whole = small_net().model().SerializeToString()
    contents = {
        "empty": b"", "zeros": bytes(5000), "text": b"no model\n" * 99, "cut": whole[: len(whole) // 2],
        "png": b"\x89PNG\r\n\x1a\n" + bytes(99), "zip": b"PK\x03\x04" + whole, "early": whole[:-1],
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / f"{name}.onnx").write_bytes(content)
        refused(tmp_path / f"{name}.onnx", "not an ONNX model")
    os.mkfifo(tmp_path / "pipe.onnx")
    refused(tmp_path / "pipe.onnx", "no regular file")
    (tmp_path / "device.onnx").symlink_to("/dev/zero")
    refused(tmp_path / "device.onnx", "no regular file")
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(3_000_000_000)  # a hole: no bytes on the disk
    refused(tmp_path / "large.onnx", "3.0 GB")
    refused(tmp_path / "absent.onnx", "No such file")
    refused(tmp_path / "nu\0l.onnx", "null byte") if sys.version_info < (3, 13) else None


# Weights in other files


def with_data(folder: Path, location: str, **entries: str) -> Path:
    """A model in `folder` whose first weight is said to be at `location`; where that is, a right file."""
    model = small_net().model()
    tensor = model.graph.initializer[0]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (folder / "weights.bin").write_bytes(b"1234" + data + b"5678")
    return save(model, folder / "net.onnx")


@pytest.fixture
def opened() -> Any:
    """The paths that Python opened, from here on."""
    paths: list[str] = []
    active = [True]

    def hook(event: str, arguments: tuple) -> None:
        if active and event == "open":
            paths.append(str(arguments[0]))

    sys.addaudithook(hook)
    yield paths
    active.clear()


OFFSET = {"offset": "4", "length": "864"}


def test_weights_beside_the_model(tmp_path: Path) -> None:
    """As PyTorch writes them: the same network as with its weights inside."""
    path = with_data(tmp_path, "weights.bin", **OFFSET)
    X = np.random.default_rng(0).standard_normal((2, 3, 8, 9)).astype(np.float32)
    want = InputGradient(small_net().model(), threads=1)(X)
    np.testing.assert_array_equal(InputGradient(path, threads=1)(X), want)
    gradient = write_all(path, tmp_path / "out")[0]
    np.testing.assert_array_equal(InputGradient(gradient.path, threads=1)(X), want)
    with pytest.raises(InputError, match="another file"):
        InputGradient(path.read_bytes())


@pytest.mark.parametrize("way", ["up", "absolute", "link", "link to a folder", "up and back"])
def test_weights_outside_the_folder_are_not_read(way: str, tmp_path: Path, opened: list[str]) -> None:
    folder, outside = tmp_path / "model", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    with_data(outside, "weights.bin", **OFFSET)
    location = {
        "up": "../outside/weights.bin", "absolute": str(outside / "weights.bin"), "link": "link.bin",
        "link to a folder": "there/weights.bin", "up and back": "x/../../outside/weights.bin",
    }[way]  # fmt: skip
    path = with_data(folder, location, **OFFSET)
    (folder / "link.bin").symlink_to(outside / "weights.bin")
    (folder / "there").symlink_to(outside)
    del opened[:]
    refused(path, "outside its folder")
    assert str(path) in opened and not [name for name in opened if name.startswith(str(outside))]


@pytest.mark.parametrize(
    ("location", "entries", "words"),
    [
        ("weights.bin", {"offset": "-4", "length": "864"}, "as claimed"),
        ("weights.bin", {"offset": "4", "length": "9999999999999"}, "as claimed"),
        ("weights.bin", {"offset": "900"}, "as claimed"),
        ("weights.bin", {"offset": "four"}, "cannot read the weight"),
        ("absent.bin", {}, "missing"),
        ("", {}, "missing"),
        ("nu\0l", {}, "cannot read the weight"),
    ],
)
def test_weights_that_are_not_as_claimed(location: str, entries: dict, words: str, tmp_path: Path) -> None:
    refused(with_data(tmp_path, location, **entries), words)


def test_weights_outside_are_seen_at_any_depth() -> None:
    """In the attribute of a node within a branch of a node."""
    tensor = TensorProto(dims=[1], data_type=1, data_location=TensorProto.EXTERNAL)
    constant = helper.make_node("Constant", [], ["k"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    inner = helper.make_graph([constant], "b", [], [helper.make_tensor_value_info("k", 1, None)])
    model = changed(
        lambda m: m.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    )
    with pytest.raises(InputError, match="another file"):
        vet(model.SerializeToString(), "net")


# The command, and damage at random


@pytest.mark.parametrize("arguments", [["export", "NET", "OUT"], ["magnify", "CLIP", "OUT.mp4", "--model", "NET"]])
def test_commands_say_it_in_one_line(
    arguments: list, tmp_path: Path, beating: Any, capsys: Any, monkeypatch: Any
) -> None:
    from fastmag.video import write_rgb

    write_rgb(tmp_path / "CLIP.mp4", beating[:60], 30)
    save(changed(lambda m: weight(m, np.nan)), tmp_path / "NET")
    (tmp_path / "CLIP.mp4").rename(tmp_path / "CLIP")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fastmag", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1 and "NET" in said and "NaN" in said
    assert sorted(os.listdir(tmp_path)) == ["CLIP", "NET"]


WHOLE = small_net().model().SerializeToString()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_damage_is_refused_or_harmless(changes: list[tuple[int, int]], at_the_ends: bool) -> None:
    """Bytes changed anywhere, or where the structure is (the weights take the middle): InputError or a network."""
    content = bytearray(WHOLE)
    for place, value in changes:
        content[-1 - place % 400 if at_the_ends else place] = value
    try:
        InputGradient(bytes(content), threads=1)
    except InputError as error:
        assert "\n" not in str(error)
