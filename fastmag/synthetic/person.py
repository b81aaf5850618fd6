"""One person: geometry, texture, perfusion and pulse colour, all from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt, zoom

from fastmag.synthetic import body, glasses, paint, raster
from fastmag.synthetic.cast import Member, draw
from fastmag.synthetic.looks import Looks, make_looks
from fastmag.synthetic.mesh import ATLAS_WIDTH, Mesh, join, load_mesh, vertex_normals

PULSE_COLOUR = np.array([0.33, 0.77, 0.53]) / 0.77  # of the blood volume pulse in R, G, B (de Haan; METHOD: Eq. 5-11)

RISE, HEAD_RISE = 0.35, 0.05  # of shoulders and head with one unit of breath, cm


@dataclass(frozen=True)
class Person:
    """A body ready to be rendered.

    vertices, normals (V, 3); faces (F, 3); uv (V, 2); bind (V,) follows head 1 .. torso 0; offsets (2, V, 3) jaw and
    breath; textures: (R, C, 7) float32 for eyes open, half open and closed: albedo as shown, pulsation (1 = full
    green), gloss; melanin 0..1.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    bind: np.ndarray
    offsets: np.ndarray
    textures: tuple[np.ndarray, ...]
    melanin: float


@lru_cache(maxsize=4)
def _scan(path: str) -> Mesh:
    return load_mesh(path)


def _geometry(rng: np.random.Generator, scan: Mesh | None, looks: Looks, detail: float) -> Mesh:
    """Head, torso and perhaps long hair and glasses, with the proportions of one person."""
    names = ("nose", "eyes", "brow", "cheeks", "lips", "chin")
    shape = dict(zip(names, rng.uniform(0.72, 1.28, 6), strict=True))
    stretch = rng.uniform([0.92, 0.94, 0.94], [1.08, 1.06, 1.06])
    bumps = [(rng.normal(size=3) * [6, 8, 6], rng.uniform(4, 9), rng.normal(size=3) * 0.45) for _ in range(6)]
    shoulders = rng.uniform(0.82, 1.08)
    whole = scan if scan is not None else body.head(shape, detail)
    points = whole.vertices.astype(np.float64)
    for centre, width, push in bumps:
        points += push * np.exp(-((points - centre) ** 2).sum(1, keepdims=True) / width**2)
    face = 1 / (1 + np.exp(-(points[:, 1:2] + 13) / 1.5))
    points *= face * stretch + (1 - face)
    whole = Mesh(
        points.astype(np.float32),
        whole.faces,
        _shrink(whole.uv) if scan is not None else whole.uv,
        whole.part,
        whole.texture,
    )
    trunk = body.torso(detail, neck=scan is None)
    trunk = Mesh(_widen(trunk.vertices, shoulders), trunk.faces, trunk.uv, trunk.part)
    pieces = [whole, trunk] + ([body.curtain(looks.long_hair, detail)] if looks.long_hair > 0 else [])
    if looks.glasses is not None:
        pieces.append(glasses.frame(looks.glasses, whole.vertices[whole.part == body.HEAD], detail))
    return join(*pieces)


def _shrink(uv: np.ndarray) -> np.ndarray:
    return 0.001 + 0.998 * uv


def _widen(points: np.ndarray, factor: float) -> np.ndarray:
    low = 1 / (1 + np.exp((points[:, 1:2] + 16.5) / 0.8))
    return (points * (1 + low * (np.array([factor, 1, 1]) - 1))).astype(np.float32)


