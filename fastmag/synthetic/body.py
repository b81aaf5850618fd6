"""A procedural body: head, ears, long hair, neck and torso, lofted from profiles of heights, widths and depths (cm)."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from fastmag.synthetic.mesh import EYES, Mesh, join

HEAD, EAR, TORSO, CURTAIN, GLASSES = 0, 1, 2, 3, 4

# One row per height: y, depth of the front, of the back, half width, z of the widest place. The nose is added later.
_HEAD_PROFILE = np.array(
    [
        [13.0, 0.0, 0.0, 0.0, -1.2],
        [12.75, 2.7, -4.7, 2.6, -1.2],
        [12.0, 4.9, -6.6, 4.3, -1.2],
        [10.5, 7.1, -8.4, 5.9, -1.2],
        [8.5, 8.5, -9.6, 6.9, -1.2],
        [6.0, 9.2, -10.2, 7.45, -1.2],
        [2.6, 9.55, -10.1, 7.6, -1.1],
        [0.4, 9.1, -9.2, 7.45, -1.0],
        [-2.0, 9.2, -8.1, 7.25, -0.8],
        [-4.0, 9.3, -7.0, 6.8, -0.5],
        [-6.0, 9.2, -6.2, 6.4, 0.0],
        [-7.5, 9.15, -5.7, 6.0, 0.5],
        [-8.8, 8.85, -5.4, 5.3, 1.0],
        [-10.0, 8.9, -5.2, 4.5, 1.6],
        [-11.0, 8.3, -5.0, 3.6, 2.2],
        [-11.7, 6.8, -4.9, 2.8, 2.4],
        [-12.0, 4.0, -4.0, 2.0, 1.0],
        [-12.1, 0.0, 0.0, 0.0, 0.0],
    ]
)
_TORSO_PROFILE = np.array(
    [
        [-7.0, 2.6, -6.6, 5.3, -2.0],
        [-11.0, 2.9, -7.0, 5.5, -2.1],
        [-14.0, 3.1, -7.6, 6.0, -2.4],
        [-16.0, 3.6, -8.4, 7.6, -2.8],
        [-17.2, 4.3, -9.2, 10.6, -3.2],
        [-18.4, 5.0, -9.9, 14.6, -3.4],
        [-20.0, 6.0, -10.4, 18.4, -3.4],
        [-22.5, 7.2, -11.0, 20.8, -3.2],
        [-26.0, 8.4, -11.4, 21.8, -3.0],
        [-32.0, 9.4, -11.4, 22.2, -2.6],
        [-60.0, 9.6, -11.0, 22.0, -2.4],
    ]
)
_CURTAIN_PROFILE = np.array(
    [
        [11.5, 1.0, -8.6, 6.4, -3.0],
        [9.0, 1.4, -10.2, 7.8, -3.0],
        [5.0, 1.2, -11.4, 8.6, -3.0],
        [0.0, 1.0, -11.2, 8.9, -3.2],
        [-5.0, 1.2, -10.4, 8.9, -3.4],
        [-10.0, 1.6, -10.2, 9.0, -3.6],
        [-15.0, 2.6, -10.6, 9.4, -3.8],
        [-22.0, 4.0, -12.0, 9.8, -3.8],
    ]
)


def _loft(profile: np.ndarray, rows: int, angles: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Points (rows, len(angles), 3) of horizontal rings through the profile; angle 0 is the front, pi/2 the person's
    left."""
    steps = np.sqrt(np.diff(profile[:, 0]) ** 2 + np.diff(profile[:, 1]) ** 2 * 0.4) + 0.05
    along = np.concatenate([[0], np.cumsum(steps)])
    at = np.linspace(0, along[-1], rows)
    y, front, back, width, middle = PchipInterpolator(along, profile)(at).T[:, :, None]
    c, s = np.cos(angles), np.sin(angles)
    x = width * np.sign(s) * np.abs(s) ** power
    z = middle + np.where(c >= 0, front - middle, middle - back) * np.sign(c) * np.abs(c) ** power
    return np.stack([x, np.broadcast_to(y, x.shape), z], -1)


