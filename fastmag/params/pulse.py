"""DeepMag's colour example (Chen and McDuff 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastmag.params.fields import (
    ROI,
    Switch,
    check_choice,
    check_numbers,
    check_passband,
    check_roi,
    check_switch,
    flag,
)

FORMS = ("coherent", "paper")
RULES = ("sign", "l1", "vanilla")  # Eq. 3, Eq. 2, Eq. 1
PAPER_ONLY = {"step_size": 6e-5, "n_steps": 20, "strength": 1.0, "rule": "sign"}
COHERENT_ONLY = {"alpha": 10.0}


@dataclass(frozen=True)
class Pulse:
    """DeepMag's colour example (paper, section 3.2): magnify the pulse in skin.

    Raises InputError for values out of range, and for a value that the chosen form would ignore.
    """

    SWITCH: ClassVar[Switch] = ("form", {"coherent": tuple(PAPER_ONLY), "paper": tuple(COHERENT_ONLY)})

    form: str = flag(
        "coherent", "coherent: size and direction from the agreement with y over time; paper: to the letter"
    )
    alpha: float | None = flag(None, "coherent form: the pulse grows (1 + alpha) times; 10 by default")
    step_size: float | None = flag(None, "paper form: gamma of Eq. 1-3; 6e-5 by default")
    n_steps: int | None = flag(None, "paper form: N of Eq. 4, N - 1 updates; 20 by default")
    strength: float | None = flag(None, "paper form: multiplies the step size; 1 by default")
    rule: str | None = flag(None, "paper form: sign (Eq. 3, the default), l1 (Eq. 2) or vanilla (Eq. 1)")
    passband: tuple[float, float] = flag((0.7, 2.5), "hertz that a pulse may have")
    roi: tuple[int, int, int, int] | None = flag(None, ROI)
    model: str | None = flag(None, "an ONNX network of your own, X (batch, 3, 36, 36) -> y (batch, 1)")

    def __post_init__(self) -> None:
        check_choice(self, "form", FORMS)
        check_switch(self)
        for name, default in (COHERENT_ONLY if self.form == "coherent" else PAPER_ONLY).items():
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
        check_numbers(self, {"alpha": 0, "step_size": 0, "strength": 0, "n_steps": 1})
        check_choice(self, "rule", RULES)
        check_passband(self)
        check_roi(self)
