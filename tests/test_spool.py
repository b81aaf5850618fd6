"""The spool: the same rows in memory and on disk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastmag.spool import Spool


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
