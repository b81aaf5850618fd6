"""The command that makes files to embed: export."""

from __future__ import annotations

import click

from fastmag.errors import InputError
from fastmag.params import RULES


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("out", metavar="OUT")
@click.option(
    "--rule",
    type=click.Choice(RULES),
    default="sign",
    show_default=True,
    help="Of the ascent: sign (Eq. 3), l1 (Eq. 2) or vanilla (Eq. 1).",
)
@click.option("--overwrite", is_flag=True, help="Replace files of the same names.")
def export(model, out, rule, overwrite) -> None:
    """Write gradient.onnx, ascent.onnx and, for a network of the pulse, magnify.onnx into the folder OUT.

    MODEL is the ONNX file of a network of yours: one input X (batch, ...), one output y (batch, 1). Needs the extra:
    pip install 'fastmag[export]'.
    """
    try:
        from fastmag.export.graphs import write_all
    except ImportError as error:
        raise InputError(f"exporting needs the onnx package ({error}): pip install 'fastmag[export]'") from error
    for written in write_all(model, out, rule=rule, overwrite=overwrite):
        click.echo(written)
