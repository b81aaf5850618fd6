"""Commands about a video: magnify, measure; and doctor, demo."""

from __future__ import annotations

import dataclasses
import sys

import click

from fastmag.commands.options import fields_as_flags, flag_of, with_common
from fastmag.errors import InputError
from fastmag.params import Params
from fastmag.presets import METHODS, PRESETS, name_of
from fastmag.presets import preset as preset_of

FAULT = 1  # exit code
WRITING = {"lossless": "lossless", "crf": "crf", "encoder_preset": "preset", "codec": "codec"}


@click.command()
@click.argument("source", metavar="IN")
@click.argument("destination", metavar="OUT")
@click.option("--method", type=click.Choice(list(METHODS)), help="pulse unless --preset names another.")
@click.option("--preset", metavar="NAME", help="Settings by name: " + ", ".join(PRESETS) + ".")
@fields_as_flags()
@with_common
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--strict", is_flag=True, help="Write nothing if IN breaks off in the middle.")
@click.option("--lossless", is_flag=True, help="Keep every sample: FFV1 in .mkv and .avi, lossless H.264 in .mp4.")
@click.option("--crf", type=float, help="Quality of the output, smaller is better; 8 by default.")
@click.option("--encoder-preset", help="Speed of the encoder, as x264 names it; faster by default.")
@click.option("--codec", help="h264, hevc, vp9, av1, ffv1, nvenc, auto (nvenc if it works), or an FFmpeg encoder.")
def magnify(source, destination, method, preset, fps, backend, decoder, overwrite, strict, **flags) -> None:
    """Magnify a subtle change in the video IN and write the video OUT."""
    from fastmag.api import magnify as door

    given = {name: value for name, value in flags.items() if value is not None and value is not False}
    writing = {WRITING[name]: given.pop(name) for name in list(given) if name in WRITING}
    params = params_of(method, preset, given)
    report = door(
        source,
        destination,
        params,
        fps=fps,
        backend=backend,
        decoder=decoder,
        progress=True,
        overwrite=overwrite,
        strict=strict,
        **writing,
    )
    click.echo(f"{report.message}\n{report.frames} frames in {report.seconds:.1f} s: {report.destination}")
    if report.damage:
        sys.exit(FAULT)


def params_of(method: str | None, preset: str | None, given: dict) -> Params:
    """The method's params, or the preset's, with the given fields replaced.

    Raises InputError for a field that the method does not have. A change of form or filter drops the other's defaults.
    """
    params = preset_of(preset, method) if preset else METHODS[method or "pulse"]
    names = {field.name for field in dataclasses.fields(params)}
    for name in given:
        if name not in names:
            raise InputError(f"{flag_of(name)} has no meaning for the method {name_of(params)}: drop it")
    switch, ignored = params.SWITCH
    fallen = dict.fromkeys(ignored.get(given.get(switch, ""), ()))
    return dataclasses.replace(params, **(fallen | given))


@click.command()
@click.argument("source", metavar="IN")
@click.option("--signal", type=click.Choice(["pulse", "respiration"]), default="pulse", show_default=True)
@click.option("--csv", "table", type=click.Path(), help="Write time, wave and rate to this file.")
@click.option("--plot", type=click.Path(), help="Draw wave, rate and spectrum into this file (.png, .pdf, .svg).")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@fields_as_flags(("pulse", "respiration"), ("passband", "roi", "model", "provider", "precision"))
@with_common
def measure(source, signal, table, plot, overwrite, fps, backend, decoder, **flags) -> None:
    """Read the pulse, or breathing, from the video IN: rate, quality, and with --csv and --plot the wave."""
    from fastmag.api import measure as door
    from fastmag.measurements import check_outputs, write_csv, write_plot
    from fastmag.vitals import WORDS

    check_outputs(source, [p for p in (table, plot) if p], overwrite)
    given = {name: value for name, value in flags.items() if value is not None}
    measured = door(source, signal, fps=fps, backend=backend, decoder=decoder, progress=True, **given)
    if table:
        write_csv(measured, table)
    if plot:
        write_plot(measured, plot)
    noun, unit = WORDS[signal]
    likely = "" if measured.present else f"no {noun} was found; the likeliest rate would be "
    click.echo(f"{likely}{measured.rate_bpm:.1f} {unit} (quality {measured.quality:.2f})")


@click.command()
def doctor() -> None:
    """Say what is installed, which backends and providers work here, and why others do not."""
    from fastmag.doctor import report

    click.echo(report())


@click.command()
@click.argument("video", required=False)
@click.option("--out", type=click.Path(), default="demo", show_default=True, help="Folder for the results.")
@click.option("--method", default="pulse", show_default=True, help="A method or preset, such as respiration.")
def demo(video, out, method) -> None:
    """Magnify VIDEO, or a rendered sample, and draw a before/after picture."""
    from fastmag.demo import run

    click.echo(run(video, out, method))
