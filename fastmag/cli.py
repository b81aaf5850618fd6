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
@click.option("--crf", type=float, help="Quality of the output, smaller is better; 12 by default.")
@click.option("--preset", help="Speed of the encoder; medium by default.")
@click.option("--codec", help="h264, hevc, vp9, av1, ffv1, or an FFmpeg encoder.")
def magnify(source, destination, method, fps, backend, overwrite, strict, **flags) -> None:
    """Magnify a subtle change in the video IN and write the video OUT."""
    from fastmag.api import magnify as door

    given = {name: value for name, value in flags.items() if value not in (None, False)}
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
