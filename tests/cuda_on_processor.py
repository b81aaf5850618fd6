"""The CUDA backend on frames of real size and in whole pipelines: its kernels' bodies compiled for the processor.

Run by test_cuda_simulator.py in a process of its own, with NUMBA_ENABLE_CUDASIM=1, which stands NumPy for CuPy.
"""

from __future__ import annotations

import numpy as np
import on_processor
import pytest
import test_kernels as table
from kernel_rows import ROWS
from pipelines import METHODS, check_backends_agree

from fastmag import backends, flow, passes
from fastmag.baselines.level import Level, attenuated
from fastmag.color import Cells, LitCells, Picture
from fastmag.kernels import cpu, cuda
from fastmag.kernels.cuda import _jit
from fastmag.video.media import Frame


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


SIZES = ((50, 70), (25, 35), (25, 35))
PICTURES = {
    "rgb": Picture("rgb", ((50, 70),)),
    "yuv": Picture("yuv", SIZES, full_range=False),
    "yuv-odd": Picture("yuv", ((51, 69), (26, 35), (26, 35)), matrix="bt601"),
    "yuv-region": Picture("yuv", SIZES, rotation=90, roi=(5, 9, 33, 44)),
    "yuv-10": Picture("yuv", ((50, 70), (50, 35), (50, 35)), bits=10, full_range=False),
    "gbr": Picture("gbr", ((50, 70),) * 3),
    "gray": Picture("gray", ((50, 70),)),
}  # fmt: skip
VIEWS = {"cells": Cells, "lit": LitCells, "level": lambda picture, ops: Level(picture, ops, 3, attenuated(0.5))}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("view", VIEWS)
def test_blocks_of_planes_equal_frames_one_by_one(view, picture, monkeypatch):
    """What the GPU is given, blocks with planes kept from the first pass, against the CPU's kernels frame by frame."""
    monkeypatch.setattr(flow, "MOST", 3)
    random, dtype = np.random.default_rng(5), np.uint8 if picture.bits == 8 else np.uint16
    channels = (3,) if picture.kind == "rgb" else ()
    planes = [tuple(random.integers(0, 1 << picture.bits, (*shape, *channels), dtype) for shape in picture.shapes)
              for _ in range(8)]  # fmt: skip
    there, here = VIEWS[view](picture, cuda), VIEWS[view](picture, cpu)
    rows = [row.copy() for _, row in passes.represented((Frame(p, k / 30) for k, p in enumerate(planes)), there)]
    for row, p in zip(rows, planes, strict=True):
        np.testing.assert_allclose(row, here.represent(p), atol=2e-3)
    changes = [random.normal(0, 9 if view != "lit" else 0.05, row.shape).astype(np.float32) for row in rows]
    pairs = ((Frame(p, k / 30), c) for k, (p, c) in enumerate(zip(planes, changes, strict=True)))
    for k, frame in enumerate(passes.reconstructed(pairs, there)):
        for got, want in zip(frame.planes, here.reconstruct(planes[k], changes[k]), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype
            apart = np.abs(got.astype(int) - want)
            assert apart.max() <= 1 and (apart > 0).mean() < 2e-3
