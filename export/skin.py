"""Train the skin network: `train_skin`, behind `fastmag train skin`, with the pulse's trainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fastmag.coherent.clues import COUNT, PRIOR
from fastmag.export import skin_data
from fastmag.export.skin_card import publish
from fastmag.export.skin_data import Lesson
from fastmag.export.train import Recipe, begun, learn, possible
from fastmag.progress import Progress

CLIPS, FRAMES = 6, 8  # clips in a batch, frames of each
FLOOR = 0.06  # of the error of a map, relative to its power: p's own error hides the rest
ANCHOR = 0.1  # of the loss: the map's own size, which the amplitude would make up for
DROPPED = 0.15  # of the channels between two scales, while training
STRONGEST = 2.0  # times the usual skin


@dataclass(frozen=True)
class SkinPlan:
    """All that decides what comes out: the same plan, pulse network and torch release give the same network. Every
    tenth clip judges. seconds: of the longer clips; a section of the coherent form has 20 at most."""

    seed: int = 0
    clips: int = 160
    seconds: float = 20.0
    steps: int = 2400
    learning_rate: float = 2e-3
    heads: tuple[str, ...] = ()
    device: str = "cpu"
    bf16: bool = False

    def __post_init__(self) -> None:
        possible(self, clips=2, seconds=6.0, steps=1, learning_rate=1e-9)


class SkinNet(nn.Module):
    """Clues (B, 18, 36, 36) of fastmag.coherent.clues -> how strongly each cell beats (B, 36, 36), 1 the usual skin.

    Most of the work is done at 18 x 18 and at 9 x 9 cells; every cell decides with what they say and its own clues.
    """

    shape = (COUNT, 36, 36)

    def __init__(self, a: int = 24, b: int = 40, c: int = 8, d: int = 12):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(COUNT, a, 2, 2), nn.ReLU(), nn.Conv2d(a, a, 3, padding=1), nn.ReLU())
        self.coarse = nn.Sequential(
            nn.AvgPool2d(2), nn.Dropout2d(DROPPED), nn.Conv2d(a, b, 3, padding=1), nn.ReLU(),
            nn.Conv2d(b, b, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(b, b, 1), nn.ReLU())
        self.above = nn.Conv2d(b, a, 1)
        self.both = nn.Sequential(nn.Dropout2d(DROPPED), nn.Conv2d(a, a, 3, padding=1), nn.ReLU(), nn.Conv2d(a, c, 1))
        self.own = nn.Sequential(nn.Conv2d(COUNT + c, d, 1), nn.ReLU(), nn.Conv2d(d, 1, 1))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        fine = self.fine(X)
        coarse = self.coarse(fine)
        coarse = coarse + self.whole(coarse)
        fine = fine + nn.functional.interpolate(self.above(coarse), scale_factor=2)
        near = nn.functional.interpolate(self.both(fine), scale_factor=2, mode="bilinear")
        return STRONGEST * torch.sigmoid(self.own(torch.cat([X, near], 1)))[:, 0]


def train_skin(out, plan: SkinPlan, jobs: int | None = None, progress=True) -> Path:
    """Render people, gather the clues with the shipped pulse network, train, and write skin.onnx, the card and the
    learning curve into `out`.

    Stopped at any moment, the same call goes on where it was. Raises InputError if `out` holds another plan.
    """
    out = begun(out, plan)
    with Progress(plan.clips, "render", progress, "clip") as bar:
        paths = skin_data.make_all(out / "data", plan.seed, plan.clips, plan.seconds, plan.heads, jobs, bar.step)
    lessons = [skin_data.load(path, i) for i, path in enumerate(paths)]
    network = learn(out, plan, lessons, progress, SKIN)
    x = np.concatenate([lesson.clues[:4] for lesson in lessons[:4]]).astype(np.float32)
    without = scores(lambda clues: clues[:, PRIOR], lessons, plan.device)
    return publish(out, plan, network, scores(network, lessons, plan.device), without, x)


def windows(lessons: Sequence[Lesson], plan: SkinPlan, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of one step, drawn by (seed, step) alone: clues (48, 18, 36, 36) of six clips, with (48, 2, 36, 36):
    how strongly each cell beats, and how bright it is. Mirrored, shifted, colours and |dy/dX| changed a little."""
    rng = np.random.default_rng([plan.seed, step, 13])
    xs, ys = [], []
    for lesson in (lessons[i] for i in rng.integers(0, len(lessons), CLIPS)):
        at = np.sort(rng.choice(len(lesson.clues), FRAMES, replace=len(lesson.clues) < FRAMES))
        x = torch.from_numpy(lesson.clues[at].astype(np.float32))
        y = torch.from_numpy(np.stack([lesson.beating[at], lesson.bright[at]], 1).astype(np.float32))
        x[:, :7] += torch.from_numpy(rng.normal(0, 0.1, (7, 1, 1)).astype(np.float32))
        x[:, 7:9] += torch.from_numpy(rng.normal(0, 0.07, (2, 1, 1)).astype(np.float32))
        if rng.random() < 0.5:
            x, y = x.flip(-1), y.flip(-1)
        if rng.random() < 0.7:
            by = (int(rng.integers(-6, 7)), int(rng.integers(-6, 7)))
            x, y = torch.roll(x, by, (-2, -1)), torch.roll(y, by, (-2, -1))
        xs.append(x)
        ys.append(y)
    return torch.cat(xs), torch.cat(ys)


def loss_of(guess: torch.Tensor, truth: torch.Tensor, done: float = 1.0) -> torch.Tensor:
    """The error of the change in decibels, as PSNR to the true clip counts it, at each clip's best amplitude, with a
    little of the error at the map's own size. guess (B, h, w), truth (B, 2, h, w) as `windows` has them."""
    beating, bright = (part.unflatten(0, (-1, FRAMES)).flatten(1) for part in truth.unbind(1))
    guess = guess.unflatten(0, (-1, FRAMES)).flatten(1)
    best, own = errors(guess, beating, bright**2)
    return ((1 - ANCHOR) * torch.log(best + FLOOR) + ANCHOR * torch.log(own + FLOOR)).mean()


def errors(guess: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error of maps (B, n) relative to the truth's power: scaled as well as can be, and as they are."""
    power, cross = (weight * truth**2).sum(-1) + 1e-6, (weight * guess * truth).sum(-1)
    own = (weight * guess**2).sum(-1)
    return 1 - cross**2 / (power * (own + 1e-6)), (own - 2 * cross + power) / power


@torch.no_grad()
def scores(network: Callable[[torch.Tensor], torch.Tensor], lessons: Sequence[Lesson], device: str) -> dict[str, float]:
    """By how many decibels the map of the held-out people is nearer to the truth than none, by task."""
    if isinstance(network, nn.Module):
        network.eval()
    by_task: dict[str, list[float]] = {}
    for lesson in lessons:
        if lesson.held_out:
            x = torch.from_numpy(lesson.clues[::2].astype(np.float32)).to(device)
            truth, bright = (torch.from_numpy(part[::2].astype(np.float32)) for part in (lesson.beating, lesson.bright))
            best, _ = errors(network(x).cpu().flatten()[None], truth.flatten()[None], bright.flatten()[None] ** 2)
            by_task.setdefault(lesson.task, []).append(-10 * float(torch.log10(best)))
    return {task: round(float(np.mean(values)), 3) for task, values in sorted(by_task.items())}


SKIN = Recipe(SkinNet, windows, loss_of, scores)
