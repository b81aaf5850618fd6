"""The spool: the same rows in memory and on disk."""

import errno
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastmag
from fastmag import spool as module
from fastmag.errors import DiskSpace, InputError
from fastmag.spool import Spool, check_room

Usage = namedtuple("Usage", "total used free")


@settings(max_examples=40, deadline=None)
@given(blocks=st.lists(st.integers(1, 9), min_size=1, max_size=8), budget=st.integers(0, 600), seed=st.integers(0, 99))
def test_rows_come_back_whatever_the_budget(blocks, budget, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(sum(blocks), 2, 3)).astype(np.float32)
    with Spool((2, 3), budget=budget) as spool:
        for block in np.split(rows, np.cumsum(blocks)[:-1]):
            spool.append(block)
        assert len(spool) == len(rows)
        assert spool.on_disk == (rows.nbytes > budget)
        np.testing.assert_array_equal(spool.read(0, len(rows)), rows)
        start = seed % len(rows)
        spool.write(start, rows[start:] * 2)
        np.testing.assert_array_equal(spool.read(start, len(rows)), rows[start:] * 2)
        np.testing.assert_array_equal(spool.read(0, start), rows[:start])


def test_one_row_at_a_time_and_rows_that_are_not_there():
    with Spool((3,), budget=24) as spool:
        for i in range(5):
            spool.append(np.full(3, i))
        assert spool.on_disk
        np.testing.assert_array_equal(spool.read(3, 5)[:, 0], [3, 4])
        with pytest.raises(IndexError):
            spool.read(4, 6)


@pytest.fixture
def disk(monkeypatch):
    """A disk with so many bytes free."""

    def with_free(free):
        monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: Usage(1 << 50, 0, free))

    return with_free


@pytest.mark.filterwarnings("error")
def test_room_on_the_disk_is_looked_at_beforehand(disk):
    disk(60_000_000_000)
    check_room(900_000_000)
    with pytest.warns(DiskSpace, match=r"up to 43\.2 GB of temporary files in .* has 60\.0 GB free"):
        check_room(43_200_000_000)
    with pytest.raises(InputError, match=r"61\.0 GB .* 60\.0 GB free: eat less, or .*TMPDIR") as refused:
        check_room(61_000_000_000, "eat less")
    assert "\n" not in str(refused.value)
    disk(0)
    check_room(module.BUDGET)  # stays in memory


@pytest.mark.parametrize(("method", "remedy"), [("phase-evm", "butterworth"), ("riesz", "butterworth"),
                                                 ("vam-motion", "shorter clip"), ("evm-motion", None)])  # fmt: skip
def test_a_clip_that_does_not_fit_on_the_disk_is_refused_before_work(disk, method, remedy):
    disk(1_000_000)
    frames = np.zeros((400, 64, 96, 3), np.uint8)
    stages = []
    if remedy:
        with pytest.raises(InputError, match=f"temporary files .* 1 MB free: .*{remedy}"):
            fastmag.magnify(frames, method=method, fps=30, progress=lambda *said: stages.append(said))
        assert not stages
    else:
        assert len(fastmag.magnify(frames, method=method, fps=30)) == 400  # one pass: no files


def test_a_disk_that_fills_up_is_said_in_one_line():
    class Full:
        def seek(self, at):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(InputError, match=r"no room left for temporary files in .*TMPDIR"),
        Spool((3,), budget=0) as spool,
    ):
        spool._move_to_disk()
        spool._file.close()
        spool._file = Full()
        spool.append(np.zeros(3))
