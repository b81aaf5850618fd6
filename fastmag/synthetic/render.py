"""A scene with a person whose pulse and breath are known, rendered frame by frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter

from fastmag.errors import InputError
from fastmag.synthetic import physiology, raster, scene
from fastmag.synthetic.codec import through_h264
from fastmag.synthetic.mesh import ATLAS_WIDTH
from fastmag.synthetic.motion import make_motion, rotation
from fastmag.synthetic.person import RISE, make_person
from fastmag.synthetic.settings import Settings
from fastmag.synthetic.things import cover
from fastmag.synthetic.wave_files import excerpt
from fastmag.synthetic.world import DISTANCE, PIVOT, make_world

_ATLAS_CM = (29.0, 50.0)  # of the head that the texture's height covers in rows, in columns
_QUANTILES = raster.normal_quantiles()
SKIN = 0.35  # of the strong pulsation: pixels above are skin


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
        rng = [np.random.default_rng([self.seed, k]) for k in range(6)]
        self.person = make_person(self.seed if s.person is None else s.person, s.head, s.texture_rows, s.detail)
        wave = self._signals(rng[0])
        self.motion = make_motion(rng[1], s.task, self.n, s.fps, wave, s.lively)
        self.light = scene.make_light(rng[2], self.n, s.fps, self.person.melanin, s.lively)
        kind = s.background or ("black" if s.task in "BC" else "pattern")
        self.background = scene.make_background(rng[3], kind, self.n, s.fps, s.size)
        self.camera = scene.make_camera(rng[4], self.n, s.size, s.noise, s.framing, s.repeat)
        self.world = None
        if s.world == "any":
            own = np.random.default_rng([self.seed, 6])
            self.world = make_world(own, s.size, s.fps, self.person.melanin, self._air)
            self.person, self.camera = self.world.person(self.person), self.world.camera(self.camera)
            self.motion = self.world.motion(self.motion)
        shown = self.camera.shown
        self.p, self.breath, self.yaw = wave[shown], self._air[shown], self.motion.yaw[shown]
        self._textures = [_thin(_linear(t, self.camera.gamma), self._step()) for t in self.person.textures]
        rows, columns = self._textures[0].shape[:2]
        self._uv = (self.person.uv * np.array([columns / ATLAS_WIDTH, rows]) - 0.5).astype(np.float32)
        self._tone = raster.tone_curve(self.camera.gamma)

    def _signals(self, rng: np.random.Generator) -> np.ndarray:
        """Set breath, rate and amplitude; returns the pulse."""
        s, real = self.settings, np.random.default_rng([self.seed, 5])
        air = physiology.breath(rng, self.n, s.fps, s.breaths)
        if s.breath_wave is not None:
            air = excerpt(real, s.breath_wave, "breath", self.n, s.fps) / np.sqrt(2)
        wave, self.bpm = physiology.pulse(rng, self.n, s.fps, s.bpm, air)
        if s.wave is not None:
            wave = -excerpt(real, s.wave, "pulse", self.n, s.fps).astype(np.float32)
            self.bpm = 60 * physiology.rate(wave, s.fps)
        drawn = np.exp(rng.uniform(np.log(0.0012), np.log(0.006))) * (1 - 0.45 * self.person.melanin)
        self.amplitude = 0.0 if not s.pulse else float(drawn if s.amplitude is None else s.amplitude)
        depth = np.exp(rng.uniform(np.log(0.3), 0.0))
        self._air = (air * (depth if s.depth is None else s.depth)).astype(np.float32)
        return wave

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
        head, trunk = rotation(m.yaw[t], m.pitch[t], m.roll[t]), rotation(0.12 * m.yaw[t], 0.0, 0.1 * m.roll[t])
        if self.world is not None:
            head, trunk = self.world.view @ head, self.world.view @ trunk
        state[:9], state[9:18] = head.ravel(), trunk.ravel()
        state[18:20] = PIVOT[1:]
        state[20:22] = n * at - 0.5
        state[22:27] = n * c.scale * h * (1 + m.nearer[t]), c.aspect, DISTANCE, m.jaw[t], 0.0
        state[26] = self.settings.breath_factor * self._air[t]
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

    def span(self, start: int = 0, stop: int | None = None) -> range:
        """The frames from start to before stop. Raises InputError for frames that the recording does not have."""
        stop = self.n if stop is None else stop
        if not 0 <= start < stop <= self.n:
            raise InputError(f"frames {start} to {stop} are not within the recording's 0 to {self.n}")
        return range(start, stop)

    def masks(self, t: int) -> tuple[np.ndarray, np.ndarray]:
        """Skin and torso (H, W) bool in frame t: where a pulse shows at more than SKIN of its strongest, and where the
        breath lifts the body by at least half of what it lifts the shoulders; the same without a pulse."""
        b, n = self._buffers(), self.settings.antialias
        shown = int(self.camera.shown[t])
        green = self._shaded(shown, b, 1.0)[1][..., 1]
        skin = green > SKIN * np.percentile(green[green > 0], 90) if green.any() else green > 0
        face = b.face[::n, ::n]
        if self.world is None:
            rise = self.person.offsets[1, self.person.faces[:, 0], 1]
            return skin, (face >= 0) & (rise[face] > 0.5 * RISE)
        bare = np.ones((*self.settings.size, 3), np.float32)
        self._cover(shown, np.ones_like(bare), bare)
        moved = np.linalg.norm(self.person.offsets[1], axis=1)[self.person.faces[:, 0]]
        return skin, (face >= 0) & (moved[face] > 0.5 * np.percentile(moved, 95)) & (bare[..., 0] > 0.5)

    def _unit(self, t: int, b: _Buffers) -> tuple[np.ndarray, np.ndarray]:
        """Where vertices lie at instant t, and how far one unit of breath moves them: (V, 2) each, pixels."""
        places, who = [], self.person
        for unit in (0.0, 1.0):
            state = self._state(t)
            state[26] = unit
            raster.pose(who.vertices, who.normals, who.bind, who.offsets, state, b.screen, b.turned)
            places.append(b.screen[:, :2] / self.settings.antialias)
        return places[0], places[1] - places[0]

    def excursion(self, t: int = 0) -> np.ndarray:
        """How far one unit of breath moves the trunk at instant t: (V, 2), pixels to the right and down, at those of
        its vertices that are in the picture and turned to the camera, seen or hidden."""
        b = self._buffers()
        place, moved = self._unit(t, b)
        inside = ((place > 0) & (place < self.settings.size[::-1])).all(1)
        return moved[inside & (self.person.bind < 0.5) & (b.turned[:, 2] > 0)]

    def displacement(self, t: int) -> np.ndarray:
        """How far one unit of breath moves what each pixel shows in frame t: (2, H, W) float32, pixels to the right and
        down; 0 where it shows no body. Where a pixel shows several things, their mean."""
        b, n, shown = self._buffers(), self.settings.antialias, int(self.camera.shown[t])
        moved = np.vstack([self._unit(shown, b)[1][self.person.faces].mean(1), np.zeros((1, 2), np.float32)])
        self._visible(shown, b)
        seen = moved[b.face]  # -1, no body, is the last
        field = seen.reshape(seen.shape[0] // n, n, seen.shape[1] // n, n, 2).mean((1, 3)).transpose(2, 0, 1)
        bare = np.ones((*self.settings.size, 3), np.float32)
        self._cover(shown, np.ones_like(bare), bare)
        return (field * bare[..., 0]).astype(np.float32)

    def instant(self, t: int, buffers: _Buffers | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Picture and pulsation (H, W, 3) float32 in grey levels at instant t, without noise."""
        return self._shaded(t, buffers or self._buffers(), self.amplitude)

    def _shaded(self, t: int, b: _Buffers, amplitude: float) -> tuple[np.ndarray, np.ndarray]:
        lamp = self.light.lamp[t]
        self._visible(t, b)
        raster.light(b.screen, b.turned, self._uv, lamp, b.points)
        gap = np.float32(0.5 + 3 / (self.camera.scale * self.settings.size[0]))  # cm between neighbouring pixels
        gain = np.stack([self.light.gain[t], self.light.gain[t] * np.float32(amplitude)])
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
        self._cover(t, picture, pulsation)
        return picture, pulsation

    def _cover(self, t: int, picture: np.ndarray, pulsation: np.ndarray) -> None:
        """What is in front of the person."""
        if self.world is not None and self.world.capsules.shape[1]:
            h, w = self.settings.size
            capsules = self.world.capsules[t] * (w, h, w, h, h)
            capsules[:, :4] += np.tile(self.motion.shake[t] * h, 2)
            cover(
                picture, pulsation, *(x.astype(np.float32) for x in (capsules, self.world.colours, self.world.grains))
            )

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

    def frames(
        self, threads: int | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every (frame, pulsation) from start to stop in order, rendered by a few threads, on whose number nothing
        depends.

        With crf, the frame has been through H.264, from `start` on.
        """
        plain = self._in_order(max(threads or min(os.cpu_count() or 1, 8), 1), self.span(start, stop))
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

    def _in_order(self, threads: int, span: range) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if threads == 1:
            buffers = self._buffers()
            for t in span:
                yield self.frame(t, buffers)
            return
        buffers_of = [self._buffers() for _ in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            for k in range(0, len(span), threads):
                yield from pool.map(self.frame, span[k : k + threads], buffers_of)


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
