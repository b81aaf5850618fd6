"""The CUDA kernels in Numba's simulator (NUMBA_ENABLE_CUDASIM): test_cuda_simulator.py runs it in its own process.

Launch limits and tiles are cut down, so that small inputs cross every stride and every edge of a tile.
"""

from __future__ import annotations

import inspect
import threading
import types

import fibers
import numpy as np
import pytest
import test_kernels as table
from kernel_rows import BREATH, PULSE, ROWS, angles, bright, levels, normal, quaternions, subbands, turned, waves

from fastmag.errors import InputError
from fastmag.kernels import cuda, reference
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda import _door, _jit, resample, smooth
from fastmag.pyramids import riesz, steerable

MOST = 300  # numbers in a row of the common table that is taken over


def numbers(args: object) -> int:
    if isinstance(args, tuple):
        return sum(map(numbers, args))
    return args.size if isinstance(args, np.ndarray) else 0


# Small, but more than two blocks of seven threads, more than one chunk, tile, strip or span, in every direction.
SMALL: list[tuple[str, tuple, float]] = [
    ("downsample_bicubic", (levels((9, 47, 3)), (2, 5)), 1e-4),
    ("downsample_bicubic", (levels((7, 50), np.uint16, 1023), (3, 20)), 4e-4),
    ("downsample_gaussian", (levels((9, 47, 3)), (1, 3)), 1e-4),
    ("upsample_add", (levels((35, 20)), normal((3, 4), 9.0)), 0),
    ("upsample_add", (levels((19, 7, 3)), normal((3, 2, 3), 60.0), 16, 235, (8, 4)), 0),
    ("upsample_add", (levels((5, 33), np.uint16, 65535), normal((7, 5), 900.0), 0, 65535), 0),
    ("upsample_scaled_add", (levels((34, 11)), levels((34, 11)), normal((3, 2), 0.1), -8.0), 0),
    (
        "upsample_scaled_add",
        (levels((6, 9), np.uint16, 1023), levels((6, 9), np.uint16, 1023), normal((2, 3), 0.2), -64.0, 64, 940),
        0,
    ),
    ("displace", (levels((9, 17, 3)), normal((2, 3, 4), 3.0), (1.0, -2.0), (4.0, 3.5)), 1),
    ("displace", (levels((3, 31), np.uint16, 1023), normal((2, 2, 2), 3.0), (0.0, 0.0), (4.0, 9.0), 1023), 1),
    ("local_light", (levels((9, 17, 3)), normal((2, 3, 4)), normal((5, 9), 9.0), 0.0), 1e-3),
    ("local_light", (levels((9, 17), np.uint16, 1023), normal((2, 3, 2))), 4e-3),
    ("luma", (levels((6, 9, 3), np.uint16), (0.299, 0.587, 0.114)), 1e-4),
    ("add_change", (levels((7, 5, 3)), normal((7, 5), 60.0), 16, 235), 0),
    ("add_change", (levels((7, 5, 3), np.uint16, 1023), normal((7, 5, 3), 300.0), 64, 940), 0),
    ("normalized_difference", (bright((5, 23)), 4.0), 3e-7),
    ("undo_normalized_difference", (bright((33,)), normal((9, 33), 0.003), 4.0), 3e-5),
    ("ascend_step", (normal((3, 40)), normal((3, 40), 0.1), 0.01, "sign", None), 1e-6),
    ("bandpass_forward", (normal((9, 31), 1.0, 3.0), PULSE, np.ones((3, 2, 31))), 2e-6),
    ("bandpass_backward", (normal((9, 31), 1.0, 3.0), BREATH, np.ones((1, 2, 31))), 2e-6),
    ("bandpass", (normal((9, 31), 1.0, 3.0), PULSE), 2e-6),
    ("smooth_time", (normal((17, 20), 1.0, 3.0), 5), 1e-6),
    ("smooth_space", (normal((2, 3, 60), 1.0, 3.0), 1.0), 3e-6),
    ("smooth_amplitude_weighted", (angles((1, 4, 55), 3.0), np.abs(waves((1, 4, 55))), 2.0), 1e-6),
    ("accumulate_phase", (normal((7, 33)), np.ones((33,))), 4e-6),
    ("pyramid_down", (normal((9, 33), 1.0, 3.0),), 2e-6),
    ("pyramid_up_add", (normal((8, 33)), normal((4, 17)), 2.0), 2e-6),
    ("phase_difference", turned((3, 37)), 7e-7),
    ("shift_phase", (waves((41,)), angles((41,), 3.2), 1.0), 2e-6),
    ("amplitude", (waves((41,)), False), 2e-6),
    ("riesz_difference", quaternions((3, 2, 4, 9)), 5e-6),
    ("riesz_shift", (quaternions((3, 2, 4, 9))[0], angles((3, 2, 4, 9), 2.2), 1.0), 2e-6),
    ("riesz_amplitude", (quaternions((3, 2, 4, 9))[0],), 2e-6),
    ("steerable_analysis", (normal((2, 17, 24)), steerable((17, 24), orientations=2), None), 8e-7),
    ("steerable_synthesis", subbands((2, 17, 24), steerable((17, 24), orientations=2), [0, 1]), 1.5e-6),
    ("steerable_analysis", (normal((1, 8, 8)), riesz((8, 8)), None), 8e-7),
]


