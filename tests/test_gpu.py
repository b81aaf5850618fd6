"""What needs a GPU (make gpu): every kernel and pipeline on it, against the float64 references and the CPU."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import test_kernels as table
from kernel_rows import PULSE, ROWS, angles, levels, normal, quaternions, turned, waves

from fastmag import nvidia
from fastmag.errors import InputError
from fastmag.kernels import cpu, reference
from fastmag.pyramids import riesz, steerable

REASON = nvidia.why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")]

SHAPE = (3, 36, 36)
# Those of pipelines.py, which needs PyAV.
METHODS = (
    "pulse", "paper", "evm-color", "evm-motion", "phase-evm", "riesz", "vam-color", "vam-motion", "respiration",
)  # fmt: skip


@pytest.fixture(scope="module")
def cuda():
    from fastmag.kernels import cuda

    table.BACKENDS["cuda"] = cuda
    yield cuda
    del table.BACKENDS["cuda"]


@pytest.fixture(scope="module")
def cupy():
    import cupy

    return cupy


@pytest.mark.parametrize("row", ROWS, ids=table.label)
def test_kernel_equals_its_reference(cuda, row):
    table.test_kernel_equals_its_reference(row, "cuda")


def test_backends_have_the_same_doors(cuda):
    table.test_backends_have_the_same_doors("cuda")


def on_device(cupy, args: tuple, keep: tuple[int, ...] = ()) -> tuple:
    """Arguments with their arrays on the device, but for those that stay."""
    moves = [isinstance(arg, np.ndarray) and i not in keep for i, arg in enumerate(args)]
    return tuple(cupy.asarray(arg) if moved else arg for arg, moved in zip(args, moves, strict=True))


# Larger than any grid at one element a thread, and sizes of real frames. The error allowed is that against the CPU.
LARGE: list[tuple[str, tuple, float]] = [
    ("downsample_bicubic", (levels((1080, 1920, 3)), (36, 36)), 2e-4),
    ("downsample_gaussian", (levels((1080, 1920, 3)), (4, 4)), 2e-4),
    ("upsample_add", (levels((1080, 1920, 3)), normal((36, 36, 3), 9.0)), 1),
    ("upsample_scaled_add", (levels((1080, 1920)), levels((1080, 1920)), normal((36, 36), 0.1), -8.0), 1),
    ("local_light", (levels((1080, 1920)), normal((36, 36, 2)), normal((540, 960), 9.0), 0.0), 2e-3),
    ("luma", (levels((1080, 1920, 3)), (0.299, 0.587, 0.114)), 1e-4),
    ("add_change", (levels((1080, 1920, 3)), normal((1080, 1920), 60.0)), 1),
    ("normalized_difference", (np.abs(normal((900, 3888), 30.0, 128.0)), 4.0), 3e-7),
    ("undo_normalized_difference", (np.abs(normal((3888,), 30.0, 128.0)), normal((900, 3888), 3e-3), 4.0), 2e-4),
    ("bandpass", (normal((600, 5000)), PULSE), 4e-6),
    ("smooth_time", (normal((600, 5000)), 91), 2e-6),
    ("smooth_space", (normal((90, 240, 320)), 3.0), 4e-6),
    ("smooth_amplitude_weighted", (angles((2, 4, 240, 700), 3.0), np.abs(waves((2, 4, 240, 700))), 5.0), 2e-6),
    ("pyramid_down", (normal((1081, 1919)),), 2e-6),
    ("pyramid_up_add", (normal((1081, 1919)), normal((541, 960)), 2.0), 2e-6),
    ("displace", (levels((1080, 1920, 3)), normal((2, 128, 128), 3.0), (0.0, 0.0), (8.5, 15.1)), 1),
    ("riesz_amplitude", (quaternions((3, 2, 240, 320))[0],), 4e-6),
    ("accumulate_phase", (normal((90, 5000)), np.zeros(5000)), 1e-5),
    ("phase_difference", turned((8, 4, 240, 320)), 2e-6),
    ("shift_phase", (waves((8, 4, 240, 320)), angles((8, 4, 240, 320), 3.2), 20.0), 6e-5),
    ("amplitude", (waves((8, 4, 240, 320)), False), 2e-6),
    ("steerable_analysis", (normal((8, 480, 640)), steerable((480, 640))), 2e-6),
    ("steerable_analysis", (normal((3, 333, 444)), riesz((333, 444))), 2e-6),
]


@pytest.mark.parametrize("row", LARGE, ids=table.label)
def test_large_arrays_on_the_device_equal_the_cpu(cuda, cupy, row):
    name, args, tolerance = row
    exact = getattr(cpu, name)(*table.copies(args))
    found = getattr(cuda, name)(*on_device(cupy, args, (1,) if name == "bandpass" else ()))
    for a, b in zip(table.parts(exact), table.parts(found), strict=True):
        assert isinstance(b, cupy.ndarray), "device arrays stay there"
        wrong = np.abs(cupy.asnumpy(b) - a.astype(np.complex128 if a.dtype.kind == "c" else np.float64))
        assert wrong.max() <= tolerance
        if a.dtype.kind == "u":
            assert (wrong > 0).mean() < 1e-4, "levels differ only where a sum lies on a half"


def test_the_result_may_be_written_over_the_input(cuda, cupy):
    for name, x, rest in [
        ("bandpass", normal((70, 411)), (PULSE,)), ("smooth_time", normal((70, 411)), (9,)),
        ("smooth_space", normal((9, 20, 600)), (1.2,)), ("upsample_add", levels((60, 70)), (normal((5, 6), 9.0),)),
    ]:  # fmt: skip
        expected, over = getattr(cuda, name)(x, *rest), cupy.asarray(x)
        assert getattr(cuda, name)(over, *rest, out=over) is over
        np.testing.assert_array_equal(cupy.asnumpy(over), expected)


def test_every_run_gives_the_same_bits(cuda):
    """A result that moves from run to run is a race."""
    X, maps, frame = normal((70, 4111)), normal((30, 64, 700)), levels((480, 641, 3))
    for kernel, args in [
        (cuda.ascend_step, (X, X, 0.1, "l1")), (cuda.smooth_space, (maps, 4.0)), (cuda.bandpass, (X, PULSE)),
        (cuda.downsample_bicubic, (frame, (36, 36))), (cuda.upsample_add, (frame, normal((36, 36, 3), 9.0))),
    ]:  # fmt: skip
        first, *others = (kernel(*table.copies(args)) for _ in range(6))
        for other in others:
            np.testing.assert_array_equal(other, first)


def test_streams_order_the_work(cuda, cupy):
    """On a stream of the caller's, the next kernel sees what the last one wrote."""
    X = normal((300, 36, 36, 3), 1.0, 128.0)
    expected = cpu.undo_normalized_difference(X[0], cpu.normalized_difference(X, 4.0), 4.0)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        there = cupy.asarray(X)
        steps = cuda.normalized_difference(there, 4.0)
        frames = cuda.undo_normalized_difference(there[0], steps, 4.0)
        stream.synchronize()
    np.testing.assert_allclose(cupy.asnumpy(frames), expected, atol=1e-3)


