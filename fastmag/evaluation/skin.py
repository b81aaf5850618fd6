"""Skin in a real clip, found by colour alone: no pulse, no network and no face is looked for.

A colour is skin when it passes a published rule (Chai and Ngan 1999: Cb in 77..127, Cr in 133..173) and is commoner in
the middle of the clip's pictures than at their rim, which tells skin from a wall of nearly its colour. The largest
connected part of each frame is kept, and its edge softened. The person must be in the middle.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_opening, gaussian_filter, label, zoom

CB, CR = (77.0, 127.0), (133.0, 173.0)  # of skin
DARK = 0.5  # of the middle's median luma: hair and eyes are below
ROWS = 160  # skin is found on a picture of about so many rows
SOFT = 1.5  # sigma, in these rows, before colours are judged, and of the edge
THIN = 3  # what is thinner than twice this, in these rows, is hair or furniture
MIDDLE, RIM = (0.42, 0.3), 0.12  # half axes of the middle, in heights and widths; width of the rim at left, right, top
BINS, WIDE = (32, 40, 40), 1.0  # of luma, Cb, Cr, and how far their counts are smoothed
FRAMES = 24  # that the colours are learnt from


class SkinColours:
    """The colours of a clip's skin, from frames (T, H, W, 3) uint8; called with a frame, where it shows them."""

    def __init__(self, frames: np.ndarray):
        some = frames[np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int))]
        colours = np.stack([_colours(frame) for frame in some])
        middle, rim = _regions(colours.shape[1:3])
        candidates = self._rule(colours) & middle
        self._darkest = DARK * float(np.median(colours[candidates][:, 0])) if candidates.any() else 0.0
        self._commoner = _density(colours[:, middle]) > _density(colours[:, rim])

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """(H, W) float32 in [0, 1] of a frame (H, W, 3) uint8; all 0 where there is no skin."""
        colours = _colours(frame)
        found = self._rule(colours) & (colours[..., 0] > self._darkest) & self._commoner[_bins(colours)]
        parts, count = label(binary_opening(found, iterations=THIN))
        if count == 0:
            return np.zeros(frame.shape[:2], np.float32)
        largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
        soft = gaussian_filter(largest.astype(np.float32), SOFT)
        scale = (frame.shape[0] / soft.shape[0], frame.shape[1] / soft.shape[1])
        return np.clip(zoom(soft, scale, order=1, grid_mode=True, mode="nearest"), 0, 1)

    @staticmethod
    def _rule(colours: np.ndarray) -> np.ndarray:
        cb, cr = colours[..., 1], colours[..., 2]
        return (cb > CB[0]) & (cb < CB[1]) & (cr > CR[0]) & (cr < CR[1])


def _colours(frame: np.ndarray) -> np.ndarray:
    """Luma, Cb and Cr (h, w, 3) of a small, smoothed version of a frame (H, W, 3)."""
    step = max(1, round(frame.shape[0] / ROWS))
    height, width = frame.shape[0] // step * step, frame.shape[1] // step * step
    small = frame[:height, :width].reshape(height // step, step, width // step, step, 3).mean((1, 3))
    red, green, blue = np.moveaxis(gaussian_filter(small, (SOFT, SOFT, 0)), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return np.stack([luma, 128 + 0.564 * (blue - luma), 128 + 0.713 * (red - luma)], -1)


def _regions(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The middle and the rim of a picture, (h, w) bool each."""
    y, x = np.mgrid[: shape[0], : shape[1]] / np.array(shape)[:, None, None]
    middle = np.hypot((y - 0.5) / MIDDLE[0], (x - 0.5) / MIDDLE[1]) < 1
    return middle, (x < RIM) | (x > 1 - RIM) | ((y < RIM) & ~middle)


def _bins(colours: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices of colours (..., 3) into a histogram: luma 0..255, Cb and Cr 68..188."""
    luma, cb, cr = np.moveaxis(colours, -1, 0)
    at = (luma * (BINS[0] / 256), (cb - 68) * (BINS[1] / 120), (cr - 68) * (BINS[2] / 120))
    return tuple(np.clip(axis, 0, n - 1).astype(np.int32) for axis, n in zip(at, BINS, strict=True))


def _density(colours: np.ndarray) -> np.ndarray:
    """How common each colour is, smoothed, with the sum 1."""
    counts = np.zeros(BINS)
    np.add.at(counts, _bins(colours.reshape(-1, 3)), 1.0)
    return gaussian_filter(counts, WIDE) / max(counts.sum(), 1)
