"""Train the pulse network: `train_pulse`, behind `fastmag train pulse`. Seeded, resumable, on the CPU or a GPU."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fastmag.errors import InputError
from fastmag.export import card, pulse_data
from fastmag.export.networks import Folded, PulseNet
from fastmag.progress import Progress

WINDOW, BATCH = 40, 5  # frames in a window, windows in a batch
DECAY = 0.998  # of the running mean of the weights, which is what is exported
SPLITS = ("independent", "dependent")
TASKS = "ABCD"  # of the recordings of a cast
REPORT = 250  # steps between two lines of the learning curve


@dataclass(frozen=True)
class Plan:
    """All that decides what comes out: the same plan and torch release give the same network.

    split: "independent" trains on `clips` clips of as many people and holds every tenth person out; "dependent" on the
    first 80 % of recordings of a cast of `people`, tasks A-D, and holds the rest of their time out. seconds: of a clip
    or recording.
    """

    seed: int = 0
    split: str = "independent"
    clips: int = 320
    people: int = 25
    seconds: float = 8.0
    steps: int = 6000
    learning_rate: float = 1e-3
    heads: tuple[str, ...] = ()
    device: str = "cpu"
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InputError(f"split must be one of {', '.join(SPLITS)}; got {self.split!r}")
        shortest = 2.0 if self.split == "independent" else 10.0  # a fifth of a recording is held out
        possible(self, clips=2, people=1, steps=1, seconds=shortest, learning_rate=1e-9)


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how: network() makes it; windows(clips, plan, step) -> x, y; loss(guess, y, share of the
    steps that are done), where y is what windows gave; scores(network, clips, device) -> what the learning
    curve shows. Clips say whether they are `held_out`. early: after this share of the steps the network is kept, and
    what comes out is the mean of that and of the last one; 0 for the last one alone."""

    network: Callable[[], nn.Module]
    windows: Callable[..., tuple[torch.Tensor, Any]]
    loss: Callable[[torch.Tensor, Any, float], torch.Tensor]
    scores: Callable[..., dict[str, float]]
    early: float = 0.0


def possible(plan, **least: float) -> None:
    """Raises InputError unless the plan's numbers are at least these, its meshes exist and its device is here."""
    for name, value in least.items():
        if not getattr(plan, name) >= value:
            raise InputError(f"{name} must be at least {value}; got {getattr(plan, name)}")
    for head in getattr(plan, "heads", ()):
        if not Path(head).is_file():
            raise InputError(f"{head} does not exist; expected a mesh (.obj): check --head")
    if plan.device != "cpu" and not torch.cuda.is_available():
        raise InputError(f"device {plan.device} is not available here: leave --device out to train on the CPU")


def begun(out, plan) -> Path:
    """The folder `out`, made and claimed for a plan."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    claim(out, plan)
    return out


def train_pulse(out, plan: Plan, jobs: int | None = None, progress=True) -> Path:
    """Render the data, train, and write pulse.onnx, pulse_gradient.onnx, the card and the learning curve into `out`.

    Stopped at any moment, the same call goes on where it was. Raises InputError if `out` holds another plan.
    """
    out = begun(out, plan)
    clips = data(out / "data", plan, jobs, progress)
    network = learn(out, plan, clips, progress, PULSE)
    return card.publish(out, plan, network, scores(network, clips, plan.device))


def data(folder: Path, plan: Plan, jobs: int | None, progress) -> list[pulse_data.ClipFile]:
    """Render what the plan asks for, unless it is there, and load it."""
    if plan.split == "dependent":
        with Progress(len(TASKS) * plan.people, "render", progress, "recording") as bar:
            paths = pulse_data.render_cast(folder, plan.seed, plan.people, TASKS, plan.seconds, jobs, bar.step)
        return [part for path in paths for part in pulse_data.load_recording(path)]
    with Progress(plan.clips, "render", progress, "clip") as bar:
        paths = pulse_data.render_all(folder, plan.seed, plan.clips, plan.seconds, plan.heads, jobs, bar.step)
    return [pulse_data.load(path, i) for i, path in enumerate(paths)]


def claim(out: Path, plan: Any) -> None:
    """Write the plan, or make sure that the folder's own is the same."""
    path, mine = out / "plan.json", json.dumps(asdict(plan), indent=1)
    if path.exists() and json.loads(path.read_text()) != json.loads(mine):
        raise InputError(f"{out} holds a run of another plan (plan.json): choose another folder, or the same options")
    path.write_text(mine)