def test_arrays_of_other_libraries_come_and_go_without_a_copy(cuda, cupy):
    torch = pytest.importorskip("torch", reason="needs PyTorch with CUDA")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    frame = levels((480, 640, 3))
    there = torch.from_numpy(frame).cuda()
    found = cuda.downsample_bicubic(there, (36, 36))
    assert isinstance(found, cupy.ndarray)
    np.testing.assert_allclose(torch.from_dlpack(found).cpu(), cpu.downsample_bicubic(frame, (36, 36)), atol=2e-4)
    room = torch.empty(frame.shape, dtype=torch.uint8, device="cuda")
    result = cuda.add_change(there, torch.zeros((480, 640), device="cuda"), out=room)
    assert result is room and torch.equal(room, there)


def test_little_device_memory_means_smaller_batches_then_a_clear_error(cuda, cupy):
    frames, plan = normal((16, 240, 320)), steerable((240, 320))
    expected, pool = cuda.steerable_analysis(frames, plan), cupy.get_default_memory_pool()
    pool.free_all_blocks()
    try:
        pool.set_limit(size=pool.used_bytes() + 60 * frames[:1].nbytes)
        for a, b in zip(expected, cuda.steerable_analysis(frames, plan), strict=True):
            np.testing.assert_allclose(b, a, atol=1e-6)
        pool.set_limit(size=pool.used_bytes() + (1 << 16))
        with pytest.raises(InputError, match="the GPU is out of memory in steerable_analysis"):
            cuda.steerable_analysis(frames, plan)
    finally:
        pool.set_limit(size=0)


