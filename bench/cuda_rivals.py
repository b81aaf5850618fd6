"""The same work by torch on the GPU, eager and compiled, on the arrays that our kernels get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _difference(torch: Any, C: Any, delta: float) -> Any:
    return (C[1:] - C[:-1]) / (C[1:] + C[:-1] + 2 * delta)


def _undo(torch: Any, first: Any, X: Any, delta: float) -> Any:
    x = X.clamp(-0.999, 0.999).double()
    return ((first + delta) * torch.cumprod((1 + x) / (1 - x), 0) - delta).float()


def _step(torch: Any, X: Any, G: Any, step_size: float, rule: str) -> Any:
    return X.add_(step_size * G.abs() / G.abs().mean(1, keepdim=True) * X.sign())


def _downsample(torch: Any, frames: Any, size: tuple[int, int]) -> Any:
    planes = frames.permute(0, 3, 1, 2).float()
    return torch.nn.functional.interpolate(planes, size, mode="bicubic", antialias=True)


def _upsample_add(torch: Any, frames: Any, change: Any) -> Any:
    large = torch.nn.functional.interpolate(change.permute(0, 3, 1, 2), frames.shape[1:3], mode="bicubic")
    return (frames + large.permute(0, 2, 3, 1)).add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _luma(torch: Any, frames: Any, weights: tuple[float, float, float]) -> Any:
    return (frames.float() * torch.tensor(weights, device=frames.device)).sum(3)


def _add_change(torch: Any, frames: Any, change: Any) -> Any:
    return (frames + change[..., None]).add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _phase_difference(torch: Any, now: Any, before: Any) -> Any:
    return torch.angle(now * before.conj())


def _shift(torch: Any, subbands: Any, delta: Any, factor: float) -> Any:
    angle = factor * delta
    return subbands * (torch.complex(torch.cos(angle), torch.sin(angle)) - 1)


def _amplitude(torch: Any, subbands: Any, squared: bool) -> Any:
    return subbands.abs()


def _smooth_time(torch: Any, x: Any, width: int) -> Any:
    wide = torch.nn.functional.pad(x.T[:, None], (width // 2, width // 2), mode="replicate")
    return torch.nn.functional.avg_pool1d(wide, width, 1)


WORK: dict[str, Callable[..., Any]] = {
    "normalized_difference": _difference, "undo_normalized_difference": _undo, "ascend_step": _step,
    "downsample_bicubic": _downsample, "upsample_add": _upsample_add, "luma": _luma, "add_change": _add_change,
    "phase_difference": _phase_difference, "shift_phase": _shift, "amplitude": _amplitude, "smooth_time": _smooth_time,
}  # fmt: skip


COMPILED = ("normalized_difference", "ascend_step", "upsample_add", "shift_phase")  # a compilation takes many seconds


def _prepared(kernel: str, inputs: list[Any], compiled: bool) -> Callable[[], Any]:
    import cupy
    import torch

    work = WORK[kernel]
    arrays = [torch.from_dlpack(x) if hasattr(x, "__dlpack__") else x for x in inputs]
    run = torch.compile(work, dynamic=False) if compiled else work
    # The stream that our events are recorded on.
    stream = torch.cuda.ExternalStream(cupy.cuda.get_current_stream().ptr)

    def call() -> Any:
        with torch.cuda.stream(stream), torch.no_grad():
            return run(torch, *arrays)

    return call


RIVALS: dict[str, Callable[[str, list[Any]], Callable[[], Any]]] = {
    "torch eager": lambda kernel, inputs: _prepared(kernel, inputs, False),
}
LATER = {"torch.compile": lambda kernel, inputs: _prepared(kernel, inputs, True)}
