"""Methods by name, with the source of their numbers."""

from __future__ import annotations

from fastmag.errors import InputError
from fastmag.params import Pulse

METHODS: dict[str, Pulse] = {
    "pulse": Pulse(),  # passband: Chen and McDuff 2018, section 3.2; alpha: ours, a flush that is seen at a glance
}


def method(name_or_params: str | Pulse) -> Pulse:
    """The params of a method's name, or the params themselves. Raises InputError for anything else."""
    if isinstance(name_or_params, Pulse):
        return name_or_params
    if name_or_params in METHODS:
        return METHODS[name_or_params]
    raise InputError(f"method must be one of {', '.join(METHODS)}; got {name_or_params!r}")
