"""Commands that judge: evaluate people, evaluate clip."""

from __future__ import annotations

import click

from fastmag.commands.options import Numbers


@click.group()
def evaluate() -> None:
    """Judge the methods: on rendered people whose truth is known, or on magnified versions of a real clip."""


def running(command):
    """Flags of every command that renders clips and judges them one by one."""
    options = [
        click.option("--seconds", type=float, default=20.0, show_default=True),
        click.option("--size", type=Numbers(int, "W,H"), default="658,492", show_default=True, help="Of a frame."),
        click.option("--model", type=click.Path(), help="A network of your own."),
        click.option("--jobs", "processes", type=int, default=2, show_default=True, help="Processes, a core each."),
        click.option("--json", "json_file", type=click.Path(), help="Write all figures to this file."),
        click.option("--csv", "csv_file", type=click.Path(), help="Write a row for every clip and method."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@evaluate.command("people")
@click.argument("out", required=False, metavar="[OUT]")
@click.option("--tasks", default="ABCD", show_default=True)
@click.option("--people", type=int, default=5, show_default=True, help="Unseen people a task.")
@click.option("--without", type=int, default=2, show_default=True, help="Clips without a pulse a task.")
@click.option("--methods", help="Names, separated by commas; all that magnify colour by default.")
@click.option("--paper", type=int, help="Clips a task for the paper's form, which is slow; all by default.")
@click.option("--seed", type=int, help="Of the first person; the held-out people by default.")
@running
def evaluate_people(out, tasks, people, without, methods, paper, seed, seconds, size, model, **rest) -> None:
    """Render unseen people, read and magnify their pulse at alpha 10, and compare every method with the truth.

    With a folder OUT, rows are kept there as clips are done, and the same command goes on where it was stopped.
    """
    from fastmag.evaluation import people as judging
    from fastmag.evaluation.methods import check_methods

    seed = judging.SEED if seed is None else seed
    render = {"seconds": seconds, "size": (size[1], size[0])}
    names = check_methods(methods.split(",") if methods else ())
    asks = judging.held_out(tasks, people, without, seed, render)
    jobs = judging.jobs_of(asks, names, model, paper)
    _judge_all(jobs, out, {"seed": seed, "render": render, "model": model},
               {"tasks": tasks, "people": people, "without": without, "methods": names}, **rest)  # fmt: skip


def _judge_all(jobs, out, asked, more, processes, json_file, csv_file) -> None:
    """Judge, keep, print."""
    from fastmag.evaluation import people as judging
    from fastmag.evaluation import record, tables

    kept = record.Record(out, asked)
    rows = judging.evaluate(jobs, processes, kept, judging.Sayer())
    if json_file:
        record.write_json(json_file, rows, asked | more)
    if csv_file:
        record.write_csv(csv_file, rows)
    click.echo(tables.report(rows))


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