@pytest.fixture(autouse=True, scope="module")
def cut_down():
    """Two blocks of seven threads along every axis."""
    table.BACKENDS["cuda"] = cuda
    with pytest.MonkeyPatch.context() as patch:
        for module, name, value in [
            (_jit, "THREADS", 7), (_jit, "BLOCKS", 2), (resample, "CHUNK", 41), (smooth, "CHUNK", 48),
            (smooth, "SPAN", 5),
        ]:  # fmt: skip
            patch.setattr(module, name, value)
        yield


@pytest.mark.parametrize("row", [*(row for row in ROWS if numbers(row[1]) <= MOST), *SMALL], ids=table.label)
def test_kernel_equals_its_reference(row):
    table.test_kernel_equals_its_reference(row, "cuda")


BARRIERS = ("ascend_step", "downsample_bicubic", "downsample_gaussian", "smooth_space", "smooth_amplitude_weighted")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("row", [row for row in SMALL if row[0] in BARRIERS], ids=table.label)
def test_no_barrier_is_missing(row, backwards, monkeypatch):
    """Each thread runs as far ahead of the others as barriers let it; shared memory is poisoned."""
    launches = []

    def launch(self, grid, threads, args):
        launches.append(self.name)
        fibers.launch(self.function, grid, threads, tuple(map(device.handle, args)), backwards)

    monkeypatch.setattr(_jit.Kernel, "_launch", launch)
    table.test_kernel_equals_its_reference(row, "cuda")
    assert launches


def test_a_missing_or_uneven_barrier_is_noticed():
    def careless(out, sync):
        line = cuda.shared.array(4, "float32")
        line[cuda.threadIdx.x] = cuda.threadIdx.x
        if sync and cuda.threadIdx.x < sync:
            cuda.syncthreads()
        out[cuda.threadIdx.x] = line[3 - cuda.threadIdx.x]

    for sync, right in [(4, True), (0, False)]:
        for backwards in (False, True):
            out = np.zeros(4, np.float32)
            fibers.launch(careless, (1,), (4,), (out, sync), backwards)
            assert (out.tolist() == [3, 2, 1, 0]) is right
    with pytest.raises(AssertionError, match="not all threads"):
        fibers.launch(careless, (1,), (4,), (np.zeros(4, np.float32), 2), False)


def test_every_kernel_is_here():
    for name in reference.__all__:
        assert inspect.signature(getattr(cuda, name)) == inspect.signature(getattr(reference, name))
    assert {row[0] for row in SMALL} == set(reference.__all__)
    assert device.SIMULATED


