"""Which part of the body each pixel of a rendered frame shows."""

from __future__ import annotations

import numpy as np

from fastmag.synthetic.person import HEAD_RISE, RISE
from fastmag.synthetic.render import Shot

BACKGROUND, TORSO, HEAD, BETWEEN = range(4)


def parts(shot: Shot, t: int) -> np.ndarray:
    """(H, W) uint8 of frame t: TORSO where the breath lifts the body by at least half of what it lifts the shoulders,
    HEAD where it lifts it by hardly more than the head, BETWEEN on the neck, else BACKGROUND. In a world that is not
    the paper's, TORSO where it moves the body at least half as far as most of what it moves, and BETWEEN also what
    hides the body."""
    buffers, step = shot._buffers(), shot.settings.antialias
    shown = int(shot.camera.shown[t])
    shot._visible(shown, buffers)
    offsets, least, most = shot.person.offsets[1, shot.person.faces[:, 0]], HEAD_RISE + 0.1 * RISE, 0.5 * RISE
    rise = offsets[:, 1]
    if shot.world is not None:
        rise = np.linalg.norm(offsets, axis=1)
        least, most = np.percentile(rise, 95) * np.array([0.2, 0.5])
    kind = np.where(rise > most, TORSO, np.where(rise < least, HEAD, BETWEEN)).astype(np.uint8)
    face = buffers.face[::step, ::step]
    found = np.where(face >= 0, kind[face], np.uint8(BACKGROUND))
    if shot.world is not None:
        bare = np.ones((*shot.settings.size, 3), np.float32)
        shot._cover(shown, np.ones_like(bare), bare)
        found[bare[..., 0] < 1] = BETWEEN
    return found
