"""Every method with settings that suit a short clip, and such clips: to compare backends through whole pipelines."""

from __future__ import annotations

import numpy as np
from conftest import beating_frames

import fastmag

BAND = (1.0, 3.0)
METHODS = {
    "pulse": fastmag.Pulse(provider="cpu"), "paper": fastmag.Pulse(form="paper", n_steps=3, provider="cpu"),
    "evm-color": fastmag.EvmColor(passband=BAND), "evm-motion": fastmag.EvmMotion(passband=BAND),
    "phase-evm": fastmag.PhaseEvm(passband=BAND), "riesz": fastmag.Riesz(passband=BAND),
    "vam-color": fastmag.VamColor(frequency=2.0), "vam-motion": fastmag.VamMotion(frequency=2.0),
    "respiration": fastmag.Respiration(form="paper", n_steps=3, passband=(0.3, 0.6), provider="cpu"),
}  # fmt: skip
APART = 2  # levels, where a phase is as good on either side of a rounding


def swaying_frames() -> np.ndarray:
    """Frames that go up and down at 0.4 Hz."""
    frames = beating_frames(220, 30, 100, 110)
    sway = np.rint(1.5 * np.sin(2 * np.pi * 0.4 * np.arange(len(frames)) / 30)).astype(int)
    return np.stack([np.roll(frame, shift, axis=0) for frame, shift in zip(frames, sway, strict=True)])


def check_backends_agree(method: str) -> None:
    """The same frames through both backends: the same levels but for rounding."""
    frames = swaying_frames() if method == "respiration" else beating_frames(100, 30, 64, 80)
    results = [fastmag.magnify(frames, method=METHODS[method], fps=30, backend=name) for name in ("cpu", "cuda")]
    assert (results[0] != frames).any(), "the method must do something"
    apart = np.abs(results[0].astype(int) - results[1])
    assert apart.max() <= APART and (apart > 0).mean() < 0.01
