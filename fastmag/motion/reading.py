"""y of a whole clip: the network's first reading, calmed by what else is seen to move.

The network looks at two frames at a time and says how fast the places that breathe move. When they also sway, its
reading holds both. Over a clip they differ: a sway moves the whole picture of the body, and the frames t and s in which
it does so have velocity fields that are alike. Of all readings that are linear in the fields and see as much of what
the network looks for, the one with the least power is

    y = (G + loading tr(G) 1)^-1 z,

z the first reading and G (T, T) the inner products of the fields: the beamformer of least variance (Capon 1969), with
the diagonal loaded so that a breath itself is kept (Cox, Zeskind and Owen 1987), written in time instead of in space.
How much that takes differs: where the breath is most of what moves, little loading would take out the breath. A breath
is steadier than a sway, so of several loadings that one is kept whose wave has the strongest rhythm.

The network looks at the places where a breath usually shows. Once y is known, this clip tells which of them, and which
others, go along with it; what they show is most of z in a second reading (`found`), where there is a breath at all.

Once its rate is known, too, what moves at other rates is known to be no breath. The least power of that alone may be
asked for, with hardly any loading, as the breath is no part of it: what sways does so at the breath's rate as it does
at others, and is taken out at both (`beside`; filters from the power beside a rhythm are those of Nikulin et al. 2011,
here with one given direction and in time). Most of y is that reading, where there is a breath.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastmag import phase
from fastmag.coherent.wave import filtered
from fastmag.motion.agreement import presence
from fastmag.motion.lens import FASTEST, LEAST_TEXTURE, look, seen
from fastmag.motion.wave import breath, rhythm
from fastmag.ops import Ops
from fastmag.passes import silent
from fastmag.places import here, there
from fastmag.temporal import butterworth

LOADINGS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # of the power of all motion: below, what moves counts as noise
USUAL = 3  # of them: y of the others is brought to its scale
INSIDE = 0.1  # power of the share of a reading that lies in the passband
SECOND, ALIKE = 0.7, 0.7  # share of what follows y in the second reading; correlation with y that it must have
OWN_HZ, OVERTONES = 0.03, (1, 2)  # what is a breath's own: so far from its rate, and from these multiples of it
SLOWEST = 0.02  # hertz: below, nothing is a breath's
LOADED, FAINT = 1e-3, 1e-4  # of the power of all motion, of a frame's: loadings where the breath is no part of it
BESIDE = 2 / 3  # share of that reading in y
STILL = np.float32(1e-3)  # of the power of the place that moves most: below, a place is still
TRUSTED = 1 / 3  # of the first reading's size
ENOUGH = 2.0  # texture from which on a place counts whole
SECTION, OVERLAP = 300, 100  # frames that are calmed together, and that two sections share: 30 s and 10 s
BATCH = 32  # frames that are looked at together


def read(
    frames: Callable[[int, int], np.ndarray],
    count: int,
    fps: float,
    passband: tuple[float, float],
    network,
    ops: Ops,
    progress=silent,
) -> np.ndarray:
    """y (count - 1,), pixels of the working square per 0.1 s, of `count` frames at the third scale, `fps` a second.

    frames(start, stop) gives some (stop - start, 123, 123).
    """
    y, rate = np.zeros(count - 1), fps / phase.ANALYSIS_FPS
    maps, at = np.empty((0, 4, *(side // 2 for side in phase.SHAPE[1:])), np.float32), 0
    for start, stop in sections(count - 1):
        parts, done = [maps[start - at :]], at + len(maps)
        for low in range(done, stop, BATCH):
            high = min(low + BATCH, stop)
            parts.append(here(halved(looked(there(frames(low, high + 1), ops), rate, ops)), ops))
            progress("read", high, count - 1)
        maps, at = np.concatenate(parts), start
        z, fields = first(maps, network)
        fade(y, found(z, fields, fps, passband, ops), start, stop)
    return y


def first(maps: np.ndarray, network) -> tuple[np.ndarray, np.ndarray]:
    """The first reading (T,) of a section and its fields (T, 2048), of what the network takes, halved (T, 4, 64, 64).

    Both see the texture that the section has on average: the network decides by texture what counts, and what passes in
    front of the body is not to change that from frame to frame.
    """
    texture = maps[:, 2:].mean(0)
    z, fields = [], []
    for start in range(0, len(maps), BATCH):
        moved = maps[start : start + BATCH, :2]
        shown = np.concatenate([moved, np.broadcast_to(texture, moved.shape)], axis=1)
        z.append(network.predict(shown.repeat(2, -1).repeat(2, -2)))
        fields.append(field(shown))
    return np.concatenate(z), np.concatenate(fields)


def looked(small: np.ndarray, rate: float, ops: Ops) -> np.ndarray:
    """What the network takes (T - 1, 4, 128, 128) of frames at the third scale (T, 123, 123)."""
    x, through = look(phase.analyse(small, ops), ops)
    return seen(x * np.float32(rate), through, ops)


def field(maps: np.ndarray) -> np.ndarray:
    """What frames (B, 4, 64, 64) show of motion (B, 2048): the velocities of 32 x 32 places, weighted by the root of
    texture."""
    weight = np.sqrt(halved(np.minimum(maps[:, 2:].mean(1, keepdims=True), np.float32(ENOUGH))))
    return (places(maps) * weight).reshape(len(maps), -1)


def places(maps: np.ndarray) -> np.ndarray:
    """The velocities (B, 2, 32, 32) of places, in UNITs, means weighted by texture, of what the network takes, halved
    (B, 4, 64, 64)."""
    moved = np.clip(maps[:, :2], -FASTEST, FASTEST)
    weight = np.sqrt(maps[:, 2:].sum(1, keepdims=True) ** 2 + np.float32(LEAST_TEXTURE**2))
    return halved(moved * weight) / halved(weight)


def halved(maps: np.ndarray) -> np.ndarray:
    """Means (..., h / 2, w / 2) over squares of two by two."""
    rows = maps[..., ::2, :] + maps[..., 1::2, :]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def found(z: np.ndarray, fields: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> np.ndarray:
    """y (T,) of a section: the first reading calmed; or, where that is steadier and nearly the same, the first reading
    with more of what goes along with y, calmed again. Where there is a breath, most of it is what `beside` reads."""
    first, y = z, sized(steadiest(calmed(z, fields), fps, passband, ops), z)
    if not presence(y, breath(y, fps, passband, ops), slice(0, len(y)), fps, passband):
        return y
    more = followers(y, fields, fps, passband, ops)
    z = (1 - SECOND) * z * (np.sign(z @ y) or 1) + SECOND * more * (z.std() / max(more.std(), 1e-30))
    again = steadiest(calmed(z, fields), fps, passband, ops)
    size, product = again @ again, again @ y
    steadier = steadiness(again, fps, passband, ops) > steadiness(y, fps, passband, ops)
    if steadier and product**2 > ALIKE**2 * size * (y @ y):
        y = again * (product / size)
    return mixed(y, beside(first, fields, breath(y, fps, passband, ops).rate_hz, fps), fps, passband, ops)


def beside(z: np.ndarray, fields: np.ndarray, rate_hz: float, fps: float) -> np.ndarray:
    """The reading (T,) that leaves the least power of what the fields (T, 2048) show at other rates than a breath's,
    and sees as much as z (T,) of what the network looks for."""
    fields = fields - fields.mean(0)
    gram = (fields @ fields.T).astype(np.float64)
    one, power, own = np.eye(len(gram)), np.trace(gram) + 1e-6, rhythms(len(gram), rate_hz, fps)
    looks = np.linalg.solve(gram + FAINT * power / len(gram) * one, z - z.mean())  # of fields: F^T looks are of places
    others = gram - own @ (own.T @ gram)
    rest = others - (others @ own) @ own.T
    return gram @ looks - others.T @ np.linalg.solve(rest + LOADED * power * one, others @ looks)


def rhythms(count: int, rate_hz: float, fps: float) -> np.ndarray:
    """Orthonormal columns (T, n): the mean, and what `count` samples hold of a breath's own frequencies."""
    ends = [(max(k * (rate_hz - OWN_HZ), SLOWEST), k * (rate_hz + OWN_HZ)) for k in OVERTONES]
    hertz = np.concatenate([np.arange(low, high + 1e-9, 0.5 * fps / count) for low, high in ends])
    turns = 2j * np.pi * hertz * np.arange(count)[:, None] / fps
    columns, size, _ = np.linalg.svd(np.hstack([np.ones((count, 1)), np.exp(turns).real, np.exp(turns).imag]), False)
    return columns[:, size > 0.01 * size[0]]


