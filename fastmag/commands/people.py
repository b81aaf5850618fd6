"""Commands about rendered people: render, train."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from fastmag.commands.options import Numbers
from fastmag.errors import InputError


@click.command()
@click.argument("out", metavar="OUT")
@click.option("--task", type=click.Choice(list("ABCDT")), default="A", show_default=True, help="How the head moves.")
@click.option("--seconds", type=float, default=12.0, show_default=True)
@click.option("--fps", type=float, default=30.0, show_default=True)
@click.option("--size", type=Numbers(int, "W,H"), help="Width and height: 640,480; with --people the paper's 658,492.")
@click.option("--seed", type=int, help="Person, light, motion, noise: all of it. 7; with --people 0.")
@click.option("--head", type=click.Path(), help="A textured mesh (.obj) in place of the procedural head.")
@click.option("--pulse/--no-pulse", default=True, show_default=True)
@click.option("--bpm", type=float, help="Mean rate of the pulse; drawn from the seed by default.")
@click.option("--amplitude", type=float, help="Relative standard deviation of green skin, such as 0.003.")
@click.option(
    "--pulse-factor", type=float, default=1.0, help="The pulse so many times as strong: the true magnification."
)
@click.option("--breath-factor", type=float, default=1.0, help="The breath so many times as deep, likewise.")
@click.option("--wave", help="A recorded pulse, FILE[:COLUMN][@HZ]: .csv, or .hea of a WFDB record.")
@click.option("--breath-wave", help="A recorded breath, likewise.")
@click.option("--breaths", type=float, help="Breaths a minute; drawn from the seed by default.")
@click.option("--world", type=click.Choice(["paper", "any"]), default="paper", show_default=True,
              help="any: hard for breathing, seen from anywhere, with arms and things that rock.")  # fmt: skip
@click.option("--noise", type=float, help="Camera noise in grey levels.")
@click.option("--lossless", is_flag=True, help="Keep every sample.")
@click.option("--crf", "quality", type=float, default=8, show_default=True, help="Quality of H.264, smaller is better.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--people", type=int, help="Render a cast of so many into the folder OUT, in the paper's proportions.")
@click.option("--tasks", help="Of a cast: how the heads move, such as ABCD (the default).")
@click.option("--jobs", type=int, help="Of a cast: processes; one per core by default.")
def render(out, size, seed, people, tasks, jobs, **options) -> None:
    """Render a person with a known pulse into the video OUT, and the truth into an .npz file beside it.

    With --people, a whole cast into the folder OUT: a video and its truth for each person and task, an index and a
    contact sheet. Stopped at any moment, the same command goes on from there.
    """
    if people is not None:
        click.echo(_render_cast(out, size or (658, 492), people, tasks or "ABCD", seed or 0, jobs, options))
        return
    for flag, value in (("--tasks", tasks), ("--jobs", jobs)):
        if value is not None:
            raise InputError(f"{flag} belongs to a cast: add --people 25, or use --task for a single video")
    from fastmag.synthetic.command import render as make

    size, seed = size or (640, 480), 7 if seed is None else seed
    truth = make(out, size=(size[1], size[0]), seed=seed, progress=True, **options)
    click.echo(f"{out}, its truth in {truth}")


def _render_cast(out, size, people, tasks, seed, jobs, options) -> str:
    from fastmag.synthetic.dataset import Plan, render_people

    for name, usual in (("task", "A"), ("overwrite", False)):
        if options.pop(name) != usual:
            raise InputError(f"--{name} belongs to a single video; a cast has --tasks, and whole files are kept")
    lossless, quality = options.pop("lossless"), options.pop("quality")
    plan = Plan(people, tasks, seed, lossless, quality, {**options, "size": (size[1], size[0])})
    return f"{render_people(out, plan, jobs)} lists the videos; all at a glance: contact.png"


@click.group()
def train() -> None:
    """Train a network of one's own (needs the extra: pip install 'fastmag[train]')."""


