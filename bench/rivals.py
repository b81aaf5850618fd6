"""The best available form of each kernel elsewhere: buffers allocated outside the clock, results in place.

A rival takes the inputs of one call and returns a callable without arguments. One whose package is missing is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], Any]
RIVALS: dict[tuple[str, str], Callable[..., Call]] = {}


def rival(name: str, kernel: str) -> Callable[[Callable[..., Call]], Callable[..., Call]]:
    def register(make: Callable[..., Call]) -> Callable[..., Call]:
        RIVALS[name, kernel] = make
        return make

    return register


def one_thread_each() -> None:
    """Rivals with threads of their own get one: threads are ours to hand out, frame by frame."""
    try:
        import cv2

        cv2.setNumThreads(1)
    except ImportError:
        pass
    threads_of_torch(1)


def threads_of_torch(count: int) -> None:
    try:
        import torch

        torch.set_num_threads(count)
    except ImportError:
        pass


@rival("Pillow", "downsample_bicubic")
def pillow(frame: np.ndarray, size: tuple[int, int]) -> Call:
    from PIL import Image

    image = Image.fromarray(frame)
    return lambda: image.resize(size[::-1], Image.Resampling.BICUBIC)


@rival("torch", "downsample_bicubic")
def torch_resize(frame: np.ndarray, size: tuple[int, int]) -> Call:
    import torch

    image = torch.from_numpy(np.atleast_3d(frame)).permute(2, 0, 1)[None]  # channels last, its fastest layout
    return lambda: torch.nn.functional.interpolate(image, size, mode="bicubic", antialias=True)


@rival("OpenCV area", "downsample_bicubic")
def opencv_area(frame: np.ndarray, size: tuple[int, int]) -> Call:
    import cv2

    out = np.empty((*size, *frame.shape[2:]), np.uint8)
    return lambda: cv2.resize(frame, size[::-1], dst=out, interpolation=cv2.INTER_AREA)


@rival("NumPy", "normalized_difference")
def numpy_difference(C: np.ndarray, delta: float) -> Call:
    out, total = np.empty_like(C[1:]), np.empty_like(C[1:])

    def run() -> None:
        np.add(C[1:], C[:-1], out=total)
        np.add(total, np.float32(2 * delta), out=total)
        np.subtract(C[1:], C[:-1], out=out)
        np.divide(out, total, out=out)

    return run


@rival("copy", "normalized_difference")
def copy_series(C: np.ndarray, delta: float) -> Call:
    out = np.empty_like(C[1:])
    return lambda: np.copyto(out, C[1:])


@rival("NumPy", "undo_normalized_difference")
def numpy_inverse(first: np.ndarray, X: np.ndarray, delta: float) -> Call:
    out, below = np.empty((len(X) + 1, *first.shape), np.float32), np.empty_like(X)

    def run() -> None:
        np.add(X, np.float32(1), out=out[1:])
        np.subtract(np.float32(1), X, out=below)
        np.divide(out[1:], below, out=out[1:])
        out[0] = first
        np.cumprod(out, axis=0, out=out)

    return run


@rival("NumPy", "ascend_step")
def numpy_step(X: np.ndarray, G: np.ndarray, step_size: float, rule: str) -> Call:
    X, size, sign = X.copy(), np.empty_like(G), np.empty_like(G)

    def run() -> None:
        np.abs(G, out=size)
        scale = np.float32(step_size) / size.mean(axis=1, keepdims=True)
        np.multiply(size, scale, out=size)
        np.sign(X, out=sign)
        np.multiply(size, sign, out=size)
        np.add(X, size, out=X)

    return run


@rival("torch", "ascend_step")
def torch_step(X: np.ndarray, G: np.ndarray, step_size: float, rule: str) -> Call:
    import torch

    x, g = torch.from_numpy(X.copy()), torch.from_numpy(G)
    size, sign = torch.empty_like(g), torch.empty_like(g)

    def run() -> None:
        torch.abs(g, out=size)
        scale = step_size / size.mean(dim=1, keepdim=True)
        torch.sign(x, out=sign)
        size.mul_(scale)
        x.addcmul_(size, sign)

    return run


@rival("SciPy", "bandpass")
def scipy_bandpass(X: np.ndarray, sos: np.ndarray) -> Call:
    from scipy import signal

    return lambda: signal.sosfiltfilt(sos, X, axis=0)


@rival("SciPy", "bandpass_forward")
def scipy_forward(X: np.ndarray, sos: np.ndarray, state: np.ndarray) -> Call:
    from scipy import signal

    before = state.astype(np.float32)  # or it would work in float64
    return lambda: signal.sosfilt(sos.astype(np.float32), X, axis=0, zi=before)


@rival("OpenCV", "displace")
def opencv_remap(frame: np.ndarray, field: np.ndarray, offset: tuple, step: tuple) -> Call:
    import cv2

    y, x = (np.arange(n, dtype=np.float32) for n in frame.shape[:2])
    out, places = (
        np.empty_like(frame),
        [np.broadcast_to(x, frame.shape[:2]), np.broadcast_to(y[:, None], (len(y), len(x)))],
    )

    def run() -> None:
        maps = [at - cv2.resize(part, frame.shape[1::-1]) for at, part in zip(places, field, strict=True)]
        cv2.remap(frame, *maps, cv2.INTER_CUBIC, dst=out, borderMode=cv2.BORDER_REPLICATE)

    return run


@rival("OpenCV", "upsample_add")
def opencv_upsample(frame: np.ndarray, change: np.ndarray, low: int, high: int) -> Call:
    import cv2

    out, wide = np.empty_like(frame), np.empty(frame.shape, np.float32)

    def run() -> None:
        cv2.resize(change, frame.shape[1::-1], dst=wide, interpolation=cv2.INTER_CUBIC)
        cv2.add(frame, wide, dst=out, dtype=cv2.CV_8U)

    return run


@rival("OpenCV", "upsample_scaled_add")
def opencv_upsample_scaled(frame: np.ndarray, light: np.ndarray, change: np.ndarray, offset: float) -> Call:
    import cv2

    out, wide, lit = np.empty_like(frame), np.empty(frame.shape, np.float32), np.empty(light.shape, np.float32)

    def run() -> None:
        cv2.resize(change, frame.shape[1::-1], dst=wide, interpolation=cv2.INTER_CUBIC)
        cv2.add(light, offset, dst=lit, dtype=cv2.CV_32F)
        cv2.multiply(wide, lit, dst=wide)
        cv2.add(frame, wide, dst=out, dtype=cv2.CV_8U)

    return run


@rival("OpenCV", "local_light")
def opencv_local_light(frame: np.ndarray, models: np.ndarray, base: None, low: float) -> Call:
    import cv2

    share, constant = (np.ascontiguousarray(models[..., k]) for k in (0, 1))
    wide, out = np.empty(frame.shape, np.float32), np.empty(frame.shape, np.float32)

    def run() -> None:
        cv2.resize(share, frame.shape[1::-1], dst=wide, interpolation=cv2.INTER_LINEAR)
        cv2.resize(constant, frame.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(frame, wide, dst=wide, dtype=cv2.CV_32F)
        cv2.add(out, wide, dst=out)
        cv2.max(out, low, dst=out)

    return run


@rival("copy", "upsample_add")
def copy_frame(frame: np.ndarray, change: np.ndarray, low: int, high: int) -> Call:
    out = np.empty_like(frame)
    return lambda: np.copyto(out, frame)


@rival("SciPy", "smooth_time")
def scipy_mean(x: np.ndarray, width: int) -> Call:
    from scipy import ndimage

    out = np.empty_like(x)
    return lambda: ndimage.uniform_filter1d(x, width, axis=0, mode="nearest", output=out)


@rival("SciPy", "smooth_space")
def scipy_gaussian(x: np.ndarray, sigma: float) -> Call:
    from scipy import ndimage

    out = np.empty_like(x)
    return lambda: ndimage.gaussian_filter(x, (0, sigma, sigma), output=out)


@rival("OpenCV", "smooth_space")
def opencv_gaussian(x: np.ndarray, sigma: float) -> Call:
    import cv2

    out, side = np.empty_like(x), 2 * int(4 * sigma + 0.5) + 1

    def run() -> None:
        for source, target in zip(x, out, strict=True):
            cv2.GaussianBlur(source, (side, side), sigma, dst=target, borderType=cv2.BORDER_REFLECT)

    return run


@rival("OpenCV", "downsample_gaussian")
def opencv_level(frame: np.ndarray, levels: tuple[int, int]) -> Call:
    import cv2

    def run() -> np.ndarray:
        level = frame  # uint8 halves faster than float32, and rounds at every step
        for _ in range(levels[0]):
            level = cv2.pyrDown(level)
        return level

    return run


@rival("OpenCV", "pyramid_down")
def opencv_down(x: np.ndarray) -> Call:
    import cv2

    out = cv2.pyrDown(x)
    return lambda: cv2.pyrDown(x, dst=out)


@rival("OpenCV", "pyramid_up_add")
def opencv_up(x: np.ndarray, coarse: np.ndarray, gain: float) -> Call:
    import cv2

    wide, out = np.empty_like(x), np.empty_like(x)

    def run() -> None:
        cv2.pyrUp(coarse, dst=wide, dstsize=x.shape[::-1])
        cv2.addWeighted(x, gain, wide, 1.0, 0.0, dst=out)

    return run


@rival("OpenCV", "luma")
def opencv_luma(frame: np.ndarray, weights: tuple[float, float, float]) -> Call:
    import cv2

    wide, matrix = np.empty(frame.shape, np.float32), np.array([weights], np.float32)

    def run() -> np.ndarray:
        np.copyto(wide, frame)
        return cv2.transform(wide, matrix)

    return run


@rival("OpenCV", "add_change")
def opencv_add(frame: np.ndarray, change: np.ndarray, low: int, high: int) -> Call:
    import cv2

    out = np.empty_like(frame)
    return lambda: cv2.add(frame, change, dst=out, dtype=cv2.CV_8U)
