"""What needs a GPU (make gpu), beyond kernels: overlap, graphs, the card's own video units, and a card that fails."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from block_views import VIEWS as MOTION
from block_views import Frame, Source, check_same_frames, check_view, one_pass, rendered

from fastmag import flow, nvidia, passes
from fastmag.coherent.local import SkinCells
from fastmag.color import Cells, LitCells, Picture
from fastmag.errors import InputError
from fastmag.kernels import cpu

REASON = nvidia.why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=f"no GPU: {REASON}")]

SHAPES = ((240, 322), (120, 161), (120, 161))
PICTURES = {
    "rgb": Picture("rgb", ((240, 322),)), "yuv": Picture("yuv", SHAPES, full_range=False),
    "region": Picture("yuv", SHAPES, rotation=90, roi=(5, 9, 133, 244)), "gbr": Picture("gbr", ((240, 322),) * 3),
    "yuv-10": Picture("yuv", SHAPES, bits=10, full_range=False),
}  # fmt: skip
STEP = {"step_size": 6e-5, "n_steps": 20, "rule": "sign"}


def planes_of(picture: Picture, count: int) -> list[tuple[np.ndarray, ...]]:
    random, dtype = np.random.default_rng(6), np.uint8 if picture.bits == 8 else np.uint16
    more = (3,) if picture.kind == "rgb" else ()
    return [tuple(random.integers(0, 1 << picture.bits, (*shape, *more), dtype) for shape in picture.shapes)
            for _ in range(count)]  # fmt: skip


def both_passes(view, planes, changes):
    """Cells of all frames, and all frames with changes; blank planes in the second pass where they were kept."""
    rows = [row.copy() for _, row in passes.represented((Frame(p, k / 30) for k, p in enumerate(planes)), view)]
    pairs = ((Frame(p, k / 30), c) for k, (p, c) in enumerate(zip(planes, changes, strict=True)))
    whole = [tuple(map(np.copy, frame.planes)) for frame in passes.reconstructed(pairs, view)]
    return rows, whole


@pytest.fixture(scope="module")
def cuda():
    from fastmag.kernels import cuda

    return cuda


@pytest.mark.parametrize("view", [Cells, LitCells, SkinCells])
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_overlapped_blocks_equal_the_cpus_frames(cuda, view, picture, monkeypatch):
    monkeypatch.setattr(flow, "MOST", 7)
    planes = planes_of(picture, 40)
    shape, scale = (36, 36, 7 if view is SkinCells else 3), 9 if view is Cells else 0.05
    changes = [np.random.default_rng(k).normal(0, scale, shape).astype(np.float32) for k in range(40)]
    here = view(picture, cpu)
    rows, whole = both_passes(view(picture, cuda), planes, changes)
    for k, p in enumerate(planes):
        np.testing.assert_allclose(rows[k], here.represent(p), atol=2e-3)
        for got, want in zip(whole[k], here.reconstruct(p, changes[k]), strict=True):
            apart = np.abs(got.astype(int) - want)
            assert apart.max() <= 1 and (apart > 0).mean() < 2e-3
    again = both_passes(view(picture, cuda), planes, changes)
    for one, other in zip(whole, again[1], strict=True):
        assert all(map(np.array_equal, one, other)), "a result that moves from run to run is a race"


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("view", MOTION)
def test_motion_in_blocks_equals_the_cpus_frames(cuda, view, picture, monkeypatch):
    monkeypatch.setattr(flow, "MOST", 3)
    check_view(view, picture, cuda, cpu)


@pytest.mark.parametrize("rendering", ["warp", "phase"])
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_breathing_in_blocks_equals_the_cpus_frames(cuda, picture, rendering, monkeypatch):
    pytest.importorskip("av", reason="what renders breathing needs PyAV")
    monkeypatch.setattr(flow, "MOST", 3)
    source = Source(picture, 11)
    (rows, found), (exact, expected) = (rendered(picture, rendering, ops, source) for ops in (cuda, cpu))
    np.testing.assert_allclose(rows, exact, atol=2e-3)
    check_same_frames(found, expected, source, 5e-3)


def test_motion_with_little_memory_is_the_same(cuda):
    """What a filter remembers goes back where a block has to be tried again with fewer frames."""
    import cupy

    pool, source = cupy.get_default_memory_pool(), Source(PICTURES["rgb"], 24)
    expected = one_pass(MOTION["phase"](source.picture, cuda), source)
    pool.free_all_blocks()
    try:
        pool.set_limit(size=pool.used_bytes() + 10 * MOTION["phase"](source.picture, cuda).each)
        found = one_pass(MOTION["phase"](source.picture, cuda), source)
    finally:
        pool.set_limit(size=0)
    check_same_frames(found, expected, source)


def test_little_memory_means_smaller_blocks(cuda):
    import cupy

    pool, picture = cupy.get_default_memory_pool(), PICTURES["rgb"]
    planes = planes_of(picture, 70)
    changes = [np.zeros((36, 36, 3), np.float32)] * 70
    frame = planes[0][0].nbytes
    pool.free_all_blocks()
    try:
        pool.set_limit(size=pool.used_bytes() + 40 * frame)
        _, whole = both_passes(Cells(picture, cuda), planes, changes)
        assert all(np.array_equal(a[0], b[0]) for a, b in zip(whole, planes, strict=True))
        pool.set_limit(size=pool.used_bytes() + (1 << 16))
        with pytest.raises(InputError, match="the GPU is out of memory"):
            both_passes(Cells(picture, cuda), planes, changes)
    finally:
        pool.set_limit(size=0)


@pytest.mark.parametrize("method", ["pulse", "evm-color", "evm-motion", "riesz"])
def test_frames_in_device_memory_are_magnified_there(cuda, method):
    pytest.importorskip("av", reason="pipelines need PyAV")
    import cupy
    from conftest import beating_frames

    import fastmag

    kinds = {"evm-color": fastmag.EvmColor, "evm-motion": fastmag.EvmMotion, "riesz": fastmag.Riesz}
    params = kinds[method](passband=(1.0, 3.0)) if method in kinds else fastmag.Pulse(provider="cpu")
    frames = beating_frames(100, 30, 240, 320)
    found = fastmag.magnify(cupy.asarray(frames), method=params, fps=30, backend="cuda")
    assert isinstance(found, cupy.ndarray)
    apart = np.abs(fastmag.magnify(frames, method=params, fps=30, backend="cpu").astype(int) - cupy.asnumpy(found))
    assert (frames != cupy.asnumpy(found)).any() and apart.max() <= 2 and (apart > 0).mean() < 0.01


def breaks_the_card(_: int) -> str:
    """What is said after another's kernel has written where it must not: the card is lost to this process."""
    from numba import cuda as numba_cuda

    from fastmag.kernels import cuda

    frame = np.zeros((48, 64, 3), np.uint8)
    cuda.downsample_bicubic(frame, (12, 12))

    @numba_cuda.jit
    def wild(x):
        x[1 << 40] = 1

    try:
        wild[1, 1](numba_cuda.to_device(np.zeros(4, np.float32)))
        cuda.downsample_bicubic(frame, (12, 12))
    except InputError as error:
        return str(error)
    return "nothing was said"


