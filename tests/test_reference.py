"""The float64 reference against truth from outside: Pillow and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, signal

from fastmag.kernels import reference

PULSE = signal.butter(3, (0.7, 2.5), "bandpass", fs=30, output="sos")
BREATH = signal.butter(2, 0.5, "lowpass", fs=10, output="sos")


def normal(shape: tuple[int, ...], scale: float = 1.0, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(shape).normal(mean, scale, shape)


@pytest.mark.parametrize(
    "shape, size", [((492, 658), (36, 36)), ((7, 5), (3, 9)), ((1, 1), (4, 4)), ((37, 40), (36, 1))]
)
def test_reference_downsampling_is_pillows(shape, size):
    frame = np.random.default_rng(shape).integers(0, 256, shape, np.uint8)
    image = Image.fromarray(frame.astype(np.float32))
    truth = np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))
    np.testing.assert_allclose(reference.downsample_bicubic(frame, size), truth, atol=1e-4)


def test_reference_upsampling_is_pillows_over_repeated_edges():
    change = normal((6, 5), 20.0).astype(np.float32)
    wide = Image.fromarray(np.pad(change, 3, "edge"))
    truth = np.asarray(wide.resize((11 * 4, 12 * 3), Image.Resampling.BICUBIC))[9:-9, 12:-12]
    frame = np.full((18, 20), 128, np.uint8)
    got = reference.upsample_add(frame, change)
    assert np.abs(got - (128.0 + truth)).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("sos", [PULSE, BREATH], ids=["pulse", "breath"])
def test_reference_bandpass_is_scipys(sos):
    X = normal((200, 3), 1.0, 5.0)
    np.testing.assert_allclose(reference.bandpass(X, sos), signal.sosfiltfilt(sos, X, axis=0), atol=1e-6)
    np.testing.assert_allclose(
        reference.bandpass(X[:8], sos), signal.sosfiltfilt(sos, X[:8], axis=0, padlen=7), atol=1e-6
    )
    truth, state = signal.sosfilt(sos, X, axis=0, zi=np.ones((len(sos), 2, 3)))
    mine = np.ones((len(sos), 2, 3))
    np.testing.assert_allclose(reference.bandpass_forward(X, sos, mine), truth, atol=1e-9)
    np.testing.assert_allclose(mine, state, atol=1e-9)


def test_reference_smoothing_is_scipys():
    x = normal((30, 9, 7))
    for sigma in (0.0, 1.2, 4.0):
        truth = ndimage.gaussian_filter(x, (0, sigma, sigma))
        np.testing.assert_allclose(reference.smooth_space(x, sigma), truth, atol=1e-12)
    for width in (1, 7, 41):
        truth = ndimage.uniform_filter1d(x[:, 0], width, axis=0, mode="nearest")
        np.testing.assert_allclose(reference.smooth_time(x[:, 0], width), truth, atol=1e-12)


def test_reference_colour_inverts_exactly():
    C = np.abs(normal((12, 4), 50.0, 100.0)) + 1.0
    back = reference.undo_normalized_difference
    np.testing.assert_allclose(back(C[0], reference.normalized_difference(C, 4.0), 4.0), C, rtol=1e-12)
