"""The transforms behind the pyramid, against SciPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from fastmag.kernels.cpu import fourier


def waves(*shape: int) -> np.ndarray:
    real, imaginary = np.random.default_rng(shape).normal(0, 1, (2, *shape))
    return (real + 1j * imaginary).astype(np.complex64)


def whole(boxes: np.ndarray) -> fourier.Lines:
    return fourier.filled(np.ones(boxes.shape))


def work(boxes: np.ndarray) -> np.ndarray:
    """Room to work in, full of what must not survive."""
    room = fourier.room(max(boxes.shape[1:]))
    room.fill(np.nan)
    return room


# every radix, first, in the middle and last; lines that fill the lanes and that don't, rows that fill vectors and don't
SIZES = [(16, 16), (64, 64), (18, 32), (20, 21), (49, 25), (35, 100), (96, 45), (128, 168), (63, 270)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["inverse", "forward"])
def test_transforms_equal_scipys(size, way):
    boxes = waves(3, *size)
    exact = boxes.astype(np.complex128)
    exact = fft.ifft2(exact, norm="forward") if way == "inverse" else fft.fft2(exact)
    getattr(fourier, way)(boxes, whole(boxes), work(boxes))
    np.testing.assert_allclose(boxes, exact, rtol=0, atol=4e-7 * np.abs(exact).max())


@pytest.mark.parametrize("n", range(16, 260))
def test_every_length_is_done_or_refused(n):
    rest = n
    for factor in (2, 3, 5, 7):
        while rest % factor == 0:
            rest //= factor
    assert (fourier.length(n) is None) == (rest > 1)
    if rest == 1:
        column = waves(n, 5)
        exact = fft.fft(column.astype(np.complex128), axis=0)
        fourier.columns(column, 5, 1, work(column[None]))
        np.testing.assert_allclose(column, exact, rtol=0, atol=4e-7 * np.abs(exact).max())


def test_only_the_columns_asked_for_are_touched():
    x = waves(48, 41)
    before = x.copy()
    fourier.columns(x, 19, 0, fourier.room(48))
    np.testing.assert_array_equal(x[:, 19:], before[:, 19:])
    np.testing.assert_allclose(x[:, :19], fft.ifft(before[:, :19], axis=0, norm="forward"), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1])
def test_empty_lines_are_left_out(axis):
    """Half a plane: the inverse may start from it, and the way back need not make the other half."""
    shape = (80, 84)
    mask = np.zeros((2, *shape))
    mask[0].swapaxes(0, axis)[1:30] = 1  # along one axis positive frequencies alone
    mask[1].swapaxes(0, axis)[[*range(12), *range(70, shape[axis])]] = 1  # a few on either side of 0
    lines = fourier.filled(mask)
    assert (lines.first == 1 - axis).all()
    kept = (lines.parts[..., 1] - lines.parts[..., 0]).sum(1)
    assert (kept < 0.6 * shape[axis]).all(), "about half of the lines are left out"
    boxes = (waves(2, *shape) * mask).astype(np.complex64)
    exact = fft.ifft2(boxes.astype(np.complex128), norm="forward")
    fourier.inverse(boxes, lines, work(boxes))
    np.testing.assert_allclose(boxes, exact, rtol=0, atol=4e-7 * np.abs(exact).max())
    boxes = waves(2, *shape)
    exact = fft.fft2(boxes.astype(np.complex128))
    fourier.forward(boxes, lines, work(boxes))
    np.testing.assert_allclose(boxes * mask, exact * mask, rtol=0, atol=4e-7 * np.abs(exact).max())
