"""The order of thought: comb for p, seed from |J|, self-calibrated colour, shrunk regression, amplitude, gate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from fastmag.coherent import amplitude, fusion, regression, seed, sway
from fastmag.coherent.clues import clues
from fastmag.coherent.learned import SIZE, learned_map
from fastmag.coherent.skin import SkinColour, scaled, skin_map
from fastmag.coherent.wave import Wave, filtered, mean_rate, pulse_wave
from fastmag.ops import Ops
from fastmag.temporal import butterworth

DELTA = 4.0  # grey levels added to both frames of a difference: keeps X finite on black


@dataclass(frozen=True)
class Estimate:
    """What beats: change of cells (T, h, w, 3) per unit of alpha = cells * skin * beta * p, times `presence`."""

    wave: Wave
    skin: np.ndarray
    beta: np.ndarray
    z: float
    agreement: float
    presence: float

    def change(self, cells: np.ndarray, alpha: float) -> np.ndarray:
        """The change in grey levels that makes the pulse (1 + alpha) times as large."""
        return self.flush(cells, alpha) * self.skin[..., None]

    def flush(self, cells: np.ndarray, alpha: float) -> np.ndarray:
        """The same if all cells were the usual skin."""
        size = (alpha * self.presence * self.wave.p).astype(np.float32)[:, None, None, None]
        return np.maximum(cells, 0) * (size * self.beta.astype(np.float32))


def estimate(cells: np.ndarray, y: np.ndarray, share: np.ndarray, fps: float, passband, ops: Ops) -> Estimate:
    """What beats, where and how much, from cells (T, h, w, 3), y (T - 1,) and the L1-normalised |dy/dX| (T, h, w)."""
    cells = np.maximum(cells, 0)
    known = gather(cells, y, share, fps, passband, ops)
    skin = mapped(cells, known, fps, ops)
    beta = amplitude.amplitudes(cells, skin, known.evidence, known.p_band, known.witness, fps, ops)
    presence = amplitude.presence(known.agreement, known.z, known.wave.rate_hz, passband)
    return Estimate(known.wave, skin, beta, known.z, known.agreement, presence)


@dataclass(frozen=True)
class Known:
    """What is known before the last map: p, in the passband too and as y alone has it there (T,), the map so far and
    |dy/dX| over its p95 (T, h, w), the evidence for p; how well and how surely cells follow y's own p."""

    wave: Wave
    p_band: np.ndarray
    witness: np.ndarray
    prior: np.ndarray
    near: np.ndarray
    evidence: regression.Evidence
    z: float
    agreement: float


def mapped(cells: np.ndarray, known: Known, fps: float, ops: Ops) -> np.ndarray:
    """The map (T, h, w): the skin network's; the regression's where a picture has other cells than that takes."""
    if cells.shape[1:3] != SIZE:
        return regression.refine(known.prior, known.evidence, known.p_band, ops)
    seen = clues(cells, known.near, known.prior, known.evidence, known.p_band, fps, ops)
    return learned_map(seen, len(cells))


def gather(cells: np.ndarray, y: np.ndarray, share: np.ndarray, fps: float, passband, ops: Ops) -> Known:
    """All that speaks for a map, arguments as those of estimate, but for cells: none of them below 0."""
    in_band = partial(filtered, passband=passband, fps=fps, bandpass=ops.bandpass)
    wave = pulse_wave(y, fps, passband, ops.bandpass)
    near = seed.nearness(share, ops)
    start = seed.saturate(near)

    p_band = in_band(wave.p)
    prior, evidence = search(cells, start, p_band, passband, fps, ops)
    skin = regression.refine(prior, evidence, p_band, ops)
    heard, z = fusion.witnesses(cells, logs(cells), skin, evidence, wave, p_band, fps, ops)
    agreement, witness = correlation(in_band(heard[-1]), p_band), p_band

    p = fusion.fuse(heard, wave.p, in_band, fps, wave.rate_hz)
    wave = replace(wave, p=p / max(float(p.std()), 1e-12), rate_hz=mean_rate(p, fps, passband))
    p_band = in_band(wave.p)
    log_band = evidence.log_band
    del evidence  # it is most of the memory
    evidence = regression.level(regression.weigh(cells, log_band, p_band, fps, ops), start)
    return Known(wave, p_band, witness, prior, near, evidence, z, agreement)


def search(cells: np.ndarray, start: np.ndarray, p_band: np.ndarray, passband, fps: float, ops: Ops):
    """A map (T, h, w) of the skin from the seed `start`, and the evidence, without the head's sway, for and against."""
    near = seed.gate(start, ops)
    colour = SkinColour(np.log(cells + np.float32(DELTA)))
    first = skin_map(start, near, colour)
    log_band = band_of(cells, passband, fps, ops)
    residual = regression.unexplained(log_band[..., 1:2], p_band, fps, ops)[..., 0]
    swaying = sway.fit(cells, first, log_band, sway.weights(cells, first, residual, fps, ops))
    log_band = sway.steady(cells, np.minimum(first, 1), log_band, swaying.shift)
    evidence = regression.level(regression.weigh(cells, log_band, p_band, fps, ops), start)

    first = regression.likelier((first, start * first, start), evidence, p_band)
    beats = regression.refine(first, evidence, p_band, ops)
    prior = skin_map(start * scaled(beats, 90), near, colour)
    return regression.likelier((prior, beats), evidence, p_band), evidence


def band_of(cells: np.ndarray, passband: tuple[float, float], fps: float, ops: Ops) -> np.ndarray:
    """The log of the cells (T, h, w, 3) in a passband."""
    return ops.bandpass(logs(cells), butterworth(passband, fps))


def logs(cells: np.ndarray) -> np.ndarray:
    """The log of cells, finite on black."""
    return np.log(cells + np.float32(DELTA))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Of two series without a mean (T,); 0 where one of them is 0."""
    return float(a @ b / np.sqrt(max(float(a @ a) * float(b @ b), 1e-30)))
