"""Triangle meshes: joining them, their normals, and OBJ files brought into the body's frame of reference.

The frame of reference of every body, in centimetres: x to the person's left, y up, z out of the face; the tip of the
nose at (0, -3.5, 11.5), the crown at y = 13, the eyes at (+-3.3, .2). Texture coordinates lie in an atlas of height 1
and width 1.5: the head in [0, 1] x [0, 1], everything else in [1, 1.5] x [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag.errors import InputError

NOSE_TIP = np.array([0.0, -3.5, 11.5], np.float32)
CROWN = 13.0
EYES = (3.3, 0.2)
ATLAS_WIDTH = 1.5


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    vertices (V, 3) float32 in cm; faces (F, 3) int32, counter-clockwise seen from outside; uv (V, 2) float32 in the
    atlas (v grows downwards, as rows of the texture do); texture (H, W, 3) float32 in 0..1 or None; part (V,) int32
    (see body.py).
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    part: np.ndarray
    texture: np.ndarray | None = None


def join(*meshes: Mesh) -> Mesh:
    """One mesh out of several; the texture is the first one's."""
    offsets = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + np.int32(o) for m, o in zip(meshes, offsets, strict=True)]),
        np.concatenate([m.uv for m in meshes]),
        np.concatenate([m.part for m in meshes]),
        meshes[0].texture,
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3), area-weighted over the faces around each point; vertices split by a texture seam share
    theirs."""
    corners = vertices[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    _, same = np.unique(np.round(vertices, 3), axis=0, return_inverse=True)
    same = same.reshape(-1)
    total = np.zeros((same.max() + 1, 3))
    for k in range(3):
        np.add.at(total, same[faces[:, k]], area)
    normals = total[same]
    return (normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    points, coordinates, corners, corner_uv = [], [], [], []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        words = line.split()
        try:
            if line.startswith("v "):
                points.append([float(w) for w in words[1:4]])
            elif line.startswith("vt "):
                coordinates.append([float(w) for w in words[1:3]])
            elif line.startswith("f "):
                ids = [w.split("/") for w in words[1:]]
                fan = [(ids[0], ids[k], ids[k + 1]) for k in range(1, len(ids) - 1)]
                for triangle in fan:
                    corners.append([int(c[0]) for c in triangle])
                    corner_uv.append([int(c[1]) if len(c) > 1 and c[1] else 0 for c in triangle])
        except (ValueError, IndexError):
            raise InputError(
                f"{path}, line {number}: not an OBJ line: {line[:40]!r}; expected v, vt or f records"
            ) from None
    if len(points) < 100 or len(corners) < 100:
        raise InputError(f"{path} holds {len(points)} vertices, {len(corners)} faces; expected a head as an OBJ mesh")
    faces, faces_uv = np.array(corners), np.array(corner_uv)
    for index, count in ((faces, len(points)), (faces_uv, len(coordinates))):
        if index.max() > count or index.min() < 0:
            raise InputError(
                f"{path}: a face names vertex {index.max()} of {count}; the mesh is damaged, export it again"
            )
    return np.array(points, np.float32), np.array(coordinates or [[0, 0]], np.float32), faces - 1, faces_uv - 1


def _read_texture(folder: Path) -> np.ndarray | None:
    import av

    for name in ("color.jpg", "color.png", "texture.jpg", "texture.png"):
        if (folder / name).is_file():
            with av.open(str(folder / name)) as file:
                return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(np.float32) / 255
    return None


def _align(points: np.ndarray) -> np.ndarray:
    """Scale and shift so that the tip of the nose and the crown are where every body has them."""
    middle = np.abs(points[:, 0] - np.median(points[:, 0])) < 0.2 * np.ptp(points[:, 0])
    tip = points[np.where(middle, points[:, 2], -np.inf).argmax()]
    scale = (CROWN - NOSE_TIP[1]) / max(float(points[:, 1].max() - tip[1]), 1e-6)
    return ((points - tip) * scale + NOSE_TIP).astype(np.float32)


def load_mesh(path: str | Path) -> Mesh:
    """A head (and bust) from a Wavefront OBJ, y up and facing +z, aligned to the body's frame of reference.

    path: an .obj, or a folder with exactly one; a texture color.jpg/png or texture.jpg/png beside it is read too.
    Raises InputError when there is no such file or it does not hold a mesh.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("*.obj"))
        if len(found) != 1:
            raise InputError(f"{path} holds {len(found)} .obj files; expected one: name the file itself")
        path = found[0]
    if not path.is_file():
        raise InputError(f"no mesh at {path}; expected a Wavefront .obj file or a folder with one")
    points, coordinates, faces, faces_uv = _read_obj(path)
    pairs, corner = np.unique(np.stack([faces, faces_uv], -1).reshape(-1, 2), axis=0, return_inverse=True)
    uv = np.clip(coordinates[pairs[:, 1]], 0, 1)
    uv[:, 1] = 1 - uv[:, 1]
    vertices = _align(points)[pairs[:, 0]]
    return Mesh(
        vertices,
        corner.reshape(-1, 3).astype(np.int32),
        uv,
        np.zeros(len(vertices), np.int32),
        _read_texture(path.parent),
    )
