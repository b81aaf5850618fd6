"""A data set of rendered people: one video and its truth for every person and task, an index, a contact sheet."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fastmag.errors import InputError
from fastmag.files import WholeFile
from fastmag.processes import pool
from fastmag.progress import Progress
from fastmag.synthetic.cast import Recording, recordings
from fastmag.synthetic.mesh import load_mesh
from fastmag.synthetic.settings import Settings
from fastmag.synthetic.wave_files import excerpt
from fastmag.video import DEFAULT_CRF


@dataclass(frozen=True)
class Plan:
    """All that decides what is rendered: the same plan gives the same videos.

    people, tasks, seed: of cast.recordings; options: fields of Settings for every recording, such as seconds, fps and
    size; lossless, quality: of the videos. Raises InputError where Settings, recordings, a wave or a mesh do.
    """

    people: int = 25
    tasks: str = "ABCD"
    seed: int = 0
    lossless: bool = False
    quality: float = DEFAULT_CRF
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        recordings(self.seed, self.people, self.tasks)
        settings = Settings(**self.options)
        n = round(settings.seconds * settings.fps)
        for spec, kind in ((settings.wave, "pulse"), (settings.breath_wave, "breath")):
            if spec is not None:
                excerpt(np.random.default_rng(0), spec, kind, n, settings.fps)
        if settings.head is not None:
            load_mesh(settings.head)
        for name in ("task", "person"):
            if name in self.options:
                raise InputError(f"a data set has every {name} of its cast; leave out the option {name}")


def render_people(out, plan: Plan, jobs: int | None = None, progress=True) -> Path:
    """Render the plan into the folder `out`, one process a core; returns its index, index.csv.

    Stopped at any moment, the same call goes on: a recording counts once its video and its truth are whole. Beside them
    come plan.json, index.csv (a row per recording) and contact.png. Raises InputError where `out` holds another plan.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {out} cannot be made ({error.strerror}): choose another") from error
    _claim(out, plan)
    all_of_them = recordings(plan.seed, plan.people, plan.tasks)
    missing = [what for what in all_of_them if not _whole(out, what)]
    with Progress(len(all_of_them), "render", progress, "clip") as bar:
        bar.step(len(all_of_them) - len(missing))
        if missing:
            with pool(jobs) as workers:
                for done in [workers.submit(_record, out, what, plan) for what in missing]:
                    done.result()
                    bar.step()
    for left in out.glob(".fastmag-*"):  # of a process that was killed; everything is whole now
        left.unlink(missing_ok=True)
    index = _write_index(out, all_of_them)
    contact_sheet(out, all_of_them)
    return index


def _claim(out: Path, plan: Plan) -> None:
    path = out / "plan.json"
    mine = json.dumps({**asdict(plan), "options": Settings(**plan.options).record()}, indent=1)
    if path.exists() and json.loads(path.read_text()) != json.loads(mine):
        raise InputError(f"{out} holds a data set of another plan (plan.json): choose another folder, or its options")
    file = WholeFile(path)
    file.path.write_text(mine + "\n")
    file.commit()


def _whole(out: Path, what: Recording) -> bool:
    """Both files take their names only when they are whole; the truth comes last."""
    return (out / f"{what.name}.mp4").is_file() and (out / f"{what.name}.npz").is_file()


def _record(out: Path, what: Recording, plan: Plan) -> None:
    from fastmag.synthetic.command import render

    options = {**plan.options, "task": what.task, "person": what.member}
    render(out / f"{what.name}.mp4", seed=what.seed, overwrite=True, lossless=plan.lossless, quality=plan.quality,
           threads=1, **options)  # fmt: skip


def _write_index(out: Path, all_of_them: list[Recording]) -> Path:
    rows = []
    for what in all_of_them:
        with np.load(out / f"{what.name}.npz") as truth:
            known = {"bpm": round(float(truth["bpm"]), 2), "amplitude": round(float(truth["amplitude"]), 6),
                     "fps": float(truth["fps"]), "frames": len(truth["p"])}  # fmt: skip
        who = {k: v for k, v in asdict(what.member).items() if k != "seed"}
        rows.append({"video": f"{what.name}.mp4", "truth": f"{what.name}.npz", "person": what.person, "task": what.task,
                     "seed": what.seed, **who, **known})  # fmt: skip
    file = WholeFile(out / "index.csv")
    with file.path.open("w", newline="") as lines:
        table = csv.DictWriter(lines, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    file.commit()
    return file.destination


def contact_sheet(out: Path, all_of_them: list[Recording], width: int = 150) -> Path:
    """contact.png: the first frame of every recording, a row per person, a column per task, `width` pixels each."""
    import matplotlib.image

    from fastmag.kernels import cpu
    from fastmag.video import read_rgb

    rows: dict[int, list[np.ndarray]] = {}
    for what in all_of_them:
        frame = read_rgb(out / f"{what.name}.mp4", 0, 1)[0][0]
        small = cpu.downsample_bicubic(frame, (round(width * frame.shape[0] / frame.shape[1]), width))
        rows.setdefault(what.person, []).append(np.clip(small + 0.5, 0, 255).astype(np.uint8))
    sheet = np.concatenate([np.concatenate(row, 1) for row in rows.values()], 0)
    file = WholeFile(out / "contact.png")
    matplotlib.image.imsave(file.path, sheet, format="png")
    file.commit()
    return file.destination
