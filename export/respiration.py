"""Train the respiration network: `train_respiration`, behind `fastmag train respiration`, with the pulse's trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from fastmag import phase
from fastmag.export import card, respiration_data
from fastmag.export.networks import RespirationNet
from fastmag.export.respiration_data import BreathFile
from fastmag.export.train import Recipe, begun, learn, pearson, possible
from fastmag.kernels import reference
from fastmag.motion.reading import LOADINGS, steadiest
from fastmag.motion.wave import breath
from fastmag.progress import Progress

BATCH = 24  # clips in a batch
TURNED = {"hard": (0.3, 0.3), "plain": (0.08, 0.08)}  # of windows are turned upside down, are laid on their side
EARLY = 2 / 3  # of the steps: the last ones are best on rendered people, and worse on a real one
SIGNED = 0.25  # of the training: one sign for all that moves up or to the right; later any sign, clip by clip
PASSBAND = (0.16, 0.5)  # hertz in which a breath is judged
LEARNT = (0.1, 0.7)  # hertz in which a wave is compared while training: clips are too short for more
LEAST, MOST = 0.15, 3.0  # of the variance of y that a shallow breath counts as; of the weight of its squared error


@dataclass(frozen=True)
class RespirationPlan:
    """All that decides what comes out: the same plan and torch release give the same network. Every tenth clip judges.

    seconds: of a clip.
    """

    seed: int = 0
    clips: int = 1200
    seconds: float = 6.4
    steps: int = 12000
    learning_rate: float = 3e-3
    device: str = "cpu"
    bf16: bool = False

    def __post_init__(self) -> None:
        possible(self, clips=2, steps=1, seconds=3.0, learning_rate=1e-9)


def train_respiration(out, plan: RespirationPlan, jobs: int | None = None, progress=True) -> Path:
    """Render the data, train, and write respiration.onnx, respiration_gradient.onnx, the card and the learning curve
    into `out`.

    Stopped at any moment, the same call goes on where it was. Raises InputError if `out` holds another plan.
    """
    out = begun(out, plan)
    with Progress(plan.clips, "render", progress, "clip") as bar:
        paths = respiration_data.render_all(out / "data", plan.seed, plan.clips, plan.seconds, jobs, bar.step)
    clips = [respiration_data.load(path, plan.seed, i) for i, path in enumerate(paths)]
    network = learn(out, plan, clips, progress, RESPIRATION)
    x = np.stack([example(clip) for clip in clips[:8]])
    return card.publish_respiration(out, plan, network, x, scores(network, clips, plan.device))


def example(clip: BreathFile) -> np.ndarray:
    """A frame of a clip about as the exported network takes it (4, 128, 128), to prove a gradient with: kept off the
    bounds of velocities and, with a little texture everywhere, off the kink of SELU."""
    t = len(clip.moved) // 2
    moved, texture = 0.9 * clip.moved[t].repeat(2, -1).repeat(2, -2), np.maximum(clip.texture[t], 0.01)
    return np.concatenate([moved, texture]).repeat(2, -1).repeat(2, -2).astype(np.float32)


def windows(clips: Sequence[BreathFile], plan: RespirationPlan, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of one step, drawn by (seed, step) alone: whole clips, packed (BATCH, 8 + 2 T, 32, 32), with their y
    (BATCH, L, T) in units of the network, the same for every loading; the picture turned, mirrored, shifted and partly
    hidden, its contrast and speed changed."""
    rng = np.random.default_rng([plan.seed, step, 7])
    xs, ys = [], []
    for clip in (clips[i] for i in rng.integers(0, len(clips), BATCH)):
        flips = rng.random(3) < (0.5, *TURNED["hard" if clip.kind == "hard" else "plain"])
        moved = torch.from_numpy(clip.moved.astype(np.float32))
        texture = torch.from_numpy(clip.texture[rng.integers(len(clip.texture))].astype(np.float32))
        if rng.random() < 0.5:
            by = rng.integers(-5, 6, 2)
            moved, texture = (
                torch.roll(maps, (int(scale * by[0]), int(scale * by[1])), (-2, -1))
                for maps, scale in ((moved, 1), (texture, 2))
            )
        if rng.random() < 0.3:  # something in front, or nothing to see
            top, left, high, wide = rng.integers([0, 0, 3, 3], [24, 24, 14, 14])
            moved[..., top : top + high, left : left + wide] = 0
            texture[..., 2 * top : 2 * (top + high), 2 * left : 2 * (left + wide)] = 0
        moved, texture, way = turned(moved, texture, clip.way, list(flips))
        speed = float(np.exp(rng.normal(0, 0.25)))
        xs.append(packed(moved * speed, texture * float(np.exp(rng.normal(0, 0.15)))))
        ys.append(torch.from_numpy(clip.y * np.float32(speed * (np.sign(way @ UP) or 1) / RespirationNet.unit)))
    return torch.stack(xs), torch.stack(ys)[:, None].expand(-1, len(LOADINGS), -1)


