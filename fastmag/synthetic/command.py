"""`fastmag render`: a person with a known pulse as a video file, and the truth beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastmag.files import WholeFile, check_destination
from fastmag.progress import Progress
from fastmag.synthetic.render import Shot
from fastmag.synthetic.settings import Settings
from fastmag.video import array_info
from fastmag.video.writer import Writer

SKIN = 0.35  # of the strong pulsation: cells above are skin


def render(path, *, seed: int = 7, progress=False, overwrite: bool = False, lossless: bool = False, **options) -> Path:
    """Render a clip into a video `path`, and its truth into `path` with the extension .npz; returns the latter.

    options: fields of Settings. The truth holds p (T,), bpm, fps, amplitude, yaw (T,), task, seed, and `skin`
    (H, W) bool: where the first frame shows skin with a pulse. Raises InputError as Shot and Writer do.
    """
    settings = Settings(**options)
    truth = check_destination(Path(path).with_suffix(".npz"), (), (".npz",), overwrite)
    height, width = settings.size
    writer = Writer(path, array_info(height, width, settings.fps, "gbrp" if lossless else "yuv420p"),
                    lossless=lossless, overwrite=overwrite)  # fmt: skip
    shot = Shot(seed, settings)
    skin = np.zeros(settings.size, bool)
    with writer, Progress(shot.n, "render", progress) as bar:
        for t, (frame, pulsation) in enumerate(shot.frames()):
            if t == 0 and pulsation.any():
                green = pulsation[..., 1].astype(np.float32)
                skin = green > SKIN * np.percentile(green[green > 0], 90)
            writer.write_rgb(frame)
            bar.step()
    file = WholeFile(truth)
    with open(file.path, "wb") as out:
        np.savez(out, p=shot.p, bpm=shot.bpm, fps=settings.fps, amplitude=shot.amplitude, skin=skin, seed=seed,
                 yaw=shot.motion.yaw[shot.camera.shown], task=settings.task)  # fmt: skip
    file.commit()
    return truth
