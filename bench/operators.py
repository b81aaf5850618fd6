"""python -m bench.operators: where ONNX Runtime's CPU spends a gradient of the pulse network, by formulation.

Microseconds a sample by kind of operator on one thread (of each node the tenth percentile over the runs, as others may
use the machine), for other masks of ReLU and for a plain convolution at the input layer, each with its error.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from bench.gradient import error
from fastmag import models
from fastmag.export import rules, rules_layers
from fastmag.export.autodiff import gradient_model

BATCH, RUNS, LARGE = 8, 40, 1e30
KINDS = {"convolutions": ("Conv", "ConvTranspose"), "dense": ("Gemm", "FusedGemm", "MatMul"),
         "to and from blocks of channels": ("ReorderInput", "ReorderOutput")}  # fmt: skip


def _sign(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("Sign", tensor)


def _hard_sigmoid(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("HardSigmoid", tensor, alpha=LARGE, beta=0.0)


def _clip(tape: Any, tensor: str, *_: Any) -> str:
    large, zero, one = (tape.add_constant(v, "mask") for v in (LARGE, 0.0, 1.0))
    return tape.emit("Clip", tape.emit("Mul", tensor, large), zero, one)


def _tanh(tape: Any, tensor: str, *_: Any) -> str:
    return tape.emit("Tanh", tape.emit("Mul", tensor, tape.add_constant(LARGE, "mask")))


FORMULATIONS: dict[str, dict[str, Any]] = {
    "as shipped: Cast(Greater) masks": {},
    "Sign masks": {"step": _sign},
    "HardSigmoid masks": {"step": _hard_sigmoid},
    "Clip masks": {"step": _clip},
    "Tanh masks": {"step": _tanh},
    "Conv at the input layer": {"few": 0},
}


@contextmanager
def formulation(step: Any = None, few: int | None = None) -> Iterator[None]:
    """The rules of the reverse pass with another mask, or without ConvTranspose at the input."""
    before = rules.step, rules_layers.FEW_CHANNELS
    rules.step = step or before[0]
    rules_layers.FEW_CHANNELS = before[1] if few is None else few
    try:
        yield
    finally:
        rules.step, rules_layers.FEW_CHANNELS = before


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
    forward = models.path("pulse").read_bytes()
    X = np.random.default_rng(0).normal(0, 3e-3, (BATCH, 3, 36, 36)).astype(np.float32)
    kinds, true = (*KINDS, "the rest"), None
    print("| formulation | " + " | ".join(kinds) + " | all | error |\n" + "| --- " * (len(kinds) + 3) + "|")
    for name, changed in FORMULATIONS.items():
        with formulation(**changed):
            spent, G = profile(gradient_model(forward).SerializeToString(), X)
        true = G if true is None else true
        cells = " | ".join(f"{spent[kind]:.0f}" for kind in kinds)
        print(f"| {name} | {cells} | {sum(spent.values()):.0f} | {error(G, true):.1g} |", flush=True)


if __name__ == "__main__":
    main()
