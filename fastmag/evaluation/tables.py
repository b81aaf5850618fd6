"""Rows as Markdown: a table a question, means over a task with the worst clip, and the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastmag.evaluation.judging import Row
from fastmag.evaluation.rows import Flat

Paper = dict[str, tuple[tuple[float, ...], tuple[float, ...]]]

# Chen and McDuff 2018, Table 1, pulse: PSNR in dB and SSIM of tasks A, B, C, D
PAPER_TABLE_1: Paper = {
    "EVM": ((36.5, 35.1, 24.8, 20.3), (0.975, 0.957, 0.853, 0.779)),
    "VAM": ((36.6, 36.4, 26.7, 22.5), (0.976, 0.969, 0.892, 0.809)),
    "DeepMag, participant-dependent": ((38.2, 42.8, 42.8, 38.5), (0.981, 0.987, 0.987, 0.981)),
    "DeepMag, participant-independent": ((38.3, 42.7, 42.6, 38.5), (0.981, 0.987, 0.987, 0.981)),
}
PAPER_TABLE_2 = {0.5: (43.2, 0.987), 1.0: (42.6, 0.987), 2.0: (41.6, 0.986), 4.0: (39.9, 0.986)}  # task C, by strength
Cell = str | int


def markdown(head: Sequence[str], lines: Iterable[Sequence[Cell]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def column(rows: Iterable[Flat], name: str) -> np.ndarray:
    """One figure of many rows, (n,), without those that have none."""
    values = np.array([row.flat()[name] for row in rows], float)
    return values[~np.isnan(values)]


def mean(rows: Iterable[Flat], name: str, form: str = ".2f") -> str:
    """The mean of a figure; infinite ones, of clips that do not differ, are counted beside it."""
    values = column(rows, name)
    endless = np.isinf(values)
    if not len(values) or endless.all():
        return format(float("inf"), form) if len(values) else "-"
    beside = f" ({endless.sum()} inf)" if endless.any() else ""
    return format(float(values[~endless].mean()), form) + beside


def mean_worst(rows: Iterable[Flat], name: str, worst: Callable, form: str = ".2f") -> str:
    """The mean of a figure, and its worst value, `worst` being min or max."""
    values = column(rows, name)
    return f"{mean(rows, name, form)} / {format(float(worst(values)), form)}" if len(values) else "-"


def groups(rows: Sequence[Any]) -> list[tuple[str, str, list]]:
    """(task, method, rows) of clips with a pulse or breath: tasks in order, methods as they come."""
    methods = list(dict.fromkeys(row.method for row in rows))
    tasks = sorted({row.task for row in rows if row.present})
    every = [(task, name, [r for r in rows if r.present and (r.task, r.method) == (task, name)])
             for task in tasks for name in methods]  # fmt: skip
    return [group for group in every if group[2]]


def magnifying(rows: Sequence[Row]) -> str:
    """How near each method comes to the true magnified clip."""
    head = (
        "task", "method", "clips", "dB above nothing, mean / worst", "at matched gain", "gain, mean", "correlation",
        "per pixel", "per block", "gain / alpha, lowest - highest", "leak, mean / worst",
        "to the true clip, dB", "SSIM",
    )  # fmt: skip
    lines = []
    for task, method, of in groups(rows):
        shares = column(of, "gain_over_alpha")
        lines.append((
            task, method, len(of), mean_worst(of, "above_nothing", np.min, "+.1f"),
            mean(of, "above_nothing_matched", "+.1f"), mean(of, "gain"), mean(of, "correlation", ".3f"),
            mean(of, "pixel_correlation", ".3f"), mean(of, "block_correlation", ".3f"),
            f"{shares.min():.2f} - {shares.max():.2f}" if len(shares) else "-",
            mean_worst(of, "leak", np.max, ".3f"), mean(of, "psnr_true", ".1f"), mean(of, "ssim_true", ".4f"),
        ))  # fmt: skip
    return markdown(head, lines)


def reading(rows: Sequence[Row]) -> str:
    """What the network read, per task; empty where no method used it."""
    lines = []
    for task, _, of in groups([row for row in rows if row.method == "deepmag"]):
        lines.append((task, len(of), mean_worst(of, "y_correlation", np.min, ".3f"),
                      mean_worst(of, "wave_correlation", np.min, ".3f"),
                      mean_worst(of, "rate_error", np.max)))  # fmt: skip
    head = ("task", "clips", "r(y, dp/dt), mean / lowest", "r(derivative of the wave, dp/dt)",
            "rate error in bpm, mean / worst")  # fmt: skip
    return markdown(head, lines) if lines else ""


def still(rows: Sequence[Row]) -> str:
    """What each method adds to clips without a pulse; empty without such clips."""
    lines = []
    for method in dict.fromkeys(row.method for row in rows if not row.pulse):
        added = np.array([row.figures.added for row in rows if not row.pulse and row.method == method])
        each = " ".join(f"{value:.2f}" for value in added)
        lines.append((method, len(added), f"{added.mean():.2f} / {added.max():.2f}", each))
    head = ("method", "clips without a pulse", "grey levels added, mean / worst", "each")
    return markdown(head, lines) if lines else ""


def table_1(rows: Sequence[Any], paper: Paper = PAPER_TABLE_1) -> str:
    """PSNR and SSIM to the unmagnified frames as in the paper's Table 1, its figures first, the gain beside."""
    tasks = sorted({row.task for row in rows if row.present})
    head = ("", *(f"PSNR {t}" for t in tasks), *(f"SSIM {t}" for t in tasks), *(f"gain {t}" for t in tasks))
    lines: list[Sequence[Cell]] = []
    for name, (psnr, ssim) in paper.items() if set(tasks) & set("ABCD") else ():
        decibel, alike = (dict(zip("ABCD", figures, strict=True)) for figures in (psnr, ssim))
        lines.append((f"{name} (paper)", *(f"{decibel[t]:.1f}" if t in decibel else "" for t in tasks),
                      *(f"{alike[t]:.3f}" if t in alike else "" for t in tasks), *("" for _ in tasks)))  # fmt: skip
    for method in dict.fromkeys(row.method for row in rows if len(column([row], "psnr_source"))):
        of = {t: [r for r in rows if r.present and (r.task, r.method) == (t, method)] for t in tasks}
        lines.append((method, *(mean(of[t], "psnr_source", ".1f") for t in tasks),
                      *(mean(of[t], "ssim_source", ".4f") for t in tasks),
                      *(mean(of[t], "gain", ".1f") for t in tasks)))  # fmt: skip
    return markdown(head, lines)


