"""Commands that judge: evaluate people, steps, curves, injected, waves, clip."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from fastmag.commands.options import Numbers
from fastmag.errors import InputError
from fastmag.params import RULES

BREATHING_SEED = 810_000  # of the held-out people whose breathing is judged


@click.group()
def evaluate() -> None:
    """Judge the methods: on rendered people whose truth is known, or on real clips."""


def flags(*options):
    """Several options at once."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


signal_of = click.option("--signal", type=click.Choice(["pulse", "respiration"]), default="pulse", show_default=True)
model = click.option("--model", type=click.Path(), help="A network of your own.")
length = click.option("--seconds", type=float, default=20.0, show_default=True, help="Of a clip.")
size_of = click.option("--size", type=Numbers(int, "W,H"), default="658,492", show_default=True, help="Of a frame.")
first = click.option("--seed", type=int, help="Of the first person; the held-out people by default.")
methods_by_name = click.option("--methods", help="Names, separated by commas; all that magnify colour by default.")
results = flags(
    click.option("--jobs", "processes", type=int, default=2, show_default=True, help="Processes, a core each."),
    click.option("--json", "json_file", type=click.Path(), help="Write all figures to this file."),
    click.option("--csv", "csv_file", type=click.Path(), help="Write a row for every clip and method."),
)


@evaluate.command("people")
@click.argument("out", required=False, metavar="[OUT]")
@signal_of
@click.option("--tasks", default="ABCD", show_default=True)
@click.option("--people", type=int, default=5, show_default=True, help="People a task.")
@click.option("--without", type=int, default=2, show_default=True, help="Clips a task without pulse, or breath.")
@click.option("--split", type=click.Choice(["independent", "dependent"]), default="independent", show_default=True,
              help="Unseen people; or, for a network trained on a cast, the last 20 % of its recordings.")  # fmt: skip
@click.option("--paper", type=int, help="Clips a task for the paper's form, which is slow; all by default.")
@click.option("--seconds", type=float, help="Of a clip; 20 by default, 50 (of which 10 are judged) with a cast.")
@click.option("--fps", type=float, help="Of a clip; 30 by default, 10 for respiration.")
@methods_by_name
@first
@size_of
@model
@results
def evaluate_people(
    out, signal, tasks, people, without, split, methods, paper, seed, seconds, fps, size, model, **rest
):
    """Render people, read and magnify their pulse (alpha 10) or breathing (alpha 4), and compare every method with the
    truth.

    With a folder OUT, rows are kept there as clips are done, and the same command goes on where it was stopped.
    """
    from fastmag.evaluation import people as judging
    from fastmag.evaluation.methods import check_methods

    known = split == "dependent"
    if signal == "respiration":
        if known:
            raise InputError(
                "--split dependent judges a pulse network; got --signal respiration: leave one of them out"
            )
        seed = BREATHING_SEED if seed is None else seed
        render = {"seconds": seconds or 20.0, "fps": fps or 10.0, "size": (size[1], size[0])}
        _breathing_people(out, (tasks, people, without, seed, render), methods, paper, model, **rest)
        return
    seed = (0 if known else judging.SEED) if seed is None else seed
    render = {"seconds": seconds or (50.0 if known else 20.0), "size": (size[1], size[0])} | (
        {"fps": fps} if fps else {}
    )
    names = check_methods(methods.split(",") if methods else ())
    asks = (judging.known_people if known else judging.held_out)(tasks, people, without, seed, render)
    jobs = judging.jobs_of(asks, names, model, paper)
    _judge_all(jobs, out, {"seed": seed, "render": render, "model": model, "split": split},
               {"tasks": tasks, "people": people, "without": without, "methods": names}, **rest)  # fmt: skip


def _breathing_people(out, asked, methods, paper, model, **rest) -> None:
    from fastmag.evaluation import people as judging
    from fastmag.evaluation.breathing import cases, tables
    from fastmag.evaluation.breathing.judging import BreathRow, judge_clip
    from fastmag.evaluation.breathing.methods import check_methods

    tasks, people, without, seed, render = asked
    names = check_methods(methods.split(",") if methods else ())
    jobs = judging.jobs_of(judging.held_out(tasks, people, without, seed, render, cases.BreathAsk), names, model, paper)
    _judge_all(jobs, out, {"signal": "respiration", "seed": seed, "render": render, "model": model},
               {"tasks": tasks, "people": people, "without": without, "methods": names}, **rest,
               report=tables.report, judge=judge_clip, kind=BreathRow)  # fmt: skip


