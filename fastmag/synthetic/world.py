"""A harder world for breathing than the paper's: any view, any pattern of breath, hands, and things that rock."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastmag.synthetic.motion import Motion, rotation
from fastmag.synthetic.paint import tone
from fastmag.synthetic.person import HEAD_RISE, RISE, Person
from fastmag.synthetic.physiology import wander
from fastmag.synthetic.scene import HEAD_HEIGHT, Camera
from fastmag.synthetic.things import make_grain

WORLDS = ("paper", "any")
PIVOT = np.array([0.0, -11.0, -2.5])  # about which the body turns, cm
DISTANCE = 95.0  # of the camera, cm
ROCKING_HZ = (0.18, 0.42)  # within the band of breaths
APART_HZ = 0.05  # between a thing that rocks and the breath, at least
SWAY = (0.0005, 0.003)  # parts of the frame's height, standard deviation
SQUARE = 492  # pixels that sizes of motion are given for


@dataclass(frozen=True)
class World:
    """view (3, 3): turns the whole body; breathing (4,): how much shoulders, chest, belly and flanks move; scale and
    centre: of the camera, in place of its own; sway: the most that the whole body sways and comes nearer, in parts of
    the frame's height; capsules (n, K, 5), colours (K, 4), grains (K, s, s): see things.cover, with places in parts of
    the frame's height and width."""

    view: np.ndarray
    breathing: np.ndarray
    scale: float
    centre: tuple[float, float]
    sway: float
    capsules: np.ndarray
    colours: np.ndarray
    grains: np.ndarray

    def camera(self, camera: Camera) -> Camera:
        """The camera, pointed where this world looks."""
        return replace(camera, scale=self.scale, centre=self.centre, aspect=1.0)

    def motion(self, motion: Motion) -> Motion:
        """The motion, with no more sway than there is to a sitting person: from anywhere, and close by, nothing tells
        the sway of a whole body from its breath."""
        calm = [np.minimum(1, self.sway / np.maximum(m.std(0), 1e-9)) for m in (motion.shift, motion.nearer)]
        return replace(motion, shift=motion.shift * calm[0], nearer=motion.nearer * calm[1])

    def person(self, person: Person) -> Person:
        """The person, who breathes as in this world."""
        return replace(person, offsets=np.stack([person.offsets[0], _breath(person.vertices, self.breathing)]))


def make_world(rng: np.random.Generator, size: tuple[int, int], fps: float, melanin: float, air: np.ndarray) -> World:
    """A world for frames of `size` (height, width); air (n,): the breath, from whose pace what rocks keeps apart."""
    n, view, across = len(air), _view(rng), np.array([size[0] / size[1], 1.0])
    breathing = rng.uniform([0.1, 0.1, -0.2, 0.0], [1.0, 1.5, 1.5, 0.8])
    breathing[int(rng.integers(2))] += 0.4
    scale = np.exp(rng.uniform(np.log(0.37), np.log(0.95))) / HEAD_HEIGHT
    looks_at = rng.uniform([-9, -38, -4], [9, -13, 6])
    middle = rng.uniform(0.35, 0.65, 2) - across * _seen(view, looks_at, scale)
    centre = float(middle[0]), float(middle[1])

    def place(on_body: np.ndarray) -> np.ndarray:
        return middle + across * _seen(view, on_body, scale)

    arms = [_arm(rng, n, fps, place, scale, melanin) for _ in range(rng.choice(3, p=[0.5, 0.3, 0.2]))]
    rocking = [_rocking(rng, n, fps, air) for _ in range(rng.choice(2, p=[0.4, 0.6]))]
    capsules, colours, grains = zip(*(rocking + arms), strict=True) if rocking or arms else ((), (), ())
    sway = rng.uniform(*SWAY)
    if not capsules:
        return World(view, breathing, scale, centre, sway, np.zeros((n, 0, 5)), np.zeros((0, 4)), np.zeros((0, 1, 1)))
    return World(view, breathing, scale, centre, sway, np.stack(capsules, 1), np.stack(colours), np.stack(grains))


def _view(rng: np.random.Generator) -> np.ndarray:
    """From the front, the side, or anywhere; upright, lying, or from above."""
    side = rng.choice([-1, 1])
    yaw = (rng.normal(0, 15), side * rng.uniform(40, 110), rng.uniform(-50, 50))[rng.choice(3, p=[0.4, 0.3, 0.3])]
    pitch = rng.uniform(12, 40) if rng.random() < 0.25 else rng.normal(4, 9)
    roll = rng.choice([0, 90, 180, 270], p=[0.6, 0.15, 0.1, 0.15]) + rng.normal(0, 12)
    return rotation(0, 0, float(roll)) @ rotation(float(yaw), float(pitch), 0)


