"""Which part of a video a before/after picture shows over time."""

import numpy as np

from fastmag.pictures import busiest


def test_the_column_and_the_rows_that_change():
    power = np.full((120, 160), 1e-6)
    power[90:96, 40] = 5.0
    column, (first, last) = busiest(power)
    assert column == 80
    assert first <= 180 and 192 <= last <= 240, "the rows that change are in it"
    assert 60 <= last - first <= 90, "a quarter of the height, and not much more"


def test_a_change_all_over_is_shown_whole():
    assert busiest(np.ones((50, 30)))[1] == (0, 100)
    assert busiest(np.zeros((50, 30)))[0] == 0