def test_launches_are_those_that_the_report_compiles(monkeypatch):
    """A wrapper that launched other types would be compiled for the first time on the user's GPU."""
    from numba import typeof
    from numba.core import sigutils, types

    seen: dict[str, set] = {}

    def note(self, grid, threads, args):
        seen.setdefault(self.name, set()).add(tuple(typeof(device.handle(arg)) for arg in args))

    monkeypatch.setattr(_jit.Kernel, "_launch", note)
    for name, args, _ in SMALL:
        getattr(cuda, name)(*table.copies(args))
    known = {k.name: {sigutils.normalize_signature(s)[0] for s in k.signatures} for k in _jit.KERNELS}
    assert not set(seen) - set(known)
    for name, launched in seen.items():
        for arguments in launched:
            assert any(
                all(types.unliteral(a) == b for a, b in zip(arguments, signature, strict=True))
                for signature in known[name]
            ), f"{name} is launched with {arguments}, which no signature of it has"
    assert set(known) - set(seen) == {"temporal.stream[2]", "temporal.zero_phase[1]", "temporal.zero_phase[2]"}


def test_float64_frames_keep_their_precision():
    frames, plan = normal((1, 12, 9)).astype(np.float64), steerable((12, 9))
    exact_residual = np.empty((1, 12, 5), complex)
    exact = reference.steerable_analysis(frames, plan, residual=exact_residual)
    residual = np.empty((1, 12, 5), complex)
    found = cuda.steerable_analysis(frames, plan, residual=residual)
    for a, b in zip(exact, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-14)
    np.testing.assert_allclose(residual, exact_residual, atol=1e-14)
    np.testing.assert_allclose(cuda.steerable_synthesis(found, plan, residual=residual), frames, atol=1e-14)


def test_batches_of_frames_are_their_frames():
    frames, change = levels((3, 9, 8, 3)), normal((3, 2, 3, 3), 20.0)
    calls = {
        "downsample_bicubic": (frames, (4, 3)),
        "downsample_gaussian": (frames, (1, 2)),
        "upsample_add": (frames, change),
        "luma": (frames, (0.3, 0.6, 0.1)),
        "local_light": (frames, normal((3, 2, 3, 4)), normal((3, 5, 4), 9.0)),
        "add_change": (frames, normal((3, 9, 8), 50.0)),
        "displace": (frames, normal((3, 2, 3, 3), 3.0), (0.0, 1.0), (4.0, 3.0)),
        "pyramid_down": (normal((3, 9, 8)),),
        "pyramid_up_add": (normal((3, 9, 8)), normal((3, 5, 4)), 2.0),
    }
    for name, (first, *rest) in calls.items():
        kernel = getattr(cuda, name)
        whole = kernel(first, *rest)
        for b in range(3):
            one = [x[b] if isinstance(x, np.ndarray) else x for x in rest]
            np.testing.assert_array_equal(whole[b], kernel(first[b], *one))


def test_device_arrays_stay_and_host_arrays_return(monkeypatch):
    X, state = normal((6, 9)), np.ones((3, 2, 9))
    expected = reference.bandpass_forward(X, PULSE, expected_state := state.copy())
    on_device, its_state = device.up(X), device.up(state)
    with monkeypatch.context() as patch:
        for name in ("up", "down"):
            patch.setattr(device, name, lambda *_: pytest.fail("an array on the device was copied"))
        device._doubles.cache_clear()
        patch.setattr(device, "doubles", lambda values: np.array(values).view(device.Array))
        there = cuda.bandpass_forward(on_device, PULSE, its_state)
    assert isinstance(there, device.Array)
    np.testing.assert_allclose(np.array(there), expected, atol=2e-6)
    np.testing.assert_allclose(np.array(its_state), expected_state, atol=1e-12)
    room = np.full(X.shape, np.nan, np.float32)
    here = cuda.bandpass_forward(X, PULSE, state, out=room)
    assert here is room and not isinstance(here, device.Array)
    np.testing.assert_allclose(here, expected, atol=2e-6)
    np.testing.assert_allclose(state, expected_state, atol=1e-12)
    assert cuda.ascend_step(X, X.copy(), 0.1, "l1") is X, "changed in place on the host, too"