def _seen(view: np.ndarray, place: np.ndarray, scale: float) -> np.ndarray:
    """Where a place on the body (cm) is seen, from the middle of the unturned head, in parts of the frame."""
    x, y, z = view @ (place - PIVOT)
    zoom = scale * DISTANCE / (DISTANCE - z)
    return np.array([x * zoom, -(y + PIVOT[1]) * zoom])


def _breath(vertices: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """How one unit of breath moves the vertices (V, 3), cm."""
    shoulders, chest, belly, flanks = pattern
    x, y, z = vertices.T.astype(np.float64)
    trunk = 1 / (1 + np.exp((y + 15.5) / 1.5))
    out = np.zeros(vertices.shape)
    lower = np.clip((-y - 28) / 22, 0, 1)
    out[:, 1] = HEAD_RISE * shoulders + shoulders * RISE * trunk * (1 - 0.7 * lower)
    forward = 0.5 * chest * np.exp(-(((y + 28) / 9) ** 2)) + 0.6 * belly * np.exp(-(((y + 46) / 9) ** 2))
    out[:, 2] = forward * np.clip((z + 6) / 10, -0.2, 1)
    out[:, 0] = 0.3 * flanks * trunk * np.clip(x / 18, -1, 1) * np.exp(-(((y + 34) / 12) ** 2))
    return out.astype(np.float32)


def _arm(rng, n, fps, place, scale, melanin) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bare or sleeved forearm that rests, and now and then moves: capsule (n, 5), colour (4,), grain."""
    side = rng.choice([-1, 1])
    elbow = place(np.array([side * rng.uniform(20, 28), rng.uniform(-50, -35), 6.0]))
    hand = place(np.array([side * rng.uniform(-6, 22), rng.uniform(-36, -8), 14.0]))
    active = np.clip(wander(rng, n, fps, 1.5, 1.2, 1.0), 0, 1)
    reach = np.exp(rng.uniform(np.log(0.005), np.log(0.1)))
    out = np.empty((n, 5))
    for k, (end, share) in enumerate(((elbow, 0.3), (hand, 1.0))):
        for axis in range(2):
            moved = active * wander(rng, n, fps, 0.6, share * reach, 2.0) + wander(rng, n, fps, 0.8, 4e-4)
            out[:, 2 * k + axis] = end[axis] + moved
    out[:, 4] = rng.uniform(3.2, 5.5) * scale
    if rng.random() < 0.5:
        colour = tone(melanin) * rng.uniform(140, 230)
    else:
        colour = rng.uniform(10, 210) * (0.6 + 0.4 * rng.random(3))
    return out, np.append(colour, rng.uniform(0.02, 0.08)), make_grain(rng, False)


def _rocking(rng, n, fps, air) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball, a bar or a curtain that rocks: capsule (n, 5), colour (4,), grain."""
    curtain = rng.random() < 0.4
    edge, along = float(rng.choice([0.0, 1.0])) + rng.normal(0, 0.08), rng.uniform(0, 1)
    place = np.array([edge, along]) if rng.random() < 0.5 or curtain else np.array([along, edge])
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.25)
    half = 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    if curtain:
        place, half = np.array([edge, 0.5]), np.array([0.0, 0.8])
    rate = rng.uniform(*ROCKING_HZ)
    breath = _pace(air, fps)
    if abs(rate - breath) < APART_HZ:
        rate += 2 * APART_HZ if rate >= breath else -2 * APART_HZ
    phase = 2 * np.pi * np.cumsum(rate * (1 + wander(rng, n, fps, 6, 0.05, 0.3))) / fps + rng.uniform(0, 6.28)
    size = np.exp(rng.uniform(np.log(0.3), np.log(3.0))) / SQUARE
    wave = size * np.sin(phase) * (1 + wander(rng, n, fps, 6, 0.2, 0.3))
    way = rng.uniform(0, 2 * np.pi)
    shift = wave[:, None] * [np.cos(way), np.sin(way)]
    out = np.empty((n, 5))
    out[:, :2], out[:, 2:4] = place - half + shift, place + half + shift
    out[:, 4] = rng.uniform(0.06, 0.2)
    colour = rng.uniform(30, 210) * (0.5 + 0.5 * rng.random(3))
    return out, np.append(colour, rng.uniform(0.08, 0.35)), make_grain(rng, rng.random() < 0.5)


def _pace(air: np.ndarray, fps: float) -> float:
    """The frequency of a breath (n,) in hertz: where its spectrum is highest."""
    n = 8 * len(air)
    spectrum = np.abs(np.fft.rfft((air - air.mean()) * np.hanning(len(air)), n))
    return float(np.fft.rfftfreq(n, 1 / fps)[spectrum.argmax()])