def _places(mesh: Mesh, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Place (R, C, 3) and part (R, C) of every texel, by rasterising the mesh in its own atlas; gaps take the
    nearest."""
    shape = (rows, int(rows * ATLAS_WIDTH))
    flat = np.concatenate([mesh.uv * rows - 0.5, np.zeros((len(mesh.uv), 1))], 1).astype(np.float32)
    corners = flat[mesh.faces]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    turned = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0] > 0
    faces = np.where(turned[:, None], mesh.faces[:, ::-1], mesh.faces)
    depth, face = np.empty(shape, np.float32), np.empty(shape, np.int32)
    raster.rasterize(flat, faces, depth, face)
    values = np.concatenate([mesh.vertices, mesh.part[:, None]], 1).astype(np.float32)
    out = np.zeros((*shape, 4), np.float32)
    raster.spread(face, flat, faces, values, out)
    nearest = distance_transform_edt(face < 0, return_distances=False, return_indices=True)
    out = out[tuple(nearest)]
    return out[..., :3], np.rint(out[..., 3]).astype(np.int32)


def _scan_detail(mesh: Mesh, place: np.ndarray, part: np.ndarray, power: float) -> np.ndarray | None:
    """The scan's texture relative to its mean skin colour, (R, C, 3); 1 outside the scan; None without a texture."""
    if mesh.texture is None:
        return None
    rows = place.shape[0]
    small = mesh.texture
    step = max(small.shape[0] // rows, 1)  # average before thinning out, or the skin sparkles as it turns
    if step > 1:
        h, w = small.shape[0] // step * step, small.shape[1] // step * step
        small = small[:h, :w].reshape(h // step, step, w // step, step, 3).mean((1, 3))
    small = zoom(small, (rows / small.shape[0], rows / small.shape[1], 1), order=1)
    detail = np.ones((*part.shape, 3), np.float32)
    cheeks = (np.abs(place[..., 0]) < 6) & (np.abs(place[..., 1] + 2) < 5) & (place[..., 2] > 5) & (part == body.HEAD)
    inside = cheeks[:, :rows]
    mean = small[inside].mean(0) if inside.any() else small.mean((0, 1))
    detail[:, :rows] = np.clip(small / mean, 0.3, 1.8) ** power
    return detail


def _paint(mesh: Mesh, looks: Looks, seed: int, rows: int, scanned: bool) -> tuple[list[paint.Canvas], np.ndarray]:
    """The painted canvas for eyes open, half open and closed, and the places of the texels."""
    rng = np.random.default_rng([seed, 11])
    place, part = _places(mesh, rows)
    plain = np.zeros(part.shape)
    canvas = paint.Canvas(place, part, np.zeros(place.shape), plain + 1.0, plain.copy())
    detail = _scan_detail(mesh, place, part, rng.uniform(0.6, 1.1)) if scanned else None
    paint.skin(canvas, looks.skin, rng, detail)
    if detail is None or rng.random() < 0.5:
        paint.lips(canvas, rng, 1.0 if detail is None else 0.4)
    open_eyes = detail is None or rng.random() < 0.7
    strength = 1.0 if detail is None else rng.uniform(0, 0.8)
    if looks.beard:
        paint.beard(canvas, looks.hair * 0.9, rng, looks.beard, rng.random() < 0.8)
    paint.brows(canvas, looks.hair * 0.8, rng, rng.uniform(0.7, 1.25), strength * rng.uniform(0.55, 0.95))
    if not looks.bald:
        mask = paint.hair_mask(place, part, looks.style, np.random.default_rng([seed, 12]))
        paint.hair(canvas, mask, looks.hair, rng, rng.uniform(0.85, 1.0))
    paint.clothes(canvas, rng, scanned)
    if looks.makeup is not None:
        paint.make_up(canvas, looks.skin, looks.makeup)
    if looks.glasses is not None:
        glasses.paint_frame(canvas, looks.glasses)
    gaze = (rng.normal() * 0.06, rng.normal() * 0.04 - 0.02)
    painted = []
    for openness in (1.0, 0.4, 0.0):
        copy = paint.Canvas(place, part, canvas.colour.copy(), canvas.skin.copy(), canvas.gloss.copy())
        if open_eyes:
            paint.eyes(copy, looks.iris, gaze, openness * rng.uniform(0.85, 1.0) if openness == 1 else openness)
        if looks.glasses is not None:
            glasses.paint_lenses(copy, looks.glasses)
        painted.append(copy)
    return painted, place


def _perfusion(place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """How strongly each place pulsates, around 1: smooth, random, .25 to 2."""
    level = np.ones(place.shape[:-1])
    for _ in range(6):
        centre = rng.normal(size=3) * [6, 8, 6] + [0, 0, 3]
        level += rng.uniform(-0.45, 0.6) * np.exp(-((place - centre) ** 2).sum(-1) / rng.uniform(3, 9) ** 2)
    return np.clip(level, 0.25, 2.0)


def _puff_hair(mesh: Mesh, looks: Looks, seed: int) -> np.ndarray:
    """Vertices with the scalp raised by the thickness of the hair."""
    if looks.bald:
        return mesh.vertices
    mask = paint.hair_mask(mesh.vertices, mesh.part, looks.style, np.random.default_rng([seed, 12]))
    mask = mask * (mesh.part != body.CURTAIN) * np.clip((mesh.vertices[:, 1] + 4) / 8, 0.15, 1)
    return (mesh.vertices + vertex_normals(mesh.vertices, mesh.faces) * (mask * looks.thickness)[:, None]).astype(
        np.float32
    )


@lru_cache(maxsize=1)  # the recordings of one person follow each other
def make_person(
    who: int | Member, head: str | Path | None = None, texture_rows: int = 512, detail: float = 1.0
) -> Person:
    """A member of a cast, or the person of a seed.

    head: an OBJ mesh (mesh.load_mesh) to use as head and bust, with this person's proportions, skin, hair and clothes;
    None for a procedural one. texture_rows: size of the texture; detail: density of the procedural mesh.
    Raises InputError for a mesh that cannot be read.
    """
    who = who if isinstance(who, Member) else draw(who)
    seed, looks = who.seed, make_looks(who)
    scan = _scan(str(head)) if head is not None else None
    mesh = _geometry(np.random.default_rng([seed, 13]), scan, looks, detail)
    painted, place = _paint(mesh, looks, seed, texture_rows, scan is not None)
    rng = np.random.default_rng([seed, 14])
    perfusion = _perfusion(place, rng)[..., None] * (PULSE_COLOUR * rng.uniform([0.6, 1, 0.65], [1.3, 1, 1.25]))
    textures = tuple(
        np.concatenate([np.clip(c.colour, 0.01, 1.1), perfusion * c.skin[..., None], c.gloss[..., None]], -1).astype(
            np.float32
        )
        for c in painted
    )
    vertices = _puff_hair(mesh, looks, seed)
    x, y, z = mesh.vertices.T
    follows = np.clip((y + 19) / 9, 0, 1)
    bind = np.where(mesh.part == body.CURTAIN, np.clip((y + 24) / 14, 0, 1), follows)
    jaw = np.zeros((len(x), 3))
    jaw[:, 1] = (
        -1.6
        / (1 + np.exp((y + 7.6) / 0.25))
        * np.clip((z - 1) / 5, 0, 1)
        * np.clip((y + 15) / 3, 0, 1)
        * np.exp(-((x / 5.5) ** 4))
    )
    chest = np.zeros_like(jaw)
    chest[:, 1] = HEAD_RISE + RISE / (1 + np.exp((y + 15.5) / 1.5))
    chest[:, 2] = 0.5 * np.exp(-(((y + 30) / 9) ** 2))
    return Person(
        vertices,
        vertex_normals(vertices, mesh.faces),
        mesh.faces,
        np.ascontiguousarray(mesh.uv),
        (bind * bind * (3 - 2 * bind)).astype(np.float32),
        np.stack([jaw, chest]).astype(np.float32),
        textures,
        looks.melanin,
    )
