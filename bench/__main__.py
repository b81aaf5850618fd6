"""python -m bench [run|table]: measure the kernels against their rivals, or print the table for the README."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "kernels-cpu.json"


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
    return "\n".join(lines)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("run", "table"), default="run")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORDS", help="cases whose name contains one of these")
    parser.add_argument("--seconds", type=float, default=2.5, help="how long to time a case on one number of threads")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the record goes, or is read from")
    options = parser.parse_args()
    if options.command == "run":
        from bench.runner import run

        record = run(options.only, options.seconds, lambda line: print(line, flush=True))
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(record, indent=1) + "\n")
        print(f"\n{options.output}\n")
    print(table(json.loads(options.output.read_text())))


if __name__ == "__main__":
    main()
