"""Eulerian video magnification (Wu et al. 2012)."""

from __future__ import annotations

from dataclasses import dataclass

from fastmag.params.fields import (
    FS,
    ROI,
    check_choice,
    check_fs,
    check_numbers,
    check_passband,
    check_roi,
    check_whole,
    flag,
)

COMPATS = ("mit",)
COMPAT = "mit: with the quirks of the released MATLAB code (see docs/rivals.md)"
CHROMA = "share of the change that colour gets; luma gets all of it"
MAX_LEVEL = 12  # 4096 pixels to a cell


@dataclass(frozen=True)
class EvmColor:
    """EVM for colour: a level of the Gaussian pyramid, an ideal band-pass over the whole clip, times alpha.

    Raises InputError for values out of range.
    """

    alpha: float = flag(10.0, "what changes in the passband grows (1 + alpha) times")
    passband: tuple[float, float] = flag((0.7, 2.5), "hertz to magnify")
    level: int = flag(4, "level of the pyramid: cells of 2**level pixels")
    chroma: float = flag(1.0, CHROMA)
    fs: float | None = flag(None, FS)
    compat: str | None = flag(None, COMPAT)
    roi: tuple[int, int, int, int] | None = flag(None, ROI)

    def __post_init__(self) -> None:
        check_numbers(self, {"alpha": 0, "chroma": 0})
        check_whole(self, "level", 1, MAX_LEVEL)
        check_choice(self, "compat", COMPATS)
        check_passband(self)
        check_fs(self)
        check_roi(self)
