"""python -m bench [run|kernels|pyramid|pipeline|breathing|render|gradient|bf16|cuda|table]: measure or show records."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records import about, update

if TYPE_CHECKING:
    from bench.cases import Case

RESULTS = Path(__file__).parent / "results"
KERNELS, PIPELINE = RESULTS / "kernels-cpu.json", RESULTS / "pipeline-cpu.json"
PYRAMID, RENDER = RESULTS / "pyramid-cpu.json", RESULTS / "render-cpu.json"
BREATHING = RESULTS / "breathing-cpu.json"
GRADIENT, BF16 = RESULTS / "gradient-cpu.json", RESULTS / "bf16-cpu.json"


def table(record: dict[str, Any]) -> str:
    """The record as Markdown: milliseconds a call, and how many times as fast as each rival."""
    where = record["machine"]
    lines = [
        "| kernel | 1 thread | 2 threads | times as fast as (1 thread) | (2 threads) | target |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows: dict[str, dict[int, dict]] = {}
    for row in record["rows"]:
        rows.setdefault(row["case"], {})[row["threads"]] = row
    for case, by_threads in rows.items():
        times, ratios, targets = [], [], []
        for threads in (1, 2):
            row = by_threads.get(threads, {})
            timed = row.get("times", {}).get("fastmag")
            times.append(f"{timed['median_ms']:.3g} ms" if timed else row.get("gate", "-"))
            ratios.append(", ".join(f"{name} {ratio:.3g}" for name, ratio in row.get("speedup", {}).items()))
            targets += [
                f"{t['rival']} {t['at_least']:g}{' (2)' * (threads == 2)}: {'met' if t['met'] else '**missed**'}"
                for t in row.get("targets", [])
            ]
        lines.append("| " + " | ".join([case, *times, *ratios, "; ".join(targets)]) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    lines += ["", f"{where['cpu']}, {where['cores']} cores; {versions}; commit {record['commit']}, {record['date']}."]
    earlier = sorted({f"{row['of']['commit']}, {row['of']['date']}" for row in record["rows"] if "of" in row})
    if earlier:
        lines[-1] += f" Some rows are of earlier commits: {'; '.join(earlier)}."
    return "\n".join(lines)


def measure_kernels(options: argparse.Namespace) -> None:
    """Time the kernels and write their record."""
    from bench import cases, views

    _measure(KERNELS, options, cases.CASES + views.CASES)


def measure_pyramid(options: argparse.Namespace) -> None:
    """Time the steerable pyramid and the phase kernels and write their record."""
    from bench.pyramid import CASES

    _measure(PYRAMID, options, CASES)


def _measure(path: Path, options: argparse.Namespace, cases: list[Case]) -> None:
    from bench.runner import run

    record = run(options.only, options.seconds, lambda line: print(line, flush=True), cases)
    update(path, record, ("case", "threads"), bool(options.only), [case.name for case in cases])


def measure_pipeline(options: argparse.Namespace) -> None:
    """Time the pipeline file to file and write its record."""
    from bench import pipeline

    update(PIPELINE, {**about(), **pipeline.run(options.rounds)}, (), False)


def measure_breathing(options: argparse.Namespace) -> None:
    """Time the magnification of breathing file to file and write its record."""
    from bench import breathing

    update(BREATHING, {**about(), **breathing.run(options.rounds)}, (), False)


def measure_render(options: argparse.Namespace) -> None:
    """Time the rendering of people and write its record."""
    from bench import render

    update(RENDER, {**about(), **render.run(options.rounds)}, (), False)


def measure_gradient(options: argparse.Namespace) -> None:
    """Time dy/dX and the ascent on every provider and write their record."""
    from bench import gradient

    record = {**about(), **gradient.run(options.only, options.rounds, lambda line: print(line, flush=True))}
    update(GRADIENT, record, ("network", "what", "batch", "threads"), bool(options.only), list(gradient.SHAPES))


def measure_bf16(options: argparse.Namespace) -> None:
    """Time both methods file to file with the network in bfloat16 on OpenVINO and write their record."""
    from bench import bf16

    update(BF16, {**about(), **bf16.run(options.rounds)}, (), False)


def measure_cuda(options: argparse.Namespace) -> None:
    """Time kernels, gradient and analyses on this GPU and write their record into the folder OUT, or into results."""
    from bench import cuda
    from fastmag.errors import InputError

    def keep(record: dict[str, Any]) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", record["device"]["gpu"].split(",")[0].lower()).strip("-")
        path = Path(os.environ.get("OUT") or RESULTS) / f"cuda-{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")

    try:
        keep(cuda.run(options.only, lambda line: print(line, flush=True), keep, options.limit))
    except InputError as reason:
        raise SystemExit(str(reason)) from None


def tables() -> str:
    """All records as Markdown, as far as they are there."""
    from bench import bf16, breathing, cuda, gradient, pipeline, render

    found = [(PIPELINE, pipeline.table), (BREATHING, breathing.table), (KERNELS, table), (PYRAMID, table),
             (RENDER, render.table), (GRADIENT, gradient.table), (BF16, bf16.table),
             *((path, cuda.table) for path in RESULTS.glob("cuda-*.json"))]  # fmt: skip
    return "\n\n".join(show(json.loads(path.read_text())) for path, show in found if path.exists())


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "kernels", "pyramid", "pipeline", "breathing", "render", "gradient", "bf16", "cuda", "table"),
        default="run",
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="WORDS", help="kernels whose name contains one of these, or networks"
    )
    parser.add_argument("--seconds", type=float, default=2.5, help="how long to time a kernel on one number of threads")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the pipeline, rivals in turns")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds after which cuda begins no row")
    options = parser.parse_args()
    if options.command in ("run", "pipeline"):
        measure_pipeline(options)
    if options.command in ("run", "kernels"):
        measure_kernels(options)
    if options.command in ("run", "pyramid"):
        measure_pyramid(options)
    if options.command in ("run", "breathing"):
        measure_breathing(options)
    if options.command in ("run", "render"):
        measure_render(options)
    if options.command in ("run", "gradient"):
        measure_gradient(options)
    if options.command == "bf16":
        measure_bf16(options)
    if options.command == "cuda":
        measure_cuda(options)  # where the tables' other packages may be missing
    else:
        print(tables())


if __name__ == "__main__":
    main()