def test_a_lost_card_is_one_line():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said = pool.map(breaks_the_card, [0])[0]
    assert "the GPU failed in downsample_bicubic" in said and "run it again" in said and "\n" not in said


@pytest.fixture(scope="module")
def network():
    import onnxruntime

    from fastmag import models
    from fastmag.providers import Network

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime ({onnxruntime.__version__}) has no CUDA provider: install onnxruntime-gpu")
    return Network(Path(models.path("pulse_gradient")).read_bytes(), "the network", (3, 36, 36))


@pytest.mark.parametrize("how", ["onnxruntime", "recorded"])
def test_graphs_find_what_the_steps_find(cuda, network, how):
    import cupy

    from fastmag.ascent import ascend
    from fastmag.providers.cuda import Cuda, DeviceGradient, Recorded

    plain = DeviceGradient(Cuda(network, "fp32"))
    xs = [
        cupy.asarray(np.random.default_rng(k).standard_normal((64, 3, 36, 36), np.float32) * np.float32(3e-3))
        for k in (1, 2)
    ]
    climb = partial(ascend, gradient=plain, ops=cuda, **STEP)
    if how == "recorded":
        other = Recorded(climb, xs[0])
    else:
        other = partial(ascend, gradient=DeviceGradient(Cuda(network, "fp32", graphs=True)), ops=cuda, **STEP)
    for x in xs:
        expected, found = climb(x) - x, other(x) - x
        assert float(abs(expected).mean()) > 0
        assert np.median(cupy.asnumpy(abs(found - expected))) < 0.01 * float(abs(expected).mean())


