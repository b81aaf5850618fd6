"""Arithmetic and indices of the CUDA kernels without a GPU: their table test in Numba's simulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

LEAST = 140  # tests that must have run


def test_kernels_in_the_simulator():
    """The simulator is chosen when Numba is imported, and cannot be left again."""
    file = Path(__file__).with_name("cuda_in_simulator.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", str(file)],
        cwd=file.parents[1],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed.group(1)) >= LEAST, done.stdout[-500:]
