"""What a trained network comes with: ONNX files, a model card and its learning curve."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from fastmag.export.autodiff import gradient_model
from fastmag.export.networks import FoldedRespiration
from fastmag.export.onnx_files import save, to_onnx
from fastmag.export.parity import Parity, check_parity

CARD = """# Pulse network

| | |
| --- | --- |
| input | `X` (batch, 3, 36, 36) float32: (c' - c) / (c' + c + 8) of RGB grey levels 0..255 at 30 frames/s |
| output | `y` (batch, 1): the derivative of the blood volume pulse, standard deviation 1 on average |
| files | `pulse.onnx` (forward), `pulse_gradient.onnx` (`X` -> `G` = dy/dX and `y`), opset 20 |
| weights | {weights} |
| data | {data}; seed {seed} |
| training | {steps} steps of 5 x 40 frames, AdamW {rate:g}, loss 1 - r + 0.1 MSE, mean of weights, torch {torch} |
| command | `{command}` |
| gradient against torch | {parity} |

Mean correlation of y with the truth, {held_out} that were not trained on: {scores}.

{heads}Limits: trained on rendered people only. It reads skin whose pulse shows in 8 bits; strong compression, a face
that fills less than about a fifth of the picture, or light that flickers near the pulse's rate can defeat it.
Not for medical use.
"""
CREDIT = "The scanned head is by Lee Perry-Smith, triplegangers.com, CC BY 3.0; its shape and skin were varied.\n\n"


RESPIRATION_CARD = """# Respiration network

| | |
| --- | --- |
| input | `X` (batch, 4, 128, 128) float32: how fast each place of a 492-pixel square moves across and down, in 0.3 \
pixels per 0.1 s, by the phase differences of its third scale over the slopes of the phase; and its texture across and \
down, log(1 + energy / 0.15) (`fastmag/motion/lens.py`) |
| output | `y` (batch, 1): the velocity of what breathes, in pixels of that square per 0.1 s, before what else moves \
in the clip is taken out of it (`fastmag/motion/reading.py`); the sign is each clip's own |
| files | `respiration.onnx` (forward), `respiration_gradient.onnx` (`X` -> `G` = dy/dX and `y`), opset 20 |
| weights | {weights} |
| data | {clips} rendered clips of {seconds:g} s, tasks A-D and free motion; 45 % of them seen from anywhere, with \
arms and things that rock, 40 % through H.264, 12 % without breath; one in ten held out; seed {seed} |
| training | {steps} steps of 24 clips, AdamW {rate:g}, loss 1 - abs r (half of y, half of the wave) + 0.2 MSE, taken \
behind the reading of least power, running mean of weights, the mean of those after two thirds and all of the steps, \
torch {torch} |
| command | `fastmag train respiration OUT --seed {seed} --clips {clips} --seconds {seconds:g} --steps {steps}{bf16}` |
| gradient against torch | {parity} |

Mean correlation, up to its sign, of the wave (y integrated, 0.16-0.5 Hz) with the breath, {judges} clips of people that
were not trained on: {scores}.

Limits: trained on rendered people only, one in a picture. A sway of the whole body at the pace of a breath, or a body
that is hardly seen, can defeat it. Not for medical use.
"""


def publish(out: Path, plan, network, held_out: dict[str, float]) -> Path:
    """Export the pulse network, prove its gradient, draw the curve and write the card; returns the card's path."""
    from fastmag.export.train import folded

    x = np.random.default_rng(plan.seed).normal(0, 5e-3, (8, *network.shape)).astype(np.float32)
    parity = export(out, "pulse", folded(network), x)
    path = out / "pulse.md"
    path.write_text(text(plan, network, held_out, str(parity)))
    return path


def publish_respiration(out: Path, plan, network, x: np.ndarray, held_out: dict[str, float]) -> Path:
    """As publish, for the respiration network; x: what it takes, to prove its gradient with."""
    parity = export(out, "respiration", FoldedRespiration(network).eval(), x)
    weights = sum(p.numel() for p in network.parameters())
    path = out / "respiration.md"
    path.write_text(
        RESPIRATION_CARD.format(
            weights=f"{weights:,}",
            clips=plan.clips,
            judges=plan.clips // 10,
            seconds=plan.seconds,
            seed=plan.seed,
            steps=plan.steps,
            rate=plan.learning_rate,
            bf16=" --bf16" if plan.bf16 else "",
            torch=torch.__version__.split("+")[0],
            parity=parity,
            scores=", ".join(f"{kind} {r:.3f}" for kind, r in held_out.items()),
        )
    )
    return path


def export(out: Path, name: str, module: torch.nn.Module, x: np.ndarray) -> Parity:
    """Write NAME.onnx, NAME_gradient.onnx and the drawn learning curve into `out`; proves the gradient at x."""
    forward = to_onnx(module, x.shape[1:], out / f"{name}.onnx")
    gradient = gradient_model(forward)
    parity = check_parity(module, gradient, x)
    save(gradient, out / f"{name}_gradient.onnx")
    draw_curve(out)
    return parity


def text(plan, network, by_task: dict[str, float], parity: str) -> str:
    """The model card of a plan and what came out."""
    return CARD.format(
        weights=f"{sum(p.numel() for p in network.parameters()):,}", data=data(plan),
        seed=plan.seed, steps=plan.steps, rate=plan.learning_rate,
        torch=torch.__version__.split("+")[0], command=command(plan), parity=parity,
        held_out=held_out(plan),
        scores=", ".join(f"{task} {r:.3f}" for task, r in by_task.items()), heads=CREDIT if plan.heads else "",
    )  # fmt: skip


def held_out(plan) -> str:
    """What the network is judged on, in words."""
    return f"{plan.clips // 10} rendered people" if plan.split == "independent" else "the last 20 % of recordings"


def data(plan) -> str:
    """What the network is trained on, in words."""
    if plan.split == "dependent":
        return f"recordings of {plan.seconds:g} s of {plan.people} rendered people in tasks A-D, the first 80 % of each"
    names = ", ".join(Path(head).name for head in plan.heads)
    people = f"55 % on the head {names}, the rest procedural" if names else "procedural heads"
    return (
        f"{plan.clips} rendered clips of {plan.seconds:g} s, tasks A-D and free motion, 30 % through H.264; {people}; "
        "one in ten held out"
    )


def command(plan) -> str:
    """The command that makes this network again."""
    heads = "".join(f" --head {Path(head).name}" for head in plan.heads)
    bf16 = " --bf16" if plan.bf16 else ""
    what = f"--split dependent --people {plan.people}" if plan.split == "dependent" else f"--clips {plan.clips}"
    start = f"fastmag train pulse OUT --seed {plan.seed} {what}"
    return f"{start} --seconds {plan.seconds:g} --steps {plan.steps}{bf16}{heads}"


def draw_curve(out: Path, measure: str = "correlation with the truth, held-out people") -> None:
    """curve.png from curve.csv: a measure of the held-out people by task, and the loss."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    with (out / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    kinds = [name for name in rows[0] if name not in ("step", "loss")]
    for kind in kinds:
        left.plot(steps, [float(row[kind]) for row in rows], label=kind)
    left.set(xlabel="step", ylabel=measure)
    if kinds:
        left.legend()
    right.plot(steps, [float(row["loss"]) for row in rows], color="black", lw=0.8)
    right.set(xlabel="step", ylabel="loss of a batch")
    figure.savefig(out / "curve.png", dpi=110)
    plt.close(figure)
