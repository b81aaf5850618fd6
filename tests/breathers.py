"""Clips in which something breathes, networks that know it, and sinks that keep what is rendered."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fastmag import Respiration, backends, respiration
from fastmag.color import Picture
from fastmag.video.media import Frame

OPS = backends.get("cpu")


FPS = 10.0


def texture(seed, height, width):
    """A picture without a border: it may be shifted by parts of a pixel through its spectrum."""
    noise = np.random.default_rng(seed).standard_normal((height, width))
    return 128 + 30 * zscore(gaussian_filter(noise, 1.5, mode="wrap"))


def zscore(x):
    return (x - x.mean()) / x.std()


def shifted(image, down, across):
    """The picture moved down and to the right, exactly."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    return np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (fy * down + fx * across))).real


class Eye:
    """A network that knows y beforehand, and looks at the lower half."""

    def __init__(self, y):
        self.y, self.at = np.asarray(y, np.float32), 0

    def predict(self, x):
        self.at += len(x)
        return self.y[self.at - len(x) : self.at]

    def gradient(self, x):
        slope = np.zeros_like(x)
        slope[:, :, 64:] = 1
        return np.zeros(len(x), np.float32), slope

    def __call__(self, x):
        return self.gradient(x)[1]


class Clip:
    """A source of planes Y, U, V."""

    def __init__(self, luma, fps=FPS):
        self.fps, self.n_frames, self.damage = fps, len(luma), None
        h, w = luma.shape[1:]
        self.picture = Picture("yuv", ((h, w), (h // 2, w // 2), (h // 2, w // 2)))
        self.planes = [(y, y[::2, ::2] // 2 + 64, 255 - y[::2, ::2] // 2) for y in luma]

    def frames(self, again=False):
        for i, planes in enumerate(self.planes):
            yield Frame(planes, i / self.fps)


class Kept:
    """A sink that keeps planes."""

    def __init__(self):
        self.planes = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def write(self, frame):
        self.planes.append(frame.planes)


def breather(seconds, height=160, width=128, amplitude=0.35, fps=FPS, hz=0.3):
    """A clip whose lower half rises and falls before a still wall, and its position in pixels (T,)."""
    still, body = texture(1, height, width), texture(2, height, width)
    position = amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * fps)) / fps)
    edge = np.clip((np.arange(height) - 0.6 * height) / 4, 0, 1)[:, None]
    frames = [still * (1 - edge) + shifted(body, d, 0) * edge for d in position]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8), position


def magnified(clip, y, **choices):
    kept = Kept()
    count, sections, fps = respiration.magnify_respiration(clip, kept, Respiration(**choices), Eye(y), OPS)
    assert count == len(clip.planes) and fps == FPS
    return kept.planes, sections


@pytest.fixture(scope="module")
def breathing():
    """14 seconds, and where the lower half is."""
    luma, position = breather(14)
    return Clip(luma), position


SCALE = 492 / 128  # pixels of the network's square a pixel of these clips
