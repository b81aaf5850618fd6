"""The card of a trained lift network, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from fastmag.errors import InputError
from fastmag.export.card import draw_curve
from fastmag.export.lift import RENDERED, SIZED
from fastmag.export.onnx_files import to_onnx

ALIKE = 1e-4  # units of the evidence by which torch and the exported network may differ
CARD = """# Lift network

| | |
| --- | --- |
| input | `X` (batch, 23, 128, 128) float32: the evidence of a section, made from the clip and the wave of the \
respiration network: slopes of the motion on the wave, where that network looks, how well places agree with the wave, \
texture, mean luma and its change, what else moves (`fastmag/motion/agreement.py`) |
| output | `y` (batch, 2, 128, 128): how far each place goes along, across and down, in the evidence's own unit \
(`fastmag/motion/lift.py`) |
| files | `lift.onnx`, opset 20 |
| weights | {weights} |
| data | {clips} rendered clips of {seconds:g} s, each whole and as two parts of 60 %, read with the shipped \
respiration network; tasks A-D and free motion, half of them as the paper films people, of the others a third seen \
from anywhere, with arms and things that rock, 40 % through H.264; one in ten held out; seed {seed} |
| training | {steps} steps of 10 lessons, AdamW {rate:g}, relative squared error of the motion + {rendered:g} log of \
the error of frames rendered five times as deep with it + {sized:g} squared error of the trunk's motion as a whole; \
mean of weights, torch {torch} |
| command | `fastmag train lift OUT --seed {seed} --clips {clips} --seconds {seconds:g} --steps {steps}{bf16}` |
| export against torch | {parity:.1e} |

Frames of people that were not trained on, rendered with it and the wave that was read, are nearer to the true ones than
the untouched ones by {scores} dB (brightness alone; 1 grey level squared
is added to every error; heads and what hardly moves are not left alone yet, as `fastmag/motion/lift.py` does).

Limits: trained on rendered people only, one in a picture. It fills in what moves along with what is seen to follow the
wave: where the wave is wrong, so is the map. Not for medical use.
"""


def publish(out: Path, plan, network, held_out: dict[str, float]) -> Path:
    """Export the network, compare it with torch, draw the curve and write the card; returns the card's path.

    Raises InputError if what is exported does not answer as the network does.
    """
    network = network.eval()
    path = out / "lift.onnx"
    to_onnx(network, network.shape, path)
    x = np.random.default_rng(plan.seed).normal(0, 0.5, (2, *network.shape)).astype(np.float32)
    with torch.no_grad():
        own = network(torch.from_numpy(x)).numpy()
    run = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    parity = float(np.abs(run.run(None, {"X": x})[0] - own).max())
    if not parity < ALIKE:
        raise InputError(f"{path} answers otherwise than the network, by {parity:.1e}: use another torch release")
    draw_curve(out, "dB nearer to the true frames, held-out people")
    card = out / "lift.md"
    card.write_text(
        CARD.format(
            weights=f"{sum(p.numel() for p in network.parameters()):,}", clips=plan.clips, seconds=plan.seconds,
            seed=plan.seed, steps=plan.steps, rate=plan.learning_rate, bf16=" --bf16" if plan.bf16 else "",
            torch=torch.__version__.split("+")[0], parity=parity, rendered=RENDERED, sized=SIZED,
            scores=", ".join(f"{kind} {value:+.1f}" for kind, value in held_out.items()),
        )
    )  # fmt: skip
    return card
