"""Whole series of a spool, in memory and on disk."""

import numpy as np
import pytest

from fastmag.columns import LEAST, along_time
from fastmag.spool import Spool


@pytest.mark.parametrize("count", [1, 255, 256, 700])
@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_every_series_is_changed_as_a_whole(count, budget, monkeypatch):
    monkeypatch.setattr("fastmag.columns.BLOCK_BYTES", 1)  # narrow blocks, the last one narrower
    rows = np.random.default_rng(count).normal(size=(count, 3, 7)).astype(np.float32)
    seen = []

    def running_sum_backwards(series):
        seen.append(series.shape)
        return series[::-1].cumsum(axis=0)

    with Spool((3, 7), budget=budget) as spool:
        spool.append(rows)
        along_time(spool, running_sum_backwards)
        np.testing.assert_allclose(spool.read(0, count), rows[::-1].cumsum(axis=0), atol=1e-4)
        assert spool.on_disk == (budget == 0)
    assert len(seen) == -(-21 // LEAST) and all(shape[0] == count for shape in seen)
