"""A growing array of rows that moves from memory to disk when it outgrows a budget, and whether it will fit there."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from typing import IO

import numpy as np

from fastmag.errors import DiskSpace, InputError
from fastmag.files import is_full

BUDGET = 16 << 20  # bytes in memory: half a minute of cells
WORTH_SAYING = 1 << 30  # bytes on disk that a user wants to hear of beforehand
SPARE = 256 << 20  # bytes of the disk that are left to others


def check_room(needed: int, remedy: str = "use a shorter clip") -> None:
    """Before a long job that will hold `needed` bytes in spools at once: is there room in the temporary folder?

    Warns (DiskSpace) where it is more than a gigabyte. Raises InputError, one line that ends with the remedy, where the
    disk has less than that left. Spools that stay in memory are not looked at.
    """
    if needed <= BUDGET:
        return
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    takes = f"this clip takes up to {_amount(needed)} of temporary files in {folder}, which has {_amount(free)} free"
    if needed + SPARE > free:
        raise InputError(f"{takes}: {remedy}, or name a folder on a larger disk with the environment variable TMPDIR")
    if needed > WORTH_SAYING:
        warnings.warn(DiskSpace(takes), stacklevel=3)


def _amount(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class Spool:
    """Rows of one shape and dtype: `append`, `read(start, stop)`, `write(start, rows)`, `len`. A context manager.

    The file on disk has no name and goes with the process. It is read and written by calls, not mapped, so that its
    pages are not counted against the process. Raises InputError where the disk is full.
    """

    def __init__(self, shape: tuple[int, ...], dtype=np.float32, budget: int = BUDGET):
        self.shape, self.dtype, self.budget = tuple(shape), np.dtype(dtype), budget
        self.row_bytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        self._memory = np.empty((0, *self.shape), self.dtype)
        self._file: IO[bytes] | None = None
        self._count = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._memory = np.empty((0, *self.shape), self.dtype)
        if self._file is not None:
            with contextlib.suppress(OSError):  # what a full disk did not take is not wanted any more
                self._file.close()
            self._file = None

    def __len__(self) -> int:
        return self._count

    @property
    def on_disk(self) -> bool:
        return self._file is not None

    def append(self, rows: np.ndarray) -> None:
        """Add one row, or a block of rows (n, *shape)."""
        rows = np.asarray(rows, self.dtype).reshape(-1, *self.shape)
        end = self._count + len(rows)
        if self._file is None and end * self.row_bytes > self.budget:
            self._move_to_disk()
        if self._file is None and end > len(self._memory):
            room = max(end, min(2 * len(self._memory), self.budget // self.row_bytes))
            grown = np.empty((room, *self.shape), self.dtype)
            grown[: self._count] = self._memory[: self._count]
            self._memory = grown
        self._count = end
        self.write(end - len(rows), rows)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop as a new array (a view while they are in memory)."""
        if not 0 <= start <= stop <= self._count:
            raise IndexError(f"rows {start}..{stop} of {self._count}")
        if self._file is None:
            return self._memory[start:stop]
        with _room():
            self._file.seek(start * self.row_bytes)  # writes what is still in the buffer
        data = bytearray(self._file.read((stop - start) * self.row_bytes))
        return np.frombuffer(data, self.dtype).reshape(stop - start, *self.shape)

    def write(self, start: int, rows: np.ndarray) -> None:
        """Overwrite rows from `start` on."""
        if self._file is None:
            self._memory[start : start + len(rows)] = rows
            return
        with _room():
            self._file.seek(start * self.row_bytes)
            self._file.write(np.ascontiguousarray(rows, self.dtype).data)

    def _move_to_disk(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="fastmag-")  # noqa: SIM115 (closed by close)
        memory, self._memory = self._memory, np.empty((0, *self.shape), self.dtype)
        self.write(0, memory[: self._count])


@contextlib.contextmanager
def _room() -> Iterator[None]:
    """A full disk as one line with its remedy."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise InputError(
            f"no room left for temporary files in {tempfile.gettempdir()} ({error.strerror}); nothing was kept: free "
            "some space, or name a folder on a larger disk with the environment variable TMPDIR"
        ) from error
