"""One frozen dataclass per method, checked when it is made. The command's flags are made from the fields."""

from __future__ import annotations

from fastmag.params.evm import COMPATS, EvmColor
from fastmag.params.pulse import FORMS, RULES, Pulse

Params = Pulse | EvmColor

__all__ = ["COMPATS", "FORMS", "RULES", "EvmColor", "Params", "Pulse"]
