"""Motion of a clip's luma as the local phase of a complex steerable pyramid, and changes of it rendered."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastmag.baselines.layers import Layers
from fastmag.color import Picture, Planes
from fastmag.ops import Ops
from fastmag.pyramids import Steerable, steerable

Subbands = tuple[np.ndarray, ...]
Difference = Callable[..., np.ndarray]  # (subbands, before, out) -> out, the phase between them


class Accumulator:
    """The phase of each coefficient since the first frame, followed from frame to frame through full turns."""

    def __init__(self, ops: Ops, difference: Difference):
        self._ops, self._difference = ops, difference
        self._before: Subbands | None = None
        self._states: list[np.ndarray] = []

    def __call__(self, subbands: Subbands, out: np.ndarray) -> np.ndarray:
        """The phase (P,) of the next frame's subbands, one (1, K, h, w) a level, written into `out`."""
        if self._before is None:
            self._before = subbands
            self._states = [np.zeros(s.shape[1:]) for s in subbands]
        low = 0
        for now, before, state in zip(subbands, self._before, self._states, strict=True):
            part = out[low : low + now.size].reshape(now.shape)
            self._difference(now, before, out=part)
            self._ops.accumulate_phase(part, state, out=part)
            low += now.size
        self._before = subbands
        return out


class PhaseView:
    """Represent and reconstruct: planes -> phase (P,) float32 in radians, and alpha times a change of it onto them.

    The change is smoothed with weights of amplitude over `sigma` samples first. Only the difference is rendered
    (Wadhwa et al. 2013: coefficients times exp(i alpha change)), so that what does not move keeps its bits. attenuate
    takes each coefficient back to its phase in the first frame before.
    keep: frames are reconstructed soon after they are represented, so that their subbands are held until then.
    Frames are represented in order, from the first on; they are reconstructed in order, too.
    """

    def __init__(
        self, picture: Picture, ops: Ops, alpha: float, sigma: float, pyramid: dict, attenuate: bool, keep: bool
    ):
        self._layers, self._ops = Layers(picture, ops, 0), ops
        self.plan = self._plan(self._layers.sizes[0], pyramid)
        self._alpha, self._sigma, self._attenuate, self._keep = alpha, sigma, attenuate, keep
        sizes = [self.plan.orientations * h * w for h, w in self.plan.sizes]
        self._cuts, self.shape = np.cumsum(sizes)[:-1], (int(np.sum(sizes)),)
        self._follow, self._follow_again = (Accumulator(ops, self._difference()) for _ in range(2))
        self._held: dict[int, Subbands] = {}

    def _plan(self, size: tuple[int, int], pyramid: dict) -> Steerable:
        return steerable(size, **pyramid)

    def _difference(self) -> Difference:
        return self._ops.phase_difference

    def _amplitude(self, coefficients: np.ndarray) -> np.ndarray:
        return self._ops.amplitude(coefficients)

    def _shift(self, coefficients: np.ndarray, delta: np.ndarray, factor: float) -> np.ndarray:
        return self._ops.shift_phase(coefficients, delta, factor)

    def _synthesis(self, differences: list[np.ndarray]) -> np.ndarray:
        return self._ops.steerable_synthesis(differences, self.plan, overwrite=True)

    def represent(self, planes: Planes) -> np.ndarray:
        """The phase of the next frame since the first, every coefficient of every level: (P,) float32."""
        subbands = self._analyse(planes)
        if self._keep:
            self._held[id(planes)] = subbands
        return self._follow(subbands, np.empty(self.shape, np.float32))

    def reconstruct(self, planes: Planes, change: np.ndarray) -> Planes:
        """The frame with its phases changed by alpha times `change` (P,), and its other motion held where asked."""
        subbands = self._held.pop(id(planes), None) or self._analyse(planes)
        total = self._follow_again(subbands, np.empty(self.shape, np.float32)) if self._attenuate else None
        factor = 1.0 if self._attenuate else self._alpha
        differences = []
        for level, part in enumerate(np.split(change, self._cuts)):
            coefficients = subbands[level]
            delta = self._smoothed(np.ascontiguousarray(part).reshape(coefficients.shape), coefficients)
            if total is not None:
                delta = np.float32(self._alpha) * delta - np.split(total, self._cuts)[level].reshape(delta.shape)
            differences.append(self._shift(coefficients, delta, factor))
        return self._layers.merge(planes, [self._synthesis(differences)[0]])

    def _analyse(self, planes: Planes) -> Subbands:
        return self._ops.steerable_analysis(self._layers.split(planes)[0][None], self.plan)

    def _smoothed(self, phase: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        if self._sigma == 0:
            return phase
        return self._ops.smooth_amplitude_weighted(phase, self._amplitude(coefficients), self._sigma)
