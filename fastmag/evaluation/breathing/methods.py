"""Methods that magnify or read breathing, by name.

"nothing": the source; "true": the true magnified clip; "respiration": the coherent form, "oracle": that with the true
y, "respiration-sure" without its gate, "respiration-phase" with phases turned instead of pixels shifted;
"respiration-paper": the paper's form, "respiration-paper@2" with strength 2;
"network", "lower-half": only read, by the network and by the judge without one (motion.lower_half); any method or
preset of fastmag.magnify, "phase/breathing@10" with alpha 10, "phase/breathing@matched" with the alpha that moves the
torso as far as "respiration" does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastmag import presets
from fastmag.errors import InputError
from fastmag.evaluation.breathing.cases import ALPHA, TORSO, BreathCase
from fastmag.evaluation.breathing.figures import torso_motion
from fastmag.evaluation.breathing.reading import BreathReading, Reader
from fastmag.evaluation.metrics import luma
from fastmag.evaluation.shifts import Patches
from fastmag.params import Params, Respiration

Player = Callable[[int], np.ndarray]
OURS, PAPER, ORACLE = "respiration", "respiration-paper", "oracle"
CHOSEN = {"respiration-sure": Respiration(sure=True), "respiration-phase": Respiration(rendering="phase")}
NETWORK, LOWER = "network", "lower-half"
READS_ONLY = (NETWORK, LOWER)
OWN = ("nothing", "true", ORACLE, *READS_ONLY)
MATCHED = "matched"
RIVALS = (f"phase/breathing@{MATCHED}", "vam/breathing", "evm/breathing", "riesz/breathing")
EVERY = ("nothing", "true", OURS, PAPER, *RIVALS, LOWER)
LEAST_ALPHA, MOST_ALPHA, TRIES, NEAR = 0.05, 100.0, 4, 0.04  # of the search for a matched gain; NEAR: relative
LEAST_GAIN = 1.05  # that is worth matching


class Scene:
    """A case, what its methods show and what they read; model: a network of one's own, or None."""

    def __init__(self, case: BreathCase, model: str | None = None):
        self.case, self.model, self.reader = case, model, Reader(case, model)
        self.readings: dict[str, BreathReading] = {}
        self._ours: np.ndarray | None = None

    def player(self, name: str) -> Player | None:
        """Judged frames by a method's name, None for one that shows nothing; what it read is in `readings` then. What
        is matched to "respiration" has to be asked for after it. Raises InputError as fastmag.magnify does."""
        case = self.case
        if name == "nothing":
            return lambda i: case.frames[case.judged[i]]
        if name == "true":
            return lambda i: case.true[i]
        if name in READS_ONLY:
            self.readings[name] = self.reader.read(name == NETWORK)
            return None
        if name in (OURS, ORACLE):
            shown, self.readings[name] = self.reader.magnified(name == ORACLE)
            self._ours = shown if name == OURS else self._ours
        elif name.endswith(f"@{MATCHED}"):
            shown = self._shown(alike(case, params_of(name.partition("@")[0]), self._target()))
        else:
            shown = self._shown(params_of(name))
        return shown.__getitem__

    def _shown(self, params: Params) -> np.ndarray:
        """The judged frames, magnified."""
        from fastmag.api import magnify

        if self.model and isinstance(params, Respiration):
            params = dataclasses.replace(params, model=self.model)
        return np.ascontiguousarray(magnify(self.case.frames, method=params, fps=self.case.fps)[self.case.judged])

    def _target(self) -> float:
        """The gain to match: that of "respiration", or the true one without it."""
        gain = 0.0 if self._ours is None else gain_of(self.case, self._ours)
        return gain if gain > LEAST_GAIN else 1 + ALPHA


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


def params_of(name: str) -> Params:
    """The params in a name such as "phase/breathing@10". Raises InputError for one that does not exist."""
    base, _, number = name.partition("@")
    try:
        value = float(number) if number and number != MATCHED else None
        if base == PAPER:
            return Respiration(form="paper", strength=value)
        params = CHOSEN.get(base) or presets.method(base)
        return params if value is None else _with(params, alpha=value)
    except (ValueError, InputError):
        raise InputError(f"unknown method {name!r}: {expected()}") from None


def expected() -> str:
    """Which names there are, for messages."""
    own = ", ".join((*EVERY, *CHOSEN, ORACLE, NETWORK))
    return f"choose among {own}, or a method or preset of fastmag magnify, with @ALPHA or @{MATCHED}"


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The names, once each, in order; for none, all that exist. Raises InputError for one that does not exist."""
    for name in names:
        if name not in OWN:
            params_of(name)
    return tuple(dict.fromkeys(names)) or EVERY
