"""The command: `fastmag magnify IN OUT`, `measure`, `render`, `train`, `doctor`, `demo`."""

from __future__ import annotations

import dataclasses
import sys
import warnings

import click

from fastmag import __version__
from fastmag.errors import DamagedVideo, InputError
from fastmag.params import FORMS, RULES, Pulse
from fastmag.presets import METHODS

DONE, FAULT, WRONG_INPUT = 0, 1, 2


class Numbers(click.ParamType):
    """Comma-separated numbers, such as 0.7,2.5 or 10,20,300,200."""

    def __init__(self, kind: type, names: str):
        self.kind, self.names, self.name = kind, names, names

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(self.kind(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != len(self.names.split(",")):
            self.fail(f"expected {self.names}; got {value!r}", param, ctx)
        return numbers


TYPES = {
    "form": click.Choice(FORMS), "rule": click.Choice(RULES), "passband": Numbers(float, "LOW,HIGH"),
    "roi": Numbers(int, "X,Y,W,H"), "n_steps": int, "model": click.Path(), "alpha": float, "step_size": float,
    "strength": float,
}  # fmt: skip


def fields_as_flags(only: tuple[str, ...] | None = None):
    """Flags made from the fields of the params; a flag that is not given is not passed on."""

    def decorate(command):
        for field in reversed(dataclasses.fields(Pulse)):
            if only is None or field.name in only:
                name = "--steps" if field.name == "n_steps" else "--" + field.name.replace("_", "-")
                option = click.option(name, field.name, type=TYPES[field.name], help=field.metadata["help"])
                command = option(command)
        return command

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="fastmag")
def cli() -> None:
    """Make subtle changes in video visible: a pulse, a breath, a vibration."""


common = [
    click.option("--fps", type=float, help="Frames a second, where the file's own are wrong."),
    click.option("--backend", default="auto", show_default=True, help="auto or cpu."),
]


def with_common(command):
    for option in reversed(common):
        command = option(command)
    return command


@cli.command()
@click.argument("source", metavar="IN")
@click.argument("destination", metavar="OUT")
@click.option("--method", type=click.Choice(list(METHODS)), default="pulse", show_default=True)
@fields_as_flags()
@with_common
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--strict", is_flag=True, help="Write nothing if IN breaks off in the middle.")
@click.option("--lossless", is_flag=True, help="Keep every sample: FFV1 in .mkv and .avi, lossless H.264 in .mp4.")
@click.option("--crf", type=float, help="Quality of the output, smaller is better; 8 by default.")
@click.option("--preset", help="Speed of the encoder, as x264 names it; faster by default.")
@click.option("--codec", help="h264, hevc, vp9, av1, ffv1, or an FFmpeg encoder.")
def magnify(source, destination, method, fps, backend, overwrite, strict, **flags) -> None:
    """Magnify a subtle change in the video IN and write the video OUT."""
    from fastmag.api import magnify as door

    given = {name: value for name, value in flags.items() if value is not None and value is not False}
    names = {field.name for field in dataclasses.fields(Pulse)}
    params = dataclasses.replace(METHODS[method], **fresh(given, names))
    writing = {name: value for name, value in given.items() if name not in names}
    report = door(
        source,
        destination,
        params,
        fps=fps,
        backend=backend,
        progress=True,
        overwrite=overwrite,
        strict=strict,
        **writing,
    )
    click.echo(f"{report.message}\n{report.frames} frames in {report.seconds:.1f} s: {report.destination}")
    if report.damage:
        sys.exit(FAULT)


def fresh(given: dict, names: set[str]) -> dict:
    """The fields to replace; a change of form drops the other form's defaults."""
    changed = {name: value for name, value in given.items() if name in names}
    if changed.get("form") == "paper":
        changed.setdefault("alpha", None)
    return changed


@cli.command()
@click.argument("source", metavar="IN")
@click.option("--signal", type=click.Choice(["pulse"]), default="pulse", show_default=True)
@click.option("--csv", "table", type=click.Path(), help="Write time, wave and rate to this file.")
@click.option("--plot", type=click.Path(), help="Draw wave, rate and spectrum into this file (.png, .pdf, .svg).")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@fields_as_flags(("passband", "roi", "model"))
@with_common
def measure(source, signal, table, plot, overwrite, fps, backend, **flags) -> None:
    """Read the pulse from the video IN: rate, quality, and with --csv and --plot the wave."""
    from fastmag.api import measure as door
    from fastmag.measurements import check_outputs, write_csv, write_plot

    check_outputs(source, [p for p in (table, plot) if p], overwrite)
    given = {name: value for name, value in flags.items() if value is not None}
    measured = door(source, signal, fps=fps, backend=backend, progress=True, **given)
    if table:
        write_csv(measured, table)
    if plot:
        write_plot(measured, plot)
    likely = "" if measured.present else "no pulse was found; the likeliest rate would be "
    click.echo(f"{likely}{measured.rate_bpm:.1f} beats a minute (quality {measured.quality:.2f})")


@cli.command()
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


@cli.group()
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


@cli.command()
def doctor() -> None:
    """Say what is installed, which backends and providers work here, and why others do not."""
    from fastmag.doctor import report

    click.echo(report())


@cli.command()
@click.argument("video", required=False)
@click.option("--out", type=click.Path(), default="demo", show_default=True, help="Folder for the results.")
def demo(video, out) -> None:
    """Magnify VIDEO, or a rendered sample, and draw a before/after picture."""
    from fastmag.demo import run

    click.echo(run(video, out))


@cli.group()
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


def main() -> None:
    """Run the command; wrong input is one line and exit code 2, a fault of ours 1."""
    warnings.simplefilter("ignore", RuntimeWarning)
    warnings.simplefilter("always", DamagedVideo)
    warnings.showwarning = lambda message, *rest, **more: click.echo(f"fastmag: {message}", err=True)
    try:
        cli(standalone_mode=False)
    except InputError as error:
        stop(str(error), WRONG_INPUT)
    except click.UsageError as error:
        stop(f"{error.format_message()} (see fastmag --help)", WRONG_INPUT)
    except click.Abort:
        stop("stopped; nothing unfinished was left behind", 130)
    except KeyboardInterrupt:
        stop("stopped; nothing unfinished was left behind", 130)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)


def stop(message: str, code: int) -> None:
    """One line on standard error, and out."""
    click.echo("fastmag: " + " ".join(message.split()), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
