"""Which decoder reads a file: the processor's, or NVIDIA's where its first picture is the same."""

from __future__ import annotations

import logging
import os
from fractions import Fraction

import numpy as np

from fastmag.errors import InputError
from fastmag.video import hardware
from fastmag.video.reader import Reader

DECODERS = ("cpu", "auto", "cuda")

_log = logging.getLogger("fastmag")


def open_reader(
    path: str | os.PathLike[str], fps: Fraction | float | None = None, decoder: str = "cpu"
) -> tuple[Reader, str]:
    """A Reader of the file, and the decoder that is in use: "cpu" or "cuda".

    decoder: "cpu"; "cuda", never replaced; or "auto", for "cuda" where it reads this file, and why not goes to the log
    "fastmag" (INFO). What is known of the file is always what the processor's decoder says. NVIDIA's conceals damage
    in the middle of a file, at which the processor's stops.
    Raises InputError as Reader does, and where "cuda" does not read the file.
    """
    if decoder not in DECODERS:
        raise InputError(f"decoder must be one of {', '.join(DECODERS)}; got {decoder!r}")
    reader = Reader(path, fps)
    if decoder == "cpu":
        return reader, "cpu"
    other = _by_hardware(reader, fps)
    if isinstance(other, Reader):
        reader.close()
        return other, "cuda"
    if decoder == "cuda":
        reader.close()
        raise InputError(f"the GPU does not decode {reader.path}: {other}; use the decoder cpu")
    _log.info("decoder cpu; not cuda: %s", other)
    return reader, "cpu"


def _by_hardware(reader: Reader, fps: Fraction | float | None) -> Reader | str:
    """A reader of the same file by NVIDIA's decoder, or why there is none."""
    try:
        other = Reader(reader.path, fps, hardware.accelerator())
    except Exception as error:  # PyAV has a class for each of FFmpeg's and the driver's faults
        return hardware.said(error.__cause__ if isinstance(error.__cause__, Exception) else error)
    try:
        other.describe_as(reader.info)
        (stamp, planes), (expected, right) = other.first(), reader.first()
        if stamp == expected and all(map(np.array_equal, planes, right)):
            return other
        why = "its first picture differs from the processor's"
    except Exception as error:  # as above
        why = hardware.said(error)
    other.close()
    return why
