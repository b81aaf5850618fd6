"""From the map of cells to pixels: colour tells skin from what shares a cell with it."""

from __future__ import annotations

import numpy as np
import pytest

from fastmag import passes
from fastmag.coherent.local import SkinCells, local_models
from fastmag.color import LitCells, Picture
from fastmag.kernels import cpu, reference
from fastmag.sources import ArraySource

SIZE = (180, 240)
PICTURES = [
    Picture("rgb", (SIZE,)),
    Picture("gbr", (SIZE,) * 3),
    Picture("yuv", (SIZE, (90, 120), (90, 120)), full_range=False),
    Picture("yuv", (SIZE, (180, 120), (180, 120)), bits=10, full_range=False),
    Picture("yuv", (SIZE, (90, 120), (90, 120)), rotation=90),
    Picture("gray", (SIZE,)),
]


def planes_of(picture: Picture, rgb: np.ndarray) -> tuple[np.ndarray, ...]:
    """A picture (H, W, 3) in grey levels, as stored."""
    matrix, offset = picture.to_rgb()
    dtype = np.uint8 if picture.bits == 8 else np.uint16
    stored = np.rint((rgb - offset) @ np.linalg.pinv(matrix).T).astype(dtype)
    if picture.kind == "rgb":
        return (stored,)
    steps = [(SIZE[0] // h, SIZE[1] // w) for h, w in picture.shapes]
    return tuple(np.ascontiguousarray(stored[::a, ::b, k]) for k, (a, b) in enumerate(steps))


@pytest.mark.parametrize("ops", [cpu, reference], ids=["cpu", "reference"])
@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: f"{p.kind}{p.bits}-{len(set(p.shapes))}-{p.rotation}")
def test_where_all_is_skin_a_change_follows_the_light(picture, ops):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    rgb = np.stack([130 + 60 * np.sin(x / 23) * np.cos(y / 19)] * 3, -1) * (
        [1, 1, 1] if picture.kind == "gray" else [1, 0.8, 0.7]
    )
    planes = planes_of(picture, rgb)
    skin, lit = SkinCells(picture, ops), LitCells(picture, ops)
    cells = lit.represent(planes)[None]
    got = skin.reconstruct(planes, skin.spread(cells, 0.1 * cells, np.ones(cells.shape[:3], np.float32))[0])
    want = lit.reconstruct(planes, lit.relative(cells, 0.1 * cells)[0])
    unit = 1 << picture.bits - 8
    for a, b, plane in zip(got, want, planes, strict=True):
        assert np.abs(a.astype(float) - b).max() <= 2 * unit
        assert picture.kind == "yuv" or np.abs(a.astype(float) - plane).max() > 5 * unit


@pytest.mark.parametrize("picture", PICTURES[:4], ids=lambda p: f"{p.kind}{p.bits}-{len(set(p.shapes))}-{p.rotation}")
def test_a_wall_that_shares_cells_with_skin_does_not_flush(picture):
    """A disc of skin before a blue wall as bright, in the middle of cells at most places of its edge."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (np.hypot(y - 90, x - 120) < 61)[..., None]
    rgb = np.where(disc, [190.0, 140, 110], [110.0, 150, 190])
    planes, true = planes_of(picture, rgb), 0.1 * rgb[..., 1] * disc[..., 0]
    skin, lit = SkinCells(picture, cpu), LitCells(picture, cpu)
    cells = lit.represent(planes)[None]
    share = LitCells(PICTURES[0], cpu).represent((np.uint8(255 * np.repeat(disc, 3, -1)),))[None, ..., 1] / 255
    share = np.clip(share, 0, 1).astype(np.float32)

    def missed(view, change):
        got = view.reconstruct(planes, change[0])
        green = [np.stack(p, -1) if picture.kind == "gbr" else p[0] for p in (got, planes)]
        if picture.kind == "yuv":
            return np.abs(green[0].astype(float) - green[1])[~disc[..., 0]].mean() / (1 << picture.bits - 8)
        k = 0 if picture.kind == "gbr" else 1
        return np.sqrt(np.mean((green[0][..., k].astype(float) - green[1][..., k] - true) ** 2))

    plain = missed(lit, lit.relative(cells, 0.1 * cells * share[..., None]))
    assert missed(skin, skin.spread(cells, 0.1 * cells, share)) < 0.6 * plain


def test_models_find_what_is_linear_in_colour():
    rng = np.random.default_rng(2)
    cells = rng.uniform(20, 220, (2, 36, 36, 3)).astype(np.float32)
    models = local_models(cells, cells @ np.array([0.7, -0.4, 0.2], np.float32) + 30)
    inner = models[:, 2:-2, 2:-2]
    np.testing.assert_allclose(inner[..., :3], np.broadcast_to([0.7, -0.4, 0.2], inner[..., :3].shape), atol=0.05)
    np.testing.assert_allclose(inner[..., 3], 30, atol=6)
    flat = local_models(np.full((1, 36, 36, 3), 90, np.float32), np.full((1, 36, 36), 50, np.float32))
    np.testing.assert_allclose(flat[0, 3, 3], [0, 0, 0, 50], atol=0.05)


def test_a_kernel_of_models_refuses_those_of_other_channels():
    from fastmag.errors import InputError

    with pytest.raises(InputError, match=r"models must be \(h, w, 4\)"):
        cpu.local_light(np.zeros((9, 9, 3), np.uint8), np.zeros((3, 3, 2), np.float32))


def test_the_disk_is_asked_for_the_models_too(monkeypatch):
    asked = []
    monkeypatch.setattr(passes, "check_room", lambda needed, remedy: asked.append(needed))
    source = ArraySource(np.zeros((5, *SIZE, 3), np.uint8), 30.0)
    for view in (LitCells, SkinCells):
        passes.analyse(source, view(source.picture, cpu))
    assert asked == [5 * 36 * 36 * 4 * (3 + 3), 5 * 36 * 36 * 4 * (3 + 7)]
