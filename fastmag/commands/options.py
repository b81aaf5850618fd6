"""Flags: made from the fields of the params, and shared by several commands."""

from __future__ import annotations

import dataclasses

import click

from fastmag.params import FORMS, RULES, Pulse


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


common = [
    click.option("--fps", type=float, help="Frames a second, where the file's own are wrong."),
    click.option("--backend", default="auto", show_default=True, help="auto or cpu."),
]


def with_common(command):
    for option in reversed(common):
        command = option(command)
    return command
