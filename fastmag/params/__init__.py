"""One frozen dataclass per method, checked when it is made. The command's flags are made from the fields."""

from __future__ import annotations

from fastmag.params.ascent import FORMS, RULES
from fastmag.params.evm import COMPATS, TEMPORALS, EvmColor, EvmMotion
from fastmag.params.phase import FILTERS, PYRAMIDS, PhaseEvm, Riesz, VamMotion
from fastmag.params.pulse import Pulse
from fastmag.params.respiration import RENDERINGS, Respiration
from fastmag.params.vam import ACCELERATIONS, VamColor

Params = Pulse | Respiration | EvmColor | EvmMotion | VamColor | PhaseEvm | VamMotion | Riesz

__all__ = [
    "ACCELERATIONS", "COMPATS", "FILTERS", "FORMS", "PYRAMIDS", "RENDERINGS", "RULES", "TEMPORALS",
    "EvmColor", "EvmMotion", "Params", "PhaseEvm", "Pulse", "Respiration", "Riesz", "VamColor", "VamMotion",
]  # fmt: skip
