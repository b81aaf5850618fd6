"""DeepMag's motion example (Chen and McDuff 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastmag.errors import InputError
from fastmag.params import fields
from fastmag.params.ascent import Ascent
from fastmag.params.fields import flag

RENDERINGS = ("warp", "phase", "phase-fast")


@dataclass(frozen=True)
class Respiration(Ascent):
    """DeepMag's motion example (paper, section 3.3): magnify the motion of breathing.

    Raises InputError for values out of range, and for a value that the chosen form would ignore.
    """

    PAPER: ClassVar[dict[str, Any]] = {**Ascent.PAPER, "step_size": 3.6e-3}
    COHERENT: ClassVar[dict[str, Any]] = {"alpha": 4.0}

    alpha: float | None = flag(None, "coherent form: breathing grows (1 + alpha) times; 4 by default")
    step_size: float | None = flag(None, "paper form: gamma of Eq. 1-3; 3.6e-3 by default")
    passband: tuple[float, float] = flag((0.16, 0.5), "hertz that breathing may have; 0.16,0.9 for a baby")
    model: str | None = flag(None, "an ONNX network of your own, X (batch, 4, 128, 128) -> y (batch, 1)")
    rendering: str | None = flag(
        None, "warp: pixels are shifted (coherent form); phase: phases are turned, as in the paper; phase-fast: coarser"
    )
    sure: bool = flag(False, "somebody breathes there: magnify what follows y even if it may be no breath")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.sure, bool):
            raise InputError(f"sure must be True or False; got {self.sure!r}")
        fields.check_choice(self, "rendering", RENDERINGS)
        if self.form == "paper" and self.rendering == "warp":
            raise InputError("rendering warp has no meaning in the paper form: choose phase or phase-fast")

    @property
    def renders(self) -> str:
        """The rendering, that of the form where none was chosen."""
        return self.rendering or ("warp" if self.form == "coherent" else "phase")