UP = np.array([1.0, -1.0]) / np.sqrt(2)


def packed(moved: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
    """What RespirationNet takes of a clip: (8 + 2 T, 32, 32), of its texture (2, 64, 64) and moved (T, 2, 32, 32)."""
    return torch.cat([torch.nn.functional.pixel_unshuffle(texture, 2), moved.flatten(0, 1)])


def turned(
    moved: torch.Tensor, texture: torch.Tensor, way: np.ndarray, flips: Sequence[bool]
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Velocities (T, 2, h, w), texture (2, h, w) and a direction (right, down) of a picture that is mirrored left to
    right, upside down, about its diagonal."""
    way = np.asarray(way, np.float64)
    for axis, flip in ((-1, flips[0]), (-2, flips[1])):
        if flip:
            sign = torch.tensor([-1.0, 1.0] if axis == -1 else [1.0, -1.0])
            moved, texture = moved.flip(axis) * sign[:, None, None], texture.flip(axis)
            way = way * sign.numpy()
    if flips[2]:
        moved, texture = moved.transpose(-1, -2).flip(-3), texture.transpose(-1, -2).flip(-3)
        way = way[::-1]
    return moved, texture, way


def loss_of(guess: torch.Tensor, truth: torch.Tensor, done: float) -> torch.Tensor:
    """1 - |r| of each clip that breathes, half of it of y and half of the wave, plus a fifth of the squared error,
    weighed so that shallow breaths count (clips, loadings, frames): half of the mean over the loadings, half of the
    best one's. The sign is each clip's own once `done`, the share of the training, is past SIGNED: what is magnified
    does not depend on it."""
    waves = waves_of(guess.shape[-1], phase.ANALYSIS_FPS).to(guess.device)
    wave = torch.nn.functional.cosine_similarity(guess @ waves, truth @ waves, dim=-1, eps=1e-6)
    sign = torch.sign(wave.detach() + 1e-9) if done > SIGNED else torch.ones_like(wave)
    power = (truth**2).mean(-1)
    weight = (1 / (power + LEAST)).clamp(max=MOST)
    square = weight * ((guess - sign[..., None] * truth) ** 2).mean(-1)
    r = 0.5 * (wave + pearson(guess, truth))
    each = (1 - sign * r) * (power > 0) + 0.2 * square
    return 0.5 * (each.mean() + each.amin(-1).mean())


@lru_cache(maxsize=4)
def waves_of(count: int, fps: float) -> torch.Tensor:
    """Matrix (count, 2 F) from a velocity to the wave's part at frequencies in LEARNT."""
    frequency, time = np.fft.rfftfreq(count, 1 / fps), np.arange(count) / fps
    frequency = frequency[(frequency > LEARNT[0]) & (frequency < LEARNT[1])]
    turns = np.exp(2j * np.pi * time[:, None] * frequency) / frequency
    return torch.from_numpy(np.concatenate([turns.real, turns.imag], axis=1).astype(np.float32))


@torch.no_grad()
def scores(network: RespirationNet, clips: Sequence[BreathFile], device: str) -> dict[str, float]:
    """Mean correlation, up to its sign, of the breath that y shows with the true one over the held-out people: by task
    in the plain world, and in the hard one."""
    by_kind: dict[str, list[float]] = {}
    for clip in clips:
        if clip.held_out and clip.y.any():
            moved, texture = (torch.from_numpy(maps.astype(np.float32)) for maps in (clip.moved, clip.texture))
            readings = network(packed(moved, texture.mean(0))[None].to(device))[0].cpu().double().numpy()
            y = steadiest(readings, phase.ANALYSIS_FPS, PASSBAND, reference)
            found, true = (breath(v, phase.ANALYSIS_FPS, PASSBAND, reference).wave for v in (y, clip.y))
            by_kind.setdefault(clip.kind, []).append(abs(float(np.corrcoef(found, true)[0, 1])))
    return {kind: round(float(np.mean(values)), 4) for kind, values in sorted(by_kind.items())}


RESPIRATION = Recipe(RespirationNet, windows, loss_of, scores, EARLY)
