"""python -m bench.embed [people|face|table]: magnify.onnx beside fastmag.magnify, judged by truth.

Rendered people that nothing was set on (seeds from 950000), 12 s, one chunk of the default length; both methods at
alpha 10, judged as `fastmag evaluate` does. "nothing" is 0 dB by definition. Clips of the record are not judged again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.records import about

RESULT = Path(__file__).parent / "results" / "embed.json"
SEED, SECONDS, ALPHA = 950_000, 12.0, 10.0
SHOWN = {"above_nothing": "dB above nothing", "gain": "gain", "correlation": "correlation", "leak": "leak"}
GRAPH = "magnify.onnx"

Magnify = Callable[[np.ndarray, float], tuple[np.ndarray, float]]  # frames, fps -> magnified, presence


def graph(threads: int = 1) -> Magnify:
    """magnify.onnx of the shipped network, by ONNX Runtime on the CPU."""
    import onnxruntime as ort

    from fastmag import models
    from fastmag.export.magnify_graph import magnify_model

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    content = magnify_model(models.path("pulse")).SerializeToString()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(frames: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
        feeds = {"frames": frames, "alpha": np.array(ALPHA, np.float32), "fps": np.array(fps, np.float32)}
        magnified, presence = session.run(["magnified", "presence"], feeds)
        return magnified, float(presence)

    return run


def people(tasks: str, count: int, without: int, record: dict) -> None:
    """A row for every clip and method, added to the record, which is written after each clip."""
    from fastmag.evaluation.judging import compare
    from fastmag.evaluation.methods import Scene
    from fastmag.evaluation.people import held_out, network_of

    run, rows = graph(), record.setdefault("people", [])
    asks = held_out(tasks, count, without, SEED, {"seconds": SECONDS})
    for ask in sorted(asks, key=lambda ask: (ask.seed % 100, ask.seed)):
        if any(row["clip"] == ask.name for row in rows):
            continue
        case = ask.case()
        scene = Scene(case, network_of(None))
        magnified, presence = run(case.frames, case.fps)
        kept = magnified[case.judged]
        del magnified
        found = compare(case, {GRAPH: kept.__getitem__, "deepmag": scene.player("deepmag")})
        present = {GRAPH: presence, "deepmag": float(scene.coherent[1][0].found.presence)}
        for method, figures in found.items():
            row = {"clip": ask.name, "task": ask.task, "pulse": ask.pulse, "method": method}
            rows.append(row | {"presence": present[method]} | dataclasses.asdict(figures))
            print(f"{ask.name}, {method}: {_line(rows[-1])}", file=sys.stderr, flush=True)
        write(record)


def write(record: dict) -> None:
    RESULT.write_text(json.dumps(record | about(), indent=1) + "\n")


def face(path: Path) -> list[dict]:
    """MIT's face clip: gain, correlation and leak in its boxes, PSNR to the source."""
    import fastmag
    from fastmag.evaluation.clips import FACE
    from fastmag.evaluation.metrics import judge, psnr_of
    from fastmag.video import Reader, to_rgb

    with Reader(path) as reader:
        fps = float(reader.info.fps)
        frames = np.stack([to_rgb(planes, reader.info) for planes in reader])
    made = {GRAPH: graph()(frames, fps)[0], "deepmag": fastmag.magnify(frames, fps=fps)}
    rows = []
    for method, magnified in made.items():
        traces = [
            np.stack([clip[:, y0:y1, x0:x1, FACE.channel].mean((1, 2)) for x0, y0, x1, y1 in FACE.on + FACE.off], 1)
            for clip in (frames, magnified)
        ]
        gain, correlation, leak = judge(traces[0], traces[1], len(FACE.on), fps, FACE.rate_hz)
        error = np.mean([np.mean((a.astype(np.float32) - b) ** 2) for a, b in zip(frames, magnified, strict=True)])
        row = {"clip": path.name, "method": method, "gain": gain, "correlation": correlation, "leak": leak}
        rows.append(row | {"psnr_source": psnr_of(float(error))})
    return rows


def _line(row: dict) -> str:
    if not row["pulse"]:
        return f"presence {row['presence']:.2f}, added {row['added']:.2f}"
    return f"{row['above_nothing']:+.1f} dB, gain {row['gain']:.1f}, presence {row['presence']:.2f}"


def table(record: dict) -> str:
    """Markdown: the mean of each figure by task and method, what was added without a pulse, and the real clip."""
    rows = record.get("people", [])
    lines = []
    if rows:
        lines = [
            f"| task | method | {' | '.join(SHOWN.values())} | clips left alone |",
            "| --- " * (3 + len(SHOWN)) + "|",
        ]
        for task in dict.fromkeys(row["task"] for row in rows):
            for method in (GRAPH, "deepmag"):
                some = [r for r in rows if (r["task"], r["method"], r["pulse"]) == (task, method, True)]
                means = " | ".join(_mean([r[name] for r in some]) for name in SHOWN)
                lines.append(
                    f"| {task} | {method} | {means} | {sum(r['presence'] == 0 for r in some)} of {len(some)} |"
                )
        for method in (GRAPH, "deepmag"):
            some = [r for r in rows if r["method"] == method and not r["pulse"]]
            worst = max((r["added"] for r in some), default=0.0)
            lines += ["", f"Without a pulse, {len(some)} clips, {method}: at most {worst:.2f} grey levels added (rms)."]
    if record.get("face"):
        lines += ["", "| face.mp4 | gain | correlation | leak | PSNR to the source, dB |", "| --- " * 5 + "|"]
        for r in record["face"]:
            lines.append("| {method} | {gain:.2f} | {correlation:.3f} | {leak:.3f} | {psnr_source:.1f} |".format(**r))
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    known = [v for v in values if np.isfinite(v)]
    return f"{np.mean(known):.2f}" if known else "-"


def main() -> None:
    """Measure what is asked for, keep it, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.embed", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("all", "people", "face", "table"), default="all")
    parser.add_argument("--tasks", default="ABCD")
    parser.add_argument("--people", type=int, default=2, help="clips with a pulse, a task")
    parser.add_argument("--without", type=int, default=1, help="clips without one, a task")
    parser.add_argument("--face", type=Path, default=Path("../shared/data/clips/face.mp4"))
    options = parser.parse_args()
    record = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if options.what in ("all", "face"):
        record["face"] = face(options.face)
        write(record)
    if options.what in ("all", "people"):
        people(options.tasks, options.people, options.without, record)
    print(table(record))


if __name__ == "__main__":
    main()
