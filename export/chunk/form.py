"""What magnify.onnx means: `fastmag magnify` on one chunk, with the zero-phase band-pass written as a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfreqz

from fastmag.backends import get
from fastmag.deepmag import magnify_pulse
from fastmag.params import Pulse
from fastmag.passes import stride_of
from fastmag.sources import ArraySink, ArraySource

Array = NDArray[Any]

FILTER_SECONDS = 4.0  # of the band-pass' impulse response on either side: what is cut off is 0.3 % of a series
RESPONSE_BINS = 1024  # frequencies at which its response is taken
SLACK = 0.01  # of a frame: 4.9999999 frames are 5


def magnify(frames: Array, alpha: float, fps: float, passband: tuple[float, float], network) -> tuple[Array, float]:
    """(frames (T, H, W, 3) uint8 with the pulse (1 + alpha) times as large, presence in 0..1), for up to 20 s; network
    as InputGradient."""
    ops = MatrixFilter(fps / stride_of(fps))
    source = ArraySource(frames, fps)
    sink = ArraySink(source)
    sections = magnify_pulse(source, sink, Pulse(alpha=alpha, passband=passband), network, ops)[1]
    return sink.array, sections[0].presence


class MatrixFilter:
    """The kernels of the CPU, but for the band-pass of series at fps."""

    def __init__(self, fps: float):
        self._fps = fps

    def __getattr__(self, name: str) -> Any:
        return getattr(get("cpu"), name)

    def bandpass(self, x: Array, sections: Array) -> Array:
        matrix = band(len(x), sections, self._fps)
        return (matrix @ x.reshape(len(x), -1)).reshape(x.shape).astype(x.dtype)


def band(n: int, sections: Array, fps: float) -> Array:
    """A filter in second-order sections, run forward and backward over n samples without their mean: (n, n).

    A row is the impulse response, cut after 4 s; at the ends the series goes on mirrored and upside down.
    """
    reach = int(FILTER_SECONDS * fps + SLACK)
    angle = (np.arange(RESPONSE_BINS) + 0.5) * (np.pi / RESPONSE_BINS)
    taps = np.cos(np.outer(np.arange(reach + 1), angle)) @ np.abs(sosfreqz(sections, angle)[1]) ** 2
    at = np.arange(-reach, n + reach)
    lag = np.abs(at - np.arange(n)[:, None])
    rows = np.where(lag <= reach, taps[np.minimum(lag, reach)], 0) / RESPONSE_BINS
    inner = np.clip(at, 0, n - 1)
    outside = (at != inner)[:, None]
    extended = (1 + outside) * np.eye(n)[inner] - outside * np.eye(n)[np.clip(2 * inner - at, 0, n - 1)]
    matrix = rows @ extended
    return matrix - matrix.mean(1, keepdims=True)
