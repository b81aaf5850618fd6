"""The light that colour tells, on the GPU."""

from __future__ import annotations

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda import _frames
from fastmag.kernels.cuda._door import door, reading, writing
from fastmag.kernels.cuda._jit import kernel

_TABLES = "Tuple((int32[::1], float32[::1], int32[::1], float32[::1]))"


@kernel(
    *(
        f"void({t}[:,:,::1], float32[:,:,:,::1], {_TABLES}, float32[:,:,::1], float32, float32[:,:,::1])"
        for t in ("uint8", "uint16")
    )
)
def _told(frames, models, plan, base, low, out):
    """Frames (B, H, W * C), their models (B, h, w, C + 1) and what is added (B, H', W'); the plan: the cell before each
    row, the share of the next, and so for columns."""
    rows, shares, columns, portions = plan
    left, top = cuda.grid(2)
    wide, tall = cuda.gridsize(2)
    height, width, channels = out.shape[1], out.shape[2], models.shape[3] - 1
    for b in range(cuda.blockIdx.z, out.shape[0], cuda.gridDim.z):
        for y in range(top, height, tall):
            i, s = rows[y], shares[y]
            below = min(i + 1, models.shape[1] - 1)
            for x in range(left, width, wide):
                j, r = columns[x], portions[x]
                right = min(j + 1, models.shape[2] - 1)
                total = base[b, y * base.shape[1] // height, x * base.shape[2] // width]
                for c in range(channels + 1):
                    before = models[b, i, j, c] + s * (models[b, below, j, c] - models[b, i, j, c])
                    after = models[b, i, right, c] + s * (models[b, below, right, c] - models[b, i, right, c])
                    share = np.float32(frames[b, y, x * channels + c]) if c < channels else scalars.ONE
                    total += (before + r * (after - before)) * share
                out[b, y, x] = max(total, low)


@door()
def local_light(
    frame: NDArray, models: NDArray, base: NDArray | None = None, low: float = -np.inf, out: NDArray | None = None
) -> NDArray:
    """As `fastmag.kernels.reference.local_light`, of uint8 or uint16; also of batches (B, H, W, C), (B, h, w, C + 1)
    and (B, H', W')."""
    frame, models = _frames.levels(frame), reading(models)
    (height, width), (frames, channels) = _frames.size(frame), _frames.rows(frame)
    if models.ndim != (4 if frame.ndim == 4 else 3) or models.shape[-1] != channels + 1:
        raise InputError(f"models must be (h, w, {channels + 1}), one more than channels; got {models.shape}")
    count = len(frames)
    out = writing(out, (count, height, width) if frame.ndim == 4 else (height, width))
    models = models.reshape(count, *models.shape[-3:])
    plan = tuple(
        table
        for n, m in zip((height, width), models.shape[1:3], strict=True)
        for table in device.constants(plans.linear, n, m, 0.5 * n / m - 0.5, n / m)
    )
    if base is None:
        base = device.full((count, 1, 1), 0.0, np.float32)
    base = reading(base).reshape(count, *base.shape[-2:])
    target = out.reshape(count, height, width)
    _told.plane(height, width, frames, models, plan, base, np.float32(low), target, depth=count)
    return out