def test_the_result_may_be_written_over_the_input():
    for name, x, rest in [
        ("bandpass", normal((7, 9)), (PULSE,)), ("smooth_time", normal((7, 9)), (3,)),
        ("smooth_space", normal((2, 5, 6)), (1.0,)), ("upsample_add", levels((9, 8)), (normal((3, 2), 9.0),)),
    ]:  # fmt: skip
        expected, over = getattr(cuda, name)(x, *rest), device.up(x)
        assert getattr(cuda, name)(over, *rest, out=over) is over
        np.testing.assert_array_equal(np.array(over), expected)


def test_anything_with_dlpack_is_taken():
    torch = pytest.importorskip("torch", reason="needs another library with DLPack")
    frame = levels((9, 8))
    found = cuda.downsample_bicubic(torch.from_numpy(frame), (3, 2))
    np.testing.assert_allclose(found, reference.downsample_bicubic(frame, (3, 2)), atol=1e-4)


def fails(count: int, error: type[Exception]):
    """A function that fails so often before it works, and how it was called."""
    calls: list[int] = []

    @_door.door(batch=("x", "y"))
    def work(x, y, out=None):
        calls.append(len(x))
        if len(calls) <= count:
            raise error("cudaErrorThing: of some kind")
        return x + y if out is None else np.add(x, y, out=out)

    return work, calls


def test_little_memory_means_smaller_batches():
    x, y = normal((5, 2, 3)), normal((5, 2, 3), 2.0)
    work, calls = fails(1, device.Exhausted)
    np.testing.assert_array_equal(work(x, y), x + y)
    assert calls == [5, 2, 3], "in halves"
    work, calls = fails(3, device.Exhausted)
    room = np.empty_like(x)
    assert work(x, y, out=room) is room
    np.testing.assert_array_equal(room, x + y)
    assert calls == [5, 2, 1, 1, 1, 3][: len(calls)] and calls[-1] == 3
    work, calls = fails(99, device.Exhausted)
    with pytest.raises(InputError, match=r"the GPU is out of memory in work .*use the backend cpu"):
        work(x, y)


def test_plans_of_all_levels_are_kept_and_given_back(monkeypatch):
    said = []
    config = types.SimpleNamespace(
        set_plan_cache_size=lambda size: said.append(size), clear_plan_cache=lambda: said.append("cleared")
    )
    pool = types.SimpleNamespace(free_all_blocks=lambda: said.append("freed"))
    card = types.SimpleNamespace(fft=types.SimpleNamespace(config=config), get_default_memory_pool=lambda: pool)
    monkeypatch.setattr(device, "SIMULATED", False)
    monkeypatch.setattr(device, "xp", card)
    monkeypatch.setattr(device, "_here", threading.local())
    assert device._transforms() is device._transforms() is device.fft
    device.release()
    assert said == [64, "cleared", "freed"]


def test_a_lost_device_is_said_in_one_line():
    work, _ = fails(1, device.Lost)
    with pytest.raises(InputError, match=r"the GPU failed in work .*run it again") as caught:
        work(normal((2, 3)), normal((2, 3)))
    assert "\n" not in str(caught.value)


def test_bad_arguments_are_refused_in_the_callers_terms():
    frame, X = levels((4, 4)), normal((3, 4))
    for match, call in [
        ("uint8 or uint16", lambda: cuda.downsample_bicubic(frame.astype(np.float32), (2, 2))),
        ("channels", lambda: cuda.upsample_add(frame, normal((2, 2, 3)))),
        ("rule must be one of", lambda: cuda.ascend_step(X, X, 0.1, "l2")),
        ("out must be", lambda: cuda.bandpass(device.up(X), PULSE, out=device.empty((4, 3)))),
        ("state must be", lambda: cuda.bandpass_forward(X, PULSE, np.zeros((3, 2, 5)))),
        ("odd", lambda: cuda.smooth_time(X, 4)),
        ("sigma must be", lambda: cuda.smooth_space(X[None], 900.0)),
        ("first", lambda: cuda.undo_normalized_difference(X[0, :3], X)),
    ]:
        with pytest.raises(InputError, match=match):
            call()
