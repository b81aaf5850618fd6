"""What stands in Numba's simulator for things that only a GPU has."""

from __future__ import annotations

import numpy as np


class Array(np.ndarray):
    """An array in device memory, so that host arrays are told apart as they are on a GPU."""


class Exhausted(Exception):
    """CuPy's OutOfMemoryError."""


class Lost(Exception):
    """The errors of the driver."""
