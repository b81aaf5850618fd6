"""DeepMag's colour example (Chen and McDuff 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fastmag.params.ascent import Ascent
from fastmag.params.fields import flag


@dataclass(frozen=True)
class Pulse(Ascent):
    """DeepMag's colour example (paper, section 3.2): magnify the pulse in skin.

    Raises InputError for values out of range, and for a value that the chosen form would ignore.
    """

    PAPER: ClassVar[dict[str, Any]] = {**Ascent.PAPER, "step_size": 6e-5}
    COHERENT: ClassVar[dict[str, Any]] = {"alpha": 10.0}

    alpha: float | None = flag(None, "coherent form: the pulse grows (1 + alpha) times; 10 by default")
    step_size: float | None = flag(None, "paper form: gamma of Eq. 1-3; 6e-5 by default")
    passband: tuple[float, float] = flag((0.7, 2.5), "hertz that a pulse may have")
    model: str | None = flag(None, "an ONNX network of your own, X (batch, 3, 36, 36) -> y (batch, 1)")
