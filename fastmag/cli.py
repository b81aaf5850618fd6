"""The command `fastmag`: its subcommands, and how it ends."""

from __future__ import annotations

import sys
import warnings

import click

from fastmag import __version__
from fastmag.commands import export, judge, people, video
from fastmag.errors import DamagedVideo, InputError

WRONG_INPUT = 2  # exit code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="fastmag")
def cli() -> None:
    """Make subtle changes in video visible: a pulse, a breath, a vibration."""


for command in (
    video.magnify, video.measure, people.render, people.train, export.export, judge.evaluate, video.doctor, video.demo
):  # fmt: skip
    cli.add_command(command)


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
