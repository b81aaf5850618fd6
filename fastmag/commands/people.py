"""Commands about rendered people: render, train."""

from __future__ import annotations

import click

from fastmag.commands.options import Numbers
from fastmag.errors import InputError


@click.command()
@click.argument("out", metavar="OUT")
@click.option("--task", type=click.Choice(list("ABCDT")), default="A", show_default=True, help="How the head moves.")
@click.option("--seconds", type=float, default=12.0, show_default=True)
@click.option("--fps", type=float, default=30.0, show_default=True)
@click.option("--size", type=Numbers(int, "W,H"), default="640,480", show_default=True, help="Width and height.")
@click.option("--seed", type=int, default=7, show_default=True, help="Person, light, motion, noise: all of it.")
@click.option("--head", type=click.Path(), help="A textured mesh (.obj) in place of the procedural head.")
@click.option("--pulse/--no-pulse", default=True, show_default=True)
@click.option("--bpm", type=float, help="Mean rate of the pulse; drawn from the seed by default.")
@click.option("--amplitude", type=float, help="Relative standard deviation of green skin, such as 0.003.")
@click.option("--noise", type=float, help="Camera noise in grey levels.")
@click.option("--lossless", is_flag=True, help="Keep every sample.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def render(out, size, **options) -> None:
    """Render a person with a known pulse into the video OUT, and the truth into an .npz file beside it."""
    from fastmag.synthetic.command import render as make

    truth = make(out, size=(size[1], size[0]), progress=True, **options)
    click.echo(f"{out}, its truth in {truth}")


@click.group()
def train() -> None:
    """Train a network of one's own (needs the extra: pip install 'fastmag[train]')."""


@train.command("pulse")
@click.argument("out", metavar="OUT")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--clips", type=int, default=320, show_default=True, help="Rendered clips; every tenth judges.")
@click.option("--seconds", type=float, default=8.0, show_default=True, help="Length of a clip.")
@click.option("--steps", type=int, default=6000, show_default=True)
@click.option("--head", "heads", type=click.Path(), multiple=True, help="Meshes (.obj) for half of the people.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--bf16", is_flag=True, help="Train in bfloat16: faster where the processor has it.")
@click.option("--jobs", type=int, help="Processes that render; one per core by default.")
def train_pulse(out, heads, jobs, **options) -> None:
    """Train the pulse network into the folder OUT. Stopped at any moment, the same command goes on from there."""
    try:
        from fastmag.export.train import Plan
        from fastmag.export.train import train_pulse as learn
    except ImportError as error:
        raise InputError(f"training needs PyTorch ({error}): pip install 'fastmag[train]'") from error
    click.echo(learn(out, Plan(heads=tuple(heads), **options), jobs).read_text())
