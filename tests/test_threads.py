"""Items made in advance and calls made afterwards: order, bounds, and faults that come out where they are expected."""

from __future__ import annotations

import threading
import time

import pytest

from fastmag.threads import Behind, ahead


def running(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def test_items_come_in_order_and_not_too_early():
    made = []

    def items():
        for k in range(40):
            made.append(k)
            yield k

    given = ahead(items(), 3)
    assert next(given) == 0
    time.sleep(0.05)
    assert len(made) <= 5, "one given, three waiting, one in hand"
    assert list(given) == list(range(1, 40))
    assert not running("ahead")


def test_a_fault_comes_where_the_item_would_have():
    def items():
        yield from range(5)
        raise OSError("the disk is gone")

    found = []
    with pytest.raises(OSError, match="the disk is gone"):
        for k in ahead(items(), 2):
            found.append(k)
    assert found == list(range(5)) and not running("ahead")


def test_left_early_the_generator_is_closed():
    closed = []

    def items():
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    for k in ahead(items(), 2):
        if k == 4:
            break
    assert closed == ["ahead"] and not running("ahead")


def test_calls_are_made_in_order_and_all_of_them():
    done = []
    behind = Behind(lambda k: (time.sleep(0.001), done.append(k)), 4)
    for k in range(30):
        behind.put(k)
        assert k - len(done) <= 6, "four waiting, one under way"
    behind.finish()
    assert done == list(range(30)) and not running("behind")


def test_a_fault_comes_out_and_nothing_is_called_after_it():
    done = []

    def call(k):
        if k == 3:
            raise OSError("the disk is full")
        done.append(k)

    behind = Behind(call, 2)
    with pytest.raises(OSError, match="the disk is full"):
        for k in range(200):
            behind.put(k)
    with pytest.raises(OSError, match="the disk is full"):
        behind.finish()
    behind.stop()
    assert done == [0, 1, 2] and not running("behind")


def test_stopped_it_drops_what_waits():
    begun, go, done = threading.Event(), threading.Event(), []
    behind = Behind(lambda k: (begun.set(), go.wait(60), done.append(k)), 8)
    for k in range(6):
        behind.put(k)
    assert begun.wait(60), "the first call is under way"
    threading.Timer(0.05, go.set).start()
    behind.stop()
    assert done == [0] and not running("behind")
