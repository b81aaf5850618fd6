"""Riesz pyramids for fast phase-based video magnification (Wadhwa, Rubinstein, Durand, Freeman, ICCP 2014).

A level is a band of all directions instead of one subband a direction, and its phase has a direction at every place:
half the coefficients of phase-based EVM. US 2015/0195430 A1 is said to cover the Riesz pyramid.
"""

from __future__ import annotations

import numpy as np

from fastmag import passes
from fastmag.baselines import phase_evm
from fastmag.baselines.phase_view import Difference, PhaseView
from fastmag.ops import Ops
from fastmag.params import Riesz
from fastmag.passes import Outcome
from fastmag.pyramids import Riesz as Pyramid
from fastmag.pyramids import riesz


class RieszView(PhaseView):
    """Represent and reconstruct as `PhaseView`: the phase across and down of a Riesz pyramid's bands."""

    plan: Pyramid

    def _plan(self, size: tuple[int, int], pyramid: dict) -> Pyramid:
        return riesz(size, octaves=pyramid.get("octaves", 1.0))

    def _difference(self) -> Difference:
        return self.ops.riesz_difference

    def _amplitude(self, coefficients: np.ndarray) -> np.ndarray:
        return self.ops.riesz_amplitude(coefficients)

    def _shift(self, coefficients: np.ndarray, delta: np.ndarray, factor: float) -> np.ndarray:
        return self.ops.riesz_shift(coefficients, delta, factor)

    def _synthesis(self, differences: list[np.ndarray]) -> np.ndarray:
        return self.ops.steerable_synthesis(differences, self.plan.bands(), overwrite=True)


def magnify(source, sink, params: Riesz, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """Filter the quaternionic phase of the luma over time, smooth it, and turn each band by alpha times it.

    Phases are followed from frame to frame, so that a motion of more than half a wavelength does not wrap.
    Raises InputError where the clip is too short, too slow or too small.
    """
    return phase_evm.by_view(source, sink, params, ops, RieszView, progress)