@pytest.fixture
def clip(tmp_path):
    pytest.importorskip("av", reason="video needs PyAV")
    from conftest import beating_frames

    def make(name: str, **how) -> Path:
        from fastmag.video import write_rgb

        write_rgb(tmp_path / name, beating_frames(100, 30, 240, 320), 30, **how)
        return tmp_path / name

    return make


@pytest.mark.parametrize("name, pix_fmt", [("a.mp4", "yuv420p"), ("a.mkv", "yuv420p"), ("b.mp4", "yuv420p10le")])
def test_nvdec_gives_the_processors_pictures(clip, name, pix_fmt):
    path = clip(name, pix_fmt=pix_fmt)
    from fastmag.video import Reader, hardware
    from fastmag.video.decoders import open_reader

    if (reason := hardware.why_no_decoder()) is not None:
        pytest.skip(f"no NVDEC here: {reason}")
    reader, used = open_reader(path, None, "auto")
    with reader, Reader(path) as expected:
        assert used == "cuda" or pix_fmt != "yuv420p", "many cards do not decode H.264 of 10 bits"
        for one, other in zip(reader, expected, strict=True):
            assert (one.time, one.pts) == (other.time, other.pts)
            assert all(map(np.array_equal, one.planes, other.planes))


def test_nvenc_writes_what_it_is_given(clip, tmp_path):
    path = clip("a.mp4")
    import fastmag
    from fastmag.video import hardware, probe, read_rgb

    if (reason := hardware.why_no_encoder(hardware.H264)) is not None:
        pytest.skip(f"no NVENC here: {reason}")
    method = fastmag.EvmColor(passband=(1.0, 3.0))
    results = []
    for codec in ("h264", "nvenc"):
        report = fastmag.magnify(path, tmp_path / f"{codec}.mp4", method, backend="cuda", codec=codec)
        assert report.frames == 100 and report.message.endswith("h264_nvenc") == (codec == "nvenc")
        assert probe(tmp_path / f"{codec}.mp4").n_frames == 100
        results.append(read_rgb(tmp_path / f"{codec}.mp4")[0].astype(float))
    assert np.sqrt(((results[0] - results[1]) ** 2).mean()) < 1.5


def test_a_file_goes_through_the_card_as_through_the_processor(clip, tmp_path):
    path = clip("a.mp4")
    import fastmag
    from fastmag.video import read_rgb

    method, found = fastmag.Pulse(provider="cpu"), []
    for backend, decoder in (("cpu", "cpu"), ("cuda", "auto")):
        out = tmp_path / f"{backend}.mkv"
        fastmag.magnify(path, out, method, backend=backend, decoder=decoder, lossless=True)
        found.append(read_rgb(out)[0].astype(int))
    apart = np.abs(found[0] - found[1])
    assert apart.max() <= 3 and (apart > 0).mean() < 0.01, "a level of YUV is up to two of RGB"