@train.command("pulse")
@click.argument("out", metavar="OUT")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--split",
    type=click.Choice(["independent", "dependent"]),
    default="independent",
    show_default=True,
    help="Judge on other people, or on later times of the same people.",
)
@click.option("--clips", type=int, default=320, show_default=True, help="Independent: clips; every tenth judges.")
@click.option("--people", type=int, default=25, show_default=True, help="Dependent: people, each in tasks A-D.")
@click.option("--seconds", type=float, help="Length of a clip, 8 by default; of a dependent recording, 50.")
@click.option("--steps", type=int, default=6000, show_default=True)
@click.option("--head", "heads", type=click.Path(), multiple=True, help="Meshes (.obj) for half of the people.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--bf16", is_flag=True, help="Train in bfloat16: faster where the processor has it.")
@click.option("--jobs", type=int, help="Processes that render; one per core by default.")
def train_pulse(out, heads, jobs, **options) -> None:
    """Train the pulse network into the folder OUT. Stopped at any moment, the same command goes on from there."""
    trainer = _trainer("train")
    if options["seconds"] is None:
        options["seconds"] = 8.0 if options["split"] == "independent" else 50.0
    click.echo(trainer.train_pulse(out, trainer.Plan(heads=tuple(heads), **options), jobs).read_text())


@train.command("respiration")
@click.argument("out", metavar="OUT")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--clips", type=int, default=900, show_default=True, help="Clips; every tenth judges.")
@click.option("--seconds", type=float, default=10.0, show_default=True, help="Length of a clip.")
@click.option("--steps", type=int, default=12000, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--bf16", is_flag=True, help="Train in bfloat16: faster where the processor has it.")
@click.option("--jobs", type=int, help="Processes that render; one per core by default.")
def train_respiration(out, jobs, **options) -> None:
    """Train the respiration network into the folder OUT. Stopped at any moment, the same command goes on from there."""
    trainer = _trainer("respiration")
    click.echo(trainer.train_respiration(out, trainer.RespirationPlan(**options), jobs).read_text())


@train.command("lift")
@click.argument("out", metavar="OUT")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--clips", type=int, default=300, show_default=True, help="Clips; every tenth judges.")
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Length of a clip.")
@click.option("--steps", type=int, default=2500, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--bf16", is_flag=True, help="Train in bfloat16: faster where the processor has it.")
@click.option("--jobs", type=int, help="Processes that render; one per core by default.")
def train_lift(out, jobs, **options) -> None:
    """Train the lift network, which says where the body goes along with the breath, into the folder OUT. Stopped at any
    moment, the same command goes on from there."""
    trainer = _trainer("lift")
    click.echo(trainer.train_lift(out, trainer.LiftPlan(**options), jobs).read_text())


@train.command("skin")
@click.argument("out", metavar="OUT")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--clips", type=int, default=160, show_default=True, help="Clips; every tenth judges.")
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Length of a clip; of some, half of it.")
@click.option("--steps", type=int, default=2400, show_default=True)
@click.option("--head", "heads", type=click.Path(), multiple=True, help="Meshes (.obj) for 45 % of the people.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--bf16", is_flag=True, help="Train in bfloat16: faster where the processor has it.")
@click.option("--jobs", type=int, help="Processes that render; one per core by default.")
def train_skin(out, heads, jobs, **options) -> None:
    """Train the skin network into the folder OUT. Stopped at any moment, the same command goes on from there."""
    trainer = _trainer("skin")
    click.echo(trainer.train_skin(out, trainer.SkinPlan(heads=tuple(heads), **options), jobs).read_text())


def _trainer(name: str) -> Any:
    """A module of fastmag.export. Raises InputError without PyTorch."""
    try:
        return import_module(f"fastmag.export.{name}")
    except ImportError as error:
        raise InputError(f"training needs PyTorch ({error}): pip install 'fastmag[train]'") from error
