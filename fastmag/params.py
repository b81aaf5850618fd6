"""One frozen dataclass per method, checked when it is made. The command's flags are made from the fields."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from fastmag.errors import InputError

FORMS = ("coherent", "paper")
RULES = ("sign", "l1", "vanilla")  # Eq. 3, Eq. 2, Eq. 1
PAPER_ONLY = {"step_size": 6e-5, "n_steps": 20, "strength": 1.0, "rule": "sign"}
COHERENT_ONLY = {"alpha": 10.0}


def flag(default, text: str):
    """A field whose help text becomes that of the command's flag."""
    return dataclasses.field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Pulse:
    """DeepMag's colour example (paper, section 3.2): magnify the pulse in skin.

    Raises InputError for values out of range, and for a value that the chosen form would ignore.
    """

    form: str = flag(
        "coherent", "coherent: size and direction from the agreement with y over time; paper: to the letter"
    )
    alpha: float | None = flag(None, "coherent form: the pulse grows (1 + alpha) times; 10 by default")
    step_size: float | None = flag(None, "paper form: gamma of Eq. 1-3; 6e-5 by default")
    n_steps: int | None = flag(None, "paper form: N of Eq. 4, N - 1 updates; 20 by default")
    strength: float | None = flag(None, "paper form: multiplies the step size; 1 by default")
    rule: str | None = flag(None, "paper form: sign (Eq. 3, the default), l1 (Eq. 2) or vanilla (Eq. 1)")
    passband: tuple[float, float] = flag((0.7, 2.5), "hertz that a pulse may have")
    roi: tuple[int, int, int, int] | None = flag(None, "x,y,w,h in pixels: analyse and change this region only")
    model: str | None = flag(None, "an ONNX network of your own, X (batch, 3, 36, 36) -> y (batch, 1)")

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"form must be one of {', '.join(FORMS)}; got {self.form!r}")
        mine, other = (COHERENT_ONLY, PAPER_ONLY) if self.form == "coherent" else (PAPER_ONLY, COHERENT_ONLY)
        for name in other:
            if getattr(self, name) is not None:
                wanted = "paper" if self.form == "coherent" else "coherent"
                raise InputError(f"{name} has no meaning in the {self.form} form: drop it, or choose form {wanted}")
        for name, default in mine.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        self._check()

    @property
    def gain(self) -> float:
        """alpha of the coherent form."""
        return float(self.alpha or 0.0)

    @property
    def updates(self) -> dict[str, Any]:
        """What `ascent.ascend` takes in the paper form: step_size (gamma times strength), n_steps, rule."""
        gamma = float(self.step_size or 0.0) * float(self.strength or 0.0)
        return {"step_size": gamma, "n_steps": self.n_steps, "rule": self.rule}

    def _check(self) -> None:
        for name, least in (("alpha", 0.0), ("step_size", 0.0), ("strength", 0.0), ("n_steps", 1)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and least <= value < float("inf")):
                raise InputError(f"{name} must be a finite number, at least {least:g}; got {value!r}")
        if self.rule is not None and self.rule not in RULES:
            raise InputError(f"rule must be one of {', '.join(RULES)}; got {self.rule!r}")
        object.__setattr__(self, "passband", _numbers(self.passband, 2, float, "passband", "LOW,HIGH in hertz"))
        if not 0 < self.passband[0] < self.passband[1]:
            low, high = self.passband
            raise InputError(
                f"passband must be LOW < HIGH, both above 0 Hz; got {low:g}-{high:g}: swap or correct them"
            )
        if self.roi is not None:
            roi = _numbers(self.roi, 4, int, "roi", "x,y,w,h in whole pixels")
            object.__setattr__(self, "roi", roi)
            if min(roi[:2]) < 0 or min(roi[2:]) < 1:
                raise InputError(f"roi must be x,y,w,h with x, y >= 0 and w, h >= 1; got {','.join(map(str, roi))}")


def _numbers(value, count: int, kind: type, name: str, expected: str) -> tuple:
    try:
        numbers = tuple(kind(v) for v in value)
        finite = all(abs(v) < float("inf") for v in numbers)
    except (TypeError, ValueError, OverflowError):
        numbers, finite = (), False
    if len(numbers) != count or not finite:
        raise InputError(f"{name} must be {expected}; got {value!r}")
    return numbers
