"""Cells: planes reduced and changed as decoded equal the long way over full-size RGB."""

import numpy as np
import pytest

from fastmag.color import Cells, LitCells, Picture
from fastmag.errors import InputError
from fastmag.kernels import cpu, reference

RNG = np.random.default_rng(3)


def yuv_planes(height, width, shapes, bits=8):
    top = 1 << bits
    y, x = np.mgrid[:height, :width]
    luma = 0.35 + 0.25 * np.sin(x / 17) * np.cos(y / 23)
    waves = [luma, 0.5 + 0.08 * np.sin(x / 31), 0.5 + 0.1 * np.cos(y / 19)]
    dtype = np.uint8 if bits == 8 else np.uint16
    full = [np.round(w * top).astype(dtype) for w in waves]
    return tuple(f[:: height // h, :: width // w][:h, :w].copy() for f, (h, w) in zip(full, shapes, strict=True))


@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
@pytest.mark.parametrize(("bits", "full_range"), [(8, False), (8, True), (10, False)])
def test_yuv_cells_equal_rgb_converted_at_full_size(matrix, bits, full_range):
    shapes = ((96, 128),) * 3
    picture = Picture("yuv", shapes, bits, matrix, full_range)
    planes = yuv_planes(96, 128, shapes, bits)
    to_rgb, offset = picture.to_rgb()
    rgb = np.stack(planes, -1).astype(np.float64) @ to_rgb.T + offset
    expected = np.stack([reference.downsample_bicubic(_u16(rgb[..., c]), (36, 36)) for c in range(3)], -1) / 100 - 50
    got = Cells(picture, cpu).represent(planes)
    assert got.dtype == np.float32 and np.ptp(got) > 20
    np.testing.assert_allclose(got, expected, atol=0.02)


def _u16(x):
    return np.round((x + 50) * 100).astype(np.uint16)  # 0.01 levels: fine enough to be the judge


def test_known_colours():
    """ITU-R BT.709 limited: white is 235 128 128, pure red 63 102 240."""
    picture = Picture("yuv", ((36, 36),) * 3, 8, "bt709", False)
    for yuv, rgb in (((235, 128, 128), (255, 255, 255)), ((63, 102, 240), (255, 0, 0)), ((16, 128, 128), (0, 0, 0))):
        planes = tuple(np.full((36, 36), v, np.uint8) for v in yuv)
        np.testing.assert_allclose(Cells(picture, cpu).represent(planes)[0, 0], rgb, atol=1.2)


@pytest.mark.parametrize("kind", ["rgb", "gbr", "yuv", "gray"])
def test_a_change_of_cells_comes_back(kind):
    chroma = {"rgb": (), "gray": (), "gbr": ((90, 120),) * 2, "yuv": ((45, 60),) * 2}
    shapes = ((90, 120), *chroma[kind])
    picture = Picture(kind, shapes, 8, "bt601", kind != "yuv")
    cells = Cells(picture, cpu)
    if kind == "rgb":
        planes = (RNG.integers(60, 190, (90, 120, 3), dtype=np.uint8),)
    else:
        planes = tuple(RNG.integers(60, 190, s, dtype=np.uint8) for s in shapes)
    y, x = np.mgrid[:36, :36] / 36
    colour = np.full(3, 9.0) if kind == "gray" else np.array([4.0, 9.0, -6.0])
    change = (np.sin(3 * x + 2 * y)[..., None] * colour * 2).astype(np.float32)
    changed = cells.reconstruct(planes, change)
    assert [p.dtype for p in changed] == [p.dtype for p in planes]
    difference = cells.represent(changed) - cells.represent(planes)
    rounding = 1.6 if kind == "yuv" else 1.0  # a chroma sample of 4:2:0 is nearly as large as a cell here
    assert np.abs(difference - change).max() < rounding and np.corrcoef(difference.ravel(), change.ravel())[0, 1] > 0.99


def test_no_change_leaves_every_sample():
    shapes = ((91, 121), (46, 61), (46, 61))
    planes = tuple(RNG.integers(0, 256, s, dtype=np.uint8) for s in shapes)
    same = Cells(Picture("yuv", shapes), cpu).reconstruct(planes, np.zeros((36, 36, 3), np.float32))
    for a, b in zip(planes, same, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_turns_cells_upright_and_the_change_back(rotation):
    upright = RNG.integers(60, 190, (72, 144, 3), dtype=np.uint8)
    stored = np.ascontiguousarray(np.rot90(upright, -rotation // 90))
    straight = Cells(Picture("rgb", ((72, 144),)), cpu)
    turned = Cells(Picture("rgb", (stored.shape[:2],), rotation=rotation), cpu)
    np.testing.assert_allclose(turned.represent((stored,)), straight.represent((upright,)), atol=1e-3)
    change = RNG.normal(0, 5, (36, 36, 3)).astype(np.float32)
    back = np.rot90(turned.reconstruct((stored,), change)[0], rotation // 90)
    assert np.abs(back.astype(int) - straight.reconstruct((upright,), change)[0]).max() <= 1


def test_a_region_is_all_that_is_read_and_changed():
    shapes = ((96, 128), (48, 64), (48, 64))
    planes = tuple(RNG.integers(60, 190, s, dtype=np.uint8) for s in shapes)
    cells = Cells(Picture("yuv", shapes, roi=(40, 20, 50, 40)), cpu)
    other = tuple(p.copy() for p in planes)
    other[0][:20], other[1][:, :20] = 0, 255
    np.testing.assert_array_equal(cells.represent(planes), cells.represent(other))
    changed = cells.reconstruct(planes, np.full((36, 36, 3), 12, np.float32))
    moved = changed[0] != planes[0]
    assert moved[20:60, 40:90].all() and moved.sum() == 40 * 50


def test_a_region_follows_the_displayed_picture():
    stored = np.zeros((60, 100, 3), np.uint8)
    picture = Picture("rgb", ((60, 100),), rotation=90, roi=(10, 5, 20, 30))  # displayed 60 wide, 100 high
    changed = Cells(picture, cpu).reconstruct((stored,), np.full((36, 36, 3), 40, np.float32))[0]
    rows, columns = np.nonzero(np.rot90(changed[..., 0], 1))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (5, 35, 10, 30)


def test_a_region_outside_the_frame_is_refused():
    with pytest.raises(InputError, match=r"outside the frame of 100 x 60"):
        Picture("rgb", ((60, 100),), roi=(90, 0, 20, 10))


@pytest.mark.parametrize(
    "picture",
    [
        Picture("yuv", ((120, 160), (60, 80), (60, 80)), full_range=False, matrix="bt601"),
        Picture("yuv", ((120, 160), (120, 80), (120, 80)), bits=10, full_range=False),
        Picture("gbr", ((120, 160),) * 3),
        Picture("rgb", ((120, 160),)),
        Picture("gray", ((120, 160),)),
    ],
    ids=lambda p: f"{p.kind}{p.bits}",
)
def test_a_relative_change_follows_the_light_of_each_pixel(picture):
    """On a frame of two greys, 60 and 180, one relative change moves each in proportion to its own light."""
    matrix, offset = picture.to_rgb()
    levels = [np.linalg.pinv(matrix) @ (np.full(3, grey) - offset) for grey in (60.0, 180.0)]
    dtype = np.uint8 if picture.bits == 8 else np.uint16
    planes = []
    for i, shape in enumerate(picture.shapes):
        dark, bright = (level if picture.kind == "rgb" else level[i] for level in levels)
        plane = np.empty((*shape, 3) if picture.kind == "rgb" else shape, dtype)
        plane[:, : shape[1] // 2], plane[:, shape[1] // 2 :] = np.rint(dark), np.rint(bright)
        planes.append(plane)
    lit = LitCells(picture, cpu)
    cells = lit.represent(tuple(planes))
    change = np.full_like(cells, 0.1) * (cells @ picture.luma)[..., None]
    got = lit.represent(lit.reconstruct(tuple(planes), lit.relative(cells, change))) - cells
    np.testing.assert_allclose(got[:, 3:15, 1], 6, atol=0.75)
    np.testing.assert_allclose(got[:, 21:33, 1], 18, atol=0.75)
    edge = lit.reconstruct(tuple(planes), lit.relative(cells, change))[0].astype(float) - planes[0]
    row = edge[60].reshape(edge.shape[1], -1)[:, 0]
    assert np.ptp(row[72:80]) <= 0.1 * abs(row[120]) + 1 and row[84] > 2 * row[76]


def test_a_relative_change_of_nothing_leaves_every_pixel():
    picture = Picture("yuv", ((34, 50), (17, 25), (17, 25)), full_range=False)
    rng = np.random.default_rng(3)
    planes = tuple(rng.integers(0, 256, shape, np.uint8) for shape in picture.shapes)
    same = LitCells(picture, cpu).reconstruct(planes, np.zeros((36, 36, 3), np.float32))
    for before, after in zip(planes, same, strict=True):
        np.testing.assert_array_equal(before, after)
