"""Train the lift network: `train_lift`, behind `fastmag train lift`, with the pulse's trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fastmag import phase
from fastmag.export import lift_data
from fastmag.export.lift_data import ALPHA, SIZE, Lesson
from fastmag.export.train import Recipe, begun, learn, possible
from fastmag.motion.agreement import COUNT, VECTORS
from fastmag.motion.agreement import REACH as REACHES
from fastmag.motion.warp import ROUNDS
from fastmag.progress import Progress

BATCH, SHOWN = 10, 2  # lessons in a batch, and frames of each that are rendered
TURNED = 0.3  # of the lessons may be upside down, or lie on their side
PLACED, ANYHOW = 0.7, 0.3  # of the lessons lie elsewhere; of those lie anyhow, anywhere
HEADS = 2.0  # weight of heads, more than they have
RENDERED, FROM = 0.5, 0.15  # weight of the rendered error, and the share of the training from which it counts
SIZED, SURE = 0.2, 0.6  # weight of the trunk's motion as a whole, where the wave is at least so well read
SIZES = (0.1, 10.0)  # of the true one: what is told apart
FAINT, NOISE = 5e-4, 1.0  # added to powers: units^2 of a map, grey levels^2 of a frame
STEP = phase.SIDE / phase.SHAPE[1]  # pixels of the working square from sample to sample
# maps of the evidence that augmentation changes
SLOPES, LIFTED, LUMA, CHANGE = slice(0, 6), slice(8, 10), 17, 18
AGREES, SEEN, TOTAL, REACH = [10, 11, 12, 21], 13, 20, 22
HIDDEN, TEXTURE = [*range(6), 10, 11, 12, 13, 16, 19, 20], 14


@dataclass(frozen=True)
class LiftPlan:
    """All that decides what comes out: the same plan, respiration network and torch release give the same network.
    Every tenth clip judges. seconds: of a clip."""

    seed: int = 0
    clips: int = 300
    seconds: float = 20.0
    steps: int = 2500
    learning_rate: float = 2e-3
    device: str = "cpu"
    bf16: bool = False

    def __post_init__(self) -> None:
        possible(self, clips=2, steps=1, seconds=12.0, learning_rate=1e-9)


class LiftNet(nn.Module):
    """Evidence (B, COUNT, 128, 128) of fastmag.motion.agreement -> how far places go along (B, 2, 128, 128), in units
    of the evidence. From 64 x 64 down to 8 x 8 and a description of the whole, and back up; SELU."""

    shape = (COUNT, *phase.SHAPE[1:])

    def __init__(self, channels: tuple[int, ...] = (16, 32, 40, 48)):
        super().__init__()
        a, *_, d = channels
        self.down = nn.ModuleList([_pair(nn.Conv2d(COUNT, a, 4, 2, padding=1), a)])
        self.down.extend(_pair(nn.Conv2d(b, c, 3, padding=1), c) for b, c in pairwise(channels))
        self.whole = nn.Sequential(nn.Linear(d, d), nn.SELU(), nn.Linear(d, d))
        steps = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.Conv2d(b, c, 1) for b, c in steps)
        self.both = nn.ModuleList(nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.SELU()) for _, c in steps)
        self.out = nn.Conv2d(a, 8, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
                layer.bias.data.zero_()  # type: ignore[union-attr]
        self.out.weight.data *= 0.3

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        seen = [self.down[0](X)]
        for layer in self.down[1:]:
            seen.append(layer(nn.functional.avg_pool2d(seen[-1], 2)))
        maps = seen.pop()
        maps = maps + self.whole(maps.mean((2, 3)))[:, :, None, None]
        for up, both in zip(self.up, self.both, strict=True):
            larger = nn.functional.interpolate(up(maps), scale_factor=2, mode="bilinear", align_corners=False)
            maps = both(seen.pop() + larger)
        return nn.functional.pixel_shuffle(self.out(maps), 2)


def _pair(first: nn.Conv2d, after: int) -> nn.Sequential:
    return nn.Sequential(first, nn.SELU(), nn.Conv2d(after, after, 3, padding=1), nn.SELU())


@dataclass
class Truth:
    """What a batch of B lessons should give: moved (B, 2, 128, 128), weight, trunk (B, 128, 128), seen, true (B, SHOWN,
    246, 246), wave (B, SHOWN), unit, r (B,): see Lesson."""

    moved: torch.Tensor
    weight: torch.Tensor
    trunk: torch.Tensor
    seen: torch.Tensor
    true: torch.Tensor
    wave: torch.Tensor
    unit: torch.Tensor
    r: torch.Tensor

    def to(self, device: str) -> Truth:
        """The same on a device."""
        return Truth(**{name: part.to(device) for name, part in vars(self).items()})


def train_lift(out, plan: LiftPlan, jobs: int | None = None, progress=True) -> Path:
    """Render people, gather evidence with the shipped respiration network, train, and write lift.onnx, the card and the
    learning curve into `out`.

    Stopped at any moment, the same call goes on where it was. Raises InputError if `out` holds another plan.
    """
    from fastmag.export.lift_card import publish

    out = begun(out, plan)
    with Progress(plan.clips, "render", progress, "clip") as bar:
        paths = lift_data.make_all(out / "data", plan.seed, plan.clips, plan.seconds, jobs, bar.step)
    lessons = [lesson for i, path in enumerate(paths) for lesson in lift_data.load(path, i)]
    network = learn(out, plan, lessons, progress, LIFT)
    return publish(out, plan, network, scores(network, lessons, plan.device))


def windows(lessons: Sequence[Lesson], plan: LiftPlan, step: int) -> tuple[torch.Tensor, Truth]:
    """The batch of one step, drawn by (seed, step) alone: evidence, turned, mirrored and partly hidden, of y or -y, its
    contrast and size changed; and the truth."""
    rng = np.random.default_rng([plan.seed, step, 19])
    xs, ys = zip(*(changed(*tensors(lessons[i], rng), rng) for i in rng.integers(0, len(lessons), BATCH)), strict=True)
    return torch.stack(xs), Truth(**{name: torch.stack([vars(y)[name] for y in ys]) for name in vars(ys[0])})


def tensors(lesson: Lesson, rng: np.random.Generator | None = None) -> tuple[torch.Tensor, Truth]:
    """A lesson as the network takes it, and its truth; SHOWN of its frames, or all of them."""
    count = len(lesson.wave)
    shown = rng.choice(count, SHOWN, replace=False) if rng else np.arange(count)
    maps = (lesson.moved, lesson.weight, lesson.trunk, lesson.seen[shown], lesson.true[shown], lesson.wave[shown])
    numbers = (np.array(lesson.unit), np.array(lesson.r))
    evidence, *parts = (torch.from_numpy(np.asarray(m, np.float32)) for m in (lesson.evidence, *maps, *numbers))
    return evidence, Truth(*parts)


def changed(evidence: torch.Tensor, truth: Truth, rng: np.random.Generator) -> tuple[torch.Tensor, Truth]:
    """A lesson as it might have been as well."""
    turns = rng.random(3) < (0.5, *(0.5 * (rng.random() < TURNED),) * 2)
    evidence, truth = turned(evidence, truth, list(turns), -1.0 if rng.random() < 0.5 else 1.0)
    if rng.random() < PLACED:
        spread = 3.0 if rng.random() < ANYHOW else 1.0
        size, shift = float(np.exp(rng.normal(0, 0.12 * spread**0.5))), rng.normal(0, 7 * spread**0.5, 2)
        angle = rng.uniform(-np.pi, np.pi) if spread > 1 else rng.normal(0, 0.12)
        evidence, truth = placed(evidence, truth, float(angle), size, (float(shift[0]), float(shift[1])))
    if rng.random() < 0.3:
        evidence = fainter(evidence, rng)
    if rng.random() < 0.5:
        contrast = float(np.exp(rng.normal(0, 0.25)))
        sign = -1 if rng.random() < 0.2 else 1
        evidence[LUMA] = sign * (evidence[LUMA] * contrast + float(rng.normal(0, 0.15)))
        evidence[CHANGE] += 0.5 * float(np.log(contrast)) * (evidence[CHANGE] > 0.2)
    if rng.random() < 0.25:  # nothing to see there
        top, left, high, wide = rng.integers([0, 0, 10, 10], [110, 110, 50, 50])
        evidence[HIDDEN, top : top + high, left : left + wide] = 0
        evidence[TEXTURE, top : top + high, left : left + wide] = 0.05
    if rng.random() < 0.3:  # another size of y
        size = float(np.exp(rng.normal(0, 0.2)))
        evidence[SLOPES] *= size
        evidence[LIFTED] *= size
        truth.moved, truth.unit = truth.moved * size, truth.unit / size
    return evidence, truth


def turned(evidence: torch.Tensor, truth: Truth, turns: Sequence[bool], sign: float) -> tuple[torch.Tensor, Truth]:
    """The same mirrored left to right, upside down, about the diagonal; with the sign of y."""
    maps = [evidence, truth.moved, truth.weight, truth.trunk, truth.seen, truth.true]
    for axis, turn in ((-1, turns[0]), (-2, turns[1])):
        maps = [part.flip(axis) for part in maps] if turn else maps
    if turns[2]:
        maps = [part.transpose(-1, -2) for part in maps]
    evidence, moved, weight, trunk, seen, true = maps
    signs = sign * torch.tensor([-1.0 if turn else 1.0 for turn in turns[:2]])[:, None, None]
    vectors, moved = evidence[:VECTORS].unflatten(0, (-1, 2)) * signs, moved * signs
    if turns[2]:
        vectors, moved = vectors.flip(1), moved.flip(0)
    evidence = torch.cat([vectors.flatten(0, 1), evidence[VECTORS:]])
    return evidence, Truth(moved, weight, trunk, seen, true, truth.wave * sign, truth.unit, truth.r)


def placed(
    evidence: torch.Tensor, truth: Truth, angle: float, size: float, shift: tuple[float, float]
) -> tuple[torch.Tensor, Truth]:
    """The same turned by an angle (radians, from right to down), larger, and shifted right and down by samples."""
    c, s, middle = float(np.cos(angle)), float(np.sin(angle)), 0.5 * (phase.SHAPE[1] - 1)

    def before(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Where `count` x `count` places were, in samples of the evidence."""
        at = torch.arange(count, dtype=torch.float32) * (phase.SHAPE[1] / count) - middle
        x, y = (at - shift[0]) / size, ((at - shift[1]) / size)[:, None]
        return (c * y - s * x + middle)[None], (c * x + s * y + middle)[None]

    whole = evidence[[AGREES[-1], REACH], 0, 0]
    y, x = before(phase.SHAPE[1])
    inside = ((y >= 0) & (y <= 2 * middle) & (x >= 0) & (x <= 2 * middle)).float()
    maps = torch.cat([evidence, truth.moved, truth.weight[None], truth.trunk[None]])
    maps = sampled(maps[None], y, x)[0] * inside
    vectors = torch.cat([maps[:VECTORS], maps[COUNT : COUNT + 2]]).unflatten(0, (-1, 2))
    turned = torch.stack([c * vectors[:, 0] - s * vectors[:, 1], s * vectors[:, 0] + c * vectors[:, 1]], 1).flatten(
        0, 1
    )
    evidence = torch.cat([turned[:VECTORS], maps[VECTORS:COUNT]])
    evidence[TOTAL] = torch.log1p(size * torch.expm1(evidence[TOTAL]))
    reach = size * (torch.exp(whole[1]) - REACHES[0]) + REACHES[0]
    evidence[AGREES[-1]], evidence[REACH] = whole[0], torch.log(reach)
    frames = torch.cat([truth.seen, truth.true])[None]
    seen, true = sampled(frames, *(at * (SIZE / phase.SHAPE[1]) for at in before(SIZE)))[0].chunk(2)
    trunk = (maps[COUNT + 3] > 0.5).float()
    return evidence, Truth(turned[VECTORS:], maps[COUNT + 2], trunk, seen, true, truth.wave, truth.unit * size, truth.r)


