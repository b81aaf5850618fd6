"""fastmag makes subtle changes in video visible: a pulse, a breath, a vibration.

fastmag.magnify("in.mp4", "out.mp4")       the pulse, eleven times as strong
fastmag.measure("in.mp4").rate_bpm         its rate
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "DamagedVideo", "EvmColor", "EvmMotion", "InputError", "Measurement", "PhaseEvm", "Pulse", "Report", "Respiration",
    "Riesz", "VamColor", "VamMotion", "magnify", "measure",
]  # fmt: skip

_HOMES = {
    "DamagedVideo": "errors", "EvmColor": "params", "EvmMotion": "params", "InputError": "errors",
    "Measurement": "vitals", "PhaseEvm": "params", "Pulse": "params", "Report": "api", "Respiration": "params",
    "Riesz": "params", "VamColor": "params", "VamMotion": "params", "magnify": "api", "measure": "api",
}  # fmt: skip

if TYPE_CHECKING:
    from .api import Report, magnify, measure
    from .errors import DamagedVideo, InputError
    from .params import EvmColor, EvmMotion, PhaseEvm, Pulse, Respiration, Riesz, VamColor, VamMotion
    from .vitals import Measurement


def __getattr__(name: str):
    """Public names are imported when they are first used (PEP 562): `import fastmag` itself costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fastmag' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
