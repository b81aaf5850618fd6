"""Clips of people with a known pulse: frames, and the truth beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from fastmag.errors import InputError
from fastmag.synthetic import physiology, raster, scene
from fastmag.synthetic.codec import through_h264
from fastmag.synthetic.mesh import ATLAS_WIDTH
from fastmag.synthetic.motion import make_motion, rotation
from fastmag.synthetic.person import make_person

_PIVOT = (-11.0, -2.5)  # y, z about which the head turns, cm
_DISTANCE = 95.0  # of the camera, cm
_ATLAS_CM = (29.0, 50.0)  # of the head that the texture's height covers in rows, in columns
_QUANTILES = raster.normal_quantiles()


@dataclass(frozen=True)
class Clip:
    """A rendered clip and its truth. Frames are linear in the pulse: frame = picture + p[t] pulsation, then noise, 8
    bits.

    frames (T, H, W, 3) uint8 RGB; pulsation (T, H, W, 3) float16, grey levels per unit of p; p (T,) float32, the pulse
    as the frames show it, unit standard deviation before any frame is repeated; bpm its mean rate; fps; yaw (T,)
    degrees; amplitude: relative standard deviation of green skin; task; seed.
    """

    frames: np.ndarray
    pulsation: np.ndarray
    p: np.ndarray
    bpm: float
    fps: float
    yaw: np.ndarray
    amplitude: float
    task: str
    seed: int


@dataclass(frozen=True)
class Settings:
    """What may be chosen of a clip; None means drawn from the seed.

    task: A, B, C, D or T (motion.yaw_of_task); seconds; fps; size (height, width); head: an OBJ mesh for the head;
    person: seed of the person, so that one person can appear in several clips; pulse: False for a person without one;
    amplitude: standard deviation of green skin over its level (.0012 to .006 by default); bpm; noise: sigma of the
    camera in grey levels; background: one of scene.BACKGROUNDS; framing: "portrait" or "any" (face small, large, off
    centre); lively: speech, sway, camera shake and stronger flicker of light; repeat: some frames repeated; crf: 0 for
    none, or H.264 quality; antialias: samples per pixel and direction; texture_rows, detail: see person.make_person.
    """

    task: str = "A"
    seconds: float = 20.0
    fps: float = 30.0
    size: tuple[int, int] = (492, 658)
    head: str | Path | None = None
    person: int | None = None
    pulse: bool = True
    pulse_factor: float = 1.0
    amplitude: float | None = None
    bpm: float | None = None
    noise: float | None = None
    background: str | None = None
    framing: str = "portrait"
    lively: bool = False
    repeat: bool = False
    crf: int = 0
    antialias: int = 2
    texture_rows: int = 512
    detail: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and 1 <= self.fps <= 1000):
            raise InputError(f"fps must be in 1..1000; got {self.fps}")
        if not (np.isfinite(self.seconds) and self.seconds * self.fps >= 2):
            raise InputError(
                f"a clip needs two frames at least; got {self.seconds} s at {self.fps} fps: ask for more seconds"
            )
        if len(self.size) != 2 or min(self.size) < 16 or max(self.size) > 8192:
            raise InputError(f"size must be (height, width) within 16..8192; got {self.size}")
        if self.crf and (self.size[0] % 2 or self.size[1] % 2):
            raise InputError(f"H.264 needs even sizes; got {self.size}: choose even ones or crf=0")
        if self.framing not in ("portrait", "any"):
            raise InputError(f"framing must be 'portrait' or 'any'; got {self.framing!r}")
        for name in ("amplitude", "noise", "bpm"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must be a number of at least 0; got {value}")


@dataclass
class _Buffers:
    """Scratch memory of one thread."""

    screen: np.ndarray
    turned: np.ndarray
    points: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    noise: np.ndarray


@dataclass
class Shot:
    """A scene set up from a seed, ready to be rendered frame by frame in any order.

    Raises InputError for settings out of range, an unknown task or background, a mesh that cannot be read.
    """

    seed: int
    settings: Settings
    p: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        s = self.settings
        self.n = round(s.seconds * s.fps)
        rng = [np.random.default_rng([self.seed, k]) for k in range(5)]
        self.person = make_person(self.seed if s.person is None else s.person, s.head, s.texture_rows, s.detail)
        self.breath = physiology.breath(rng[0], self.n, s.fps)
        wave, self.bpm = physiology.pulse(rng[0], self.n, s.fps, s.bpm, self.breath)
        drawn = np.exp(rng[0].uniform(np.log(0.0012), np.log(0.006))) * (1 - 0.45 * self.person.melanin)
        self.amplitude = 0.0 if not s.pulse else float(drawn if s.amplitude is None else s.amplitude)
        self.motion = make_motion(rng[1], s.task, self.n, s.fps, wave, s.lively)
        self.light = scene.make_light(rng[2], self.n, s.fps, self.person.melanin, s.lively)
        kind = s.background or ("black" if s.task in "BC" else "pattern")
        self.background = scene.make_background(rng[3], kind, self.n, s.fps, s.size)
        self.camera = scene.make_camera(rng[4], self.n, s.size, s.noise, s.framing, s.repeat)
        self.p = wave[self.camera.shown]
        self._textures = [_thin(_linear(t, self.camera.gamma), self._step()) for t in self.person.textures]
        rows, columns = self._textures[0].shape[:2]
        self._uv = (self.person.uv * np.array([columns / ATLAS_WIDTH, rows]) - 0.5).astype(np.float32)
        self._tone = raster.tone_curve(self.camera.gamma)

    def _step(self) -> tuple[int, int]:
        """Rows and columns of the texture that fall on a pixel: to be averaged, or the skin sparkles as it turns."""
        rows = self.settings.texture_rows
        pixels = self.camera.scale * self.settings.size[0]  # per cm
        across = pixels * self.camera.aspect
        return max(1, round(rows / (_ATLAS_CM[0] * pixels))), max(1, round(rows / (_ATLAS_CM[1] * across)))

    def _buffers(self) -> _Buffers:
        h, w = (side * self.settings.antialias for side in self.settings.size)
        v = len(self.person.vertices)
        return _Buffers(
            np.empty((v, 3), np.float32),
            np.empty((v, 3), np.float32),
            np.empty((v, 8), np.float32),
            np.empty((h, w), np.float32),
            np.empty((h, w), np.int32),
            np.empty((*self.settings.size, 3), np.float32),
        )

    def _state(self, t: int) -> np.ndarray:
        m, c, n = self.motion, self.camera, self.settings.antialias
        h, w = self.settings.size
        at = (m.shift[t] + m.shake[t]) * h + (c.centre[0] * w, c.centre[1] * h)
        state = np.zeros(27, np.float32)
        state[:9] = rotation(m.yaw[t], m.pitch[t], m.roll[t]).ravel()
        state[9:18] = rotation(0.12 * m.yaw[t], 0.0, 0.1 * m.roll[t]).ravel()
        state[18:20] = _PIVOT
        state[20:22] = n * at - 0.5
        state[22:27] = n * c.scale * h * (1 + m.nearer[t]), c.aspect, _DISTANCE, m.jaw[t], self.breath[t]
        return state

    def _visible(self, t: int, b: _Buffers) -> None:
        who = self.person
        raster.pose(who.vertices, who.normals, who.bind, who.offsets, self._state(t), b.screen, b.turned)
        raster.rasterize(b.screen, who.faces, b.depth, b.face)

    def _backdrop(self, t: int) -> tuple[np.ndarray, ...]:
        h, w = self.settings.size
        x, y = self.background.shift[t] - self.motion.shake[t] * h
        whole = np.floor([y, x])
        within = whole.astype(np.int64) % np.array([2 * h, 2 * w])
        rest = (np.array([y, x]) - whole).astype(np.float32)
        return self.background.image, self.background.masks, within, rest, self.background.flicker[t]

    def instant(self, t: int, buffers: _Buffers | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Picture and pulsation (H, W, 3) float32 in grey levels at instant t, without noise."""
        b, lamp = buffers or self._buffers(), self.light.lamp[t]
        self._visible(t, b)
        raster.light(b.screen, b.turned, self._uv, lamp, b.points)
        gap = np.float32(0.5 + 3 / (self.camera.scale * self.settings.size[0]))  # cm between neighbouring pixels
        gain = np.stack([self.light.gain[t], self.light.gain[t] * np.float32(self.amplitude)])
        picture = np.empty((*self.settings.size, 3), np.float32)
        pulsation = np.empty_like(picture)
        raster.shade(
            (b.face, b.depth, gap),
            (self.person.faces, b.points),
            self._textures[int(self.motion.lids[t])],
            (lamp[3:6], self._tone),
            self._backdrop(t),
            gain,
            picture,
            pulsation,
        )
        return picture, pulsation

    def frame(self, t: int, buffers: _Buffers | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Frame t (H, W, 3) uint8 as the camera gives it, and its pulsation (H, W, 3) float32."""
        b, c = buffers or self._buffers(), self.camera
        shown = int(c.shown[t])
        picture, pulsation = self.instant(shown, b)
        key = np.random.SeedSequence([self.seed, 7, shown]).generate_state(1, np.uint64)[0]
        raster.white(key, _QUANTILES, b.noise.ravel())
        noise = b.noise
        if c.blur:
            noise = gaussian_filter(noise, (c.blur, c.blur, 0))
            noise /= noise.std()
        frame = np.empty(picture.shape, np.uint8)
        strength, sigma, shot = (np.float32(v) for v in (self.settings.pulse_factor * self.p[t], c.noise, c.shot))
        raster.expose(picture.ravel(), pulsation.ravel(), strength, sigma, shot, noise.ravel(), frame.ravel())
        return frame, pulsation

    def frames(self, threads: int | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every (frame, pulsation) in order, rendered by a few threads; the result does not depend on their number.

        With crf, the frame has been through H.264.
        """
        plain = self._in_order(max(threads or min(os.cpu_count() or 1, 8), 1))
        if not self.settings.crf:
            yield from plain
            return
        waiting: list[np.ndarray] = []  # pulsations of frames that the encoder still holds

        def pictures() -> Iterator[np.ndarray]:
            for frame, pulsation in plain:
                waiting.append(pulsation)
                yield frame

        for decoded in through_h264(
            pictures(), self.settings.fps, self.settings.crf, self.camera.gop, self.camera.preset
        ):
            yield decoded, waiting.pop(0)

    def _in_order(self, threads: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if threads == 1:
            buffers = self._buffers()
            for t in range(self.n):
                yield self.frame(t, buffers)
            return
        buffers_of = [self._buffers() for _ in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, self.n, threads):
                batch = range(start, min(start + threads, self.n))
                yield from pool.map(self.frame, batch, buffers_of)


def _linear(texture: np.ndarray, gamma: float) -> np.ndarray:
    """The texture (R, C, 7) with linear albedo, padded to 8 channels."""
    out = np.zeros((*texture.shape[:2], 8), np.float32)
    out[..., :7] = texture
    out[..., :3] **= np.float32(gamma)
    return out


def _thin(texture: np.ndarray, step: tuple[int, int]) -> np.ndarray:
    """The texture averaged over blocks of `step` texels."""
    (r, c), (rows, columns, k) = step, texture.shape
    rows, columns = rows // r, columns // c
    return texture[: rows * r, : columns * c].reshape(rows, r, columns, c, k).mean((1, 3))


def render_clip(
    seed: int, task: str = "A", seconds: float = 20.0, fps: float = 30.0, threads: int | None = None, **options
) -> Clip:
    """Render a clip; `options` are the other fields of Settings. The same seed gives the same pixels, whatever the
    threads.

    Memory: 9 bytes a pixel and frame (20 s at 658x492 and 30 fps: 1.7 GB). Raises InputError as Shot does.
    """
    shot = Shot(seed, Settings(task=task, seconds=seconds, fps=fps, **options))
    shape = (shot.n, *shot.settings.size, 3)
    frames, pulsation = np.empty(shape, np.uint8), np.empty(shape, np.float16)
    for t, (frame, change) in enumerate(shot.frames(threads)):
        frames[t], pulsation[t] = frame, change
    return Clip(
        frames, pulsation, shot.p, shot.bpm, fps, shot.motion.yaw[shot.camera.shown], shot.amplitude, task, seed
    )


def magnified(clip: Clip, alpha: float) -> np.ndarray:
    """The true magnified frames (T, H, W, 3) uint8: the clip with its pulse (1 + alpha) times as strong, noise
    unchanged."""
    out = np.empty_like(clip.frames)
    for t, (frame, pulsation) in enumerate(zip(clip.frames, clip.pulsation, strict=True)):
        change = pulsation.astype(np.float32) * np.float32(alpha * clip.p[t])
        out[t] = np.clip(np.floor(frame + change + np.float32(0.5)), 0, 255)
    return out
