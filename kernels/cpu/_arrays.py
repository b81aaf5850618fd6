"""Casting and allocation, shared by the wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastmag.errors import InputError


def reading(x: Any, dtype: DTypeLike = np.float32) -> NDArray:
    """x as a contiguous array that is read only: Numba compiles per mutability, so all inputs look alike."""
    view = np.ascontiguousarray(x, dtype).view()
    view.flags.writeable = False
    return view


def levels(frame: Any) -> NDArray:
    """A frame as a contiguous array of uint8 or uint16."""
    frame = np.asarray(frame)
    if frame.dtype not in (np.uint8, np.uint16) or frame.ndim not in (2, 3):
        raise InputError(
            f"frame must be (H, W) or (H, W, C) uint8 or uint16; got {frame.shape} {frame.dtype}: round and cast it"
        )
    return reading(frame, frame.dtype)


def apart(x: NDArray, out: NDArray) -> NDArray:
    """x, or a copy of it where out lies over it: these loops read what they have already written over."""
    return reading(x.copy(), x.dtype) if np.may_share_memory(x, out) else x


def aligned(shape: tuple[int, int]) -> NDArray:
    """Room for float32 rows that begin on whole vectors: a load that straddles cache lines costs two."""
    height, width = shape[0], -(-shape[1] // 16) * 16
    room = np.empty(height * width + 16, np.float32)
    skip = -(room.ctypes.data // 4) % 16
    return room[skip : skip + height * width].reshape(height, width)


def writing(out: NDArray | None, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray:
    """`out` if it fits, or a new array: compiled loops do not look where they write."""
    if out is None:
        return np.empty(shape, dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.c_contiguous or not out.flags.writeable:
        raise InputError(
            f"out must be a writable contiguous {shape} {np.dtype(dtype)}; got {out.shape} {out.dtype}: allocate it so"
        )
    return out
