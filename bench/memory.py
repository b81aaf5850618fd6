"""python -m bench.memory: peak memory of every rival over a minute and two hours of video, file to file.

Frames are small and few a second, so that hours of them cost minutes: what is kept of each frame shows as bytes a
frame, whatever its size. Buffers of a fixed size are made smaller (decoded frames 160 MB to 1, spools 16 MB to 64 kB),
or the short clip would not fill them and the long one would; the 4 MB of series that a filter over all of time works on
stay, and take some 10 MB once a clip fills them. What a container's index takes of each frame is in it, in and out.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "memory.json"
SIZE, FPS = (24, 32), 10.0
WITHIN = 1.1  # times the short clip's peak
SMALL_CACHE, SMALL_SPOOL = 1 << 20, 1 << 16


def methods(fps: float = 30.0) -> dict[str, Any]:
    """Params by name, for what swings once in ten frames: every way of every method through the frames."""
    from fastmag import EvmColor, EvmMotion, PhaseEvm, Riesz, VamColor, VamMotion

    band = (fps / 15, fps / 7.5)
    return {
        "evm-color": EvmColor(passband=band, level=2),
        "evm-motion, butterworth": EvmMotion(passband=band),
        "evm-motion, ideal": EvmMotion(passband=band, temporal="ideal"),
        "phase-evm, butterworth": PhaseEvm(passband=band, temporal="butterworth"),
        "phase-evm, fir": PhaseEvm(passband=band),
        "phase-evm, fir, attenuate": PhaseEvm(passband=band, attenuate=True),
        "riesz, butterworth": Riesz(passband=band, temporal="butterworth"),
        "riesz, fir": Riesz(passband=band),
        "vam-color": VamColor(frequency=fps / 10, level=2),
        "vam-motion": VamMotion(frequency=fps / 10),
    }


def clip(folder: Path, minutes: float, fps: float = FPS) -> Path:
    """A texture that sways once in ten frames, so many minutes long."""
    import av
    import numpy as np

    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    sway = 0.2 * np.sin(2 * np.pi * np.arange(10) / 10)[:, None, None]
    luma = (120 + 40 * np.sin((x - sway) / 3) + 20 * np.sin(y / 5)).astype(np.uint8)
    path = folder / f"{minutes:g}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=round(fps), options={"preset": "ultrafast", "crf": "20"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for i in range(round(60 * minutes * fps)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.dstack([luma[i % 10]] * 3), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def once(name: str, path: Path) -> dict[str, float]:
    """Magnify the file in this process: frames written, seconds, and the peak of its memory in MiB."""
    from fastmag import columns, passes
    from fastmag.api import PIPELINES
    from fastmag.kernels import cpu
    from fastmag.sources import FileSource
    from fastmag.spool import Spool
    from fastmag.video import Writer

    columns.Spool = passes.Spool = functools.partial(Spool, budget=SMALL_SPOOL)  # type: ignore[misc, assignment]
    cpu.set_threads(1)
    source = FileSource(path, cache_bytes=SMALL_CACHE)
    params = methods(source.fps)[name]
    began = time.process_time()
    sink = Writer(path.with_suffix(".out.mp4"), source.info, overwrite=True, preset="ultrafast", threads=1)
    outcome = PIPELINES[type(params)](source, sink, params, cpu, passes.silent)
    return {"frames": outcome.frames, "seconds": round(time.process_time() - began, 1), "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory that this process was given, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # not of the parent it was forked from, as ru_maxrss may be
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) / 1024, 1)
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def row(name: str, paths: list[Path]) -> dict[str, Any]:
    """Peaks of one method over the short and the long clip, each in a process of its own."""
    command = [sys.executable, "-m", "bench.memory", "--once", name]
    root = Path(__file__).parents[1]
    said = [subprocess.run([*command, str(p)], capture_output=True, text=True, check=True, cwd=root) for p in paths]
    short, long = (json.loads(one.stdout) for one in said)
    grown = (long["peak_mb"] - short["peak_mb"]) * 2**20 / (long["frames"] - short["frames"])
    result = {"method": name, "short": short, "long": long, "grown_bytes_a_frame": round(grown, 1)}
    return result | {"met": long["peak_mb"] <= WITHIN * short["peak_mb"]}


def main() -> None:
    """Measure all methods, print them, and bring their rows in the record up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs=2, default=(1.0, 120.0), metavar=("SHORT", "LONG"))
    parser.add_argument("--fps", type=float, default=FPS, help="of both clips")
    parser.add_argument("--only", nargs="+", default=[""], help="words of methods' names, measured in this order")
    parser.add_argument("--once", nargs=2, metavar=("METHOD", "FILE"), help="magnify this in this process")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(once(options.once[0], Path(options.once[1]))))
        return
    from bench.records import about, update

    names = list(dict.fromkeys(name for words in options.only for name in methods() if words in name))
    some = len(names) < len(methods())
    with tempfile.TemporaryDirectory() as folder:
        paths = [clip(Path(folder), minutes, options.fps) for minutes in options.minutes]
        for name in names:
            rows = [row(name, paths) | {"minutes": options.minutes, "fps": options.fps}]
            print(json.dumps(rows[0]), flush=True)
            record = {**about(), "size": SIZE, "within": WITHIN, "rows": rows}
            update(RESULT, record, ("method",), some, list(methods()))
            some = True


if __name__ == "__main__":
    main()
