"""Progress for people and for programs: a bar with rate and time left, or a callback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Callback = Callable[[int, int | None], object]


class Progress:
    """Counts `done` of `total` steps: a context manager.

    `show`: True draws a bar with rate and time left on standard error if that is a terminal, and is silent elsewhere;
    False is silent; a function is called as `show(done, total)` after each step instead. `total` None: unknown."""

    def __init__(self, total: int | None, label: str = "", show: bool | Callback = True, unit: str = "frame"):
        self.total, self.done = total, 0
        self._callback: Callback | None = show if callable(show) else None
        self._bar: Any = None
        if show is True and sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=label, unit=unit, dynamic_ncols=True, file=sys.stderr)

    def label(self, text: str) -> None:
        """Names what is being done now."""
        if self._bar is not None:
            self._bar.set_description(text)

    def step(self, n: int = 1) -> None:
        """`n` more steps are done."""
        self.done += n
        if self._bar is not None:
            self._bar.update(n)
        if self._callback is not None:
            self._callback(self.done, self.total)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Stages:
    """One bar per stage of a job: called as `stages(stage, done, total)`. A context manager.

    `show`: False, True (bars on a terminal), or a function of (stage, done, total) to call instead."""

    def __init__(self, show: bool | Callable[[str, int, int | None], object]):
        self._show, self._stage = show, ""
        self._bar: Progress | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        if callable(self._show):
            self._show(stage, done, total)
        elif self._show:
            if stage != self._stage or self._bar is None:
                self.close()
                self._bar, self._stage = Progress(total, stage), stage
            self._bar.step(done - self._bar.done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
