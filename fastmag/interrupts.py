"""Ctrl-C that is not lost: where a library swallows the exception, the next step of the work raises it again."""

from __future__ import annotations

import signal

_pressed = False


def listen() -> None:
    """Remember Ctrl-C from now on; for the main thread of a command."""
    signal.signal(signal.SIGINT, _press)


def _press(*_) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt, once, where Ctrl-C has been pressed since the last time."""
    global _pressed
    if _pressed:
        _pressed = False
        raise KeyboardInterrupt
