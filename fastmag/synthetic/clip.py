"""Clips of people in memory, with their truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.synthetic.render import Shot
from fastmag.synthetic.settings import Settings


@dataclass(frozen=True)
class Clip:
    """A rendered clip and its truth. Frames are linear in the pulse: frame = picture + p[t] pulsation, then noise, 8
    bits.

    frames (T, H, W, 3) uint8 RGB; pulsation (T, H, W, 3) float16, grey levels per unit of p; p (T,) float32, the pulse
    as the frames show it, unit standard deviation over the recording before any frame is repeated; bpm its mean rate;
    fps; yaw (T,) degrees; amplitude: relative standard deviation of green skin; task; seed; breath (T,): 1 is a rise of
    the shoulders by .35 cm; skin, torso (H, W) bool in the first frame, see Shot.masks; settings as they were.
    """

    frames: np.ndarray
    pulsation: np.ndarray
    p: np.ndarray
    bpm: float
    fps: float
    yaw: np.ndarray
    amplitude: float
    task: str
    seed: int
    breath: np.ndarray
    skin: np.ndarray
    torso: np.ndarray
    settings: Settings


def render_clip(
    seed: int,
    task: str = "A",
    seconds: float = 20.0,
    fps: float = 30.0,
    threads: int | None = None,
    start: int = 0,
    stop: int | None = None,
    **options,
) -> Clip:
    """Render a clip; `options` are the other fields of Settings. The same seed gives the same pixels, whatever the
    threads.

    start, stop: render these frames of the recording only; they and their truth are those of the whole recording (with
    crf, the encoder begins at `start`). Memory: 9 bytes a pixel and frame (20 s at 658x492 and 30 fps: 1.7 GB). Raises
    InputError as Shot does.
    """
    shot = Shot(seed, Settings(task=task, seconds=seconds, fps=fps, **options))
    at = shot.span(start, stop)
    shape = (len(at), *shot.settings.size, 3)
    frames, pulsation = np.empty(shape, np.uint8), np.empty(shape, np.float16)
    for t, (frame, change) in enumerate(shot.frames(threads, start, stop)):
        frames[t], pulsation[t] = frame, change
    part = slice(at.start, at.stop)
    skin, torso = shot.masks(at.start)
    return Clip(frames, pulsation, shot.p[part], shot.bpm, fps, shot.yaw[part], shot.amplitude, task, seed,
                shot.breath[part], skin, torso, shot.settings)  # fmt: skip


def magnified(clip: Clip, alpha: float) -> np.ndarray:
    """The true magnified frames (T, H, W, 3) uint8: the clip with its pulse (1 + alpha) times as strong, noise
    unchanged."""
    out = np.empty_like(clip.frames)
    for t, (frame, pulsation) in enumerate(zip(clip.frames, clip.pulsation, strict=True)):
        change = pulsation.astype(np.float32) * np.float32(alpha * clip.p[t])
        out[t] = np.clip(np.floor(frame + change + np.float32(0.5)), 0, 255)
    return out
