"""Light, background and camera of a clip, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from fastmag.errors import InputError
from fastmag.synthetic.person import PULSE_COLOUR
from fastmag.synthetic.physiology import pulse, wander

HEAD_HEIGHT = 25.0  # cm
BACKGROUNDS = ("pattern", "plain", "black", "moving", "flicker", "wild")


@dataclass(frozen=True)
class Light:
    """lamp (n, 17) float32, see raster._light; gain (n, 3): intensity flicker and white-balance drift per frame."""

    lamp: np.ndarray
    gain: np.ndarray


@dataclass(frozen=True)
class Background:
    """image (2H, 2W, 3) float32, levels 0..255, of which a frame (H, W) shows a part; masks (H, W, K); shift (n, 2):
    x, y in pixels; flicker (n, K, 3) relative."""

    image: np.ndarray
    masks: np.ndarray
    shift: np.ndarray
    flicker: np.ndarray


@dataclass(frozen=True)
class Camera:
    """noise: sigma in grey levels, of which the share `shot` of the variance grows with light; blur of the noise in
    pixels (0: independent); scale: height of the frame per cm; centre (x, y), in parts of the frame, of the head's
    middle; aspect of a pixel; gamma; shown (n,): which instant each frame shows; gop, preset: of an H.264 encoder,
    where one is used."""

    noise: float
    shot: float
    blur: float
    scale: float
    centre: tuple[float, float]
    aspect: float
    gamma: float
    shown: np.ndarray
    gop: int
    preset: str


def make_light(rng: np.random.Generator, n: int, fps: float, melanin: float, hard: bool) -> Light:
    """Key light from any side in front, sky and ground light, gloss; drift, flicker and white balance over time."""
    direction = np.array([rng.normal() * 0.6, rng.uniform(0.05, 0.9), 1.0])
    direction = direction + np.stack([wander(rng, n, fps, 1.5, rng.uniform(0, 0.03)), np.zeros(n), np.zeros(n)], -1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    exposure = rng.uniform(0.72, 1.18) * (1 + 0.35 * melanin)
    ambient = rng.uniform(0.22, 0.6)
    tint = rng.uniform([0.93, 0.95, 0.88], [1.07, 1.03, 1.08])
    key = exposure * (1 - ambient) * 1.12 * tint
    sky = exposure * ambient * 1.15 * tint * rng.uniform(0.94, 1.06, 3)
    ground = sky * rng.uniform(0.45, 0.9)
    wrap = rng.uniform(0.1, 0.4) * np.array([1.0, 0.65, 0.5])
    surface = [rng.uniform(0.0, 0.12), rng.uniform(8, 30)]
    fixed = np.concatenate([key, sky, ground, wrap, surface])
    lamp = np.concatenate([direction, np.broadcast_to(fixed, (n, len(fixed)))], 1).astype(np.float32)
    slow = wander(rng, n, fps, 1.0, np.exp(rng.uniform(np.log(2e-4), np.log(1e-2 if hard else 3e-3))))
    fast = wander(rng, n, fps, 0.1, rng.uniform(0, 1.5e-3 if hard else 5e-4), 12.0)
    gain = 1 + (slow + fast)[:, None] * np.ones(3)
    if hard and rng.random() < 0.25:  # mains flicker beating with the shutter
        beat = rng.uniform(0.3, 14.5)
        gain += rng.uniform(0, 4e-3) * np.sin(2 * np.pi * beat * np.arange(n) / fps + rng.uniform(0, 6.28))[:, None]
    if rng.random() < 0.35:
        gain *= 1 + np.stack([wander(rng, n, fps, 2.0, rng.uniform(0, 1.2e-3), 1.0) for _ in range(3)], -1)
    return Light(lamp, gain.astype(np.float32))


def _pattern(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Chequers, discs, stripes or waves (h, w, 3), 0..1; the pattern is finer than the head."""
    y, x = np.mgrid[:h, :w] / (h / 2)
    image = np.zeros((h, w, 3)) + rng.uniform(0.08, 0.7, 3)
    kind = rng.integers(4)
    if kind == 0:
        k = rng.integers(4, 18)
        image += (((x * k).astype(int) + (y * k).astype(int)) % 2)[..., None] * rng.normal(size=3) * 0.2
    elif kind == 1:
        for _ in range(50):
            cx, cy, r = *rng.uniform(0, 2.8, 2), rng.uniform(0.02, 0.22)
            image += (((x - cx) ** 2 + (y - cy) ** 2) < r * r)[..., None] * rng.normal(size=3) * 0.14
    elif kind == 2:  # shelves of books
        shelf = (y * rng.uniform(1.5, 3)).astype(int)
        book = np.floor(x * rng.uniform(9, 20) + 0.35 * np.sin(7 * x)).astype(int)
        colours = rng.uniform(0.08, 0.75, (97, 3))
        image = colours[(book * 31 + shelf * 17) % 97] * (1 - 0.6 * ((y * 3) % 1 < 0.05))[..., None]
    else:
        for _ in range(9):
            kx, ky = rng.normal(size=2) * rng.uniform(4, 45)
            image += np.sin(x * kx + y * ky + rng.uniform(0, 6))[..., None] * rng.normal(size=3) * 0.06
    return image


