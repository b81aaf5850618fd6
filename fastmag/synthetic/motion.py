"""How the head moves: the paper's tasks A to D, and T, free motion to train on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from fastmag.errors import InputError
from fastmag.synthetic.physiology import wander

TASKS = ("A", "B", "C", "D", "T")


@dataclass(frozen=True)
class Motion:
    """One value per frame: yaw, pitch, roll in degrees; shift (n, 2) and shake (n, 2) in parts of the frame's height
    (shake moves the background too); nearer, relative change of size; jaw 0..1; lids 0 open, 1 half, 2 closed."""

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    shift: np.ndarray
    shake: np.ndarray
    nearer: np.ndarray
    jaw: np.ndarray
    lids: np.ndarray


def yaw_of_task(rng: np.random.Generator, task: str, n: int, fps: float) -> np.ndarray:
    """Yaw in degrees (n,): A still but alive; B, C a 120-degree sweep to and fro at 10, 30 degrees a second; D every
    second a new target on a 20-degree grid within +-60; T free motion of 1 to 15 degrees. Raises InputError for another
    task."""
    t = np.arange(n) / fps
    if task == "A":
        return wander(rng, n, fps, 1.5, rng.uniform(0.1, 0.7))
    if task in ("B", "C"):
        speed = 10.0 if task == "B" else 30.0
        turn = ((t + rng.uniform(0, 240 / speed)) * speed) % 240
        sweep = np.where(turn < 120, turn - 60, 180 - turn)
        pad = min(n - 1, int(fps))
        smooth = (
            sosfiltfilt(butter(2, min(2.0, 0.4 * fps), fs=fps, output="sos"), sweep, padlen=pad) if n > 8 else sweep
        )
        return smooth + wander(rng, n, fps, 1.0, 0.4)
    if task == "D":
        begin = rng.random()
        targets = rng.integers(-3, 4, int(n / fps) + 3) * 20.0
        second = np.floor(t + begin).astype(int)
        turn = np.clip((t + begin - second) / rng.uniform(0.35, 0.55), 0, 1)
        ease = turn**3 * (10 - 15 * turn + 6 * turn**2)  # minimum jerk
        return targets[second] + (targets[second + 1] - targets[second]) * ease + wander(rng, n, fps, 1.0, 0.4)
    if task == "T":
        return wander(rng, n, fps, 0.8, rng.uniform(1, 15), 2.0)
    raise InputError(f"unknown task {task!r}; expected one of {', '.join(TASKS)}")


def _blinks(rng: np.random.Generator, n: int, fps: float) -> np.ndarray:
    lids = np.zeros(n, np.int64)
    time = rng.uniform(0, 4)
    while time < n / fps:
        start, shut = int(time * fps), max(int(0.13 * fps), 1)
        lids[start : start + shut + 2] = 1
        lids[start + 1 : start + 1 + shut] = 2
        time += rng.uniform(1.2, 6)
    return lids


def make_motion(rng: np.random.Generator, task: str, n: int, fps: float, beat: np.ndarray, lively: bool) -> Motion:
    """The motion of a clip of n frames; `lively` adds what training needs beyond the tasks: speech, sway, a shaken
    camera.

    beat (n,): the pulse, because each beat nudges the head (ballistocardiography), which must not be mistaken for
    colour.
    """
    turning = task != "A"
    yaw = yaw_of_task(rng, task, n, fps) + rng.normal() * (6 if task in "AT" else 2)
    pitch = wander(rng, n, fps, 1.5, rng.uniform(0.2, 2.5) if turning else rng.uniform(0.05, 0.5)) + rng.normal() * 3
    pitch = pitch + (np.abs(yaw) * rng.normal() * 0.05 if turning else 0.0)
    roll = wander(rng, n, fps, 1.5, rng.uniform(0.1, 2.0) if turning else rng.uniform(0.05, 0.4)) + rng.normal() * 2
    sway = rng.uniform(0.0005, 0.010 if turning else 0.003, 2)
    shift = np.stack([wander(rng, n, fps, 1.5, s) for s in sway], -1)
    if rng.random() < 0.5:
        shift[:, 1] += np.roll(beat, rng.integers(0, 12)) * rng.uniform(0, 0.0006)
    jaw, shake = np.zeros(n), np.zeros((n, 2))
    if rng.random() < (0.4 if lively else 0.25):
        talking = np.clip(wander(rng, n, fps, 2.0, 1.0, 1.0) + rng.uniform(-0.3, 0.8), 0, 1)
        jaw = np.clip(np.abs(wander(rng, n, fps, 0.15, 1.0, 5.0)) * talking * rng.uniform(0.05, 0.35), 0, 1)
    if lively and rng.random() < 0.3:
        strength = np.exp(rng.uniform(np.log(3e-4), np.log(8e-3)))
        shake = np.stack([wander(rng, n, fps, rng.uniform(0.05, 0.6), strength, 8.0) for _ in range(2)], -1)
    nearer = wander(rng, n, fps, 2.0, rng.uniform(0, 0.02) if turning else rng.uniform(0, 0.003), 1.5)
    lids = _blinks(rng, n, fps)
    return Motion(yaw, pitch, roll, shift, shake, nearer, jaw, lids)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation matrix (3, 3), angles in degrees; positive yaw turns the face to the picture's right."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.deg2rad([yaw, pitch, roll])), np.sin(np.deg2rad([yaw, pitch, roll]))
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return turn_z @ turn_x @ turn_y
