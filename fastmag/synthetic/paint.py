"""Skin, eyes, brows, lips, hair, beard and clothes, painted into the texture by the place of each texel on the body
(cm).

Colours are as a camera with gamma shows them (0..1); `person.py` makes them linear. Every painter takes the canvas and
changes it in place; `skin` is the share of bare skin left, which carries the pulse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from fastmag.synthetic.body import CURTAIN, EAR, HEAD, TORSO
from fastmag.synthetic.mesh import EYES

_TONES = np.array([[0.96, 0.79, 0.70], [0.89, 0.69, 0.57], [0.78, 0.57, 0.44], [0.60, 0.41, 0.30], [0.40, 0.26, 0.19]])
_HAIRLINE = PchipInterpolator(
    [0.0, 0.5, 0.85, 1.05, 1.22, 1.42, 1.55, 1.75, 1.95, 2.2, 2.5, 3.2],
    [8.4, 8.1, 6.6, 4.6, 1.5, -1.2, 2.4, 3.0, 1.0, -4.2, -6.6, -7.0],
)


@dataclass
class Canvas:
    """place (R, C, 3) cm; part (R, C); colour (R, C, 3) 0..1; skin, gloss (R, C) 0..1."""

    place: np.ndarray
    part: np.ndarray
    colour: np.ndarray
    skin: np.ndarray
    gloss: np.ndarray

    def cover(self, mask: np.ndarray, colour: np.ndarray, gloss: float | None = None, bare: float = 0.0) -> None:
        """Blend a colour over; the skin below keeps the share `bare` where the mask is 1."""
        self.colour += mask[..., None] * (colour - self.colour)
        self.skin *= 1 - mask * (1 - bare)
        if gloss is not None:
            self.gloss += mask * (gloss - self.gloss)


@dataclass(frozen=True)
class Makeup:
    """foundation: how much of the skin it hides; lips, shadow (3,) colours; lipstick, eyeshadow, blush: their strength.
    All 0..1."""

    foundation: float
    lips: np.ndarray
    lipstick: float
    shadow: np.ndarray
    eyeshadow: float
    blush: float


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -40, 40)))


def waves(place: np.ndarray, rng: np.random.Generator, scale: float, count: int = 7) -> np.ndarray:
    """A smooth random field over the body of unit variance, features of about `scale` cm."""
    k = rng.normal(size=(count, 3)) / scale
    return np.sin(place @ k.T.astype(np.float32) + rng.uniform(0, 6.28, count)).sum(-1) * np.sqrt(2 / count)


def grain(canvas: Canvas, rng: np.random.Generator, texels: float) -> np.ndarray:
    """Fine random texture of unit variance, correlated over a few texels."""
    own = np.random.default_rng(rng.integers(2**32))  # so that what is drawn next does not depend on the texture's size
    field = gaussian_filter(own.standard_normal(canvas.part.shape, np.float32), texels)
    return field / field.std()


def tone(melanin: float) -> np.ndarray:
    """Skin colour (3,) for melanin 0 (palest) .. 1 (darkest)."""
    at = np.linspace(0, 1, len(_TONES))
    return np.array([np.interp(melanin, at, _TONES[:, k]) for k in range(3)])


def front(canvas: Canvas) -> np.ndarray:
    """The face: the front of the head, 0..1."""
    return sigmoid((canvas.place[..., 2] - 4.5) * 3) * (canvas.part == HEAD)


def skin(canvas: Canvas, base: np.ndarray, rng: np.random.Generator, detail: np.ndarray | None) -> None:
    """Base colour, blotches, redder cheeks, nose and ears, shade in the hollows; or the scan's own detail instead."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    face = front(canvas)
    canvas.colour[:] = base
    blotches = rng.uniform(0.005, 0.03) * waves(canvas.place, rng, 2.5) + rng.uniform(0.004, 0.02) * waves(
        canvas.place, rng, 0.8
    )
    canvas.colour *= 1 + blotches[..., None] * [0.6, 1.0, 1.0]
    flush = np.exp(-(((np.abs(x) - 4.6) / 2.2) ** 2) - ((y + 2.8) / 2.2) ** 2) * 0.8 + np.exp(
        -((x / 1.4) ** 2) - ((y + 3.4) / 1.2) ** 2
    )
    flush = np.maximum(flush * face, 0.8 * (canvas.part == EAR)) * rng.uniform(0.03, 0.13)
    canvas.colour *= 1 - flush[..., None] * [0.15, 1.0, 0.9]
    canvas.gloss[:] = 0.75 + 0.5 * face * np.exp(-((x / 3.0) ** 2) - ((y - 3) / 7.0) ** 2)
    if detail is not None:
        canvas.colour *= detail
        return
    hollows = 0.20 * np.exp(-(((np.abs(x) - 3.2) / 2.0) ** 2) - ((y - 0.4) / 1.1) ** 2) + 0.14 * np.exp(
        -((x / 1.6) ** 2) - ((y + 5.1) / 0.5) ** 2
    )
    hollows += 0.10 * np.exp(
        -(((np.abs(x) - 1.5) / 0.5) ** 2) - ((y + 0.1) / 1.6) ** 2
    )  # beside the bridge of the nose
    hollows += 0.12 * np.exp(-((x / 1.9) ** 2) - ((y + 9.1) / 0.45) ** 2) + 0.10 * np.exp(
        -(((np.abs(x) - 2.6 + 0.25 * (y + 5)) / 0.5) ** 2) - ((y + 5.6) / 1.6) ** 2
    )
    canvas.colour *= 1 - (face * hollows)[..., None] * [0.8, 1.0, 1.0]
    ear = (canvas.part == EAR) * np.exp(-(((y + 0.6) / 1.9) ** 2) - ((canvas.place[..., 2] + 1.6) / 0.8) ** 2)
    canvas.colour *= 1 - 0.35 * ear[..., None]
    neck = canvas.part == TORSO
    canvas.colour *= 1 - (neck * 0.28 * sigmoid((y + 15.5) * 0.9))[..., None]  # the chin's shadow on the neck