def fainter(evidence: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Evidence of a breath that is less well seen: noise in the slopes, and less agreement."""
    evidence, noise = evidence.clone(), rng.normal(size=(VECTORS, *phase.SHAPE[1:])).astype(np.float32)
    strength, share = rng.uniform(0, 1.0), float(rng.uniform(0.3, 1))
    near = nn.functional.avg_pool2d(torch.from_numpy(noise), 5, 1, 2)
    seen = evidence[SEEN]
    for pair, smooth in ((slice(0, 2), True), (slice(2, 4), False), (slice(4, 6), True)):
        evidence[pair] += strength * (near[pair] if smooth else 0.5 * torch.from_numpy(noise[pair])) * seen
    evidence[AGREES] *= share
    return evidence


def loss_of(guess: torch.Tensor, truth: Truth, done: float = 1.0) -> torch.Tensor:
    """The squared error of the motion over the mean of both powers, so that too much costs as little as too little;
    beside it how far frames rendered with it are from the true ones, and the trunk from going along as a whole."""
    weight, trunk = truth.weight[:, None], truth.trunk[:, None]
    weight = weight * (1 + HEADS * (weight > lift_data.MOSTLY))
    both = 0.5 * (truth.moved**2 + guess.detach() ** 2)
    power = (weight * both).sum((1, 2, 3)) + FAINT * weight.sum((1, 2, 3))
    error = (weight * (guess - truth.moved) ** 2).sum((1, 2, 3)) / power
    along, own = ((trunk * part * truth.moved).sum((1, 2, 3)) for part in (guess, truth.moved))
    size = torch.log((along / (own + 1e-3) * truth.r).clamp(*SIZES)) ** 2 * (truth.r > SURE)
    loss = error.mean() + SIZED * size.mean()
    return loss + RENDERED * torch.log(nearness(guess, truth)).mean() if done >= FROM else loss


def nearness(guess: torch.Tensor, truth: Truth) -> torch.Tensor:
    """The squared error of frames rendered with the motion (B, 2, 128, 128) over that of the untouched ones: (B,)."""
    count, shown = truth.wave.shape
    far = guess[:, None] * (ALPHA * truth.unit[:, None] * truth.wave)[:, :, None, None, None]
    new = warped(truth.seen.flatten(0, 1)[:, None], far.flatten(0, 1)).view(count, shown, SIZE, SIZE)
    error, nothing = (((part - truth.true) ** 2).mean((1, 2, 3)) for part in (new, truth.seen))
    return (error + NOISE) / (nothing + NOISE)


def warped(seen: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Frames (B, 1, 246, 246) shifted by fields (B, 2, 128, 128), pixels of the working square, as motion.warp does."""
    field = field / STEP
    nodes = torch.arange(field.shape[-1], dtype=torch.float32, device=field.device)
    origin = field
    for _ in range(ROUNDS):
        origin = sampled(field, nodes[:, None] - origin[:, 1], nodes - origin[:, 0])
    pixels = torch.arange(SIZE, dtype=torch.float32, device=field.device)
    at = (pixels * (len(nodes) / SIZE)).expand(len(field), SIZE, SIZE)
    origin = sampled(origin, at.transpose(1, 2), at) * (SIZE / len(nodes))
    return sampled(seen, pixels[:, None] - origin[:, 1], pixels - origin[:, 0])


def sampled(maps: torch.Tensor, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Maps (B, C, h, w) at places (B, H, W) between their samples, linear, held beyond the edge."""
    h, w = maps.shape[2:]
    grid = torch.stack([2 * x / (w - 1) - 1, 2 * y / (h - 1) - 1], -1)
    return nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=True)


@torch.no_grad()
def scores(network: LiftNet, lessons: Sequence[Lesson], device: str) -> dict[str, float]:
    """By how many decibels frames of the held-out people are nearer to the true ones than untouched ones, by task."""
    by_kind: dict[str, list[float]] = {}
    for lesson in lessons:
        if lesson.held_out:
            evidence, truth = tensors(lesson)
            parts = Truth(**{name: part[None].to(device) for name, part in vars(truth).items()})
            near = nearness(network(evidence[None].to(device)).float(), parts)
            by_kind.setdefault(lesson.kind, []).append(-10 * float(torch.log10(near)))
    return {kind: round(float(np.mean(values)), 3) for kind, values in sorted(by_kind.items())}


LIFT = Recipe(LiftNet, windows, loss_of, scores)
