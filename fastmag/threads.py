"""Work done beside: items made in advance, and calls made afterwards, each in a thread of its own and in order."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

POLL = 0.1  # seconds after which a waiting thread looks whether anybody is still interested
_END = object()


def ahead(items: Iterator[T], count: int) -> Generator[T]:
    """The same items in the same order, made by a thread up to `count` before they are asked for.

    What making them raises comes where the item would have come. Left early, or done, the thread is gone when this
    ends, and a generator given as `items` is closed.
    """
    made: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    enough = threading.Event()

    def put(item: Any, error: BaseException | None) -> bool:
        while not enough.is_set():
            with contextlib.suppress(queue.Full):
                made.put((item, error), timeout=POLL)
                return True
        return False

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not put(item, None):
                    break
        except BaseException as fault:  # it is raised again where somebody can do something about it
            error = fault
        finally:
            getattr(items, "close", lambda: None)()
            put(_END, error)

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        enough.set()
        thread.join()


class Behind:
    """Calls made one after the other by a thread, while up to `count` more wait.

    What a call raises comes out of the next `put`, or of `finish`; calls after it are not made.
    """

    def __init__(self, call: Callable[..., object], count: int) -> None:
        self._call = call
        self._waiting: queue.Queue[tuple | None] = queue.Queue(count)
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)
        self._thread.start()

    def put(self, *args: Any) -> None:
        """Have the call made with these arguments, in its turn."""
        self._raise()
        self._waiting.put(args)

    def finish(self) -> None:
        """Wait until all calls are made."""
        self._end()
        self._raise()

    def stop(self) -> None:
        """Drop the calls that wait; returns when the one under way is over."""
        self._dropped = True
        self._end()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (args := self._waiting.get()) is not None:
            if self._error is None and not self._dropped:
                try:
                    self._call(*args)
                except BaseException as fault:  # it is raised again by whoever puts or finishes
                    self._error = fault
