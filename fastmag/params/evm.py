"""Eulerian video magnification (Wu et al. 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastmag.params import fields
from fastmag.params.fields import FS, ROI, Switch, flag

COMPATS = ("mit",)
COMPAT = "mit: with the quirks of the released MATLAB code (see docs/rivals.md)"
TEMPORALS = ("butterworth", "ideal", "iir")
CHROMA = "share of the change that colour gets; luma gets all of it"
DEFAULT_PASSBAND, DEFAULT_RATES = (0.16, 0.5), (0.4, 0.05)  # breathing; MIT's baby
MAX_LEVEL = 12  # 4096 pixels to a cell


@dataclass(frozen=True)
class EvmColor:
    """EVM for colour: a level of the Gaussian pyramid, an ideal band-pass over the whole clip, times alpha.

    Raises InputError for values out of range.
    """

    SWITCH: ClassVar[Switch] = ("", {})

    alpha: float = flag(10.0, "what changes in the passband grows (1 + alpha) times")
    passband: tuple[float, float] = flag((0.7, 2.5), "hertz to magnify")
    level: int = flag(4, "level of the pyramid: cells of 2**level pixels")
    chroma: float = flag(1.0, CHROMA)
    fs: float | None = flag(None, FS)
    compat: str | None = flag(None, COMPAT)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        fields.check_numbers(self, {"alpha": 0, "chroma": 0})
        fields.check_whole(self, "level", 1, MAX_LEVEL)
        fields.check_choice(self, "compat", COMPATS)
        fields.check_passband(self)
        fields.check_above(self, "fs", 0)
        fields.check_roi(self)


@dataclass(frozen=True)
class EvmMotion:
    """EVM for motion: a temporal filter on the levels of the Laplacian pyramid, times a gain that lambda_c limits.

    Raises InputError for values out of range, and for a value that the chosen temporal filter would ignore.
    """

    SWITCH: ClassVar[Switch] = ("temporal", {"iir": ("passband",), "butterworth": ("rates",), "ideal": ("rates",)})

    alpha: float = flag(10.0, "motion in the passband grows (1 + alpha) times, where waves are longer than lambda_c")
    lambda_c: float = flag(16.0, "pixels: shorter waves get less than alpha")
    temporal: str = flag(
        "butterworth", "butterworth (difference of two first-order low-passes), iir (the same by --rates), ideal"
    )
    passband: tuple[float, float] | None = flag(None, "hertz to magnify; 0.16,0.5 by default")
    rates: tuple[float, float] | None = flag(None, "iir: weights of the newest frame, FAST,SLOW; 0.4,0.05 by default")
    chroma: float = flag(0.1, CHROMA)
    fs: float | None = flag(None, FS)
    compat: str | None = flag(None, COMPAT)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        fields.check_choice(self, "temporal", TEMPORALS)
        fields.check_switch(self)
        fields.check_numbers(self, {"alpha": 0, "chroma": 0})
        fields.check_above(self, "lambda_c", 0)
        fields.check_choice(self, "compat", COMPATS)
        if self.temporal == "iir":
            fields.check_rates(self, DEFAULT_RATES)
        else:
            object.__setattr__(self, "passband", DEFAULT_PASSBAND if self.passband is None else self.passband)
            fields.check_passband(self)
        fields.check_above(self, "fs", 0)
        fields.check_roi(self)
