"""Every CUDA kernel compiles for every target without a GPU: no spills, no local memory, float32 stays float32."""

from __future__ import annotations

import inspect
import operator
import os

import pytest

from fastmag.kernels import reference

pytest.importorskip("cupy", reason="needs CuPy: pip install 'fastmag[cuda]'")
pytest.importorskip("numba_cuda", reason="needs numba-cuda with CUDA 13: pip install 'fastmag[cuda]'")
if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
    pytest.skip("the simulator compiles nothing", allow_module_level=True)

from fastmag.kernels import cuda
from fastmag.kernels.cuda import _jit, report


@pytest.mark.parametrize("kernel", _jit.KERNELS, ids=lambda kernel: kernel.name)
def test_no_spills_on_any_target(kernel):
    """Every kernel for every target; for those after the first, one of its signatures speaks for all."""
    for target in report.TARGETS:
        for signature in kernel.signatures[: None if target == report.TARGETS[0] else 1]:
            one = report.compiled(kernel, signature, target)
            assert not one.faults, f"{one}: {'; '.join(one.faults)}"
            assert 16 <= one.registers <= 255


def test_backends_have_the_same_doors():
    assert cuda.__all__ == reference.__all__
    for name in reference.__all__:
        assert inspect.signature(getattr(cuda, name)) == inspect.signature(getattr(reference, name))


def test_cupy_has_what_is_asked_of_it():
    """Names that are first used on a card."""
    import cupy
    import cupyx

    for name in (
        "cuda.runtime.memcpyAsync", "cuda.runtime.memGetInfo", "cuda.Event", "cuda.Stream.begin_capture",
        "cuda.Stream.end_capture", "cuda.Stream.wait_event", "cuda.graph.Graph.launch", "cuda.MemoryPool",
        "cuda.using_allocator", "cuda.get_current_stream", "cuda.memory.OutOfMemoryError", "from_dlpack",
    ):  # fmt: skip
        assert operator.attrgetter(name)(cupy) is not None
    assert callable(cupyx.empty_pinned)
    assert cuda.Lanes.pinned.__doc__ and issubclass(cupy.cuda.runtime.CUDARuntimeError, Exception)


def test_the_gate_sees_spills_local_memory_and_doubles():
    """An array indexed at run time goes to memory, and a bare literal makes a float32 kernel compute in float64."""
    from numba import cuda as numba_cuda
    from numba import float32

    def careless(x, at, out):
        room = numba_cuda.local.array(64, float32)
        for k in range(64):
            room[k] = x[k]
        i = numba_cuda.grid(1)
        out[i] = room[at[i]] * 1.1

    kernel = _jit.Kernel(careless, ("void(float32[::1], int32[::1], float32[::1])",), doubles=False)
    faults = "; ".join(report.compiled(kernel, kernel.signatures[0], (9, 0)).faults)
    assert "bytes of local memory" in faults and "float64 instructions" in faults


def test_products_that_must_cancel_are_not_contracted():
    """`scalars.crossed` of equal products is exactly 0 only where both are rounded by themselves."""
    from unittest import mock

    from numba import cuda as numba_cuda
    from numba.cuda import dispatcher

    def lone(a, b, c, d, out):
        out[0] = _jit.crossed(a, b, c, d)

    device = mock.Mock(compute_capability=(9, 0))
    with mock.patch.object(dispatcher, "get_current_device", lambda: device):
        code, _ = numba_cuda.compile(
            lone, "void(float32, float32, float32, float32, float32[::1])", device=False, cc=(9, 0), abi="numba"
        )
    assert code.count("mul.rn.f32") == 2 and "fma" not in code
