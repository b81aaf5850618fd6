"""Flags: made from the fields of the params, and shared by several commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import click

from fastmag.params import ACCELERATIONS, COMPATS, FILTERS, FORMS, PYRAMIDS, RENDERINGS, RULES
from fastmag.params.fields import PRECISIONS, PROVIDERS
from fastmag.presets import METHODS


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
    "roi": Numbers(int, "X,Y,W,H"), "provider": click.Choice(PROVIDERS), "precision": click.Choice(PRECISIONS),
    "n_steps": int, "model": click.Path(), "alpha": float, "step_size": float,
    "strength": float, "level": int, "chroma": float, "fs": float, "compat": click.Choice(COMPATS),
    "frequency": float, "acceleration": click.Choice(ACCELERATIONS),
    "pyramid": click.Choice(list(PYRAMIDS)), "sigma": float, "attenuate": bool, "sure": bool,
    "rendering": click.Choice(RENDERINGS), "lambda_c": float, "temporal": click.Choice(FILTERS),
    "rates": Numbers(float, "FAST,SLOW"),
}  # fmt: skip


def flag_of(name: str) -> str:
    """The flag of a field."""
    return "--steps" if name == "n_steps" else "--" + name.replace("_", "-")


def fields_as_flags(methods: Iterable[str] = tuple(METHODS), only: tuple[str, ...] | None = None):
    """Flags made from the fields of the methods' params; a flag that is not given is not passed on."""
    texts: dict[str, dict[str, list[str]]] = {}  # field -> help text -> methods
    for method in methods:
        for field in dataclasses.fields(METHODS[method]):
            if only is None or field.name in only:
                texts.setdefault(field.name, {}).setdefault(field.metadata["help"], []).append(method)

    def decorate(command):
        for name, by_text in reversed(texts.items()):
            said = "; ".join(text + _whose(owners, methods) for text, owners in by_text.items())
            kind = {"is_flag": True} if TYPES[name] is bool else {"type": TYPES[name]}
            command = click.option(flag_of(name), name, help=said, **kind)(command)
        return command

    return decorate


def _whose(owners: list[str], methods: Iterable[str]) -> str:
    return "" if owners == list(methods) else f" ({', '.join(owners)})"


common = [
    click.option("--fps", type=float, help="Frames a second, where the file's own are wrong."),
    click.option("--backend", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--decoder", default="cpu", show_default=True, help="cpu, cuda (NVIDIA's), or auto: cuda if it can."),
]


def with_common(command):
    for option in reversed(common):
        command = option(command)
    return command
