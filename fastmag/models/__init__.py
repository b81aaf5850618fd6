"""The networks that ship: `pulse` and `respiration` (X -> y), each with its gradient (X -> dy/dX and y), such as
`pulse_gradient`, and its card, such as `pulse.md`; `skin` (clues -> map), see
fastmag.coherent.clues; and `lift` (evidence -> field), see fastmag.motion.lift."""

from pathlib import Path

from fastmag.errors import InputError

NAMES = ("pulse", "pulse_gradient", "respiration", "respiration_gradient", "lift", "skin")


def path(name: str) -> Path:
    """Where a shipped network lies. Raises InputError for an unknown name."""
    if name not in NAMES:
        raise InputError(f"model must be one of {', '.join(NAMES)}; got {name!r}")
    return Path(__file__).with_name(f"{name}.onnx")
