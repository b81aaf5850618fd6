"""Changes of images, magnified by a gain for each level of their Laplacian pyramid (Wu et al. 2012, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from fastmag.baselines.layers import Layers
from fastmag.color import Picture, Planes
from fastmag.flow import Carried, Kept
from fastmag.ops import Ops

SMALLEST = 5  # pixels: a level with a shorter side is not halved again
EACH = 24  # bytes of device memory a pixel: images, filtered, and twice over as a pyramid
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
    """Represent and reconstruct: a clip's images as one vector, and a temporal change of it magnified and added.

    In the parts that fastmag.flow takes, as fastmag.baselines.phase_view.PhaseView.
    """

    def __init__(self, picture: Picture, ops: Ops, chroma: float, alpha: float, lambda_c: float, mit: bool = False):
        self._layers, self.ops, self.kept = Layers(picture, ops, chroma), ops, Kept()
        self.parts, self.whole = self._layers.parts, self._layers.whole
        gain = gains(self._layers.sizes[0], alpha, lambda_c, negative=mit)
        self._gains = [gain[min(max(halved), len(gain) - 1) :] for halved in self._layers.halvings]
        ends = np.cumsum([0, *(h * w for h, w in self._layers.sizes)]).tolist()
        self._cuts, self.shape = [slice(*cut) for cut in pairwise(ends)], (ends[-1],)
        self.each = EACH * ends[-1]

    def reduce(self, *parts: np.ndarray) -> Planes:
        """All images of a frame, one after the other, (P,) float32; of a block (n, P)."""
        images = self._layers.split(parts)
        return (np.concatenate([image.reshape(*image.shape[:-2], -1) for image in images], axis=-1),)

    def row(self, reduced: Planes) -> np.ndarray:
        """All images of a frame: (P,) float32."""
        return reduced[0]

    def changes(self, change: np.ndarray) -> Planes:
        """A change (P,) of the images as `add` takes it."""
        return (change[None],)

    def add(self, *arrays: np.ndarray) -> Planes:
        """The parts with a change of their images added, each level times its gain; the parts first."""
        parts, change = arrays[:-1], arrays[-1]
        lead = change.shape[:1] if parts[0].ndim == 4 else ()
        change, images = change.reshape(*lead, -1), []
        for cut, size, gain in zip(self._cuts, self._layers.sizes, self._gains, strict=True):
            images.append(amplified(change[..., cut].reshape(*lead, *size), gain, self.ops))
        return self._layers.merge(parts, images)

    def passed(self, run: Callable[[Any, np.ndarray], tuple[Any, np.ndarray]]) -> Carried:
        """Work for one pass: parts with what run(carried, images (n, P)) -> (carried, change) makes of them added."""

        def step(carried: Any, *parts: np.ndarray) -> tuple[Any, Planes]:
            carried, change = run(carried, self.reduce(*parts)[0].reshape(-1, *self.shape))
            return carried, self.add(*parts, change)

        return Carried(step)
