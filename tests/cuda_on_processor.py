"""The CUDA backend on frames of real size and in whole pipelines: its kernels' bodies compiled for the processor.

Run by test_cuda_simulator.py in a process of its own, with NUMBA_ENABLE_CUDASIM=1, which stands NumPy for CuPy.
"""

from __future__ import annotations

import on_processor
import pytest
import test_kernels as table
from kernel_rows import ROWS
from pipelines import METHODS, check_backends_agree

from fastmag import backends
from fastmag.kernels import cuda
from fastmag.kernels.cuda import _jit


@pytest.fixture(autouse=True, scope="module")
def on_the_processor():
    table.BACKENDS["cuda"] = cuda
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_jit.Kernel, "_launch", on_processor.launch)
        patch.setattr(backends, "why_not", lambda name: None)
        yield


@pytest.mark.parametrize("row", ROWS, ids=table.label)
def test_kernel_equals_its_reference(row):
    table.test_kernel_equals_its_reference(row, "cuda")


@pytest.mark.parametrize("method", METHODS)
def test_pipeline_equals_the_cpus(method):
    check_backends_agree(method)
