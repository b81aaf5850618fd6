"""From a PyTorch module to one ONNX file, and ONNX files read and written whole."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from fastmag.errors import InputError

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
    """Read a model from a path or its bytes. Raises InputError if that is no ONNX model whose weights are inside."""
    if isinstance(source, onnx.ModelProto):
        return source
    name = "the model" if isinstance(source, bytes) else str(source)
    try:
        content = source if isinstance(source, bytes) else Path(source).read_bytes()
        model = onnx.load_model_from_string(content)
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}; give the path of an ONNX file") from error
    except Exception as error:  # protobuf's own exception class differs between its implementations
        raise InputError(f"{name} is not an ONNX model; export it again, e.g. with fastmag.export's to_onnx") from error
    if not model.graph.output:
        raise InputError(f"{name} is not an ONNX model with an output; export it again")
    if any(i.data_location == onnx.TensorProto.EXTERNAL for i in model.graph.initializer):
        raise InputError(f"{name} keeps its weights in another file; export it with external_data=False")
    return model


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
