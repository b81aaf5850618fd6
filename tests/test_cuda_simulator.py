"""The CUDA kernels without a GPU: in Numba's simulator, and their bodies compiled for the processor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# The tests of each file, and how many of them must have passed.
FILES = {"cuda_in_simulator.py": 150, "cuda_on_processor.py": 330}


@pytest.mark.parametrize("name", FILES)
def test_without_a_gpu(name):
    """Each in a process of its own: the simulator is chosen when Numba is imported, and cannot be left again."""
    file = Path(__file__).with_name(name)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", str(file)],
        cwd=file.parents[1],
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed.group(1)) >= FILES[name], done.stdout[-500:]
