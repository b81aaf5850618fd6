"""Fields that become flags, and the checks that several methods share."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from fastmag.errors import InputError

Switch = tuple[str, dict[str, tuple[str, ...]]]
"""A field, and for each of its values the fields without a meaning then."""


def flag(default, text: str):
    """A field whose help text becomes that of the command's flag."""
    return dataclasses.field(default=default, metadata={"help": text})


ROI = "x,y,w,h in pixels: analyse and change this region only"
PROVIDERS, PRECISIONS = ("auto", "cpu", "openvino", "cuda", "tensorrt"), ("fp32", "bf16", "auto")
PROVIDER = "what computes the network: auto (the fastest that is right), cpu, openvino, cuda or tensorrt"
PRECISION = "fp32, bf16 (faster where the processor has it, and rougher), or auto: the faster of the two"
FS = "frames a second the camera took, where the file plays slower; the file's rate by default"


def check_numbers(params, least: dict[str, float]) -> None:
    """Raise InputError unless each named field is None or a finite number, at least so much."""
    for name, lowest in least.items():
        value = getattr(params, name)
        if value is not None and not (
            isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value < float("inf")
        ):
            raise InputError(f"{name} must be a finite number, at least {lowest:g}; got {value!r}")


def check_choice(params, name: str, choices: Collection[str]) -> None:
    """Raise InputError unless the field is None or one of the choices."""
    value = getattr(params, name)
    if value is not None and value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def check_whole(params, name: str, lowest: int, highest: int) -> None:
    """Raise InputError unless the field is a whole number within the limits."""
    value = getattr(params, name)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InputError(f"{name} must be a whole number from {lowest} to {highest}; got {value!r}")


def check_passband(params) -> None:
    """Make `passband` a pair of floats. Raises InputError unless 0 < low < high."""
    passband = numbers(params.passband, 2, float, "passband", "LOW,HIGH in hertz")
    object.__setattr__(params, "passband", passband)
    low, high = passband
    if not 0 < low < high:
        raise InputError(f"passband must be LOW < HIGH, both above 0 Hz; got {low:g}-{high:g}: swap or correct them")


def check_rates(params, default: tuple[float, float]) -> None:
    """Make `rates` a pair of floats. Raises InputError unless 0 < slow < fast <= 1."""
    rates = numbers(default if params.rates is None else params.rates, 2, float, "rates", "FAST,SLOW")
    if not 0 < rates[1] < rates[0] <= 1:
        raise InputError(f"rates must be FAST,SLOW with 0 < SLOW < FAST <= 1; got {rates[0]:g},{rates[1]:g}")
    object.__setattr__(params, "rates", rates)


def check_roi(params) -> None:
    """Make `roi` None or four integers. Raises InputError where it is no rectangle."""
    if params.roi is None:
        return
    roi = numbers(params.roi, 4, int, "roi", "x,y,w,h in whole pixels")
    object.__setattr__(params, "roi", roi)
    if min(roi[:2]) < 0 or min(roi[2:]) < 1:
        raise InputError(f"roi must be x,y,w,h with x, y >= 0 and w, h >= 1; got {','.join(map(str, roi))}")


def check_switch(params) -> None:
    """Raise InputError where a field is set that the value of the class's SWITCH would ignore."""
    name, ignored = params.SWITCH
    value = getattr(params, name)
    for other in ignored.get(value, ()):
        if getattr(params, other) is not None:
            noun = "filter" if name == "temporal" else name
            raise InputError(f"{other} has no meaning in the {value} {noun}: drop it, or choose another {noun}")


def check_above(params, name: str, limit: float) -> None:
    """Raise InputError unless the field is None or a finite number above the limit."""
    value = getattr(params, name)
    if value is not None and not (isinstance(value, int | float) and limit < value < float("inf")):
        raise InputError(f"{name} must be a finite number above {limit:g}; got {value!r}")


def numbers(value, count: int, kind: type, name: str, expected: str) -> tuple:
    """A tuple of so many finite numbers. Raises InputError for anything else."""
    try:
        numbers = tuple(kind(v) for v in value)
        finite = all(abs(v) < float("inf") for v in numbers)
    except (TypeError, ValueError, OverflowError):
        numbers, finite = (), False
    if len(numbers) != count or not finite:
        raise InputError(f"{name} must be {expected}; got {value!r}")
    return numbers
