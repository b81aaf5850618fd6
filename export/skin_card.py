"""What a trained skin network comes with: the ONNX file, its card and its learning curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from fastmag.export.card import CREDIT, draw_curve
from fastmag.export.onnx_files import to_onnx

CARD = """# Skin network

| | |
| --- | --- |
| input | `X` (batch, 18, 36, 36) float32: the clues of `fastmag/coherent/clues.py` at every third frame of 30 a \
second: colour over the usual skin's, level, abs dy/dX, the map so far, motion, noise, how well a cell follows p |
| output | `y` (batch, 36, 36): how strongly each cell beats, 1 the usual skin, in 0..2 |
| files | `skin.onnx`, opset 20 |
| weights | {weights} |
| data | {clips} rendered clips of {seconds:g} s or half of it, tasks A-D and free motion, 20 % through H.264; \
{people}; clues gathered with the shipped pulse network; one in ten held out; seed {seed} |
| training | {steps} steps of 6 clips x 8 frames, AdamW {rate:g}, loss log(error of the change + 0.06) at each clip's \
best amplitude, a tenth of it at the map's own, mean of weights, torch {torch} |
| command | `fastmag train skin OUT --seed {seed} --clips {clips} --seconds {seconds:g} --steps {steps}{bf16}{heads}` |
| ONNX against torch | {parity:.1e} |

Error of the change that its map makes, below that of no change, dB, {judges} rendered clips that were not trained on, \
the map without a network in brackets: {scores}.

{credit}Limits: trained on rendered people only, with the mistakes that the shipped pulse network makes on them.
Not for medical use.
"""


def publish(out: Path, plan, network, held_out: dict[str, float], without: dict[str, float], x: np.ndarray) -> Path:
    """Export the network, compare it with torch at x (B, 18, 36, 36), draw the curve and write the card; returns the
    card's path."""
    network = network.eval().to(memory_format=torch.contiguous_format)
    to_onnx(network, network.shape, out / "skin.onnx")
    session = onnxruntime.InferenceSession(out / "skin.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        parity = float(np.abs(session.run(["y"], {"X": x})[0] - network(torch.from_numpy(x)).numpy()).max())
    draw_curve(out, "nearer to the truth than no change, held-out people (dB)")
    names = ", ".join(Path(head).name for head in plan.heads)
    path = out / "skin.md"
    path.write_text(
        CARD.format(
            weights=f"{sum(p.numel() for p in network.parameters()):,}",
            clips=plan.clips,
            seconds=plan.seconds,
            people=f"45 % on the head {names}, the rest procedural" if names else "procedural heads",
            seed=plan.seed,
            steps=plan.steps,
            rate=plan.learning_rate,
            torch=torch.__version__.split("+")[0],
            bf16=" --bf16" if plan.bf16 else "",
            heads="".join(f" --head {Path(head).name}" for head in plan.heads),
            parity=parity,
            judges=plan.clips // 10,
            scores=", ".join(f"{task} {db:.1f} ({without[task]:.1f})" for task, db in held_out.items()),
            credit=CREDIT if plan.heads else "",
        )
    )
    return path
