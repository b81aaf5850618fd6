"""Motion of a clip's luma as the local phase of a complex steerable pyramid, and changes of it rendered."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from fastmag.baselines.layers import Layers
from fastmag.color import Picture, Planes
from fastmag.flow import Carried, Kept
from fastmag.ops import Ops
from fastmag.pyramids import Steerable, steerable

Subbands = tuple[np.ndarray, ...]
Difference = Callable[..., np.ndarray]  # (subbands, before, out) -> out, the phase between them
Followed = tuple[Subbands, list[np.ndarray]]  # the last frame's subbands, and the phase that it has reached
EACH = 32  # bytes of device memory a coefficient: as complex numbers, turned, and as phases


class PhaseView:
    """Represent and reconstruct: planes -> phase (P,) float32 in radians, and alpha times a change of it onto them.

    The change is smoothed with weights of amplitude over `sigma` samples first. Only the difference is rendered
    (Wadhwa et al. 2013: coefficients times exp(i alpha change)), so that what does not move keeps its bits. attenuate
    takes each coefficient back to its phase in the first frame before.
    Frames are represented in order, from the first on; they are reconstructed in order, too. The parts are those that
    fastmag.flow takes, of a frame or of a block: `parts`, `reduce`, `row`; `parts` with `changes`, `add`, `whole`; or,
    in one pass, `parts`, `passed`, `whole`.
    """

    def __init__(self, picture: Picture, ops: Ops, alpha: float, sigma: float, pyramid: dict, attenuate: bool):
        self._layers, self.ops, self.kept = Layers(picture, ops, 0), ops, Kept()
        self.parts, self.whole = self._layers.parts, self._layers.whole
        self.plan = self._plan(self._layers.sizes[0], pyramid)
        self._alpha, self._sigma, self._attenuate = alpha, sigma, attenuate
        ends = np.cumsum([0, *(self.plan.orientations * h * w for h, w in self.plan.sizes)]).tolist()
        self._cuts, self.shape = [slice(*cut) for cut in pairwise(ends)], (ends[-1],)
        self.each = EACH * ends[-1]
        self.reduce, self.add = Carried(self._reduced), Carried(self._added)

    def _plan(self, size: tuple[int, int], pyramid: dict) -> Steerable:
        return steerable(size, **pyramid)

    def _difference(self) -> Difference:
        return self.ops.phase_difference

    def _amplitude(self, coefficients: np.ndarray) -> np.ndarray:
        return self.ops.amplitude(coefficients)

    def _shift(self, coefficients: np.ndarray, delta: np.ndarray, factor: float) -> np.ndarray:
        return self.ops.shift_phase(coefficients, delta, factor)

    def _synthesis(self, differences: list[np.ndarray]) -> np.ndarray:
        return self.ops.steerable_synthesis(differences, self.plan, overwrite=True)

    def row(self, reduced: Planes) -> np.ndarray:
        """The phase of the next frame since the first, every coefficient of every level: (P,) float32."""
        return reduced[0].reshape(-1)

    def changes(self, change: np.ndarray) -> Planes:
        """A change of the phase as `add` takes it."""
        return (change[None],)

    def passed(self, run: Callable[[Any, np.ndarray], tuple[Any, np.ndarray]]) -> Carried:
        """Work for one pass: parts with what run(carried, phases (n, P)) -> (carried, change) makes of them added."""

        def step(carried: Any, *parts: np.ndarray) -> tuple[Any, Planes]:
            followed, filtered = carried or (None, None)
            subbands = self._analyse(parts)
            followed, phases = self._follow(followed, subbands)
            total = phases.copy() if self._attenuate else None
            filtered, change = run(filtered, phases)
            return (followed, filtered), self._rendered(parts, subbands, change, total)

        return Carried(step)

    def _reduced(self, followed: Followed | None, *parts: np.ndarray) -> tuple[Followed, Planes]:
        followed, phases = self._follow(followed, self._analyse(parts))
        return followed, (phases,)

    def _added(self, followed: Followed | None, *arrays: np.ndarray) -> tuple[Followed | None, Planes]:
        parts, change, total = arrays[:-1], arrays[-1], None
        subbands = self._analyse(parts)
        if self._attenuate:
            followed, total = self._follow(followed, subbands)
        return followed, self._rendered(parts, subbands, change.reshape(len(subbands[0]), -1), total)

    def _analyse(self, parts: Planes) -> Subbands:
        """Subbands (n, K, h, w) of a frame or a block."""
        image = self._layers.split(parts)[0]
        return self.ops.steerable_analysis(image if image.ndim == 3 else image[None], self.plan)

    def _follow(self, followed: Followed | None, subbands: Subbands) -> tuple[Followed, np.ndarray]:
        """The phase (n, P) of the next frames since the first, through full turns."""
        count, difference = len(subbands[0]), self._difference()
        before, states = followed or (tuple(s[:1] for s in subbands), [])
        phases = np.empty_like(subbands[0], np.float32, shape=(count, *self.shape))
        for level, (now, last, cut) in enumerate(zip(subbands, before, self._cuts, strict=True)):
            part = phases[0, cut].reshape(now.shape) if count == 1 else np.empty_like(phases, shape=now.shape)
            difference(now[:1], last, out=part[:1])
            if count > 1:
                difference(now[1:], now[:-1], out=part[1:])
            if len(states) == level:
                states.append(np.zeros_like(part[0], np.float64))
            self.ops.accumulate_phase(part, states[level], out=part)
            if count > 1:
                phases[:, cut] = part.reshape(count, -1)
        return (tuple(s[-1:] for s in subbands), states), phases

    def _rendered(self, parts: Planes, subbands: Subbands, change: np.ndarray, total: np.ndarray | None) -> Planes:
        """Parts whose phases change by alpha times `change` (n, P), their other motion, `total`, held where given."""
        factor, differences = self._alpha if total is None else 1.0, []
        for coefficients, cut in zip(subbands, self._cuts, strict=True):
            delta = self._smoothed(change[:, cut].reshape(coefficients.shape), coefficients)
            if total is not None:
                delta = delta * np.float32(self._alpha) - total[:, cut].reshape(delta.shape)
            differences.append(self._shift(coefficients, delta, factor))
        moved = self._synthesis(differences)
        return self._layers.merge(parts, [moved if parts[0].ndim == 4 else moved[0]])

    def _smoothed(self, phase: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        if self._sigma == 0:
            return phase
        return self.ops.smooth_amplitude_weighted(phase, self._amplitude(coefficients), self._sigma)
