"""Phase-based motion magnification (Wadhwa et al. 2013, 2014), and VAM on phase (Zhang et al. 2017)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from fastmag.errors import InputError
from fastmag.params import fields
from fastmag.params.evm import DEFAULT_PASSBAND, DEFAULT_RATES
from fastmag.params.fields import FS, ROI, Switch, flag
from fastmag.params.vam import ACCELERATION, ACCELERATIONS, ALPHA

FILTERS = ("fir", "ideal", "butterworth", "iir")
PYRAMIDS: dict[str, dict] = {
    "octave": {},
    "half-octave": {"orientations": 8, "octaves": 0.5},
    "quarter-octave": {"orientations": 8, "octaves": 0.25},
}
RIESZ_PYRAMIDS = ("octave", "half-octave")
PYRAMID = "octave (4 orientations), half-octave (8: larger motions, 3 times slower), quarter-octave (8: 8 times slower)"
SIGMA = "samples of a subband over which the phase is smoothed, weighted by amplitude; 0 for none"

CARRIED = "motion in the passband grows (1 + alpha) times, up to a quarter of a wavelength"
TEMPORAL = "fir (zero phase, as long as the clip), ideal; butterworth and iir look back alone and keep nothing"
PASSBAND = "hertz to magnify; 0.16,0.5 by default"
RATES = "iir: weights of the newest frame, FAST,SLOW; 0.4,0.05 by default"
ATTENUATE = "hold still what moves outside the passband"


@dataclass(frozen=True)
class PhaseEvm:
    """Phase-based EVM: the local phase of a complex steerable pyramid, filtered over time, times alpha.

    Raises InputError for values out of range, and for a value that the chosen temporal filter would ignore.
    """

    SWITCH: ClassVar[Switch] = (
        "temporal",
        {"iir": ("passband",), **dict.fromkeys(("fir", "ideal", "butterworth"), ("rates",))},
    )

    alpha: float = flag(10.0, CARRIED)
    temporal: str = flag("fir", TEMPORAL)
    passband: tuple[float, float] | None = flag(None, PASSBAND)
    rates: tuple[float, float] | None = flag(None, RATES)
    pyramid: str = flag("octave", PYRAMID)
    sigma: float = flag(3.0, SIGMA)
    attenuate: bool = flag(False, ATTENUATE)
    fs: float | None = flag(None, FS)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        _check_phase(self, PYRAMIDS)


@dataclass(frozen=True)
class Riesz:
    """Riesz pyramids: as phase-based EVM, with one band of all directions a level, whose phase has a direction.

    US 2015/0195430 A1 is said to cover the Riesz pyramid.
    Raises InputError for values out of range, and for a value that the chosen temporal filter would ignore.
    """

    SWITCH: ClassVar[Switch] = PhaseEvm.SWITCH

    alpha: float = flag(10.0, CARRIED)
    temporal: str = flag("fir", TEMPORAL)
    passband: tuple[float, float] | None = flag(None, PASSBAND)
    rates: tuple[float, float] | None = flag(None, RATES)
    pyramid: str = flag("octave", "octave or half-octave (larger motions, slower)")
    sigma: float = flag(2.0, SIGMA)
    attenuate: bool = flag(False, ATTENUATE)
    fs: float | None = flag(None, FS)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        _check_phase(self, RIESZ_PYRAMIDS)


@dataclass(frozen=True)
class VamMotion:
    """VAM for motion: the acceleration of the local phase, times alpha. Steady motion stays as it is.

    Raises InputError for values out of range.
    """

    SWITCH: ClassVar[Switch] = ("", {})

    alpha: float = flag(8.0, ALPHA)
    frequency: float = flag(0.28, "hertz of the change to magnify")
    acceleration: str = flag("dog", ACCELERATION)
    pyramid: str = flag("octave", PYRAMID)
    sigma: float = flag(3.0, SIGMA)
    fs: float | None = flag(None, FS)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        fields.check_numbers(self, {"alpha": 0, "sigma": 0})
        fields.check_above(self, "frequency", 0)
        fields.check_choice(self, "acceleration", ACCELERATIONS)
        fields.check_choice(self, "pyramid", PYRAMIDS)
        fields.check_above(self, "fs", 0)
        fields.check_roi(self)


def _check_phase(params: PhaseEvm | Riesz, pyramids: Collection[str]) -> None:
    fields.check_choice(params, "temporal", FILTERS)
    fields.check_switch(params)
    fields.check_numbers(params, {"alpha": 0, "sigma": 0})
    fields.check_choice(params, "pyramid", pyramids)
    if params.temporal == "iir":
        fields.check_rates(params, DEFAULT_RATES)
    else:
        object.__setattr__(params, "passband", DEFAULT_PASSBAND if params.passband is None else params.passband)
        fields.check_passband(params)
    if not isinstance(params.attenuate, bool):
        raise InputError(f"attenuate must be True or False; got {params.attenuate!r}")
    fields.check_above(params, "fs", 0)
    fields.check_roi(params)
