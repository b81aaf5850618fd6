"""Judge the pulse method on rendered people whose truth is known: reading, magnifying, and leaving alone."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag import __version__, deepmag, models, passes
from fastmag.backends import get
from fastmag.coherent.wave import mean_rate
from fastmag.color import Cells
from fastmag.files import WholeFile
from fastmag.gradients import InputGradient
from fastmag.params import Pulse
from fastmag.processes import pool
from fastmag.sources import ArraySource

SEED = 790_000  # of the held-out people: no training run uses seeds from here on
SIZE = (492, 658)  # of the paper's recordings


@dataclass(frozen=True)
class Row:
    """One rendered clip and what was made of it.

    y_correlation: of y with the true dp/dt; rate_error in beats a minute; psnr_above_nothing in dB, to the true
    magnified clip; ceiling: the same for the true map with the p that was read; gain_over_alpha on skin; leak: change
    off the skin over that on it, root mean square; added: root mean square of all change in grey levels.
    """

    task: str
    seed: int
    pulse: bool
    y_correlation: float
    rate_bpm: float
    rate_error: float
    psnr_above_nothing: float
    ceiling: float
    gain_over_alpha: float
    leak: float
    presence: float
    confidence: float
    z: float
    added: float


def judge_person(task: str, seed: int, pulse: bool, seconds: float, params: Pulse, model=None, **render) -> Row:
    """Render one clip, magnify it and compare with the truth."""
    from fastmag.synthetic import render_clip

    clip = render_clip(seed, task=task, seconds=seconds, fps=30, pulse=pulse, **{"size": SIZE, **render})
    ops, network = get("cpu"), InputGradient(model or models.path("pulse_gradient"))
    source = ArraySource(clip.frames, 30)
    cells = Cells(source.picture, ops)
    spool, _, fps = deepmag.represent(source, cells, params, passes.silent)
    y, _ = deepmag.read_pulse(spool.read(0, len(spool)), fps, network, ops)
    change, sections = deepmag.coherent_change(spool, fps, params, network, ops)
    found = sections[0].found
    sums = compare(clip, source, cells, change, found.wave.p, params.gain)
    rate = 60 * mean_rate(found.wave.p, fps, params.passband)
    truth = clip.p.astype(np.float64)
    error = abs(rate - 60 * mean_rate(truth, fps, params.passband)) if pulse else float("nan")
    correlation = float(np.corrcoef(y, np.diff(truth))[0, 1]) if pulse else float("nan")
    confidence = found.wave.confidence
    above, ceiling, gain, leak, added = sums
    heard = (found.presence, confidence, found.z)
    return Row(task, seed, pulse, correlation, rate, error, above, ceiling, gain, leak, *heard, added)


def compare(
    clip, source: ArraySource, cells: Cells, change, p: np.ndarray, alpha: float
) -> tuple[float, float, float, float, float]:
    """(dB above nothing, ceiling in dB, gain / alpha, leak, added) over all frames, one frame at a time."""
    green = clip.pulsation[:: max(1, len(clip.p) // 20), ..., 1].astype(np.float32)
    reference = float(np.percentile(green[green > 0], 90)) if (green > 0).any() else 1.0
    names = ("error", "truth", "ideal", "on", "on_truth", "skin2", "skin_n", "off2", "off_n", "all2", "n")
    total = dict.fromkeys(names, 0.0)
    for t, frame in enumerate(source.frames()):
        pulsation = clip.pulsation[t].astype(np.float32)
        true = eight_bits(frame.planes[0], alpha * pulsation * float(clip.p[t]))
        new = cells.reconstruct(frame.planes, change.read(t, t + 1)[0])[0]
        added = new.astype(np.float32) - frame.planes[0]
        skin, off = pulsation[..., 1] > 0.35 * reference, pulsation[..., 1] < 0.02 * reference
        total["error"] += float(((added - true) ** 2).sum())
        total["truth"] += float((true**2).sum())
        ideal = eight_bits(frame.planes[0], alpha * pulsation * float(p[t] * clip.p.std()))
        total["ideal"] += float(((ideal - true) ** 2).sum())
        total["on"] += float((added[skin] * true[skin]).sum())
        total["on_truth"] += float((true[skin] ** 2).sum())
        total["skin2"] += float((added[skin] ** 2).sum())
        total["skin_n"] += 3 * float(skin.sum())
        total["off2"] += float((added[off] ** 2).sum())
        total["off_n"] += 3 * float(off.sum())
        total["all2"] += float((added**2).sum())
        total["n"] += added.size
    return summary(total)


def eight_bits(frame: np.ndarray, change: np.ndarray) -> np.ndarray:
    """What of a change a frame of 8 bits can show: rounded, and cut at black and white."""
    return np.clip(np.floor(frame + change + np.float32(0.5)), 0, 255) - frame


def summary(total: dict[str, float]) -> tuple[float, float, float, float, float]:
    """Ratios of the sums that `compare` gathers."""
    nan = float("nan")
    added = float(np.sqrt(total["all2"] / total["n"]))
    if total["truth"] == 0:
        return nan, nan, nan, nan, added
    above = -10 * np.log10(max(total["error"], 1e-9) / total["truth"])
    ceiling = -10 * np.log10(max(total["ideal"], 1e-9) / total["truth"])
    on = np.sqrt(total["skin2"] / max(total["skin_n"], 1))
    off = np.sqrt(total["off2"] / total["off_n"]) if total["off_n"] else nan
    leak = float(off / on) if on > 0 else nan
    return float(above), float(ceiling), total["on"] / total["on_truth"], leak, added


def _job(arguments) -> Row:
    task, seed, pulse, seconds, model, render = arguments
    return judge_person(task, seed, pulse, seconds, Pulse(), model, **render)


def evaluate(
    tasks="ABCD", people=5, without=5, seconds=20.0, seed=SEED, jobs=2, model=None, render=None, progress=None
):
    """Rows for `people` unseen people a task, then for `without` clips without a pulse (tasks in turn)."""
    render = render or {}
    rest = (seconds, model, render)
    work = [(task, seed + 100 * i + k, True, *rest) for i, task in enumerate(tasks) for k in range(people)]
    work += [(tasks[k % len(tasks)], seed + 1000 + k, False, *rest) for k in range(without)]
    rows = []
    with pool(jobs) as workers:
        for row in workers.map(_job, work):
            rows.append(row)
            if progress is not None:
                progress(row)
    return rows


def table(rows: list[Row]) -> str:
    """Means over each task, with the worst clip where a limit holds for every clip, as a Markdown table."""
    lines = [
        "| task | clips | r(y, dp/dt) | rate error, mean / worst bpm | dB above nothing, mean / worst | ceiling | "
        "gain / alpha, lowest - highest | leak |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for task in sorted({row.task for row in rows if row.pulse}):
        of = [row for row in rows if row.task == task and row.pulse]

        def mean(name, of=of):
            return np.nanmean([getattr(row, name) for row in of])

        gains, errors = [r.gain_over_alpha for r in of], [r.rate_error for r in of]
        worst = min(r.psnr_above_nothing for r in of)
        cells = (
            task, len(of), f"{mean('y_correlation'):.3f}", f"{np.mean(errors):.2f} / {max(errors):.2f}",
            f"{mean('psnr_above_nothing'):+.1f} / {worst:+.1f}", f"{mean('ceiling'):+.1f}",
            f"{min(gains):.2f} - {max(gains):.2f}", f"{mean('leak'):.3f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    still = [row.added for row in rows if not row.pulse]
    if still:
        lines.append(f"\nwithout a pulse, {len(still)} clips: grey levels added, worst {max(still):.2f}: " +
                     ", ".join(f"{v:.2f}" for v in still))  # fmt: skip
    return "\n".join(lines)


def say(row: Row) -> None:
    """One line about a clip, as it is done."""
    found = (
        f"r {row.y_correlation:.3f}, rate off by {row.rate_error:.2f}, {row.psnr_above_nothing:+.1f} dB"
        if row.pulse
        else ""
    )
    print(
        f"{row.task} {row.seed}: {found or 'no pulse'}, added {row.added:.2f}, presence {row.presence:.2f}",
        file=sys.stderr,
    )


def plain(row: Row) -> dict:
    """A row as JSON knows it: null where there is no figure."""
    return {name: None if value != value else value for name, value in dataclasses.asdict(row).items()}


def write_record(path, rows: list[Row], options: dict) -> None:
    """All figures as JSON, with what was asked for and the version that answered."""
    record = {"fastmag": __version__, "options": options, "rows": [plain(row) for row in rows]}
    file = WholeFile(Path(path))
    file.path.write_text(json.dumps(record, indent=1) + "\n")
    file.commit()
