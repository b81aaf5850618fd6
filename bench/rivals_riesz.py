"""The rivals of the Riesz pyramid's kernels, as (B, 2, h, w) complex: a band and either part of its transform."""

from __future__ import annotations

import numpy as np

from bench.rivals import Call, rival
from bench.rivals_pyramid import TorchPyramid
from fastmag.kernels import cpu
from fastmag.pyramids import Steerable, steerable


@rival("4 orientations", "steerable_analysis")
def other_analysis(frames: np.ndarray, plan: Steerable) -> Call:
    """What phase-based EVM does instead, on our own kernels."""
    other = steerable(plan.shape)
    out = cpu.steerable_analysis(frames, other)
    return lambda: cpu.steerable_analysis(frames, other, out=out)


@rival("4 orientations", "steerable_synthesis")
def other_synthesis(bands: tuple[np.ndarray, ...], plan: Steerable) -> Call:
    other = steerable(plan.shape)
    subbands = [np.repeat(band, 4, axis=1) for band in bands]
    out = cpu.steerable_synthesis(subbands, other)
    return lambda: cpu.steerable_synthesis(subbands, other, out=out)


@rival("torch", "steerable_synthesis")
def torch_synthesis(bands: tuple[np.ndarray, ...], plan: Steerable) -> Call:
    import torch

    pyramid, given = TorchPyramid(plan), [torch.from_numpy(band) for band in bands]
    rest = torch.zeros((len(bands[0]), plan.shape[0], plan.shape[1] // 2 + 1), dtype=torch.complex64)
    return lambda: pyramid.synthesis(given, rest)


@rival("NumPy", "riesz_difference")
def numpy_difference(subbands: np.ndarray, before: np.ndarray) -> Call:
    i, j = (np.ascontiguousarray(x[:, :1].real) for x in (subbands, before))
    r, s = (np.ascontiguousarray(x.imag) for x in (subbands, before))
    turn, part, sine, cosine = np.empty_like(r), np.empty_like(r), np.empty_like(i), np.empty_like(i)

    def run() -> None:
        np.multiply(r, j, out=turn)
        np.multiply(s, i, out=part)
        np.subtract(turn, part, out=turn)
        np.multiply(r, s, out=part)
        np.add(part[:, :1], part[:, 1:], out=cosine)
        np.add(cosine, i * j, out=cosine)
        np.hypot(turn[:, :1], turn[:, 1:], out=sine)
        np.arctan2(sine, cosine, out=cosine)
        np.maximum(sine, np.float32(1e-30), out=sine)
        np.divide(cosine, sine, out=cosine)
        np.multiply(turn, cosine, out=turn)

    return run


@rival("torch", "riesz_difference")
def torch_difference(subbands: np.ndarray, before: np.ndarray) -> Call:
    import torch

    i, j = (torch.from_numpy(np.ascontiguousarray(x[:, :1].real)) for x in (subbands, before))
    r, s = (torch.from_numpy(np.ascontiguousarray(x.imag)) for x in (subbands, before))

    def run() -> torch.Tensor:
        turn = (r * j).addcmul_(s, i, value=-1)
        sine = torch.hypot(turn[:, :1], turn[:, 1:])
        angle = torch.atan2(sine, (r * s).sum(1, keepdim=True).addcmul_(i, j))
        return turn.mul_(angle.div_(sine.clamp_(min=1e-30)))

    return run


@rival("NumPy", "riesz_shift")
def numpy_shift(subbands: np.ndarray, delta: np.ndarray, factor: float) -> Call:
    band, transform = np.ascontiguousarray(subbands[:, :1].real), np.ascontiguousarray(subbands.imag)
    angle, along, part = np.empty_like(band), np.empty_like(band), np.empty_like(delta)

    def run() -> None:
        np.hypot(delta[:, :1], delta[:, 1:], out=angle)
        np.multiply(delta, transform, out=part)
        np.add(part[:, :1], part[:, 1:], out=along)
        np.divide(along, np.maximum(angle, np.float32(1e-30)), out=along)
        np.multiply(angle, np.float32(factor), out=angle)
        np.multiply(along, np.sin(angle), out=along)
        np.cos(angle, out=angle)
        np.subtract(angle, np.float32(1), out=angle)
        np.multiply(angle, band, out=angle)
        np.subtract(angle, along, out=angle)

    return run


@rival("torch", "riesz_shift")
def torch_shift(subbands: np.ndarray, delta: np.ndarray, factor: float) -> Call:
    import torch

    band, transform = (torch.from_numpy(np.ascontiguousarray(x)) for x in (subbands[:, :1].real, subbands.imag))
    turn = torch.from_numpy(delta)

    def run() -> torch.Tensor:
        angle = torch.hypot(turn[:, :1], turn[:, 1:])
        along = (turn * transform).sum(1, keepdim=True).div_(angle.clamp(min=1e-30))
        angle.mul_(factor)
        return (torch.cos(angle) - 1).mul_(band).addcmul_(along, torch.sin(angle), value=-1)

    return run


@rival("NumPy", "riesz_amplitude")
def numpy_amplitude(subbands: np.ndarray) -> Call:
    band, transform = np.ascontiguousarray(subbands[:, 0].real), np.ascontiguousarray(subbands.imag)
    out, part = np.empty_like(transform), np.empty_like(band)

    def run() -> None:
        np.multiply(transform, transform, out=out)
        np.multiply(band, band, out=part)
        np.add(part, out[:, 0], out=part)
        np.add(part, out[:, 1], out=part)
        np.sqrt(part, out=out[:, 0])
        out[:, 1] = out[:, 0]

    return run


@rival("torch", "riesz_amplitude")
def torch_amplitude(subbands: np.ndarray) -> Call:
    import torch

    band, transform = (torch.from_numpy(np.ascontiguousarray(x)) for x in (subbands[:, :1].real, subbands.imag))
    parts = torch.cat([band, transform], 1)
    return lambda: torch.linalg.vector_norm(parts, dim=1, keepdim=True).repeat(1, 2, 1, 1)