def _mouth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The lips, 0..1."""
    across = np.clip(1 - (x / 2.55) ** 2, 0, 1)
    bow = 0.62 * across**0.7 - 0.12 * np.exp(-((x / 0.4) ** 2))
    return sigmoid((y + 7.45 + 0.78 * across**0.7) * 14) * sigmoid((-7.45 + bow - y) * 14) * (across > 0)


def lips(canvas: Canvas, rng: np.random.Generator, strength: float) -> None:
    """Lips and the dark line between them."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    face = front(canvas)
    inside = _mouth(x, y)
    canvas.colour *= 1 - (face * inside * strength)[..., None] * (np.array([0.12, 0.36, 0.28]) * rng.uniform(0.7, 1.3))
    canvas.gloss += face * inside * 0.6
    line = np.exp(-(((y + 7.45 - 0.10 * (x / 2.4) ** 2) / 0.11) ** 2)) * np.exp(-(np.abs(x / 2.6) ** 6))
    canvas.colour *= 1 - (face * line * 0.62 * strength)[..., None]
    holes = np.exp(-(((np.abs(x) - 0.75) / 0.36) ** 2) - ((y + 4.35) / 0.20) ** 2)
    canvas.colour *= 1 - (face * holes * 0.7 * strength)[..., None]


def make_up(canvas: Canvas, base: np.ndarray, style: Makeup) -> None:
    """Foundation evens the skin and hides a part of its pulse; blush on the cheeks, shadow on the lids, lipstick."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    face = front(canvas)
    even = face * sigmoid((y + 11.5) * 2) * style.foundation
    canvas.cover(even, 0.5 * canvas.colour + 0.5 * base)
    cheeks = face * np.exp(-(((np.abs(x) - 4.8) / 1.7) ** 2) - ((y + 2.4 - 0.3 * (np.abs(x) - 4.8)) / 1.3) ** 2)
    canvas.colour *= 1 - (style.blush * cheeks)[..., None] * [0.1, 1.0, 0.7]
    lid = face * np.exp(-(np.abs((np.abs(x) - EYES[0]) / 1.9) ** 4) - np.abs((y - EYES[1] - 0.65) / 0.62) ** 3)
    canvas.cover(style.eyeshadow * lid, style.shadow * base / base.max(), bare=0.4)
    canvas.cover(style.lipstick * face * _mouth(x, y), style.lips, gloss=1.3, bare=0.2)


def eyes(canvas: Canvas, iris: np.ndarray, gaze: tuple[float, float], openness: float) -> None:
    """Almond eyes with iris, pupil, a catch-light, lashes and a crease; openness 1 (wide) .. 0 (closed)."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    face = front(canvas)
    base = canvas.colour.copy()
    for side in (-1, 1):
        ex, ey = (x - side * EYES[0]) * side, y - EYES[1]
        across = np.clip(1 - (ex / 1.55) ** 2, 0, 1)
        tilt = 0.06 * ex
        upper, lower = tilt + across * (0.66 * openness - 0.26 * (1 - openness)), tilt - 0.36 * across
        ball = sigmoid((upper - ey) * 16) * sigmoid((ey - lower) * 16) * (across > 0) * face
        r = np.hypot(x - side * EYES[0] - gaze[0], ey - gaze[1])
        disc = np.clip(0.86 - 0.10 * np.abs(ex), 0, 1)[..., None] * np.array([0.97, 0.93, 0.92])
        disc = disc + sigmoid((0.66 - r) * 16)[..., None] * (iris * (0.55 + 0.6 * r[..., None]) - disc)
        disc = disc * (1 - 0.96 * sigmoid((0.27 - r) * 22))[..., None]
        disc = disc * (1 - 0.45 * np.exp(-(((upper - ey) / 0.28) ** 2)))[..., None]  # the lid's shadow
        spark = sigmoid((0.13 - np.hypot(x - side * EYES[0] - 0.22, ey - 0.22)) * 30) * sigmoid((0.2 - r + 0.3) * 9)
        canvas.cover(ball, disc + 0.75 * spark[..., None], gloss=0.6)
        lash = np.exp(-(((ey - upper) / 0.12) ** 2)) * np.exp(-(np.abs(ex / 1.6) ** 6)) * face
        canvas.cover(0.85 * lash, base * 0.16, bare=0.3)
        rim = np.exp(-(((ey - lower) / 0.10) ** 2)) * np.exp(-(np.abs(ex / 1.5) ** 6)) * face
        canvas.cover(0.35 * rim, base * np.array([0.62, 0.42, 0.40]), bare=0.8)
        crease = np.exp(-(((ey - 0.62 * across - 0.42) / 0.11) ** 2)) * np.exp(-(np.abs(ex / 1.7) ** 4)) * face
        canvas.colour *= 1 - (0.24 * crease * (0.4 + 0.6 * openness))[..., None]