def table_2(rows: Sequence[Row]) -> str:
    """The paper's form with several step sizes, as in its Table 2, with the gain that each step size reaches."""
    lines: list[Sequence[Cell]] = []
    for task, method, of in groups(rows):
        name, _, strength = method.partition("@")
        paper = PAPER_TABLE_2.get(float(strength or 1)) if name == "deepmag-paper" and task == "C" else None
        lines.append((
            f"{strength or 1} gamma" if name == "deepmag-paper" else method, len(of), mean(of, "psnr_source", ".1f"),
            mean(of, "ssim_source", ".4f"), *((f"{paper[0]:.1f}", f"{paper[1]:.3f}") if paper else ("", "")),
            mean(of, "gain"), mean(of, "gain_over_alpha"), mean(of, "above_nothing", "+.1f"), mean(of, "leak", ".3f"),
        ))  # fmt: skip
    head = ("step size", "clips", "PSNR, dB", "SSIM", "PSNR (paper)", "SSIM (paper)", "gain", "gain / alpha",
            "dB above nothing", "leak")  # fmt: skip
    return markdown(head, lines)


def report(rows: Sequence[Row]) -> str:
    """All tables of a run, each under its question."""
    parts = [
        ("Reading: the network's y, the wave that is magnified, and its rate against the truth", reading(rows)),
        ("Magnifying: against the true magnified clip (alpha 10)", magnifying(rows) if groups(rows) else ""),
        ("Leaving alone: clips without a pulse", still(rows)),
        ("The paper's Table 1: PSNR (dB) and SSIM to the unmagnified frames, which reward doing nothing",
         table_1(rows) if groups(rows) else ""),
    ]  # fmt: skip
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts if text)
