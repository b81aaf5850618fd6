"""`fastmag render`: a person with a known pulse and breath as a video file, and the truth beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fastmag.errors import InputError
from fastmag.files import WholeFile, check_destination
from fastmag.progress import Progress
from fastmag.synthetic.render import Shot
from fastmag.synthetic.settings import Settings
from fastmag.video import DEFAULT_CRF, array_info
from fastmag.video.writer import Writer

MASK_SECONDS = 1.0  # between the frames whose masks are kept


def render(path, *, seed: int = 7, progress=False, overwrite: bool = False, lossless: bool = False,
           quality: float = DEFAULT_CRF, threads: int | None = None, **options) -> Path:  # fmt: skip
    """Render a clip into a video `path`, and its truth into `path` with the extension .npz; returns the latter.

    options: fields of Settings; quality: of the video's codec, smaller is better, unless lossless. The truth holds
    p, breath, yaw (T,), see Clip; bpm, fps, amplitude, task, seed; skin, torso (H, W) bool of the first frame, and
    skin_masks, torso_masks (K, H, W / 8 rounded up) uint8, packed bits of the frames mask_frames (K,); settings: all
    options as JSON, from which `scene` makes the same Shot again. Raises InputError as Shot and Writer do.
    """
    settings = Settings(**options)
    truth = check_destination(Path(path).with_suffix(".npz"), (), (".npz",), overwrite)
    height, width = settings.size
    writer = Writer(path, array_info(height, width, settings.fps, "gbrp" if lossless else "yuv420p"),
                    lossless=lossless, overwrite=overwrite, crf=quality, threads=threads or 0)  # fmt: skip
    shot = Shot(seed, settings)
    with writer, Progress(shot.n, "render", progress) as bar:
        for frame, _ in shot.frames(threads):
            writer.write_rgb(frame)
            bar.step()
    file = WholeFile(truth)
    try:
        with open(file.path, "wb") as out:
            np.savez_compressed(out, **_truth(shot))
        file.commit()
    finally:
        file.discard()
    return truth


def _truth(shot: Shot) -> dict:
    at = np.arange(0, shot.n, max(1, round(MASK_SECONDS * shot.settings.fps)))
    masks = [shot.masks(int(t)) for t in at]
    packed = {
        f"{name}_masks": np.stack([np.packbits(pair[k], axis=-1) for pair in masks])
        for k, name in enumerate(("skin", "torso"))
    }
    return {
        "p": shot.p, "breath": shot.breath, "yaw": shot.yaw, "bpm": shot.bpm, "fps": shot.settings.fps,
        "amplitude": shot.amplitude, "task": shot.settings.task, "seed": shot.seed, "skin": masks[0][0],
        "torso": masks[0][1], "mask_frames": at, **packed, "settings": json.dumps(shot.settings.record()),
    }  # fmt: skip


def scene(truth, **changes) -> Shot:
    """The Shot of a truth file, to render its frames again, in part, or with other options (pulse_factor=11).

    Raises InputError for a file that is no truth file, and as Shot does.
    """
    try:
        with np.load(truth) as data:
            record, seed = json.loads(str(data["settings"])), int(data["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{truth} is not the truth of a rendered clip ({error}); expected .npz beside it") from None
    return Shot(seed, Settings.of({**record, **changes}))
