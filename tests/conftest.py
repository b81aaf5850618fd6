"""Material shared by the tests: real clips where they are at hand, and small clips made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "clips"


@pytest.fixture(scope="session")
def real_clip():
    """`real_clip(name)`: the path of a real clip, or a skip with the reason."""

    def find(name: str) -> Path:
        path = CLIPS / name
        if not path.exists():
            pytest.skip(f"needs the real clip {name}, which is not distributed with the project")
        return path

    return find


def beating_frames(count: int = 150, fps: float = 30.0, height: int = 72, width: int = 96, seed: int = 0) -> np.ndarray:
    """(count, height, width, 3) uint8: a skin-coloured disc that beats at 1.2 Hz before a grey wall, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    disc = np.clip((0.4 * height - np.hypot(y - height / 2, x - width / 2)) / 3, 0, 1)[..., None]
    picture = disc * np.array([190.0, 140.0, 115.0]) + (1 - disc) * np.array([90.0, 95.0, 100.0])
    beat = np.array([0.33, 0.77, 0.53]) / 0.77 * 0.006
    phase = 2 * np.pi * 1.2 * np.arange(count) / fps
    wave = np.cos(phase) + 0.3 * np.cos(2 * phase - 0.9)
    frames = picture * (1 + disc * beat * wave[:, None, None, None]) + rng.normal(0, 0.8, (count, height, width, 3))
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def beating() -> np.ndarray:
    return beating_frames()


settings.register_profile("same", derandomize=True)  # the same examples in every run
settings.load_profile("same")