def grid_mesh(points: np.ndarray, box: tuple[float, float, float, float], part: int, inside: bool = False) -> Mesh:
    """A mesh over a grid of points (rows from the top, columns anticlockwise seen from above), its uv filling the
    box."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)]).reshape(-1, 3)
    if inside:  # a sheet is seen from both sides
        faces = np.concatenate([faces, faces[:, ::-1]])
    u0, v0, u1, v1 = box
    u, v = np.meshgrid(np.linspace(u0, u1, columns), np.linspace(v0, v1, rows))
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    return Mesh(
        points.reshape(-1, 3).astype(np.float32), faces.astype(np.int32), uv, np.full(rows * columns, part, np.int32)
    )


def _bump(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float, power: float = 2.0) -> np.ndarray:
    return np.exp(-(np.abs((x - cx) / rx) ** power) - np.abs((y - cy) / ry) ** power)


def _both(x: np.ndarray, y: np.ndarray, cx: float, cy: float, rx: float, ry: float, power: float = 2.0) -> np.ndarray:
    return _bump(x, y, cx, cy, rx, ry, power) + _bump(x, y, -cx, cy, rx, ry, power)


def _sculpt_face(points: np.ndarray, shape: dict[str, float]) -> np.ndarray:
    """Nose, eye sockets, eyeballs, brow, cheeks, lips and chin, pushed along z out of the lofted head's front."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    front = np.clip((z - 2.5) / 3, 0, 1)
    ramp = np.clip((2.1 - y) / 5.4, 0, 1)
    under = 1 / (1 + np.exp(-(y + 4.35) / 0.22))
    bridge = 0.75 + 0.5 * ramp
    ridge = (
        (0.25 + 2.2 * ramp**1.35)
        * under
        * np.exp(-(np.abs(x / bridge) ** 2.2))
        * (y < 2.8)
        * np.clip((2.8 - y) / 0.8, 0, 1)
    )
    wings = _both(x, y, 1.15, -3.75, 0.75, 0.75) * 1.0 + _bump(x, y, 0, -3.5, 0.95, 0.8) * 0.35
    sockets = _both(x, y, EYES[0], EYES[1] + 0.1, 1.9, 1.25) * -1.0
    balls = _both(x, y, EYES[0], EYES[1], 1.25, 0.95) * 0.62
    brow = _both(x, y, 3.2, 1.95, 2.6, 0.7) * 0.38
    cheeks = _both(x, y, 4.9, -1.6, 2.0, 1.7) * 0.42 + _both(x, y, 3.3, -5.6, 1.8, 1.8) * -0.15
    muzzle = _bump(x, y, 0, -7.2, 3.2, 2.2) * 0.45
    lips = (
        _bump(x, y, 0, -6.95, 2.3, 0.42) * 0.40
        + _bump(x, y, 0, -8.05, 1.9, 0.5) * 0.5
        - _bump(x, y, 0, -7.45, 2.4, 0.16) * 0.35
    )
    chin = _bump(x, y, 0, -10.3, 1.7, 1.1) * 0.55 - _bump(x, y, 0, -9.0, 2.0, 0.5) * 0.2
    philtrum = _bump(x, y, 0, -5.8, 0.35, 0.8) * -0.15
    dz = (
        shape["nose"] * (ridge + wings)
        + shape["eyes"] * (sockets + balls)
        + shape["brow"] * brow
        + shape["cheeks"] * cheeks
    )
    dz = dz + muzzle + shape["lips"] * lips + shape["chin"] * chin + philtrum
    out = points.copy()
    out[..., 2] += front * dz
    return out


def _ear(side: float, rows: int) -> Mesh:
    """A flattened, tilted ellipsoid: its rim stands out from the head."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, rows), indexing="ij")
    x, y, z = np.sin(theta) * np.sin(phi) * 0.65, np.cos(theta) * 3.1, np.sin(theta) * np.cos(phi) * 1.75
    x = x + 0.75 * np.clip(-z / 1.75, -0.3, 1) + 0.15
    y = y * (1 - 0.18 * (y < 0))
    points = np.stack([side * (x + 7.25), y - 0.6, z - 1.9 + 0.25 * y], -1)
    points = points if side > 0 else points[:, ::-1]
    v = 0.02 if side > 0 else 0.12
    return grid_mesh(points, (1.02, v, 1.12, v + 0.08), EAR)


def torso(detail: float = 1.0, neck: bool = True) -> Mesh:
    """Neck, shoulders and chest down to y = -60; without the neck it starts at the collar, for a scanned bust."""
    profile = _TORSO_PROFILE if neck else _TORSO_PROFILE[4:]
    angles = np.linspace(-np.pi, np.pi, int(96 * detail) + 1)
    return grid_mesh(_loft(profile, int(64 * detail), angles, 0.92), (1.01, 0.25, 1.49, 0.99), TORSO)


def curtain(length: float, detail: float = 1.0) -> Mesh:
    """Long hair: a sheet around the back of the head from ear to ear, `length` in 0..1 of the way to the shoulder
    blades."""
    angles = np.linspace(0.62 * np.pi, 1.38 * np.pi, int(48 * detail) + 1)
    rows = max(int(40 * detail * (0.4 + 0.6 * length)), 8)
    last = 4 + round(4 * length)
    points = _loft(_CURTAIN_PROFILE[:last], rows, angles)
    edge = np.abs(np.linspace(-1, 1, len(angles))) ** 3
    low = np.linspace(0, 1, rows)[:, None] ** 3
    points[..., 1] += low * (1.4 * edge - 0.4)  # the ends are longest behind
    points[..., 0] *= 1 - 0.06 * low * edge
    return grid_mesh(points, (1.24, 0.01, 1.49, 0.24), CURTAIN, inside=True)


def head(shape: dict[str, float], detail: float = 1.0) -> Mesh:
    """The head with its ears.

    shape: strengths of the features around 1 (`nose`, `eyes`, `brow`, `cheeks`, `lips`, `chin`).
    detail: 1 for pictures (about 15 000 vertices), .5 for training clips.
    """
    even = np.linspace(-1, 1, int(150 * detail) + 1)
    angles = np.pi * (0.55 * even + 0.45 * even**3)  # finer in the face than behind it
    points = _sculpt_face(_loft(_HEAD_PROFILE, int(112 * detail), angles), shape)
    rows = max(int(18 * detail), 8)
    return join(grid_mesh(points, (0.0, 0.0, 1.0, 1.0), HEAD), _ear(1.0, rows), _ear(-1.0, rows))
