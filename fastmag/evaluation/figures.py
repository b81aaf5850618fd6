"""From sums to figures: how near a magnified clip is to the true one, to its source, and where the change went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.evaluation.metrics import Similar, in_band, luma, psnr_of
from fastmag.evaluation.sums import ADDED, CROSS, OFF, SAMPLES, SKIN, TRUE, Sums

NAN = float("nan")


@dataclass(frozen=True)
class Figures:
    """One magnified clip, judged. NaN: no figure, as everywhere without a pulse; inf: no difference at all.

    psnr_source, ssim_source: to the unmagnified frames, dB; the paper's measure.
    gain, correlation: in-band amplitude of the pulse on skin, out over in, and of the waves out and true.
    gain_over_alpha: the part of the added change that is the true one, 1 for the true clip.
    pixel_correlation, block_correlation: of added and true change on skin, over all samples at once; over time.
    leak: change off the skin over that on it, root mean squares. added: root mean square of all change, grey levels.
    psnr_true, ssim_true: to the true magnified clip; above_nothing: psnr_true less that of the unmagnified clip, dB.
    *_matched: the same when the added change is scaled so that its gain on skin is the true one.
    *_best: scaled so that it comes as near to the true change on skin as any factor brings it.
    """

    psnr_source: float
    ssim_source: float
    gain: float
    correlation: float
    gain_over_alpha: float
    pixel_correlation: float
    block_correlation: float
    leak: float
    added: float
    psnr_true: float
    ssim_true: float
    above_nothing: float
    psnr_true_matched: float
    ssim_true_matched: float
    above_nothing_matched: float
    above_nothing_best: float


def matched_factor(sums: Sums) -> float:
    """The factor that gives the added change the true gain on skin; NaN where it has nothing of the true one."""
    cross = sums.total(CROSS, SKIN)
    return sums.total(TRUE, SKIN) / cross if cross > 0 else NAN


def best_factor(sums: Sums) -> float:
    """The factor, at least 0, that brings the added change nearest to the true one on skin."""
    added = sums.total(ADDED, SKIN)
    return max(sums.total(CROSS, SKIN) / added, 0.0) if added > 0 else 0.0


def waves(sums: Sums, fps: float, rate_hz: float, alpha: float) -> tuple[float, float]:
    """(gain, correlation) of the mean pulse on skin: the true change / alpha goes in, and comes out with what was
    added."""
    added, true = np.array(sums.traces).T
    before, after = in_band(true / alpha, fps, rate_hz), in_band(true / alpha + added, fps, rate_hz)
    if before.rms == 0:
        return NAN, NAN
    correlation = np.corrcoef(after.wave, before.wave)[0, 1] if after.rms > 0 else 0.0
    return after.rms / before.rms, float(correlation)


def figures_of(sums: Sums, similar: tuple[float, float, float], fps: float, rate_hz: float, alpha: float) -> Figures:
    """Everything about one magnified clip; `similar` its SSIM to the source, to the true clip, and to that at matched
    gain; fps of the judged frames; rate_hz of the true pulse."""
    samples = sums.total(SAMPLES)
    source, added = psnr_of(sums.total(ADDED) / samples), np.sqrt(sums.total(ADDED) / samples)
    true = sums.total(TRUE)
    if true == 0:
        return Figures(source, similar[0], *(NAN,) * 6, float(added), *(NAN,) * 7)
    gain, correlation = waves(sums, fps, rate_hz, alpha)
    skin = {column: sums.total(column, SKIN) for column in (ADDED, CROSS, TRUE, SAMPLES)}
    scale = np.sqrt(skin[ADDED] * skin[TRUE])
    matched = matched_factor(sums)
    return Figures(
        source, similar[0], gain, correlation, skin[CROSS] / max(skin[TRUE], 1),
        float(skin[CROSS] / scale) if scale else 0.0, sums.block_correlation(), leak_of(sums), float(added),
        psnr_of(sums.error() / samples), similar[1], decibels(true, sums.error()),
        psnr_of(sums.error(matched) / samples), similar[2], decibels(true, sums.error(matched)),
        decibels(true, sums.error(best_factor(sums))),
    )  # fmt: skip


def leak_of(sums: Sums) -> float:
    """Root mean square of the change off the skin over that on it; NaN where nothing is changed on the skin."""
    on = sums.total(ADDED, SKIN) / max(sums.total(SAMPLES, SKIN), 1)
    off = sums.total(ADDED, OFF) / max(sums.total(SAMPLES, OFF), 1)
    return float(np.sqrt(off / on)) if on > 0 and sums.total(SAMPLES, OFF) > 0 else NAN


def decibels(true: float, error: float) -> float:
    """How much smaller an error is than the true change (both sums of squares); inf for none, NaN for NaN."""
    if error != error:
        return NAN
    return float(10 * np.log10(true / error)) if error > 0.5 else float("inf")


class Likeness:
    """Similarity of frames to their source and to the true frames, over a few frames of a clip."""

    def __init__(self) -> None:
        self._values: list[tuple[float, float, float]] = []

    def add(self, source: Similar, true: Similar, new: np.ndarray, factor: float) -> None:
        """One frame `new` (H, W, 3) uint8, its source and the true frame as lumas, and the matching factor."""
        own = Similar(luma(new))
        here = true(own)
        if factor == 1 or factor != factor:
            matched = here * factor
        else:
            matched = true(Similar(source.plane + np.float32(factor) * (own.plane - source.plane)))
        self._values.append((source(own), here, matched))

    def means(self) -> tuple[float, float, float]:
        """Mean SSIM to the source, to the true frames, and to these at matched gain."""
        mean = np.mean(self._values, axis=0)
        return float(mean[0]), float(mean[1]), float(mean[2])
