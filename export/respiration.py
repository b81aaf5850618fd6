"""Train the respiration network: `train_respiration`, behind `fastmag train respiration`, with the pulse's trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fastmag import phase
from fastmag.errors import InputError
from fastmag.export import card, respiration_data
from fastmag.export.networks import RespirationNet
from fastmag.export.respiration_data import BreathFile
from fastmag.export.train import Recipe, claim, device_there, learn, pearson
from fastmag.kernels import reference
from fastmag.motion.wave import breath
from fastmag.progress import Progress

WINDOW, BATCH = 16, 10  # frames drawn from a clip, clips in a batch
TURNED = {"hard": (0.3, 0.3), "plain": (0.08, 0.08)}  # of windows are turned upside down, are laid on their side
SIGNED = 0.6  # of the training: one sign for all that moves up or to the right; later any sign, clip by clip
EARLY = 0.68  # of the steps: the last ones are best on rendered people, and worse on a real one
PASSBAND = (0.16, 0.5)  # hertz in which a breath is judged
LEAST, MOST = 0.15, 3.0  # of the variance of y that a shallow breath counts as; of the weight of its squared error


@dataclass(frozen=True)
class RespirationPlan:
    """All that decides what comes out: the same plan and torch release give the same network. Every tenth clip judges.

    seconds: of a clip.
    """

    seed: int = 0
    clips: int = 900
    seconds: float = 10.0
    steps: int = 12000
    learning_rate: float = 1.5e-3
    device: str = "cpu"
    bf16: bool = False

    def __post_init__(self) -> None:
        for name, least in (("clips", 2), ("steps", 1), ("seconds", 3.0), ("learning_rate", 1e-9)):
            if not getattr(self, name) >= least:
                raise InputError(f"{name} must be at least {least}; got {getattr(self, name)}")
        device_there(self.device)


def train_respiration(out, plan: RespirationPlan, jobs: int | None = None, progress=True) -> Path:
    """Render the data, train, and write respiration.onnx, respiration_gradient.onnx, the card and the learning curve
    into `out`.

    Stopped at any moment, the same call goes on where it was. Raises InputError if `out` holds another plan.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    claim(out, plan)
    with Progress(plan.clips, "render", progress, "clip") as bar:
        paths = respiration_data.render_all(out / "data", plan.seed, plan.clips, plan.seconds, jobs, bar.step)
    clips = [respiration_data.load(path, plan.seed, i) for i, path in enumerate(paths)]
    network = learn(out, plan, clips, progress, RESPIRATION)
    x = np.stack([clip.x[len(clip.x) // 2] for clip in clips[:8]]).repeat(2, -1).repeat(2, -2)
    return card.publish_respiration(out, plan, network, x.astype(np.float32), scores(network, clips, plan.device))


def windows(clips: Sequence[BreathFile], plan: RespirationPlan, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of one step, drawn by (seed, step) alone: frames of a few clips (BATCH WINDOW, 4, 64, 64) with their y
    (BATCH, WINDOW) in units of the network, the picture turned and mirrored, partly hidden, time backwards."""
    rng = np.random.default_rng([plan.seed, step, 7])
    xs, ys = [], []
    for clip in (clips[i] for i in rng.integers(0, len(clips), BATCH)):
        at = np.sort(rng.choice(len(clip.x), WINDOW, replace=len(clip.x) < WINDOW))
        flips = rng.random(3) < (0.5, *TURNED["hard" if clip.kind == "hard" else "plain"])
        x, way = turned(torch.from_numpy(clip.x[at].astype(np.float32)), clip.way, list(flips))
        y = torch.from_numpy(clip.y[at] * np.float32(np.sign(way @ UP) or 1) / np.float32(RespirationNet.unit))
        speed = rng.choice([-1.0, 1.0], (WINDOW, 1, 1, 1)) * np.exp(rng.normal(0, 0.25))
        speed = torch.from_numpy(speed.astype(np.float32))
        x, y = x * speed, y * speed[:, 0, 0, 0]
        if rng.random() < 0.4:
            x = torch.roll(x, (int(rng.integers(-8, 9)), int(rng.integers(-8, 9))), (-2, -1))
        if rng.random() < 0.3:  # something in front, or nothing to see
            top, left, high, wide = rng.integers([0, 0, 6, 6], [48, 48, 28, 28])
            x[:, :, top : top + high, left : left + wide] = 0
        xs.append(x.clamp(-10, 10))
        ys.append(y)
    return torch.cat(xs), torch.stack(ys)


UP = np.array([1.0, -1.0]) / np.sqrt(2)


def turned(x: torch.Tensor, way: np.ndarray, flips: Sequence[bool]) -> tuple[torch.Tensor, np.ndarray]:
    """What the network would see (T, 4, h, w) of a picture mirrored left to right, upside down, about its diagonal; and
    a direction (right, down) in it. The phase of a mirrored subband is that of its opposite: its sign changes."""
    way = np.asarray(way, np.float64)
    if flips[0]:
        x, way = _mixed(x.flip(-1), (0, 3, 2, 1), (-1, 1, 1, 1)), way * (-1, 1)
    if flips[1]:
        x, way = _mixed(x.flip(-2), (0, 3, 2, 1), (1, -1, -1, -1)), way * (1, -1)
    if flips[2]:
        x, way = _mixed(x.transpose(-1, -2), (2, 1, 0, 3), (1, 1, 1, -1)), way[::-1]
    return x, way


def _mixed(x: torch.Tensor, order: tuple[int, ...], signs: tuple[int, ...]) -> torch.Tensor:
    return x[:, list(order)] * torch.tensor(signs, dtype=x.dtype)[:, None, None]


def loss_of(guess: torch.Tensor, truth: torch.Tensor, done: float) -> torch.Tensor:
    """1 - |r| over the frames of each clip that breathes, plus a tenth of the squared error, weighed so that shallow
    breaths count (clips, frames). The sign is each clip's own once `done`, the share of the training, is past SIGNED:
    what is magnified does not depend on it."""
    r = pearson(guess, truth)
    sign = torch.sign(r.detach() + 1e-9) if done > SIGNED else torch.ones_like(r)
    power = (truth**2).mean(-1)
    weight = (1 / (power + LEAST)).clamp(max=MOST)
    square = (weight * ((guess - sign[:, None] * truth) ** 2).mean(-1)).mean()
    return ((1 - sign * r) * (power > 0)).mean() + 0.1 * square


@torch.no_grad()
def scores(network: RespirationNet, clips: Sequence[BreathFile], device: str) -> dict[str, float]:
    """Mean correlation, up to its sign, of the breath that y shows with the true one over the held-out people: by task
    in the plain world, and in the hard one."""
    by_kind: dict[str, list[float]] = {}
    for clip in clips:
        if clip.held_out and clip.y.any():
            x = torch.from_numpy(clip.x.astype(np.float32)).to(device)
            found, true = (
                breath(y, phase.ANALYSIS_FPS, PASSBAND, reference).wave
                for y in (network(x).cpu().double().numpy(), clip.y)
            )
            by_kind.setdefault(clip.kind, []).append(abs(float(np.corrcoef(found, true)[0, 1])))
    return {kind: round(float(np.mean(values)), 4) for kind, values in sorted(by_kind.items())}


RESPIRATION = Recipe(RespirationNet, windows, loss_of, scores, EARLY)
