"""Which part of the body each pixel of a rendered frame shows."""

from __future__ import annotations

import numpy as np

from fastmag.synthetic.person import HEAD_RISE, RISE
from fastmag.synthetic.render import Shot

BACKGROUND, TORSO, HEAD, BETWEEN = range(4)


def parts(shot: Shot, t: int) -> np.ndarray:
    """(H, W) uint8 of frame t: TORSO where the breath lifts the body by at least half of what it
    lifts the shoulders, HEAD where it lifts it by hardly more than the head, BETWEEN on the neck, else BACKGROUND."""
    buffers, step = shot._buffers(), shot.settings.antialias
    shot._visible(int(shot.camera.shown[t]), buffers)
    rise = shot.person.offsets[1, shot.person.faces[:, 0], 1]
    kind = np.where(rise > 0.5 * RISE, TORSO, np.where(rise < HEAD_RISE + 0.1 * RISE, HEAD, BETWEEN)).astype(np.uint8)
    face = buffers.face[::step, ::step]
    return np.where(face >= 0, kind[face], np.uint8(BACKGROUND))