def brows(canvas: Canvas, colour: np.ndarray, rng: np.random.Generator, thickness: float, density: float) -> None:
    """Arched brows of short hairs, thinner outwards."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    out = (np.abs(x) - 1.3) / 4.0
    arch = 1.75 + 0.75 * np.sin(np.clip(out, -0.2, 1.2) * 2.3) - 0.25 * out
    half = thickness * (0.46 - 0.26 * out)
    hairs = 0.75 + 0.25 * grain(canvas, rng, 0.7)
    mask = sigmoid((half - np.abs(y - arch)) * 9) * sigmoid(out * 22) * sigmoid((1 - out) * 14) * front(canvas)
    canvas.cover(np.clip(mask * density * hairs, 0, 1), colour, gloss=0.1, bare=0.3)


def hair_mask(place: np.ndarray, part: np.ndarray, style: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Where hair grows, 0..1: above a hairline that recedes by `recede` cm in front; all of the curtain, none of an
    ear."""
    x, y, z = np.moveaxis(place, -1, 0)
    around = np.abs(np.arctan2(x, z + 1.0))
    line = _HAIRLINE(np.minimum(around, 3.2)) + style["recede"] * np.exp(-((around / 0.95) ** 4))
    line += style["peak"] * np.exp(-((around / 0.22) ** 2)) + 0.22 * waves(place, rng, 0.9)
    line += style["sides"] * np.exp(-(((around - 1.9) / 0.75) ** 4)) - style["fringe"] * np.exp(-((around / 0.75) ** 4))
    grown = sigmoid((y - line) * 4.5) * np.isin(part, (HEAD,))
    return np.where(part == CURTAIN, 1.0, grown)