def work_of_another(seed: int) -> float:
    from fastmag.kernels import cuda

    frames = np.random.default_rng(seed).integers(0, 256, (8, 240, 320, 3), np.uint8)
    exact = np.stack([reference.downsample_bicubic(frame, (36, 36)) for frame in frames])
    return max(float(np.abs(cuda.downsample_bicubic(frames, (36, 36)) - exact).max()) for _ in range(20))


def test_two_processes_share_one_gpu():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert max(pool.map(work_of_another, [1, 2])) < 1e-4


@pytest.fixture(scope="module")
def engine():
    import onnxruntime

    from fastmag import models
    from fastmag.providers import Network
    from fastmag.providers.cuda import Cuda

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime ({onnxruntime.__version__}) has no CUDA provider: install onnxruntime-gpu")
    return Cuda(Network(Path(models.path("pulse_gradient")).read_bytes(), "the network", SHAPE), "fp32")


def test_the_gradient_and_the_ascent_equal_the_cpus(cuda, cupy, engine):
    from fastmag import models
    from fastmag.ascent import ascend
    from fastmag.gradients import InputGradient
    from fastmag.providers.cuda import DeviceGradient

    truth = InputGradient(models.path("pulse_gradient"), expect=SHAPE, provider="cpu")
    X = np.random.default_rng(3).normal(0, 3e-3, (engine.samples + 7, *SHAPE)).astype(np.float32)
    y, G = DeviceGradient(engine)(cupy.asarray(X))
    exact_y, exact_G = truth.gradient(X)
    np.testing.assert_allclose(cupy.asnumpy(y), exact_y, atol=1e-3 * np.abs(exact_y).max())
    # A ReLU on its kink flips a sample's gradient: most samples must agree closely, not all.
    off = np.abs(cupy.asnumpy(G) - exact_G).reshape(len(X), -1).max(1) / np.abs(exact_G).reshape(len(X), -1).max(1)
    assert np.median(off) < 1e-4 and np.quantile(off, 0.95) < 1e-2
    step = {"step_size": 6e-5, "n_steps": 20, "rule": "sign"}
    moved = ascend(cupy.asarray(X), DeviceGradient(engine), cuda, **step)
    change, exact = cupy.asnumpy(moved) - X, ascend(X, truth.gradient, cpu, **step) - X
    assert np.median(np.abs(change - exact)) < 0.01 * np.abs(exact).mean()


@pytest.mark.parametrize("count", [1, 20, 64, 100])
@pytest.mark.parametrize(("model", "shape"), [("pulse_gradient", SHAPE), ("respiration_gradient", (4, 128, 128))])
def test_networks_answer_as_on_the_cpu(engine, model, shape, count):
    from fastmag import models
    from fastmag.gradients import InputGradient

    X = np.random.default_rng(count).normal(0, 3e-3, (count, *shape)).astype(np.float32)
    truth, here = (InputGradient(models.path(model), expect=shape, provider=provider) for provider in ("cpu", "cuda"))
    exact_y, exact_G = truth.gradient(X)
    y, G = here.gradient(X)
    for answer in (y, here.predict(X)):
        np.testing.assert_allclose(answer, exact_y, atol=1e-3 * np.abs(exact_y).max())
    assert np.median(np.abs(G - exact_G)) < 1e-3 * np.abs(exact_G).mean()


def test_a_pulse_is_magnified_with_the_network_on_the_card(engine, cuda):
    pytest.importorskip("av", reason="pipelines need PyAV")
    from conftest import beating_frames

    import fastmag

    frames = beating_frames()
    here = fastmag.magnify(frames, fps=30, backend="cuda", provider="cuda").astype(int)
    difference = np.abs(here - fastmag.magnify(frames, fps=30, backend="cpu", provider="cpu"))
    assert difference.max() <= 2 and (difference > 0).mean() < 0.03


@pytest.mark.parametrize("method", METHODS)
def test_pipeline_equals_the_cpus(cuda, method):
    pytest.importorskip("av", reason="pipelines need PyAV")
    from pipelines import check_backends_agree

    check_backends_agree(method)
