"""Progress is drawn for people, reported to callbacks, and silent otherwise."""

import io
import sys

import pytest

from fastmag.progress import Progress


class Terminal(io.StringIO):
    def __init__(self, tty):
        super().__init__()
        self._tty = tty

    def isatty(self):
        return self._tty


def run(monkeypatch, tty, show):
    screen = Terminal(tty)
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(4, "work", show) as progress:
        for _ in range(4):
            progress.step()
        progress.label("more")
    return screen.getvalue()


def test_a_terminal_sees_a_bar_with_rate(monkeypatch):
    text = run(monkeypatch, True, True)
    assert "work" in text and "4/4" in text and "frame/s" in text


@pytest.mark.parametrize("tty, show", [(False, True), (True, False), (True, lambda done, total: None)])
def test_silent_elsewhere(monkeypatch, tty, show):
    assert run(monkeypatch, tty, show) == ""


def test_callback_hears_every_step(monkeypatch):
    heard = []
    run(monkeypatch, False, lambda done, total: heard.append((done, total)))
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_exception_in_the_callback_passes_through():
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Progress(2, show=stop) as progress:
        progress.step()
