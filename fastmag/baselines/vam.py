"""Video acceleration magnification (Zhang, Pintea and van Gemert, CVPR 2017).

A filter over time that answers to second derivatives alone: steady motion and steady light pass unchanged. The released
script adds its output to the newest frame it has seen; here it is added to the frame in the filter's middle.
"""

from __future__ import annotations

import numpy as np

from fastmag import passes
from fastmag.baselines.level import Level, attenuated
from fastmag.baselines.phase_view import PhaseView
from fastmag.baselines.streams import whole
from fastmag.errors import InputError
from fastmag.ops import Ops
from fastmag.params import PYRAMIDS, VamColor, VamMotion
from fastmag.passes import Outcome


def magnify_color(source, sink, params: VamColor, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """VAM for colour: alpha times the acceleration of a level of the Gaussian pyramid, added.

    The paper's colour variant was never released: this is its filter on the level that EVM uses.
    Raises InputError where the clip is too short or too slow for the frequency.
    """
    return _accelerate(
        source,
        sink,
        Level(source.picture, ops, params.level, params.alpha * attenuated(params.chroma)),
        params,
        progress,
    )


def magnify_motion(source, sink, params: VamMotion, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """VAM for motion: alpha times the acceleration of the local phase of the luma, added to it.

    Raises InputError where the clip is too short, too slow or too small.
    """
    view = PhaseView(source.picture, ops, params.alpha, params.sigma, PYRAMIDS[params.pyramid], attenuate=False)
    return _accelerate(source, sink, view, params, progress)


def _accelerate(source, sink, view, params: VamColor | VamMotion, progress: passes.Progress) -> Outcome:
    fs = params.fs or source.fps
    check_frequency(params.frequency, fs)

    def accelerations(series: np.ndarray, rate: float) -> np.ndarray:
        return centred(series, acceleration(params.frequency, rate, params.acceleration))

    count = whole(source, sink, view, accelerations, fs, shortest(params.frequency, fs), progress)
    return Outcome(count, said(params.frequency, params.acceleration, params.alpha, fs))


def acceleration(frequency: float, fps: float, kind: str) -> np.ndarray:
    """Taps (4 lag + 1,) of the filter for a frequency, lag = ceil(fps / (4 frequency)) frames, a quarter period.

    "dog": a Gaussian of sigma lag / 4 less one of sigma lag, scaled to sum |taps| = 1; "int": 1/2 in the middle and
    -1/4 one lag to either side. Both sum to 0 and are even: whatever is linear over time gives 0.
    """
    lag = int(np.ceil(fps / (4 * frequency) - 1e-9))
    at = np.arange(-2 * lag, 2 * lag + 1)
    if kind == "int":
        return 0.5 * (at == 0) - 0.25 * (np.abs(at) == lag)
    narrow, wide = (np.exp(-0.5 * (at / sigma) ** 2) for sigma in (lag / 4, lag))
    taps = narrow / narrow.sum() - wide / wide.sum()
    return taps / np.abs(taps).sum()


def response(taps: np.ndarray, frequency: float, fps: float) -> float:
    """The factor that a filter with even taps applies to a wave."""
    at = np.arange(len(taps)) - len(taps) // 2
    return float(taps @ np.cos(2 * np.pi * frequency / fps * at))


def centred(series: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """The series (T, n), filtered by even taps; beyond both ends it goes on turned by half a turn about the last frame.

    So a linear series stays linear, and gives 0 up to its ends.
    """
    from scipy.ndimage import correlate1d

    reach = len(taps) // 2
    head = 2 * series[:1] - series[reach:0:-1]
    tail = 2 * series[-1:] - series[-2 : -reach - 2 : -1]
    filtered = correlate1d(np.concatenate([head, series, tail]), taps, axis=0)
    return filtered[reach : reach + len(series)]


def shortest(frequency: float, fps: float) -> int:
    """Fewest frames: two periods, which is also what the filter reaches."""
    return int(np.ceil(2 * fps / frequency)) + 1


def check_frequency(frequency: float, fps: float) -> None:
    """Raise InputError unless a quarter period is at least a frame."""
    if frequency > fps / 4:
        raise InputError(
            f"frequency must be at most a quarter of the frame rate ({fps / 4:g} Hz at {fps:g} fps); "
            f"got {frequency:g}: lower it, or use a faster recording"
        )


def said(frequency: float, kind: str, alpha: float, fps: float) -> str:
    """One line for the user."""
    times = 1 + alpha * response(acceleration(frequency, fps, kind), frequency, fps)
    return f"what swings at {frequency:.3g} Hz is {times:.3g} times as strong, what is steady stays"