def hair(canvas: Canvas, mask: np.ndarray, colour: np.ndarray, rng: np.random.Generator, density: float) -> None:
    """Strands that run down from the crown."""
    x, y, z = np.moveaxis(canvas.place, -1, 0)
    around = np.arctan2(x, z + 1.0)
    table = rng.normal(size=720)
    fine = np.interp(around * (360 / np.pi) % 720, np.arange(720), table, period=720)
    coarse = np.interp(around * (60 / np.pi) % 120, np.arange(120), rng.normal(size=120), period=120)
    streak = 1 + 0.13 * fine + 0.16 * coarse + 0.10 * waves(canvas.place, rng, 1.5) + 0.14 * np.sin(y * 0.55 + coarse)
    canvas.cover(mask * density, colour * np.clip(streak, 0.35, 1.8)[..., None], gloss=0.5, bare=0.1)


def beard(canvas: Canvas, colour: np.ndarray, rng: np.random.Generator, density: float, moustache: bool) -> None:
    """Chin, jaw and cheeks below a line from the mouth's corner to the ear, sparing the lips."""
    x, y, z = np.moveaxis(canvas.place, -1, 0)
    line = -6.6 + 0.42 * np.clip(np.abs(x) - 2.2, 0, 5) ** 1.2 - 0.5 * np.exp(-((x / 1.6) ** 2))
    jaw = sigmoid((line - y) * 3.0) * sigmoid((y + 13.0) * 2.5) * sigmoid((z + 0.5) * 1.5) * (canvas.part == HEAD)
    if moustache:
        jaw = np.maximum(
            jaw, front(canvas) * sigmoid((-5.2 - y) * 8) * sigmoid((y + 7.1) * 6) * sigmoid((3.1 - np.abs(x)) * 5)
        )
    mouth = np.exp(-(np.abs(x / 2.6) ** 4) - np.abs((y + 7.5) / 0.85) ** 4)
    hairs = np.clip(0.75 + 0.3 * grain(canvas, rng, 0.8), 0, 1.2)
    canvas.cover(np.clip(jaw * (1 - mouth) * density * hairs, 0, 1), colour, gloss=0.15, bare=0.15)


def clothes(canvas: Canvas, rng: np.random.Generator, everywhere: bool) -> None:
    """A shirt below a crew or V neck: plain, striped, chequered or with a print. `everywhere`: a bust scanned in one
    piece."""
    x, y, z = np.moveaxis(canvas.place, -1, 0)
    vee = rng.uniform(2, 6) if rng.random() < 0.35 else 0.0
    collar = (
        rng.uniform(-17.5, -15.6)
        + 0.12 * np.clip(-z - 2, 0, 9)
        - 0.10 * np.clip(z, 0, 6)
        - vee * np.clip(1 - np.abs(x) / 4.5, 0, 1) * (z > 0)
    )
    body = (canvas.part == TORSO) | everywhere
    mask = sigmoid((collar - y) * 9) * body
    colour = rng.uniform(0.04, 0.9, 3) * rng.uniform(0.4, 1.0)
    if rng.random() < 0.5:  # muted clothes are the commoner ones
        colour = colour.mean() + 0.35 * (colour - colour.mean())
    if rng.random() < 0.12:  # and some are the colour of skin
        colour = tone(rng.random()) * rng.uniform(0.8, 1.1)
    other = rng.uniform(0.03, 0.9, 3)
    kind = rng.integers(4)
    period = rng.uniform(0.8, 4.5)
    bars = {
        0: np.zeros_like(y),
        1: np.sin(y * 6.28 / period),
        2: np.sin(x * 6.28 / period),
        3: np.sin(y * 6.28 / period) + np.sin(x * 6.28 / period),
    }[int(kind)]
    mix = rng.uniform(0.2, 0.9) * sigmoid(bars * 6 - 3) if kind else np.zeros_like(y)
    weave = (
        1
        + 0.03 * waves(canvas.place, rng, 0.25)
        + rng.uniform(0.02, 0.08) * waves(canvas.place * [1, 0.35, 1], rng, 2.2)
    )
    shirt = (colour + mix[..., None] * (other - colour)) * weave[..., None]
    hem = np.exp(-(((collar - 0.45 - y) / 0.5) ** 2))
    canvas.cover(mask, shirt * (1 - 0.22 * hem)[..., None], gloss=0.05)
