"""Methods that magnify or read breathing, by name.

"nothing": the source; "true": the true magnified clip; "respiration": the coherent form; "respiration-paper": the
paper's form, "respiration-paper@2" with strength 2; any method or preset of fastmag.magnify, "phase/breathing@10" with
alpha 10, "phase/breathing@matched" with the alpha that moves the torso as far as "respiration" does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import butter, sosfiltfilt

from fastmag import presets
from fastmag.coherent.wave import mean_rate
from fastmag.errors import InputError
from fastmag.evaluation.breathing.cases import ALPHA, TORSO, BreathCase
from fastmag.evaluation.breathing.figures import torso_motion
from fastmag.evaluation.metrics import luma
from fastmag.evaluation.shifts import Patches
from fastmag.params import Params
from fastmag.temporal import resample

Player = Callable[[int], np.ndarray]
OURS, PAPER = "respiration", "respiration-paper"
MATCHED = "matched"
EVERY = ("nothing", "true", OURS, PAPER, f"phase/breathing@{MATCHED}", "vam/breathing")
READERS = (OURS,)
PASSBAND = (0.16, 0.5)  # hertz, of breathing (Chen and McDuff 2018, section 3.3)
LEAST_ALPHA, MOST_ALPHA, TRIES, NEAR = 0.5, 100.0, 4, 0.04  # of the search for a matched gain; NEAR: relative


@dataclass(frozen=True)
class BreathReading:
    """What was read: wave_correlation with the true breath within the passband, up to sign; rate and rate_error in
    breaths a minute, the error NaN with the breath held; quality in [0, 1], 0 for none found."""

    wave_correlation: float
    rate: float
    rate_error: float
    quality: float


class Scene:
    """A case and what its methods share; model: a network of one's own, or None."""

    def __init__(self, case: BreathCase, model: str | None = None):
        self.case, self.model = case, model
        self._kept: dict[str, np.ndarray] = {}

    def player(self, name: str) -> Player:
        """Judged frames by a method's name. Raises InputError as fastmag.magnify does."""
        case = self.case
        if name == "nothing":
            return lambda i: case.frames[case.judged[i]]
        if name == "true":
            return lambda i: case.true[i]
        if name not in self._kept:
            self._kept[name] = self._matched(name) if name.endswith(f"@{MATCHED}") else self._shown(params_of(name))
        return self._kept[name].__getitem__

    def reading(self) -> BreathReading:
        """What the network reads, against the truth."""
        from fastmag.api import measure

        case = self.case
        found = measure(case.frames, "respiration", fps=case.fps, model=self.model, passband=PASSBAND)
        error, correlation = float("nan"), float("nan")
        if case.breathing:
            truth = resample(true_wave(case.breath, case.fps), np.arange(len(case.breath)) / case.fps, found.times)
            error = abs(found.rate_bpm - 60 * mean_rate(truth, found.fps, PASSBAND))
            correlation = abs(float(np.corrcoef(found.wave, truth)[0, 1])) if found.wave.any() else 0.0
        return BreathReading(correlation, float(found.rate_bpm), error, float(found.quality))

    def _shown(self, params: Params) -> np.ndarray:
        """The judged frames, magnified."""
        from fastmag.api import magnify

        case = self.case
        if self.model and type(params) is type(presets.METHODS.get(OURS)):
            params = _with(params, model=self.model)
        return np.ascontiguousarray(magnify(case.frames, method=params, fps=case.fps)[case.judged])

    def _matched(self, name: str) -> np.ndarray:
        """The judged frames with the alpha that gives the gain of "respiration", or the true gain without that."""
        ours = self._kept.get(OURS)
        target = 1 + ALPHA if ours is None else gain_of(self.case, ours)
        if not target > 1.05:  # nothing was magnified, or nothing breathes
            target = 1 + ALPHA
        return self._shown(alike(self.case, params_of(name.partition("@")[0]), target))


def _with(params: Any, **changes) -> Params:
    return dataclasses.replace(params, **changes)


def alike(case: BreathCase, params: Params, target: float) -> Params:
    """The params with the alpha that moves the torso `target` times, found on the judged frames alone; with the nearest
    that can be had, where no alpha does. With the breath held there is nothing to match: alpha is ALPHA."""
    from fastmag.api import magnify

    best, alpha, least = _with(params, alpha=ALPHA), ALPHA, float("inf")
    few = np.ascontiguousarray(case.frames[case.judged])
    for _ in range(TRIES if case.breathing else 0):
        tried = _with(params, alpha=round(alpha, 3))
        gain = gain_of(case, magnify(few, method=tried, fps=case.judged_fps), every=2)
        if abs(gain - target) < least:
            best, least = tried, abs(gain - target)
        if least < NEAR * target:
            break
        alpha = float(np.clip(alpha * np.clip((target - 1) / max(gain - 1, 0.1), 0.3, 3), LEAST_ALPHA, MOST_ALPHA))
    return best


def gain_of(case: BreathCase, shown: np.ndarray, every: int = 1) -> float:
    """The gain on the torso of judged frames (J, H, W, 3), from every so many of them: see BreathFigures."""
    moved, truth, on = [], [], []
    for i in range(0, len(case.judged), every):
        patches = Patches(luma(case.frames[case.judged[i]]))
        on.append(patches.clear & (case.patches(i) == TORSO))
        moved.append(patches.shifts(luma(shown[i]), on[-1]))
        truth.append(patches.shifts(luma(case.true[i]), on[-1]))
    return torso_motion(np.array(moved), np.array(truth), np.array(on))[0]


def true_wave(breath: np.ndarray, fps: float) -> np.ndarray:
    """The breath (T,) within the passband, zero phase."""
    return sosfiltfilt(butter(3, PASSBAND, "bandpass", fs=fps, output="sos"), breath - breath.mean())


def params_of(name: str) -> Params:
    """The params in a name such as "phase/breathing@10". Raises InputError for one that does not exist."""
    base, _, number = name.partition("@")
    try:
        value = float(number) if number and number != MATCHED else None
        if base == PAPER:
            ours: Any = type(presets.method(OURS))
            return ours(form="paper", strength=value)
        params = presets.method(base)
        return params if value is None else _with(params, alpha=value)
    except (ValueError, InputError):
        raise InputError(f"unknown method {name!r}: {expected()}") from None


def expected() -> str:
    """Which names there are, for messages."""
    return f"choose among {', '.join(EVERY)}, or a method or preset of fastmag magnify, with @ALPHA or @{MATCHED}"


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once each, in order; for none, all that exist. Raises InputError for one that does not exist."""
    for name in names:
        if name not in ("nothing", "true"):
            params_of(name)
    return tuple(dict.fromkeys(names)) or EVERY
