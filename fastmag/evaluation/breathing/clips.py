"""Judge magnified versions of a real breathing clip against its source: where it breathes, where it is quiet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from fastmag.coherent.wave import mean_rate
from fastmag.errors import InputError
from fastmag.evaluation.breathing.cases import JUDGED_HZ
from fastmag.evaluation.metrics import Similar, luma, psnr_of
from fastmag.evaluation.shifts import Patches
from fastmag.evaluation.tables import markdown
from fastmag.video import Reader, to_rgb

BREATHES, ALIKE = 0.04, 0.7  # pixels with the clip's wave, and correlation with it: more, and a patch breathes
QUIET = 0.02  # pixels with the clip's wave: less, and a patch is quiet
SHORTEST = 25  # judged frames that the filter over time needs
SIMILAR_EVERY = 5  # judged frames from one comparison of structure to the next


@dataclass(frozen=True)
class RealBreath:
    """A magnified clip against its source. gain, correlation: medians over the patches that breathe, of their motion
    out and in, within the passband; quiet, quiet_worst: how far quiet patches were moved, root mean square over all of
    them and of the worst, pixels; breathing, still: how many patches breathe and are quiet; rate: of the source's wave,
    a minute; psnr (dB), ssim: to the source."""

    gain: float
    correlation: float
    quiet: float
    quiet_worst: float
    psnr: float
    ssim: float
    rate: float
    breathing: int
    still: int


@dataclass
class Followed:
    """Patches of a clip at judged frames: source (J, n, 2), where each lies from where it was in the first one; added
    (J, n, 2), from the source's frame to the magnified one, pixels; fps; psnr, ssim to the source."""

    source: np.ndarray
    added: np.ndarray
    fps: float
    psnr: float
    ssim: float


def judge_breathing(source, magnified, passband: tuple[float, float] = (0.16, 0.5)) -> RealBreath:
    """Compare two files of one size in bounded memory. Raises InputError where they differ in size, are too short for
    the passband, or nothing breathes."""
    found = follow(source, magnified)
    if len(found.source) < max(found.fps / passband[0], SHORTEST):
        raise InputError(f"{source} is too short for breathing from {passband[0]:g} Hz: use a longer clip")
    before, after = (band(series, passband, found.fps) for series in (found.source, found.source + found.added))
    axis, wave = main_motion(before)
    unfiltered, own, out = (np.einsum("jnd,nd->jn", series, axis) for series in (found.source, before, after))
    weights = wave @ own  # the filter bends a wave's ends, and with them its rate
    shared = np.linalg.norm(np.einsum("jnd,j->nd", before, wave), axis=1) / np.sqrt(len(wave))
    breathes = (shared >= BREATHES) & (np.abs(correlations(own, wave[:, None])) >= ALIKE)
    if not breathes.any():
        raise InputError(f"nothing breathes in {source} within {passband[0]:g}-{passband[1]:g} Hz: give --passband")
    rate = 60 * mean_rate(unfiltered @ weights, found.fps, passband)
    lengths = np.sqrt((found.added**2).sum(-1).mean(0))[shared < QUIET]
    return RealBreath(
        float(np.median(out.std(0)[breathes] / own.std(0)[breathes])),
        float(np.median(correlations(own, out)[breathes])),
        float(np.sqrt((lengths**2).mean())) if len(lengths) else float("nan"),
        float(lengths.max()) if len(lengths) else float("nan"),
        found.psnr, found.ssim, rate, int(breathes.sum()), len(lengths),
    )  # fmt: skip


def follow(source, magnified) -> Followed:
    """Follow every patch that shows enough, JUDGED_HZ times a second. Raises InputError where the sizes differ."""
    places, added, squares, alike = [], [], [], []
    with Reader(source) as a, Reader(magnified) as b:
        if (a.info.width, a.info.height) != (b.info.width, b.info.height):
            raise InputError(f"{source} and {magnified} differ in size: compare a clip with its own magnified version")
        step = max(1, round(float(a.info.fps) / JUDGED_HZ))
        fps, first = float(a.info.fps) / step, None
        for i, (one, other) in enumerate(zip(a, b, strict=False)):
            if i % step:
                continue
            rgb, new = to_rgb(one, a.info), to_rgb(other, b.info)
            old, now = luma(rgb), luma(new)
            first = first or Patches(old)
            places.append(first.shifts(old, first.clear))
            added.append(Patches(old).shifts(now, first.clear))
            squares.append(np.mean((new.astype(np.float32) - rgb) ** 2))
            if len(places) % SIMILAR_EVERY == 0:
                alike.append(Similar(old)(Similar(now)))
    clear = first.clear if first else np.zeros(0, bool)
    psnr, ssim = psnr_of(float(np.mean(squares))), float(np.mean(alike)) if alike else float("nan")
    return Followed(np.array(places)[:, clear], np.array(added)[:, clear], fps, psnr, ssim)


def band(series: np.ndarray, passband: tuple[float, float], fps: float) -> np.ndarray:
    """Series (J, ...) within the passband, zero phase."""
    low, high = passband[0], min(passband[1], 0.45 * fps)
    return sosfiltfilt(butter(3, (low, high), "bandpass", fs=fps, output="sos"), series - series.mean(0), axis=0)


def main_motion(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each patch's motion (J, n, 2) its main direction (n, 2), and the wave (J,) that most of them share,
    of length 1."""
    tensors = np.einsum("jnd,jne->nde", series, series)
    axis = np.linalg.eigh(tensors)[1][..., -1]
    along = np.einsum("jnd,nd->jn", series, axis)
    power = np.sqrt((along**2).sum(0))
    along = along / np.maximum(power, 1e-9) * np.minimum(power, np.percentile(power, 90))  # no patch alone decides
    return axis, np.linalg.svd(along, full_matrices=False)[0][:, 0]


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson over time of columns (J, n), which have no mean; 0 where one does not move."""
    scale = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    return (a * b).sum(0) / np.where(scale > 0, scale, np.inf)


def table(rows: Iterable[tuple[str, RealBreath]]) -> str:
    """Rows (name, judgement) as a Markdown table."""
    head = ("", "gain", "correlation", "quiet patches, px", "the worst", "PSNR to source, dB", "SSIM", "a minute",
            "breathing / quiet patches")  # fmt: skip
    return markdown(head, [
        (name, f"{j.gain:.2f}", f"{j.correlation:.3f}", f"{j.quiet:.3f}", f"{j.quiet_worst:.3f}", f"{j.psnr:.1f}",
         f"{j.ssim:.4f}", f"{j.rate:.1f}", f"{j.breathing} / {j.still}") for name, j in rows])  # fmt: skip
