"""Eulerian video magnification (Wu, Rubinstein, Shih, Guttag, Durand, Freeman, SIGGRAPH 2012)."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastmag import passes
from fastmag.baselines.laplacian import LaplacianView
from fastmag.baselines.level import Level, attenuated
from fastmag.baselines.streams import ONE_PASS, Causal, Shortened, stream, whole
from fastmag.ops import Ops
from fastmag.params import EvmColor, EvmMotion
from fastmag.passes import Outcome
from fastmag.temporal import butterworth_difference, check_passband, ideal, iir_difference, shortest

MIT_DROPS = 10  # frames at the end that the released code leaves out
MIT_LATE = 1  # frames by which its ideal filter for motion is late


def magnify_color(source, sink, params: EvmColor, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """EVM for colour: a level of the Gaussian pyramid, an ideal band-pass over all frames, times alpha, added.

    Raises InputError where the clip is too short or too slow for the passband.
    """
    mit, fs = params.compat == "mit", params.fs or source.fps
    check_passband(params.passband, fs)
    level = Level(source.picture, ops, params.level, params.alpha * attenuated(params.chroma), mit)
    band = partial(ideal, params.passband, one_sided=mit)
    count = whole(_all_of(source, mit), sink, level, band, fs, shortest(params.passband, fs), progress)
    low, high = params.passband
    times = 1 + (params.alpha / 2 if mit else params.alpha)
    return Outcome(count, f"what changes at {low:.3g}-{high:.3g} Hz is {times:.3g} times as strong")


def magnify_motion(source, sink, params: EvmMotion, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """EVM for motion: a temporal band of every level of the Laplacian pyramid, times the level's gain, added.

    Filters over time and over space commute: the band is taken of the images, and the pyramid is built of the band.
    Raises InputError where the clip is too short or too slow for the passband.
    """
    mit, fs = params.compat == "mit", params.fs or source.fps
    view = LaplacianView(source.picture, ops, params.chroma, params.alpha, params.lambda_c, mit)
    source, least, times = _all_of(source, mit), 2, 1 + params.alpha
    if params.passband:
        check_passband(params.passband, fs)
        least = shortest(params.passband, fs)
    if params.passband and params.temporal == "ideal":
        band = partial(ideal, params.passband, one_sided=mit)
        count = whole(source, sink, view, band, fs, least, progress, MIT_LATE if mit else 0, ONE_PASS)
        times = 1 + params.alpha / 2 if mit else times
    else:
        count = stream(source, sink, view, Causal(section(params, fs), ops), fs, least, progress)
    return Outcome(count, f"motion is up to {times:.3g} times as large")


def section(params: EvmMotion, fs: float) -> np.ndarray:
    """The causal filter over time, (1, 6). MIT's code takes its corners for shares of fs instead of fs / 2."""
    if params.temporal == "iir":
        return iir_difference(params.rates or (1.0, 1.0))
    low, high = params.passband or (0.0, 0.0)
    return butterworth_difference((low / 2, high / 2) if params.compat == "mit" else (low, high), fs)


def _all_of(source, mit: bool):
    return Shortened(source, 0, MIT_DROPS) if mit else source