def _plain(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[:h, :w] / h
    wall = rng.uniform(0.15, 0.8, 3)
    wall = wall.mean() + rng.uniform(0.1, 1) * (wall - wall.mean())
    fall = 1 + 0.25 * rng.normal() * (x - 1) - 0.2 * rng.random() * (y - 0.5)
    return wall * fall[..., None] * np.ones((h, w, 3))


def _flicker(rng: np.random.Generator, n: int, fps: float, h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """Three soft patches (h, w, 3 masks) and their relative change (n, 3, 3): pulses of another rate, or any light."""
    y, x = np.mgrid[:h, :w] / h
    masks, changes = [], []
    for _ in range(3):
        cx, cy = rng.uniform(0, 1.3), rng.uniform(0, 1)
        masks.append(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / rng.uniform(0.08, 0.4) ** 2))
        colour = rng.normal(size=3) if rng.random() < 0.5 else PULSE_COLOUR * rng.choice([-1, 1])
        wave = pulse(rng, n, fps)[0] if rng.random() < 0.6 else wander(rng, n, fps, 0.2, 1.0, 6.0)
        strength = np.exp(rng.uniform(np.log(1e-3), np.log(2e-2)))
        changes.append(strength * wave[:, None] * colour / np.linalg.norm(colour))
    return np.stack(masks, -1), np.stack(changes, 1)


def make_background(rng: np.random.Generator, kind: str, n: int, fps: float, size: tuple[int, int]) -> Background:
    """A wall behind the person, for frames of `size` (height, width).

    kind: "pattern", "plain", "black"; "moving" slides the pattern; "flicker" lets patches pulsate, some in the pulse's
    colour; "wild" does both. Raises InputError for another kind.
    """
    if kind not in BACKGROUNDS:
        raise InputError(f"unknown background {kind!r}; expected one of {', '.join(BACKGROUNDS)}")
    h, w = 2 * size[0], 2 * size[1]
    shift, flicker, masks = np.zeros((n, 2)), np.zeros((n, 0, 3)), np.zeros((h, w, 0))
    if kind == "black":
        image = np.zeros((h, w, 3)) + rng.uniform(0.005, 0.05)
    elif kind == "plain" or (kind == "flicker" and rng.random() < 0.4):
        image = _plain(rng, h, w)
    else:
        image = _pattern(rng, h, w)
        if rng.random() < 0.5:
            grey = image.mean(-1, keepdims=True)
            image = grey + (image - grey) * rng.uniform(0, 0.3)
        image = gaussian_filter(image, (size[0] * rng.uniform(0.001, 0.012),) * 2 + (0,), mode="wrap")
    if kind in ("moving", "wild"):
        shift = np.stack([wander(rng, n, fps, 1.0, s * size[0]) for s in rng.uniform(0.003, [0.12, 0.05])], -1)
    if kind in ("flicker", "wild"):
        masks, flicker = _flicker(rng, n, fps, h, w)
    levels = np.clip(image, 0.004, 0.95) * 255
    masks = np.ascontiguousarray(masks[: size[0], : size[1]], np.float32)
    return Background(levels.astype(np.float32), masks, shift, flicker.astype(np.float32))


def repeats(rng: np.random.Generator, n: int) -> np.ndarray:
    """Which instant each of n frames shows when some are dropped and the one before is shown again."""
    shown = np.arange(n)
    if rng.random() < 0.4:  # a film at 24 or 25 fps shown at 30
        every = int(rng.choice([5, 6]))
        lost = (shown % every) == rng.integers(every)
    else:
        lost = rng.random(n) < rng.uniform(0.01, 0.12)
    lost[0] = False
    return np.maximum.accumulate(np.where(lost, 0, shown))


def make_camera(
    rng: np.random.Generator, n: int, size: tuple[int, int], noise: float | None, framing: str, repeat: bool
) -> Camera:
    """How the person is filmed. framing "portrait": head and shoulders; "any": the face small, large, cut off,
    squeezed."""
    if framing == "portrait":
        height, centre, aspect = rng.uniform(0.46, 0.56), (0.5 + rng.normal() * 0.02, rng.uniform(0.40, 0.46)), 1.0
    else:
        height = np.exp(rng.uniform(np.log(0.36), np.log(1.15)))
        centre = (rng.uniform(0.36, 0.64), rng.uniform(0.40, 0.60) if height > 0.7 else rng.uniform(0.3, 0.62))
        aspect = rng.uniform(0.75, 1.3)
    drawn = float(np.exp(rng.uniform(np.log(0.25), np.log(1.3))))
    blur = float(rng.choice([0.0, 0.0, rng.uniform(0.5, 1.2)])) if framing == "any" else 0.0
    gamma = float(rng.choice([1.0, 1.8, 2.2])) if framing == "any" else 2.2
    shown = repeats(rng, n) if repeat else np.arange(n)
    gop = int(rng.choice([12, 30, 60, 250]))
    preset = str(rng.choice(["ultrafast", "veryfast", "medium"]))
    sigma = drawn if noise is None else float(noise)
    return Camera(
        sigma, float(rng.uniform(0, 0.9)), blur, height / HEAD_HEIGHT, centre, aspect, gamma, shown, gop, preset
    )
