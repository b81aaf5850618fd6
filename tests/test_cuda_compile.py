"""Every CUDA kernel compiles for every target without a GPU: no spills, no local memory, float32 stays float32."""

from __future__ import annotations

import contextlib
import copy
import inspect
import operator
import os

import numpy as np
import pytest

from fastmag import nvidia
from fastmag.kernels import reference

pytest.importorskip("cupy", reason="needs CuPy: pip install 'fastmag[cuda]'")
pytest.importorskip("numba_cuda", reason="needs numba-cuda with CUDA 13: pip install 'fastmag[cuda]'")
if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
    pytest.skip("the simulator compiles nothing", allow_module_level=True)

from strict_arrays import KNOWN

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


def test_numpys_functions_upon_cupys_arrays_are_cupys():
    """As pipelines call them: each gets as far as a machine without a GPU lets it, and none stumbles before."""
    import cupy

    with contextlib.suppress(nvidia.Unusable):
        pytest.skip(f"{nvidia.find()} would read these arrays, and nothing is there; the pipelines' tests do it better")
    memory = cupy.cuda.MemoryPointer(cupy.cuda.UnownedMemory(1 << 20, 1 << 20, None, 0), 0)
    x, c, i = (cupy.ndarray((2, 4, 4), dtype, memory) for dtype in (np.float32, np.complex64, np.int64))
    calls = {
        "asarray": lambda: np.asarray(np.ones(3), like=x), "clip": lambda: np.clip(x, -np.float32(1), np.float32(1)),
        "concatenate": lambda: np.concatenate([x, x], axis=-1), "einsum": lambda: np.einsum("tkh,tkh->th", x, x),
        "empty_like": lambda: np.empty_like(c, np.float32, shape=(2, 9)), "roll": lambda: np.roll(x, -1, 2),
        "may_share_memory": lambda: cupy.may_share_memory(x, i) and x + x, "stack": lambda: np.stack([x, x], axis=-3),
        "pad": lambda: np.pad(x, ((0, 0), (1, 1), (2, 2)), mode="reflect"), "take": lambda: np.take(x.reshape(-1), i),
        "rot90": lambda: np.rot90(x, 3, axes=(-2, -1)) + x, "tensordot": lambda: np.tensordot(x[:, 0, 0], x, 1),
        "where": lambda: np.where(x < np.float32(1), np.float32(0), x), "zeros_like": lambda: np.zeros_like(x, float),
        "a scalar's product": lambda: np.float64(2) * x, "a copy": lambda: copy.deepcopy(((x,), [x])),
        "a matrix product": lambda: x @ x, "a logarithm": lambda: np.log1p(x), "places": lambda: i - x,
    }  # fmt: skip
    assert set(calls) >= KNOWN
    for name, call in calls.items():
        with pytest.raises((cupy.cuda.runtime.CUDARuntimeError, ImportError)) as caught:
            call()
        assert caught.type is not ImportError or "cublas" in str(caught.value), name
    part = cupy.ndarray((1, 50), np.float32, memory)[0, 5:37].reshape(1, 2, 4, 4)
    assert part.flags.c_contiguous and part.data.ptr == (1 << 20) + 20, "a view, not a copy"


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
