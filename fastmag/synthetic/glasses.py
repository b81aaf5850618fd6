"""Glasses: rims, bridge and temples as tubes fitted to a face, and what the lenses do to the skin behind them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.synthetic.body import GLASSES, grid_mesh
from fastmag.synthetic.mesh import EYES, Mesh, join, vertex_normals
from fastmag.synthetic.paint import Canvas, front, sigmoid

_BOX = (1.15, 0.05, 1.21, 0.20)  # in the atlas, with a margin of bare space so that nothing of the skin runs into it
_CURVE = 0.03  # the lenses fall back by _CURVE x^2 cm
_CLEAR = 0.1  # between rim and face, cm


@dataclass(frozen=True)
class Glasses:
    """colour (3,) of the frame; radius of the rim's tube in cm; size: half width and half height of a lens in cm;
    square: exponent of its outline (2 an ellipse); tint and glare of the lenses, 0..1."""

    colour: np.ndarray
    radius: float
    size: tuple[float, float]
    square: float
    tint: float
    glare: float


def _centre(style: Glasses) -> tuple[float, float]:
    return max(EYES[0] + 0.1, style.size[0] + 0.75), EYES[1] - 0.2


def _outline(style: Glasses, count: int) -> np.ndarray:
    """Points (count, 2) around the left lens."""
    angle = np.linspace(0, 2 * np.pi, count)
    c, s = np.cos(angle), np.sin(angle)
    power = 2 / style.square
    x = style.size[0] * np.sign(c) * np.abs(c) ** power
    y = style.size[1] * np.sign(s) * np.abs(s) ** power * (1 + 0.06 * np.sign(c) * np.abs(c))
    return np.stack([x, y], -1) + _centre(style)


def _tube(path: np.ndarray, radius: float, sides: int) -> Mesh:
    """A tube around a path (N, 3)."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, np.array([0.13, 0.31, 0.94]))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    third = np.cross(along, across)
    angle = np.linspace(0, 2 * np.pi, sides + 1)[None, :, None]
    points = path[:, None] + radius * (np.cos(angle) * across[:, None] + np.sin(angle) * third[:, None])
    mesh = grid_mesh(points, _BOX, GLASSES)
    outwards = (mesh.vertices - np.repeat(path, sides + 1, 0)) * vertex_normals(mesh.vertices, mesh.faces)
    return mesh if outwards.sum() > 0 else grid_mesh(points[:, ::-1], _BOX, GLASSES)


def frame(style: Glasses, face: np.ndarray, detail: float = 1.0) -> Mesh:
    """The frame on a face whose vertices are `face` (V, 3): just in front of brows, cheeks and nose."""
    sides, count = (6, 41) if detail > 0.7 else (4, 25)
    rim = _outline(style, count)
    near = face[(face[:, 2] > 3) & (np.abs(face[:, 0]) < 7) & (np.abs(face[:, 1]) < 3.5)]
    close = ((np.abs(near[None, :, :2]) - rim[:, None]) ** 2).sum(-1) < 0.45**2
    deepest = np.where(close, near[None, :, 2], -np.inf).max(1) + _CURVE * rim[:, 0] ** 2
    plane = max(float(deepest.max()), 7.0) + _CLEAR + style.radius
    rims = [np.column_stack([side * rim[:, 0], rim[:, 1], plane - _CURVE * rim[:, 0] ** 2]) for side in (1, -1)]
    height = _centre(style)[1] + 0.35 * style.size[1]
    inner = _centre(style)[0] - style.size[0] * (1 - 0.35**style.square) ** (1 / style.square)
    ridge = near[(np.abs(near[:, 0]) < 0.8) & (np.abs(near[:, 1] - height) < 0.5), 2]
    arch = max(plane, float(ridge.max(initial=-99)) + style.radius + 0.1)
    x = np.linspace(-1, 1, 9)
    bridge = np.column_stack([inner * x, height + 0.25 * (1 - x * x), plane + (arch - plane) * (1 - x**4)])
    beside = face[(np.abs(face[:, 1] - height) < 0.8) & (face[:, 2] > -2) & (face[:, 2] < 3)]
    wide = float(np.abs(beside[:, 0]).max(initial=7.0)) + style.radius + 0.1
    outer = _centre(style)[0] + style.size[0] * (1 - 0.35**style.square) ** (1 / style.square)
    back = plane - _CURVE * outer**2
    knots = np.array([[outer, height, back], [outer + 0.45, height, back - 0.4], [wide, height + 0.1, -1.0],
                      [wide, height - 0.6, -3.0]])  # fmt: skip
    at = np.linspace(0, 3, 16)
    temple = np.stack([np.interp(at, range(4), knots[:, k]) for k in range(3)], -1)
    tubes = [_tube(path, style.radius, sides) for path in (*rims, temple, temple * [-1, 1, 1])]
    return join(*tubes, _tube(bridge, 0.9 * style.radius, sides))


def paint_frame(canvas: Canvas, style: Glasses) -> None:
    """The colour of the frame, which has no pulse."""
    canvas.cover((canvas.part == GLASSES).astype(float), style.colour, gloss=1.1)


def paint_lenses(canvas: Canvas, style: Glasses) -> None:
    """Behind each lens: a little darker, a soft streak of reflected light over it; the rim's shadow on the skin."""
    x, y, _ = np.moveaxis(canvas.place, -1, 0)
    cx, cy = _centre(style)
    u, v = (np.abs(x) - cx) / style.size[0], (y - cy) / style.size[1]
    edge = (np.abs(u) ** style.square + np.abs(v) ** style.square) ** (1 / style.square)
    inside = sigmoid((1 - edge) * 25) * front(canvas)
    canvas.colour *= 1 - (style.tint * inside)[..., None]
    v_low = (y + 0.35 - cy) / style.size[1]
    low = (np.abs(u) ** style.square + np.abs(v_low) ** style.square) ** (1 / style.square)
    canvas.colour *= 1 - (0.16 * np.exp(-(((low - 1) / 0.10) ** 2)) * front(canvas))[..., None]
    streak = np.exp(-(((x - np.sign(x) * cx) * 0.75 + (y - cy) - 0.7) ** 2) / 0.35) * inside
    canvas.cover(style.glare * streak, np.array([0.93, 0.96, 1.0]))
