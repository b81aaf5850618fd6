"""The rivals of the steerable pyramid and of the phase kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.rivals import Call, rival
from fastmag.kernels import cpu
from fastmag.pyramids import Steerable


def _one_thread(call: Call) -> Call:
    count = cpu.threads()
    if count < 2:
        raise ValueError("the row itself is measured on one thread")

    def run() -> None:
        cpu.set_threads(1)
        try:
            call()
        finally:
            cpu.set_threads(count)

    return run


@rival("one thread", "there_and_back")
def rebuild_on_one_thread(frames: np.ndarray, plan: Steerable) -> Call:
    from bench.pyramid import there_and_back

    rebuild, out = there_and_back(cpu), np.empty_like(frames)
    return _one_thread(lambda: rebuild(frames, plan, out=out))


def _alone(name: str) -> None:
    @rival("one thread", name)
    def make(*inputs: Any) -> Call:
        kernel = getattr(cpu, name)
        out = kernel(*inputs)
        return _one_thread(lambda: kernel(*inputs, out=out))


for _name in (
    "steerable_analysis", "phase_difference", "accumulate_phase", "shift_phase", "amplitude",
    "smooth_amplitude_weighted",
):  # fmt: skip
    _alone(_name)


def _pyrtools(frames: np.ndarray, plan: Steerable, back: bool) -> Call:
    from pyrtools.pyramids import SteerablePyramidFreq

    def run() -> None:
        for frame in frames:
            pyramid = SteerablePyramidFreq(frame, plan.depth, plan.orientations - 1, is_complex=True)
            if back:
                pyramid.recon_pyr()

    return run


@rival("pyrtools", "there_and_back")
def pyrtools_rebuild(frames: np.ndarray, plan: Steerable) -> Call:
    return _pyrtools(frames, plan, True)


@rival("pyrtools", "steerable_analysis")
def pyrtools_analysis(frames: np.ndarray, plan: Steerable) -> Call:
    return _pyrtools(frames, plan, False)


def _plenoptic(frames: np.ndarray, plan: Steerable) -> tuple[Any, Any]:
    import warnings

    import torch
    from plenoptic.process import SteerablePyramidFreq

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd sizes, which it does not rebuild
        pyramid = SteerablePyramidFreq(frames.shape[1:], plan.depth, plan.orientations - 1, is_complex=True)
    return pyramid, torch.from_numpy(frames)[:, None]


@rival("plenoptic", "there_and_back")
def plenoptic_rebuild(frames: np.ndarray, plan: Steerable) -> Call:
    pyramid, images = _plenoptic(frames, plan)
    return lambda: pyramid.recon_pyr(pyramid(images))


@rival("plenoptic", "steerable_analysis")
def plenoptic_analysis(frames: np.ndarray, plan: Steerable, levels: list[int] | None = None) -> Call:
    pyramid, images = _plenoptic(frames, plan)
    return lambda: pyramid(images) if levels is None else pyramid(images, levels)


class TorchPyramid:
    """The same filters on the same grids with torch.fft as it is meant to be used: batched, halves where they do.

    One rfft2 of all frames; a level's box is cut out of the half spectrum and completed by symmetry, once for all
    orientations; the residuals stay in the spectrum; only the kept half is summed on the way back.
    """

    def __init__(self, plan: Steerable, levels: list[int] | None = None) -> None:
        import torch

        self.torch, self.plan = torch, plan
        self.levels = list(range(plan.depth)) if levels is None else levels
        self.masks = [torch.from_numpy(plan.masks(level).astype(np.float32)) for level in self.levels]
        self.residual = torch.from_numpy(plan.residual().astype(np.float32))

    def analysis(self, images: Any) -> tuple[list[Any], Any]:
        torch, H = self.torch, self.plan.shape[0]
        spectrum = torch.fft.rfft2(images, norm="forward")
        subbands = []
        for level, masks in zip(self.levels, self.masks, strict=True):
            (h, w), (y, x) = self.plan.sizes[level], self.plan.reach(level)
            half = torch.cat([spectrum[:, : y + 1, : x + 1], spectrum[:, H - y :, : x + 1]], 1)
            mirrored = half[:, :, 1:].roll(-1, 1).flip(1, 2).conj()
            box = torch.zeros((len(images), 1, h, w), dtype=spectrum.dtype)
            box[:, 0, : y + 1, : x + 1], box[:, 0, h - y :, : x + 1] = half[:, : y + 1], half[:, y + 1 :]
            box[:, 0, : y + 1, w - x :], box[:, 0, h - y :, w - x :] = mirrored[:, : y + 1], mirrored[:, y + 1 :]
            subbands.append(torch.fft.ifft2(box * masks, norm="forward"))
        return subbands, spectrum

    def synthesis(self, subbands: list[Any], spectrum: Any) -> Any:
        torch, H = self.torch, self.plan.shape[0]
        total = spectrum * self.residual
        for level, masks, subband in zip(self.levels, self.masks, subbands, strict=True):
            y, x = self.plan.reach(level)
            box = (torch.fft.fft2(subband, norm="forward") * masks).sum(1)
            box = box + box.roll((-1, -1), (1, 2)).flip(1, 2).conj()
            total[:, : y + 1, : x + 1] += 0.25 * box[:, : y + 1, : x + 1]
            total[:, H - y :, : x + 1] += 0.25 * box[:, box.shape[1] - y :, : x + 1]
        return torch.fft.irfft2(total, s=self.plan.shape, norm="forward")


@rival("torch", "there_and_back")
def torch_rebuild(frames: np.ndarray, plan: Steerable) -> Call:
    import torch

    pyramid, images = TorchPyramid(plan), torch.from_numpy(frames)
    return lambda: pyramid.synthesis(*pyramid.analysis(images))


@rival("torch", "steerable_analysis")
def torch_analysis(frames: np.ndarray, plan: Steerable, levels: list[int] | None = None) -> Call:
    import torch

    pyramid, images = TorchPyramid(plan, levels), torch.from_numpy(frames)
    return lambda: pyramid.analysis(images)


@rival("NumPy", "phase_difference")
def numpy_difference(subbands: np.ndarray, before: np.ndarray) -> Call:
    product, out = np.empty_like(subbands), np.empty(subbands.shape, np.float32)

    def run() -> None:
        np.conjugate(before, out=product)
        np.multiply(subbands, product, out=product)
        np.arctan2(product.imag, product.real, out=out)

    return run


@rival("torch", "phase_difference")
def torch_difference(subbands: np.ndarray, before: np.ndarray) -> Call:
    import torch

    now, then = torch.from_numpy(subbands), torch.from_numpy(before)
    return lambda: torch.angle(now * then.conj())


@rival("NumPy", "accumulate_phase")
def numpy_sum(differences: np.ndarray, state: np.ndarray) -> Call:
    out = np.empty(differences.shape)
    return lambda: np.cumsum(differences, axis=0, dtype=np.float64, out=out)


@rival("torch", "accumulate_phase")
def torch_sum(differences: np.ndarray, state: np.ndarray) -> Call:
    import torch

    steps = torch.from_numpy(differences)
    return lambda: torch.cumsum(steps, 0, dtype=torch.float64).float()


@rival("NumPy", "shift_phase")
def numpy_shift(subbands: np.ndarray, delta: np.ndarray, factor: float) -> Call:
    turn, out = np.empty(delta.shape, np.float32), np.empty_like(subbands)

    def run() -> None:
        np.multiply(delta, np.float32(factor), out=turn)
        np.cos(turn, out=out.real)
        np.sin(turn, out=out.imag)
        np.subtract(out.real, np.float32(1), out=out.real)
        np.multiply(subbands, out, out=out)

    return run


@rival("torch", "shift_phase")
def torch_shift(subbands: np.ndarray, delta: np.ndarray, factor: float) -> Call:
    import torch

    waves, angle = torch.from_numpy(subbands), torch.from_numpy(delta)
    one = torch.ones_like(angle)
    return lambda: torch.polar(one, angle * factor).sub_(1).mul_(waves)


@rival("NumPy", "amplitude")
def numpy_amplitude(subbands: np.ndarray) -> Call:
    out = np.empty(subbands.shape, np.float32)
    return lambda: np.abs(subbands, out=out)


@rival("torch", "amplitude")
def torch_amplitude(subbands: np.ndarray) -> Call:
    import torch

    waves = torch.from_numpy(subbands)
    return lambda: waves.abs()


@rival("SciPy", "smooth_amplitude_weighted")
def scipy_weighted(phase: np.ndarray, amplitude: np.ndarray, sigma: float) -> Call:
    from scipy import ndimage

    width, (moved, total) = (0, 0, sigma, sigma), (np.empty_like(phase) for _ in range(2))

    def run() -> None:
        np.multiply(phase, amplitude, out=moved)
        ndimage.gaussian_filter(moved, width, output=moved)
        ndimage.gaussian_filter(amplitude, width, output=total)
        np.divide(moved, total, out=moved)

    return run


@rival("OpenCV", "smooth_amplitude_weighted")
def opencv_weighted(phase: np.ndarray, amplitude: np.ndarray, sigma: float) -> Call:
    import cv2

    side, (moved, total) = 2 * int(4 * sigma + 0.5) + 1, (np.empty_like(phase) for _ in range(2))
    maps = [x.reshape(-1, *phase.shape[-2:]) for x in (moved, amplitude, total)]

    def run() -> None:
        np.multiply(phase, amplitude, out=moved)
        for m, a, t in zip(*maps, strict=True):
            cv2.GaussianBlur(m, (side, side), sigma, dst=m, borderType=cv2.BORDER_REFLECT)
            cv2.GaussianBlur(a, (side, side), sigma, dst=t, borderType=cv2.BORDER_REFLECT)
        np.divide(moved, total, out=moved)

    return run