def pearson(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Correlation along the last axis."""
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + 1e-6)


def loss_of(y: torch.Tensor, truth: torch.Tensor, done: float = 1.0) -> torch.Tensor:
    """1 - r over each window, plus a tenth of the squared error, which alone would ruin the map (windows, frames)."""
    y = y.view(truth.shape)
    return 1 - pearson(y, truth).mean() + 0.1 * ((y - truth) ** 2).mean()


def windows(clips: Sequence, plan: Plan, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch of one step, drawn by (seed, step) alone: windows of X with their y, mirrored, reversed, shifted."""
    rng = np.random.default_rng([plan.seed, step, 5])
    xs, ys = [], []
    for clip in (clips[i] for i in rng.integers(0, len(clips), BATCH)):
        start = int(rng.integers(0, len(clip.x) - WINDOW + 1))
        x, y = torch.from_numpy(clip.x[start : start + WINDOW]), torch.from_numpy(clip.y[start : start + WINDOW])
        if rng.random() < 0.5:
            x = x.flip(-1)
        if rng.random() < 0.5:  # time backwards: X and y change their signs
            x, y = -x, -y
        if rng.random() < 0.3:
            x = torch.roll(x, (int(rng.integers(-4, 5)), int(rng.integers(-4, 5))), (-2, -1))
        xs.append(x)
        ys.append(y)
    return torch.cat(xs), torch.stack(ys)


def learn(out: Path, plan: Any, clips: Sequence, progress, recipe: Recipe) -> Any:
    """Train to the end of the plan from the last checkpoint; returns the network with the mean weights."""
    torch.manual_seed(plan.seed)
    network = recipe.network().to(plan.device)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = recipe.network().to(plan.device)
    mean.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    first = restore(out / "checkpoint.pt", network, mean, optimizer)
    known = [clip for clip in clips if not clip.held_out]
    with Progress(plan.steps, "train", progress, "step") as bar:
        bar.step(first)
        for step in range(first, plan.steps):
            loss = update(network, optimizer, recipe, plan, step, *recipe.windows(known, plan, step))
            with torch.no_grad():
                keep = min(DECAY, (step + 1) / (step + 10))
                for a, b in zip(mean.parameters(), network.parameters(), strict=True):
                    a.lerp_(b, 1 - keep)
            bar.step()
            if step + 1 == round(recipe.early * plan.steps):
                torch.save(mean.state_dict(), out / "early.pt")
            if (step + 1) % REPORT == 0 or step + 1 == plan.steps:
                note(out, step + 1, loss, recipe.scores(mean, clips, plan.device))
                store(out / "checkpoint.pt", step + 1, network, mean, optimizer)
    return blended(out / "early.pt", mean).eval().cpu()


@torch.no_grad()
def blended(early: Path, network: nn.Module) -> nn.Module:
    """The network, as the mean of what it is and was, if what it was has been kept."""
    if early.exists():
        for name, was in torch.load(early, weights_only=True).items():
            network.state_dict()[name].lerp_(was, 0.5)
    return network


def update(network, optimizer, recipe: Recipe, plan: Any, step: int, x: torch.Tensor, y: Any) -> float:
    """One step of AdamW with clipped gradients; returns the loss."""
    for group in optimizer.param_groups:
        group["lr"] = plan.learning_rate * schedule(step, plan.steps)
    x, y = x.to(plan.device, memory_format=torch.channels_last), y.to(plan.device)
    with torch.autocast(plan.device.split(":")[0], torch.bfloat16, enabled=plan.bf16):
        guess = network(x)
    loss = recipe.loss(guess.float(), y, step / plan.steps)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def schedule(step: int, steps: int) -> float:
    """A warm-up of 50 steps, then half a cosine down to 2 %."""
    return float(min(1.0, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / steps))))


@torch.no_grad()
def scores(network: PulseNet, clips: Sequence, device: str) -> dict[str, float]:
    """Mean correlation of y with the truth over the held-out people, by task."""
    by_task: dict[str, list[float]] = {}
    for clip in clips:
        if clip.held_out:
            y = network(torch.from_numpy(clip.x).to(device)).cpu()
            by_task.setdefault(clip.task, []).append(float(pearson(y, torch.from_numpy(clip.y))))
    return {task: round(float(np.mean(values)), 4) for task, values in sorted(by_task.items())}


def note(out: Path, step: int, loss: float, held_out: dict[str, float]) -> None:
    """One more line of the learning curve, in place of any later one from before a resume."""
    path = out / "curve.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    rows = [row for row in rows if int(row["step"]) < step]
    rows.append({"step": step, "loss": f"{loss:.4f}", **held_out})
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["step", "loss", *held_out])
        table.writeheader()
        table.writerows(rows)


def store(path: Path, step: int, network, mean, optimizer) -> None:
    """The checkpoint, whole or not at all."""
    state = {
        "step": step,
        "network": network.state_dict(),
        "mean": mean.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def restore(path: Path, network, mean, optimizer) -> int:
    """Load a checkpoint if there is one; returns the steps it has behind it."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    mean.load_state_dict(state["mean"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


PULSE = Recipe(PulseNet, windows, loss_of, scores)


def folded(network: PulseNet) -> Folded:
    """The network as it is exported."""
    return Folded(network).eval()
