"""Phase-based video motion processing (Wadhwa, Rubinstein, Durand, Freeman, SIGGRAPH 2013)."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastmag import passes
from fastmag.baselines.phase_view import PhaseView
from fastmag.baselines.streams import ONE_PASS, Causal, stream, whole
from fastmag.ops import Ops
from fastmag.params import PYRAMIDS, PhaseEvm, Riesz
from fastmag.passes import Outcome
from fastmag.temporal import butterworth_difference, check_passband, ideal, iir_difference, shortest, windowed


def magnify(source, sink, params: PhaseEvm, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """Filter the local phase of the luma over time, smooth it, and turn each coefficient by alpha times it.

    Phases are followed from frame to frame, so that a motion of more than half a wavelength does not wrap.
    Raises InputError where the clip is too short, too slow or too small.
    """
    return by_view(source, sink, params, ops, PhaseView, progress)


def by_view(
    source, sink, params: PhaseEvm | Riesz, ops: Ops, kind: type[PhaseView], progress: passes.Progress
) -> Outcome:
    """Magnify what a kind of view sees: the phase of its pyramid."""
    fs = params.fs or source.fps
    if params.passband:
        check_passband(params.passband, fs)
    least = shortest(params.passband, fs) if params.passband else 2
    looks_back = params.temporal in ("butterworth", "iir")
    view = kind(source.picture, ops, params.alpha, params.sigma, PYRAMIDS[params.pyramid], params.attenuate)
    if looks_back:
        count = stream(source, sink, view, Causal(looking_back(params, fs), ops), fs, least, progress)
    else:
        band = partial(ideal if params.temporal == "ideal" else windowed, params.passband or (0.0, 0.0))
        count = whole(source, sink, view, band, fs, least, progress, remedy=ONE_PASS)
    return Outcome(count, f"motion is {1 + params.alpha:.3g} times as large, as far as phase can carry it")


def looking_back(params: PhaseEvm | Riesz, fs: float) -> np.ndarray:
    """The causal filter over time, (1, 6)."""
    if params.rates:
        return iir_difference(params.rates)
    return butterworth_difference(params.passband or (0.0, 0.0), fs)
