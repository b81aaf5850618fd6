"""`fastmag demo`: magnify a rendered sample, or a video of one's own, and draw the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastmag.errors import InputError

SAMPLES: dict[str, dict[str, Any]] = {
    "sample": {"seconds": 12},
    "sample-respiration": {"seconds": 20, "depth": 0.7},
}  # a breath takes longer


def run(video, folder, method: str = "pulse") -> str:
    """Magnify `video` (None: a sample that is rendered first) into `folder`. Returns what to look at, as text."""
    from fastmag.api import magnify
    from fastmag.pictures import before_after

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made ({error.strerror}): choose another with --out") from error
    source = Path(video) if video else sample(folder, method)
    name = source.stem if method == "pulse" or source.stem == f"sample-{method}" else f"{source.stem}-{method}"
    magnified, picture = folder / f"{name}-magnified.mp4", folder / f"{name}-before-after.png"
    report = magnify(source, magnified, method, progress=True, overwrite=True)
    before_after(source, magnified, picture, report.message)
    lines = [report.message, f"magnified video:       {magnified}", f"before/after picture:  {picture}"]
    return "\n".join(([report.damage] if report.damage else []) + lines)


def sample(folder: Path, method: str) -> Path:
    """The rendered sample for a method in `folder`, rendered unless it is there already."""
    from fastmag.synthetic.command import render

    name = f"sample-{method}" if f"sample-{method}" in SAMPLES else "sample"
    path = folder / f"{name}.mp4"
    if not path.exists():
        render(path, fps=30, size=(480, 640), task="A", seed=7, progress=True, **SAMPLES[name])
    return path
