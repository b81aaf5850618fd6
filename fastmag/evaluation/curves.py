"""The paper's Fig. 9: how |y| grows with the number of steps N and the step size gamma of the ascent."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag import deepmag, passes
from fastmag.ascent import Gradient, ascend
from fastmag.backends import get
from fastmag.color import Cells
from fastmag.evaluation.tables import markdown
from fastmag.files import WholeFile
from fastmag.ops import Ops
from fastmag.params import Pulse

STRENGTHS = (0.5, 1.0, 2.0, 4.0)  # times gamma, as in the paper's Fig. 6 and Table 2
STEPS = 40  # twice the paper's N


@dataclass(frozen=True)
class Curves:
    """loss (S, N): the L2 norm over frames of y(X_n), n = 1..N, one row for each of the step sizes (S,)."""

    step_sizes: tuple[float, ...]
    loss: np.ndarray


def curve(x: np.ndarray, gradient: Gradient, ops: Ops, step_size: float, steps: int, rule: str = "sign") -> np.ndarray:
    """||y(X_n)||_2 over the samples of x (B, ...), n = 1..steps; X_1 = x (Eq. 1-4)."""
    seen: list[np.ndarray] = []

    def watched(here: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, slope = gradient(here)
        seen.append(y)
        return y, slope

    ascend(x, watched, ops, step_size=step_size, n_steps=steps + 1, rule=rule)
    return np.linalg.norm(np.array(seen, np.float64), axis=1)


def learning_curves(source, network, strengths: Sequence[float] = STRENGTHS, steps: int = STEPS, frames: int = 150,
                    rule: str = "sign", progress=passes.silent) -> Curves:  # fmt: skip
    """The curves of one clip, from at most `frames` of its frames, evenly chosen; source as deepmag takes it; rule as
    ascent.ascend takes it. Raises InputError as deepmag does."""
    ops, params = get("cpu"), Pulse(form="paper", rule=rule)
    spool, _, fps = deepmag.represent(source, Cells(source.picture, ops), params, progress)
    x = deepmag.differences(spool.read(0, len(spool)), ops)
    x = np.ascontiguousarray(x[np.unique(np.linspace(0, len(x) - 1, min(frames, len(x))).round().astype(int))])
    gamma = params.updates["step_size"]
    rows = []
    for i, strength in enumerate(strengths):
        rows.append(curve(x, deepmag.at_rate(network, fps), ops, gamma * strength, steps, rule))
        progress("curves", i + 1, len(strengths))
    return Curves(tuple(gamma * strength for strength in strengths), np.array(rows))


def write_csv(path, curves: Curves) -> None:
    """One line for every step size and n: step_size, n, product, loss."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("step_size", "n", "product", "loss"))
    for gamma, row in zip(curves.step_sizes, curves.loss, strict=True):
        out.writerows((gamma, n, gamma * n, loss) for n, loss in enumerate(row, 1))
    file = WholeFile(Path(path))
    file.path.write_text(text.getvalue())
    file.commit()


def table(curves: Curves) -> str:
    """The loss at a few N, one line a step size."""
    shown = sorted({n for n in (1, 5, 10, 20, 40, curves.loss.shape[1]) if n <= curves.loss.shape[1]})
    lines = [(f"{gamma:.1e}", *(f"{loss[n - 1]:.2f}" for n in shown))
             for gamma, loss in zip(curves.step_sizes, curves.loss, strict=True)]  # fmt: skip
    return markdown(("step size", *(f"loss at N = {n}" for n in shown)), lines)


def draw(path, curves: Curves, title: str = "") -> None:
    """Both halves of Fig. 9 into `path` (.png): the loss over N, and over the product of N and gamma."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for gamma, loss in zip(curves.step_sizes, curves.loss, strict=True):
        n = np.arange(1, len(loss) + 1)
        axes[0].plot(n, loss, label=f"gamma = {gamma:.1e}")
        axes[1].plot(n * gamma, loss)
    axes[0].set(xlabel="steps N", ylabel="loss: L2 norm of y over the frames")
    axes[1].set(xlabel="N x gamma", xscale="log")
    axes[0].legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=10)
    file = WholeFile(Path(path))
    try:
        figure.savefig(file.path, dpi=120, format="png")
        file.commit()
    finally:
        plt.close(figure)
        file.discard()