@evaluate.command("steps")
@click.argument("out", required=False, metavar="[OUT]")
@click.option("--task", default="C", show_default=True)
@click.option("--people", type=int, default=5, show_default=True)
@click.option("--strengths", default="0.5,1,2,4", show_default=True, help="Multiples of the step size gamma.")
@first
@length
@size_of
@model
@results
def evaluate_steps(out, task, people, strengths, seed, seconds, size, model, **rest) -> None:
    """Judge the paper's form with several step sizes on one task: its Table 2, with the gain beside.

    OUT as for `evaluate people`.
    """
    from fastmag.evaluation import people as judging
    from fastmag.evaluation import tables
    from fastmag.evaluation.methods import check_methods

    seed = judging.SEED if seed is None else seed
    render = {"seconds": seconds, "size": (size[1], size[0])}
    names = check_methods(["nothing", "true", *(f"deepmag-paper@{part}" for part in strengths.split(","))])
    jobs = judging.jobs_of(judging.held_out(task, people, 0, seed, render), names, model)
    _judge_all(jobs, out, {"seed": seed, "render": render, "model": model, "strengths": strengths},
               {"task": task, "people": people}, report=tables.table_2, **rest)  # fmt: skip


@evaluate.command("curves")
@click.argument("clip", required=False, metavar="[CLIP]")
@click.option("--picture", type=click.Path(), help="Draw the curves into this file (.png).")
@click.option("--csv", "csv_file", type=click.Path(), help="Write the curves to this file.")
@click.option("--frames", type=click.IntRange(2), default=150, show_default=True, help="Frames that are asked.")
@click.option("--steps", type=click.IntRange(1), default=40, show_default=True, help="The largest N.")
@click.option("--rule", type=click.Choice(RULES), default="sign", show_default=True, help="Eq. 3, 2 or 1.")
@first
@length
@size_of
@model
def evaluate_curves(clip, picture, csv_file, frames, steps, rule, seed, seconds, size, model) -> None:
    """Follow the network's |y| along the ascent, over steps and step size: figure 9 of the paper.

    For a video CLIP, or a rendered person.
    """
    from fastmag.evaluation import curves, people
    from fastmag.evaluation.cases import Ask
    from fastmag.sources import ArraySource, FileSource

    ask = Ask("B", people.SEED if seed is None else seed, True, {"seconds": seconds, "size": (size[1], size[0])})
    source = FileSource(clip) if clip else ArraySource(ask.case(None).frames, 30)
    found = curves.learning_curves(source, people.network_of(model), steps=steps, frames=frames, rule=rule)
    if picture:
        curves.draw(picture, found)
    if csv_file:
        curves.write_csv(csv_file, found)
    click.echo(curves.table(found))


@evaluate.command("injected")
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...")
@click.option("--bpm", default="80,95,110", show_default=True, help="Rates of the pulse.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Waves for every rate.")
@click.option("--amplitude", type=float, default=0.003, show_default=True, help="Relative, of green skin.")
@click.option("--mask", type=click.Path(), help="Draw where the pulse goes into this file (.png), of the first clip.")
@click.option("--out", type=click.Path(), help="A folder for the rows, to go on later.")
@methods_by_name
@length
@model
@results
def evaluate_injected(clips, bpm, seeds, amplitude, mask, out, methods, seconds, model, **rest) -> None:
    """Put a known pulse into the skin of real clips, then read and magnify it like that of a rendered person."""
    from fastmag.evaluation import injected
    from fastmag.evaluation import people as judging
    from fastmag.evaluation.methods import check_methods

    if mask:
        injected.draw_mask(mask, clips[0], seconds)
    rates = injected.rates(bpm)
    asks = [injected.Injection(clip, rate, seed, amplitude, seconds)
            for clip in clips for rate in rates for seed in range(seeds)]  # fmt: skip
    jobs = judging.jobs_of(asks, check_methods(methods.split(",") if methods else ()), model)
    more = {"clips": list(dict.fromkeys(ask.task for ask in asks)), "bpm": rates, "seeds": seeds}
    _judge_all(jobs, out, {"amplitude": amplitude, "seconds": seconds, "model": model}, more, **rest)


