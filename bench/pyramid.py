"""The complex steerable pyramid and the phase kernels: `python -m bench pyramid`. A call takes a batch of frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import rivals_pyramid, rivals_riesz  # noqa: F401 (enter their rivals)
from bench.cases import Case, Target
from fastmag.kernels import cpu
from fastmag.pyramids import Steerable, riesz, steerable

PEERS = ("pyrtools", "plenoptic", "torch", "one thread")
WAVES = ("NumPy", "torch", "one thread")


def there_and_back(ops: Any) -> Callable[..., np.ndarray]:
    """All subbands and the residual, then the frames again: `steerable_analysis` and `steerable_synthesis`."""
    rooms: dict[tuple, tuple] = {}

    def rebuild(frames: np.ndarray, plan: Steerable, out: np.ndarray | None = None) -> np.ndarray:
        B, H, W = frames.shape
        if (B, plan, ops) not in rooms:
            shapes = [(B, plan.orientations, *size) for size in plan.sizes]
            room = tuple(np.empty(shape, np.complex64) for shape in shapes)
            rooms[B, plan, ops] = room, np.empty((B, H, W // 2 + 1), np.complex64)
        room, rest = rooms[B, plan, ops]
        ops.steerable_analysis(frames, plan, out=room, residual=rest)
        return ops.steerable_synthesis(room, plan, residual=rest, out=out, overwrite=True)

    return rebuild


@dataclass(frozen=True)
class Rebuild(Case):
    """Analysis and synthesis in one row."""

    def ours(self) -> Callable[..., Any]:
        return there_and_back(cpu)

    def judge(self) -> Callable[..., Any]:
        return lambda frames, plan: frames.astype(np.float64)


def _frames(
    *shape: int, levels: list[int] | None = None, kind: Callable[..., Steerable] = steerable, **options: Any
) -> Callable[[np.random.Generator], list[tuple]]:
    plan = kind(shape[1:], **options)
    chosen = () if levels is None else (levels,)
    return lambda rng: [(rng.uniform(0, 1, shape).astype(np.float32), plan, *chosen)]


def _waves(rng: np.random.Generator, shape: tuple[int, ...] = (8, 4, 256, 336)) -> np.ndarray:
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def _turned(rng: np.random.Generator) -> list[tuple]:
    before = _waves(rng)
    return [((before * np.exp(1j * rng.uniform(-3, 3, before.shape))).astype(np.complex64), before)]


def _quaternions(rng: np.random.Generator) -> list[tuple]:
    pairs = [_waves(rng, (8, 2, 256, 336)) for _ in range(2)]
    for one in pairs:
        one[:, 1].real = one[:, 0].real
    return [tuple(pairs)]


def _bands(rng: np.random.Generator) -> list[tuple]:
    plan = riesz((492, 658)).bands()
    return [(tuple(_waves(rng, (4, 1, *size)) for size in plan.sizes), plan)]


def _riesz_shifts(rng: np.random.Generator) -> list[tuple]:
    waves = _quaternions(rng)[0][0]
    return [(waves, rng.uniform(-1, 1, waves.shape).astype(np.float32), 2.0)]


def _sums(rng: np.random.Generator) -> list[tuple]:
    return [(rng.uniform(-1, 1, (8, 4, 256, 336)).astype(np.float32), np.zeros((4, 256, 336)))]


def _shifts(rng: np.random.Generator) -> list[tuple]:
    waves = _waves(rng)
    return [(waves, rng.uniform(-1, 1, waves.shape).astype(np.float32), 2.0)]


def _weighted(sigma: float) -> Callable[[np.random.Generator], list[tuple]]:
    return lambda rng: [(*(np.abs(_waves(rng)) for _ in range(2)), sigma)]


_TARGETS = (Target("pyrtools", 6), Target("plenoptic", 3), Target("torch", 3), Target("one thread", 1.8, 2))
_FINER = (Target("torch", 3), Target("one thread", 1.8, 2))
_TRANSFORMS = (
    "the boxes of the finest levels outgrow the nearest caches, and sides with factors such as 41 transform slowly"
)
_MEMORY = "memory: a coefficient is read and written once"

CASES: list[Case] = [
    *[
        Rebuild(f"steerable there and back {'x'.join(map(str, shape))}", "there_and_back", _frames(*shape), PEERS, 1e-6,
                _TARGETS, _TRANSFORMS)
        for shape in [(16, 123, 123), (4, 492, 658), (2, 1080, 1920)]
    ],
    Case("steerable analysis 4x492x658", "steerable_analysis", _frames(4, 492, 658), PEERS, 8e-7,
         _TARGETS, _TRANSFORMS),
    Case("one level of it", "steerable_analysis", _frames(4, 492, 658, levels=[2]), PEERS[1:], 8e-7,
         (Target("plenoptic", 3), Target("torch", 3), Target("one thread", 1.8, 2)),
         "the transform of the frame itself, whose sides have the factors 41 and 47"),
    Case("phase difference 8x4x256x336", "phase_difference", _turned, WAVES, 7e-7, (Target("NumPy", 5),), _MEMORY),
    Case("accumulate phase 8x4x256x336", "accumulate_phase", _sums, WAVES, 4e-6, (), _MEMORY),
    Case("shift phase 8x4x256x336", "shift_phase", _shifts, WAVES, 2e-6, (Target("NumPy", 10),), _MEMORY),
    Case("amplitude 8x4x256x336", "amplitude", lambda rng: [(_waves(rng),)], WAVES, 2e-6, (), _MEMORY),
    Case("smooth by amplitude 8x4x256x336, 3", "smooth_amplitude_weighted", _weighted(3.0),
         ("SciPy", "OpenCV", "one thread"), 2e-6, (Target("SciPy", 3), Target("OpenCV", 1))),
    Rebuild("half octaves there and back 2x492x658", "there_and_back",
            _frames(2, 492, 658, orientations=8, octaves=0.5), ("torch", "one thread"), 1e-6, _FINER, _TRANSFORMS),
    Rebuild("quarter octaves there and back 492x658", "there_and_back",
            _frames(1, 492, 658, orientations=8, octaves=0.25), ("torch", "one thread"), 1e-6, _FINER, _TRANSFORMS),
    Case("Riesz analysis 4x492x658", "steerable_analysis", _frames(4, 492, 658, kind=riesz),
         ("torch", "4 orientations"), 8e-7, (Target("torch", 3),), _TRANSFORMS),
    Case("Riesz synthesis 4x492x658", "steerable_synthesis", _bands, ("torch", "4 orientations"), 3e-6,
         (Target("torch", 3),), _TRANSFORMS),
    Case("Riesz difference 8x2x256x336", "riesz_difference", _quaternions, WAVES[:2], 5e-5),
    Case("Riesz shift 8x2x256x336", "riesz_shift", _riesz_shifts, WAVES[:2], 2e-6),
    Case("Riesz amplitude 8x2x256x336", "riesz_amplitude", lambda rng: [_quaternions(rng)[0][:1]], WAVES[:2], 2e-6),
]  # fmt: skip
