"""python -m bench.operators [pulse|respiration]: where ONNX Runtime's CPU spends a gradient, by formulation.

Microseconds a sample by kind of operator on one thread (of each node the tenth percentile over the runs, as others may
use the machine), for other ways to write what is slow, each with its error. The respiration network is one of the
same layers that has learnt nothing.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from bench.gradient import SHAPES, SIZES, error
from fastmag import models
from fastmag.export import rules, rules_layers
from fastmag.export.autodiff import gradient_model
from fastmag.export.tape import attribute

BATCH, RUNS, LARGE = 8, 40, 1e30
KINDS = {"convolutions": ("Conv", "ConvTranspose"), "dense": ("Gemm", "FusedGemm", "MatMul"),
         "pooling": ("AveragePool", "Resize", "Upsample"), "Elu": ("Elu",),
         "to and from blocks of channels": ("ReorderInput", "ReorderOutput")}  # fmt: skip
Change = tuple[Any, str, Any]  # of a module or a dictionary: its name and what it is in the meantime


def _sign(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("Sign", tensor)


def _hard_sigmoid(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("HardSigmoid", tensor, alpha=LARGE, beta=0.0)


def _clip(tape: Any, tensor: str, *_: Any) -> str:
    large, zero, one = (tape.add_constant(v, "mask") for v in (LARGE, 0.0, 1.0))
    return tape.emit("Clip", tape.emit("Mul", tensor, large), zero, one)


def _tanh(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("Tanh", tape.emit("Mul", tensor, tape.add_constant(LARGE, "mask")))


def _elu(tape: Any, node: Any, g: Any) -> Any:
    alpha = attribute(node, "alpha", 1.0)
    below = tape.emit("Min", node.output[0], tape.add_constant(0.0, "zero"))
    above = rules.affine(tape, rules.step(tape, node.output[0]), 1 - alpha, alpha)
    return {node.input[0]: tape.times(g, tape.emit("Add", below, above), full=True)}


PULSE: dict[str, list[Change]] = {
    "as shipped: Cast(Greater) masks": [],
    "Sign masks": [(rules, "step", _sign)],
    "HardSigmoid masks": [(rules, "step", _hard_sigmoid)],
    "Clip masks": [(rules, "step", _clip)],
    "Tanh masks": [(rules, "step", _tanh)],
    "Conv at the input layer": [(rules_layers, "FEW_CHANNELS", 0)],
}
RESPIRATION: dict[str, list[Change]] = {
    "as shipped": [],
    "Elu as it stands, its slope from y": [(rules.RULES, "Elu", _elu)],
    "AveragePool at the input": [(rules_layers, "pooled_by_convolution", lambda *_: None)],
}


@contextmanager
def formulation(changes: list[Change]) -> Iterator[None]:
    """The rules of the reverse pass with other parts."""
    before = []
    for owner, name, value in changes:
        known = owner if isinstance(owner, dict) else vars(owner)
        before.append((known, name, known[name]))
        known[name] = value
    try:
        yield
    finally:
        for known, name, value in before:
            known[name] = value


def respiration() -> bytes:
    """The respiration network, untrained."""
    import torch

    from fastmag.export.networks import FoldedRespiration, RespirationNet
    from fastmag.export.onnx_files import to_onnx

    torch.manual_seed(0)
    network = FoldedRespiration(RespirationNet()).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "respiration.onnx"
        to_onnx(network, RespirationNet.shape, path)
        return path.read_bytes()


def profile(content: bytes, X: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """(microseconds a sample by kind of operator, dy/dX)."""
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.enable_profiling, options.log_severity_level = 1, True, 4
        options.profile_file_prefix = str(Path(folder) / "run")
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for _ in range(RUNS):
            G = session.run(["G"], {"X": X})[0]
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            nodes[event["args"]["op_name"], event["name"]].append(event["dur"])
    spent: dict[str, float] = dict.fromkeys((*KINDS, "the rest"), 0.0)
    for (operator, _), times in nodes.items():
        kind = next((kind for kind, operators in KINDS.items() if operator in operators), "the rest")
        spent[kind] += float(np.percentile(times, 10)) / len(X)
    return spent, np.asarray(G)


def main() -> None:
    """Print the table."""
    name = sys.argv[1] if len(sys.argv) > 1 else "pulse"
    table = {"pulse": PULSE, "respiration": RESPIRATION}[name]
    X = np.random.default_rng(0).normal(0, SIZES[name], (BATCH, *SHAPES[name])).astype(np.float32)
    forward = models.path("pulse").read_bytes() if name == "pulse" else respiration()
    kinds, true = (*KINDS, "the rest"), None
    print("| formulation | " + " | ".join(kinds) + " | all | error |\n" + "| --- " * (len(kinds) + 3) + "|")
    for said, changes in table.items():
        with formulation(changes):
            spent, G = profile(gradient_model(forward).SerializeToString(), X)
        true = G if true is None else true
        cells = " | ".join(f"{spent[kind]:.0f}" for kind in kinds)
        print(f"| {said} | {cells} | {sum(spent.values()):.0f} | {error(G, true):.1g} |", flush=True)


if __name__ == "__main__":
    main()
