"""What DeepMag's two examples share: the form, and the numbers that belong to one form alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastmag.params import fields
from fastmag.params.fields import PRECISION, PRECISIONS, PROVIDER, PROVIDERS, ROI, Switch, flag

FORMS = ("coherent", "paper")
RULES = ("sign", "l1", "vanilla")  # Eq. 3, Eq. 2, Eq. 1


@dataclass(frozen=True)
class Ascent:
    """Gradient ascent in the input of a network. PAPER and COHERENT hold the defaults of either form's own fields."""

    PAPER: ClassVar[dict[str, Any]] = {"step_size": 0.0, "n_steps": 20, "strength": 1.0, "rule": "sign"}
    COHERENT: ClassVar[dict[str, Any]] = {"alpha": 0.0}
    SWITCH: ClassVar[Switch] = ("form", {"coherent": tuple(PAPER), "paper": tuple(COHERENT)})

    form: str = flag(
        "coherent", "coherent: size and direction from the agreement with y over time; paper: to the letter"
    )
    alpha: float | None = flag(None, "")
    step_size: float | None = flag(None, "")
    n_steps: int | None = flag(None, "paper form: N of Eq. 4, N - 1 updates; 20 by default")
    strength: float | None = flag(None, "paper form: multiplies the step size; 1 by default")
    rule: str | None = flag(None, "paper form: sign (Eq. 3, the default), l1 (Eq. 2) or vanilla (Eq. 1)")
    passband: tuple[float, float] = flag((0.0, 0.0), "")
    roi: tuple[int, int, int, int] | None = flag(None, ROI)
    model: str | None = flag(None, "")
    provider: str = flag("auto", PROVIDER)
    precision: str = flag("fp32", PRECISION)

    def __post_init__(self) -> None:
        fields.check_choice(self, "form", FORMS)
        fields.check_switch(self)
        for name, default in (self.COHERENT if self.form == "coherent" else self.PAPER).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        fields.check_numbers(self, {"alpha": 0, "step_size": 0, "strength": 0, "n_steps": 1})
        fields.check_choice(self, "rule", RULES)
        fields.check_passband(self)
        fields.check_roi(self)
        fields.check_choice(self, "provider", PROVIDERS)
        fields.check_choice(self, "precision", PRECISIONS)

    @property
    def gain(self) -> float:
        """alpha of the coherent form."""
        return float(self.alpha or 0.0)

    @property
    def updates(self) -> dict[str, Any]:
        """What `ascent.ascend` takes in the paper form: step_size (gamma times strength), n_steps, rule."""
        gamma = float(self.step_size or 0.0) * float(self.strength or 0.0)
        return {"step_size": gamma, "n_steps": self.n_steps, "rule": self.rule}
