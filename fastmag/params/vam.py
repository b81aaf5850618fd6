"""Video acceleration magnification (Zhang, Pintea and van Gemert 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastmag.params import fields
from fastmag.params.evm import CHROMA, MAX_LEVEL
from fastmag.params.fields import FS, ROI, Switch, flag

ACCELERATIONS = ("dog", "int")
ACCELERATION = "dog: difference of Gaussians over time; int: a frame less the mean of those a quarter period away"
ALPHA = "the acceleration filter's output is added so many times (its response at --frequency: int 1/2, dog about 2/3)"


@dataclass(frozen=True)
class VamColor:
    """VAM for colour: changes that are not linear over a period, on a level of the Gaussian pyramid.

    Raises InputError for values out of range.
    """

    SWITCH: ClassVar[Switch] = ("", {})

    alpha: float = flag(10.0, ALPHA)
    frequency: float = flag(1.3, "hertz of the change to magnify")
    acceleration: str = flag("dog", ACCELERATION)
    level: int = flag(4, "level of the pyramid: cells of 2**level pixels")
    chroma: float = flag(1.0, CHROMA)
    fs: float | None = flag(None, FS)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        fields.check_numbers(self, {"alpha": 0, "chroma": 0})
        fields.check_above(self, "frequency", 0)
        fields.check_choice(self, "acceleration", ACCELERATIONS)
        fields.check_whole(self, "level", 1, MAX_LEVEL)
        fields.check_above(self, "fs", 0)
        fields.check_roi(self)