def mixed(y: np.ndarray, other: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> np.ndarray:
    """y (T,) with a share BESIDE of another reading, by their sizes in the passband, at the scale of y."""
    sizes = (max(filtered(part, passband, fps, ops.bandpass).std(), 1e-30) for part in (y, other))
    own, more = (part / size for part, size in zip((y, other), sizes, strict=True))
    both = (1 - BESIDE) * own + BESIDE * more * (np.sign(more @ own) or 1)
    return both * (both @ y) / max(both @ both, 1e-30)


def followers(y: np.ndarray, fields: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> np.ndarray:
    """How the places of fields (T, 2048) move that follow y (T,): each by its slope on y in the passband, times its
    squared correlation."""
    band, y = ops.bandpass(fields, butterworth(passband, fps)), filtered(y, passband, fps, ops.bandpass)
    slope = (y.astype(np.float32) @ band).reshape(2, -1)
    power = (band**2).sum(axis=0).reshape(2, -1).sum(axis=0)
    follows = (slope**2).sum(axis=0) / max(y @ y, 1e-30) / (power + STILL * power.max())
    return fields @ (slope * follows).ravel()


def calmed(first: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """The readings of least power (L, T) float64, by loading, from the first (T,) and the fields (T, 2048)."""
    fields = fields - fields.mean(0)
    gram = (fields @ fields.T).astype(np.float64)
    one, first = np.eye(len(gram)), first - first.mean()
    return np.stack([np.linalg.solve(gram / (some * np.trace(gram) + 1e-6) + one, first) for some in LOADINGS])


def steadiest(readings: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> np.ndarray:
    """Of readings (L, T), the one whose wave has the strongest rhythm, at the scale of the usual one. Where nothing but
    a breath moves, all have that rhythm: a little goes by how much of the reading lies in the passband."""
    y = readings[int(np.argmax([steadiness(y, fps, passband, ops) for y in readings]))]
    return y * (readings[USUAL] @ y) / max(y @ y, 1e-30)


def steadiness(y: np.ndarray, fps: float, passband: tuple[float, float], ops: Ops) -> float:
    """The rhythm of the wave of y (T,), times the share of y in the passband to a small power."""
    inside = filtered(y, passband, fps, ops.bandpass).std() / max(y.std(), 1e-30)
    return rhythm(filtered(np.cumsum(y), passband, fps, ops.bandpass), fps, passband) * inside**INSIDE


def sized(y: np.ndarray, first: np.ndarray) -> np.ndarray:
    """A reading, larger where the first one says so: what has the least power is small where nothing moves but the
    breath, although the first reading is right there, and mostly y."""
    return y * max(1.0, TRUSTED * (first @ y) / max(y @ y, 1e-30))


def sections(count: int) -> Iterator[tuple[int, int]]:
    """Start and stop of sections of `count` differences; the last one takes in what would be too short alone."""
    start = 0
    while True:
        stop = count if count - start < SECTION + SECTION - OVERLAP else start + SECTION
        yield start, stop
        if stop == count:
            return
        start = stop - OVERLAP


def fade(y: np.ndarray, part: np.ndarray, start: int, stop: int) -> None:
    """Put the y of a section in its place; where an earlier one has been, one fades into the other."""
    shared = min(OVERLAP, stop - start) if start else 0
    share = (np.arange(shared) + 0.5) / max(shared, 1)
    y[start : start + shared] += share * (part[:shared] - y[start : start + shared])
    y[start + shared : stop] = part[shared:]
