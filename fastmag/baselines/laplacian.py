"""Changes of images, magnified by a gain for each level of their Laplacian pyramid (Wu et al. 2012, section 3.3)."""

from __future__ import annotations

import numpy as np

from fastmag.baselines.layers import Layers
from fastmag.color import Picture, Planes
from fastmag.ops import Ops

SMALLEST = 5  # pixels: a level with a shorter side is not halved again
EXAGGERATION = 2.0  # of the released code: gains fall off later than the bound of Eq. 14


def depth(size: tuple[int, int]) -> int:
    """Levels of the pyramid, the low-pass residual included."""
    side, levels = min(size), 1
    while side >= SMALLEST:
        side, levels = side // 2, levels + 1
    return levels


def gains(size: tuple[int, int], alpha: float, lambda_c: float, negative: bool = False) -> np.ndarray:
    """Gain of each level, the finest first, for images (h, w).

    min(alpha, 2 (lambda / (8 delta) - 1)) with delta = lambda_c / (8 (1 + alpha)); lambda, the wavelength that a level
    stands for, is a third of the diagonal at the residual and halves from there. The finest level and the residual are
    left as they are. Below lambda = 8 delta the gain is 0, or as in MIT's code negative.
    """
    levels = depth(size)
    wavelength = np.hypot(*size) / 3 / 2.0 ** np.arange(levels - 1, -1, -1)
    delta = lambda_c / 8 / (1 + alpha)
    gain = np.minimum(alpha, EXAGGERATION * (wavelength / delta / 8 - 1))
    gain = gain if negative else np.maximum(gain, 0)
    gain[[0, -1]] = 0
    return gain


def amplified(image: np.ndarray, gain: np.ndarray, ops: Ops) -> np.ndarray:
    """The sum of the levels of an image's Laplacian pyramid, each times its gain; the last gain is the residual's."""
    levels = [image]
    for _ in range(len(gain) - 1):
        levels.append(ops.pyramid_down(levels[-1]))
    result = gain[-1] * levels[-1]
    for level, finer in reversed(list(enumerate(levels[:-1]))):
        coarse = (result - np.float32(gain[level]) * levels[level + 1]).astype(np.float32)
        result = ops.pyramid_up_add(finer, coarse, float(gain[level]))
    return result


class LaplacianView:
    """Represent and reconstruct: a clip's images as one vector, and a temporal change of it magnified and added."""

    def __init__(self, picture: Picture, ops: Ops, chroma: float, alpha: float, lambda_c: float, mit: bool = False):
        self._layers, self._ops = Layers(picture, ops, chroma), ops
        gain = gains(self._layers.sizes[0], alpha, lambda_c, negative=mit)
        self._gains = [gain[min(max(halved), len(gain) - 1) :] for halved in self._layers.halvings]
        lengths = [h * w for h, w in self._layers.sizes]
        self._cuts, self.shape = np.cumsum(lengths)[:-1], (sum(lengths),)

    def represent(self, planes: Planes) -> np.ndarray:
        """All images of a frame, one after the other: (P,) float32."""
        return np.concatenate([image.reshape(-1) for image in self._layers.split(planes)])

    def reconstruct(self, planes: Planes, change: np.ndarray) -> Planes:
        """The frame with a change (P,) of its images added, each level times its gain."""
        images = [
            part.reshape(size) for part, size in zip(np.split(change, self._cuts), self._layers.sizes, strict=True)
        ]
        return self._layers.merge(
            planes, [amplified(image, gain, self._ops) for image, gain in zip(images, self._gains, strict=True)]
        )
