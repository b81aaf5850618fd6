"""The networks that ship: `pulse` (X -> y) and `pulse_gradient` (X -> dy/dX and y), with their card `pulse.md`."""

from pathlib import Path

from fastmag.errors import InputError

NAMES = ("pulse", "pulse_gradient")


def path(name: str) -> Path:
    """Where a shipped network lies. Raises InputError for an unknown name."""
    if name not in NAMES:
        raise InputError(f"model must be one of {', '.join(NAMES)}; got {name!r}")
    return Path(__file__).with_name(f"{name}.onnx")
