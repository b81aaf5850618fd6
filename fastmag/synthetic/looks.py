"""How a person looks: choices drawn once, in keeping with sex, skin type, glasses, facial hair and makeup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.synthetic import paint
from fastmag.synthetic.cast import MELANIN, Member
from fastmag.synthetic.glasses import Glasses

_DARK = (0.10, 0.075, 0.06)
_HAIRS = np.array([_DARK, _DARK, [0.22, 0.14, 0.09], [0.36, 0.24, 0.14], [0.60, 0.45, 0.27], [0.46, 0.20, 0.09],
                   [0.55, 0.54, 0.52]])  # fmt: skip
_IRISES = np.array([[0.30, 0.18, 0.09], [0.24, 0.14, 0.08], [0.36, 0.42, 0.50], [0.34, 0.40, 0.26]])
_FRAMES = np.array([[0.05, 0.05, 0.05], [0.16, 0.09, 0.05], [0.35, 0.35, 0.37], [0.45, 0.33, 0.16], [0.10, 0.12, 0.22],
                    [0.35, 0.08, 0.10]])  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """melanin 0..1; skin, hair, iris (3,) colours as shown; bald; long_hair 0..1; beard 0..1 density; style of the
    hairline (paint.hair_mask); thickness of the hair in cm; glasses, makeup: None without."""

    melanin: float
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    bald: bool
    long_hair: float
    beard: float
    style: dict[str, float]
    thickness: float
    glasses: Glasses | None
    makeup: paint.Makeup | None


def make_looks(who: Member) -> Looks:
    """The looks of a person; the same member always looks the same."""
    rng = np.random.default_rng([who.seed, 10])
    melanin = float(rng.uniform(*MELANIN[who.skin_type - 1]))
    skin = paint.tone(melanin) * rng.uniform(0.92, 1.06) * rng.uniform([0.96, 0.97, 0.94], [1.04, 1.03, 1.06])
    hair = _HAIRS[rng.integers(2 if who.skin_type >= 5 else len(_HAIRS))] * rng.uniform(0.8, 1.25)
    iris = _IRISES[rng.integers(2 if who.skin_type >= 4 else 4)]
    style: dict[str, float] = {
        "recede": rng.uniform(-0.8, 1.0) if who.woman else rng.uniform(-0.8, 2.6),
        "peak": rng.uniform(-0.6, 0.4),
        "sides": 0.0 if who.woman else rng.uniform(-0.5, 2.2),
        "fringe": float(rng.choice([0.0, 0.0, 0.0, rng.uniform(1.5, 3.5)])),
    }
    beard = float(rng.choice([rng.uniform(0.25, 0.5), rng.uniform(0.6, 0.95)])) if who.facial_hair else 0.0
    long_hair = rng.uniform(0.5, 1.0) if rng.random() < (0.8 if who.woman else 0.06) else 0.0
    bald = not who.woman and rng.random() < 0.12
    thickness = rng.uniform(0.25, 1.3)
    return Looks(melanin, skin, hair, iris, bald, 0.0 if bald else long_hair, beard, style, thickness,
                 _glasses(who), _makeup(who, skin))  # fmt: skip


def _glasses(who: Member) -> Glasses | None:
    """Thin metal or thick plastic, round to square."""
    if not who.glasses:
        return None
    rng = np.random.default_rng([who.seed, 15])
    plastic = rng.random() < 0.6
    radius = rng.uniform(0.14, 0.22) if plastic else rng.uniform(0.07, 0.1)
    colour = _FRAMES[rng.integers(len(_FRAMES))] * rng.uniform(0.8, 1.2)
    size = rng.uniform(2.15, 2.55), rng.uniform(1.45, 1.95)
    return Glasses(colour, radius, size, rng.uniform(2.2, 4.5), rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.22))


def _makeup(who: Member, skin: np.ndarray) -> paint.Makeup | None:
    """Foundation in the colour of the skin, lipstick, eye shadow and blush."""
    if not who.makeup:
        return None
    rng = np.random.default_rng([who.seed, 16])
    lips = np.array([[0.70, 0.16, 0.18], [0.62, 0.20, 0.30], [0.55, 0.22, 0.18], [0.78, 0.36, 0.36]])[rng.integers(4)]
    shadow = np.array([[0.36, 0.24, 0.20], [0.30, 0.26, 0.34], [0.24, 0.30, 0.36], [0.45, 0.30, 0.22]])[rng.integers(4)]
    lips, shadow = (colour * (0.45 + 0.55 * skin.mean() / 0.68) for colour in (lips, shadow))
    return paint.Makeup(rng.uniform(0.25, 0.6), lips, rng.uniform(0.5, 0.85), shadow, rng.uniform(0.2, 0.55),
                        rng.uniform(0.0, 0.12))  # fmt: skip
