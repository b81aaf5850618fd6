"""Rows of breathing people as Markdown: a table a question, the paper's figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastmag.evaluation.breathing.cases import ALPHA
from fastmag.evaluation.breathing.judging import BreathRow
from fastmag.evaluation.tables import Cell, Paper, column, groups, markdown, mean, mean_worst, table_1

# Chen and McDuff 2018, Table 1, respiration: PSNR in dB and SSIM of tasks A, B, C, D
PAPER_BREATHING: Paper = {
    "phase-EVM": ((31.1, 25.9, 24.6, 23.5), (0.907, 0.775, 0.726, 0.780)),
    "VAM": ((30.6, 26.8, 24.6, 23.2), (0.900, 0.800, 0.720, 0.770)),
    "DeepMag, participant-dependent": ((33.3, 41.5, 41.4, 34.1), (0.940, 0.980, 0.979, 0.952)),
    "DeepMag, participant-independent": ((33.4, 41.5, 41.4, 34.0), (0.940, 0.979, 0.979, 0.951)),
}
GAINS = (4.0, 6.0)  # near enough to 1 + ALPHA


def reading(rows: Sequence[BreathRow]) -> str:
    """What was read, per task; empty where no method read anything."""
    lines = []
    for task, method, of in groups(rows):
        r, off = column(of, "wave_correlation"), column(of, "rate_error")
        if len(r):
            lines.append((task, method, len(r), mean_worst(of, "wave_correlation", np.min, ".3f"),
                          f"{np.median(off):.2f} / {off.max():.2f}"))  # fmt: skip
    head = ("task", "method", "clips", "wave correlation, mean / lowest", "rate error a minute, median / worst")
    return markdown(head, lines) if lines else ""


def magnifying(rows: Sequence[BreathRow]) -> str:
    """How near each method comes to the true magnified clip."""
    head = (
        "task", "method", "clips", "gain, median", "lowest - highest", f"outside {GAINS[0]:g} - {GAINS[1]:g}",
        "correlation, mean / lowest", "dB above nothing, mean / worst", "to the true clip, dB", "SSIM",
        "head leak, px", "head, px", "background, px, mean / worst",
        "beside the body, px", "both, grey levels",
    )  # fmt: skip
    lines = []
    for task, method, of in groups(rows):
        gain = column(of, "gain")
        if not len(column(of, "added")):
            continue
        lines.append((
            task, method, len(of), f"{np.median(gain):.2f}" if len(gain) else "-",
            f"{gain.min():.1f} - {gain.max():.1f}" if len(gain) else "-", outside(gain),
            mean_worst(of, "correlation", np.min, ".3f"), mean_worst(of, "above_nothing", np.min, "+.1f"),
            mean(of, "psnr_true", ".1f"), mean(of, "ssim_true", ".4f"), mean_worst(of, "head_leak", np.max, ".3f"),
            mean(of, "head", ".2f"), mean_worst(of, "background", np.max, ".3f"), mean(of, "beside"),
            mean(of, "background_added"),
        ))  # fmt: skip
    return markdown(head, lines)


def outside(gain: np.ndarray) -> int:
    """How many gains are not near 1 + ALPHA."""
    return int(((gain < GAINS[0]) | (gain > GAINS[1])).sum())


def still(rows: Sequence[BreathRow]) -> str:
    """What each method moves where the breath is held; empty without such clips."""
    lines: list[Sequence[Cell]] = []
    held = [row for row in rows if not row.breathing]
    for method in dict.fromkeys(row.method for row in held):
        of = [row for row in held if row.method == method]
        if not len(column(of, "torso")) and not len(column(of, "added")):
            continue
        each = " ".join(f"{row.task} {row.figures.torso:.2f}" for row in of)
        moved = (mean_worst(of, name, np.max) for name in ("torso", "head", "background"))
        lines.append((method, len(of), *moved, each, mean(of, "quality")))
    head = ("method", "clips", "torso, px, mean / worst", "head", "background", "torso of each", "quality read")
    return markdown(head, lines) if lines else ""


def against(rows: Sequence[BreathRow]) -> str:
    """How much nearer to the source the coherent form is than each other method, on the clips that both were judged on,
    and the gains beside; empty where it was not judged."""
    ours = {row.clip: row for row in rows if row.present and row.method == BreathRow.MAIN}
    lines: list[Sequence[Cell]] = []
    for task, method, of in groups(rows):
        pairs = [(ours[row.clip].figures, row.figures) for row in of if row.clip in ours]
        apart = [own.psnr_source - other.psnr_source for own, other in pairs if np.isfinite(other.psnr_source)]
        if method == BreathRow.MAIN or not apart:
            continue
        alike = np.mean([own.ssim_source - other.ssim_source for own, other in pairs])
        gains = [f"{np.nanmean([figures.gain for figures in side]):.2f}" for side in zip(*pairs, strict=True)]
        lines.append((task, method, len(apart), f"{np.mean(apart):+.1f} / {min(apart):+.1f}", f"{alike:+.4f}", *gains))
    head = ("task", "than", "clips", "dB nearer to the source, mean / worst", "SSIM, mean", "gain", "gain of the other")
    return markdown(head, lines) if lines else ""


def cost(rows: Sequence[BreathRow]) -> str:
    """Processor seconds a clip."""
    lines = [(method, f"{np.mean([row.seconds for row in rows if row.method == method]):.1f}")
             for method in dict.fromkeys(row.method for row in rows)]  # fmt: skip
    clips = {row.clip for row in rows}
    return markdown(("method", "processor seconds a clip"),
                    [*lines, ("all", f"{sum(row.seconds for row in rows) / max(len(clips), 1):.1f}")])  # fmt: skip


def report(rows: Sequence[BreathRow]) -> str:
    """All tables of a run, each under its question."""
    some = bool(groups(rows))
    parts = [
        ("Reading: the wave and the rate against the true breath", reading(rows)),
        (f"Magnifying: against the true clip, {1 + ALPHA:g} times as deep (px of a picture of 492 rows)",
         magnifying(rows) if some else ""),
        ("Leaving alone: how far patches are moved where the breath is held, px", still(rows)),
        ("The paper's Table 1: PSNR (dB) and SSIM to the unmagnified frames, which reward doing nothing",
         table_1(rows, PAPER_BREATHING) if some else ""),
        (f"{BreathRow.MAIN} beside the others, clip by clip: PSNR and SSIM to the unmagnified frames", against(rows)),
        ("Cost (rendering and judging count as those of the first method)", cost(rows)),
    ]  # fmt: skip
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts if text)
