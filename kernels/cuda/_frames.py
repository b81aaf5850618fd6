"""Frames as the kernels take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmag.errors import InputError
from fastmag.kernels.cuda._door import reading


def levels(frame: Any) -> Any:
    """A frame, or a batch (B, H, W, C) of them, as a contiguous array of uint8 or uint16."""
    if frame.dtype not in (np.uint8, np.uint16) or frame.ndim not in (2, 3, 4):
        raise InputError(
            f"frame must be (H, W) or (H, W, C) uint8 or uint16; got {frame.shape} {frame.dtype}: round and cast it"
        )
    return reading(frame, frame.dtype)


def rows(frame: Any) -> tuple[Any, int]:
    """A frame or a batch as (B, H, W * C), and C."""
    channels = 1 if frame.ndim == 2 else frame.shape[-1]
    return frame.reshape(frame.shape[0] if frame.ndim == 4 else 1, -1, _width(frame) * channels), channels


def _width(frame: Any) -> int:
    return frame.shape[1] if frame.ndim < 4 else frame.shape[2]


def size(frame: Any) -> tuple[int, int]:
    """Height and width."""
    return (frame.shape[1], frame.shape[2]) if frame.ndim == 4 else (frame.shape[0], frame.shape[1])


def shaped(frame: Any, height: int, width: int) -> tuple[int, ...]:
    """The shape of a frame or a batch of another size."""
    batch = frame.shape[:1] if frame.ndim == 4 else ()
    return (*batch, height, width, *(frame.shape[-1:] if frame.ndim > 2 else ()))
