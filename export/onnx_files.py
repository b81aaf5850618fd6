"""From a PyTorch module to one ONNX file, and ONNX files read and written whole."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
from onnx import helper

from fastmag.errors import InputError
from fastmag.onnx_bytes import LARGEST, read, vet

if TYPE_CHECKING:
    import torch

OPSET = 20


def to_onnx(module: torch.nn.Module, shape: Sequence[int], path: str | Path | None = None) -> onnx.ModelProto:
    """Export a torch module in inference mode as a forward ONNX model, and write it to `path` if one is given.

    module: takes (batch, *shape) and returns one scalar per sample, (batch, 1) or (batch,).
    shape: of one sample, without the batch axis, e.g. (3, 36, 36).
    The model has the input "X" and the output "y", a dynamic batch axis, opset 20, the dtype of the module's
    parameters, and its weights inside the file. The module's mode and device are left as they were.
    """
    import torch

    parameter = next(module.parameters(), torch.zeros(()))
    example = torch.zeros((2, *shape), dtype=parameter.dtype, device=parameter.device)
    was_training = module.training
    module.eval()
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["X"],
                output_names=["y"],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                verbose=False,
            )
        assert program is not None
        model = without_traces(program.model_proto)
    finally:
        module.train(was_training)
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        save(model, path)
    return model


def save(model: onnx.ModelProto, path: str | Path) -> Path:
    """Write a model to one file; a file of that name stays whole until the new one is complete."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    try:
        unfinished.write_bytes(model.SerializeToString())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def load(source: str | Path | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """Read a model from a path or its bytes; weights in files beside that path are put inside.

    Raises InputError for what is no ONNX model, is not safe to run (see onnx_bytes.vet), or keeps weights elsewhere.
    """
    if isinstance(source, onnx.ModelProto):
        return source
    name = "the model" if isinstance(source, bytes) else str(source)
    content = source if isinstance(source, bytes) else read(source)
    vet(content, name, outside=not isinstance(source, bytes))
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exception class differs between its implementations
        raise InputError(f"{name} is not an ONNX model; export it again, e.g. with fastmag.export's to_onnx") from error
    if not model.graph.output:
        raise InputError(f"{name} is not an ONNX model with an output; export it again")
    if not isinstance(source, bytes):
        _take_in(model, Path(source))
    return model


def _take_in(model: onnx.ModelProto, path: Path) -> None:
    """Put weights that stand in other files of the model's folder into the model."""
    room = LARGEST - model.ByteSize()
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        try:
            data = _beside(path, tensor, room)
        except (OSError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: cannot read the weight {tensor.name!r} from its file ({error})") from error
        room -= len(data)
        tensor.raw_data = data
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, at whatever depth."""
    graphs, nodes = [model.graph], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes += graph.node
            continue
        for a in nodes.pop().attribute:
            yield from (a.t, *a.tensors) if a.HasField("t") else a.tensors
            graphs += [a.g, *a.graphs] if a.HasField("g") else a.graphs


def _beside(path: Path, tensor: onnx.TensorProto, room: int) -> bytes:
    """The bytes of a tensor in another file, which must lie in the model's folder, links followed."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.parent.resolve()
    file = (folder / told.get("location", "")).resolve()
    if not file.is_relative_to(folder):
        raise InputError(
            f"{path} keeps the weight {tensor.name!r} outside its folder ({told['location']!r}); "
            "put all files of a model into one folder"
        )
    if not file.is_file():
        raise InputError(f"{path} keeps the weight {tensor.name!r} in {file.name!r}, which is missing: add that file")
    width = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    offset, size = int(told.get("offset", 0)), math.prod(tensor.dims) * width
    length = int(told.get("length", size))
    if min(offset, length, *tensor.dims, 0) < 0 or length != size or offset + size > file.stat().st_size:
        raise InputError(f"{path}: {file.name!r} does not hold the weight {tensor.name!r} as claimed; export it again")
    if size > room:
        raise InputError(f"{path} has more than 2 GB of weights, which one file cannot hold; use a smaller network")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model without the exporter's notes, which quote source lines and paths of the exporting machine."""
    graph = model.graph
    for holder in [model, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output]:
        if hasattr(holder, "metadata_props"):
            del holder.metadata_props[:]
        holder.ClearField("doc_string")
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings about absent optional packages off the screen."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            log.setLevel(level)
