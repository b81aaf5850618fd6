"""Commands that judge: evaluate people, evaluate clip."""

from __future__ import annotations

import click

from fastmag.commands.options import Numbers


@click.group()
def evaluate() -> None:
    """Judge the methods: on rendered people whose truth is known, or on magnified versions of a real clip."""


@evaluate.command("people")
@click.option("--tasks", default="ABCD", show_default=True)
@click.option("--people", type=int, default=5, show_default=True, help="Unseen people a task.")
@click.option("--without", type=int, default=5, show_default=True, help="Clips without a pulse.")
@click.option("--seconds", type=float, default=20.0, show_default=True)
@click.option("--seed", type=int, help="Of the first person; the held-out people by default.")
@click.option("--size", type=Numbers(int, "W,H"), default="658,492", show_default=True, help="Width and height.")
@click.option("--model", type=click.Path(), help="A network of your own.")
@click.option("--jobs", type=int, default=2, show_default=True)
@click.option("--json", "record", type=click.Path(), help="Write all figures to this file.")
def evaluate_people(seed, size, record, **options) -> None:
    """Render unseen people, read and magnify their pulse at alpha 10, and compare with the truth."""
    from fastmag.evaluation import people

    options |= {"seed": people.SEED if seed is None else seed, "render": {"size": (size[1], size[0])}}
    rows = people.evaluate(progress=people.say, **options)
    if record:
        people.write_record(record, rows, options)
    click.echo(people.table(rows))


@evaluate.command("clip")
@click.argument("source", metavar="IN")
@click.argument("magnified", nargs=-1, required=True, metavar="OUT...")
@click.option("--on", help="Boxes on the target, x0,y0,x1,y1;...; those of MIT's face.mp4 by default.")
@click.option("--off", help="Boxes off the target.")
@click.option("--rate", type=float, default=0.88, show_default=True, help="The target's rate in hertz.")
@click.option("--channel", type=click.IntRange(0, 2), default=1, show_default=True, help="0 red, 1 green, 2 blue.")
def evaluate_clip(source, magnified, on, off, rate, channel) -> None:
    """Compare magnified versions of a clip with their source: gain, correlation, leak, PSNR, SSIM."""
    from fastmag.evaluation import clips

    boxes = (clips.boxes(on) if on else clips.FACE.on, clips.boxes(off) if off else clips.FACE.off)
    target = clips.Target(*boxes, rate, channel)
    click.echo(clips.table((path, clips.judge_clip(source, path, target)) for path in magnified))
