"""What may be chosen of a rendered clip."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fastmag.errors import InputError
from fastmag.synthetic.cast import Member
from fastmag.synthetic.world import WORLDS


@dataclass(frozen=True)
class Settings:
    """What may be chosen of a clip; None means drawn from the seed.

    task: A, B, C, D or T (motion.yaw_of_task); seconds; fps; size (height, width); head: an OBJ mesh for the head;
    person: seed of the person or a member of a cast, so that one person can appear in several clips.
    pulse: False for a person without one; pulse_factor, breath_factor: times as strong, all else the same, noise too,
    which is the true magnified video (1 + alpha); the nudge that a beat gives to the head is a motion and stays;
    amplitude: standard deviation of green skin over its level (.0012 to .006 by default); bpm; depth of the breath: 1
    is a rise of the shoulders by .35 cm (.3 to 1 by default); breaths: a minute (10 to 22 by default); wave,
    breath_wave: wave_files.read_wave of a real pulse (a rise of blood volume darkens the skin) or breath, from a random
    place on.
    noise: sigma of the camera in grey levels; background: one of scene.BACKGROUNDS; framing: "portrait" or "any" (face
    small, large, off centre); lively: speech, sway, camera shake and stronger flicker of light; world: "paper", or
    "any" to make breathing hard to read (world.make_world: any view of the body, any pattern of breath, arms, things
    that rock), which takes the place of framing; repeat: some frames repeated; crf: 0 for none, or H.264 quality;
    antialias: samples per pixel and direction; texture_rows, detail: see person.make_person.
    """

    task: str = "A"
    seconds: float = 20.0
    fps: float = 30.0
    size: tuple[int, int] = (492, 658)
    head: str | Path | None = None
    person: int | Member | None = None
    pulse: bool = True
    pulse_factor: float = 1.0
    breath_factor: float = 1.0
    amplitude: float | None = None
    bpm: float | None = None
    depth: float | None = None
    breaths: float | None = None
    wave: str | Path | None = None
    breath_wave: str | Path | None = None
    noise: float | None = None
    background: str | None = None
    framing: str = "portrait"
    lively: bool = False
    repeat: bool = False
    world: str = "paper"
    crf: int = 0
    antialias: int = 2
    texture_rows: int = 512
    detail: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and 1 <= self.fps <= 1000):
            raise InputError(f"fps must be in 1..1000; got {self.fps}")
        if not (np.isfinite(self.seconds) and self.seconds * self.fps >= 2):
            raise InputError(
                f"a clip needs two frames at least; got {self.seconds} s at {self.fps} fps: ask for more seconds"
            )
        if len(self.size) != 2 or min(self.size) < 16 or max(self.size) > 8192:
            raise InputError(f"size must be (height, width) within 16..8192; got {self.size}")
        if self.crf and (self.size[0] % 2 or self.size[1] % 2):
            raise InputError(f"H.264 needs even sizes; got {self.size}: choose even ones or crf=0")
        if self.framing not in ("portrait", "any"):
            raise InputError(f"framing must be 'portrait' or 'any'; got {self.framing!r}")
        if self.world not in WORLDS:
            raise InputError(f"world must be one of {', '.join(WORLDS)}; got {self.world!r}")
        if self.breaths is not None and self.breath_wave is not None:
            raise InputError("a recorded breath has its own rate: give breath_wave or breaths, not both")
        if self.wave is not None and self.bpm is not None:
            raise InputError("a recorded wave has its own rate: give wave or bpm, not both")
        for name in ("amplitude", "noise", "bpm", "depth", "breaths", "pulse_factor", "breath_factor"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be a number of at least 0; got {value}")

    def record(self) -> dict[str, Any]:
        """All options as JSON knows them."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Settings:
        """The settings of such a record."""
        options = {**record, "size": tuple(record["size"])}
        if isinstance(options.get("person"), dict):
            options["person"] = Member(**options["person"])
        return cls(**options)