def _judge_all(jobs, out, asked, more, processes, json_file, csv_file, report=None, judge=None, kind=None) -> None:
    """Judge, keep, print; the rows are of a kind, the pulse's by default."""
    from fastmag.evaluation import people as judging
    from fastmag.evaluation import record, tables

    kept = record.Record(out, asked, kind or judging.Row)
    rows = judging.evaluate(jobs, processes, kept, judging.Sayer(), judge or judging.judge_clip)
    if json_file:
        record.write_json(json_file, [row.flat() for row in rows], asked | more)
    if csv_file:
        record.write_csv(csv_file, rows)
    click.echo((report or tables.report)(rows))


@evaluate.command("waves")
@click.option("--people", type=int, default=20, show_default=True, help="People a task, A to D.")
@click.option("--hard", type=int, default=40, show_default=True, help="People in the world that is hard for breathing.")
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Of a clip.")
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for what the network sees, to judge it again.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Processes, a core each.")
@click.option("--json", "json_file", type=click.Path(), help="Write a row for every clip to this file.")
@first
@size_of
@model
def evaluate_waves(people, hard, seconds, keep, jobs, json_file, seed, size, model) -> None:
    """How well breathing is read: the network, and the judge without one, on people who were not trained on."""
    from fastmag.evaluation import record
    from fastmag.evaluation.breathing import waves
    from fastmag.progress import Progress

    seed, render = BREATHING_SEED if seed is None else seed, {"seconds": seconds, "size": (size[1], size[0])}
    clips = waves.asks(people, hard, seed, render)
    with Progress(len(clips), "read", unit="clip") as bar:
        rows = waves.judge_all(clips, model, jobs, keep, bar.step)
    if json_file:
        asked = {"people": people, "hard": hard, "seed": seed, "render": render, "model": model}
        record.write_json(json_file, [asdict(row) for row in rows], asked)
    click.echo(waves.table(rows))


@evaluate.command("clip")
@click.argument("source", metavar="IN")
@click.argument("magnified", nargs=-1, required=True, metavar="OUT...")
@signal_of
@click.option("--passband", type=Numbers(float, "LOW,HIGH"), default="0.16,0.5", show_default=True,
              help="Hertz that breathing may have.")  # fmt: skip
@click.option("--json", "json_file", type=click.Path(), help="Write all figures to this file.")
@click.option("--on", help="Boxes on the target, x0,y0,x1,y1;...; those of MIT's face.mp4 by default.")
@click.option("--off", help="Boxes off the target.")
@click.option("--rate", type=float, default=0.88, show_default=True, help="The target's rate in hertz.")
@click.option("--channel", type=click.IntRange(0, 2), default=1, show_default=True, help="0 red, 1 green, 2 blue.")
def evaluate_clip(source, magnified, signal, passband, json_file, on, off, rate, channel) -> None:
    """Compare magnified versions of a clip with their source: gain, correlation, leak, PSNR, SSIM.

    Breathing is looked for by itself, in patches of the picture; a pulse in the boxes --on and --off it.
    """
    import dataclasses

    from fastmag.evaluation import clips, record
    from fastmag.evaluation.breathing import clips as breathing

    if signal == "respiration":
        rows: list = [(path, breathing.judge_breathing(source, path, passband)) for path in magnified]
        table, options = breathing.table(rows), {"passband": passband}
    else:
        boxes = (clips.boxes(on) if on else clips.FACE.on, clips.boxes(off) if off else clips.FACE.off)
        target = clips.Target(*boxes, rate, channel)
        rows = [(path, clips.judge_clip(source, path, target)) for path in magnified]
        table, options = clips.table(rows), dataclasses.asdict(target)
    if json_file:
        flat = [{"clip": str(path)} | dataclasses.asdict(judged) for path, judged in rows]
        record.write_json(json_file, flat, {"signal": signal, "source": Path(source).name} | options)
    click.echo(table)
