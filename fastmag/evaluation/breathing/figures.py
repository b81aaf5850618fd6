"""From the shifts of patches to figures: how far the torso was moved, how truly, and what else moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastmag.evaluation.breathing.cases import ALPHA, BACKGROUND, BESIDE, HEAD, TORSO, BreathCase
from fastmag.evaluation.figures import decibels
from fastmag.evaluation.metrics import psnr_of

NAN = float("nan")
SEEN = 8  # judged frames in which a patch must show one part, for its motion over time to count


@dataclass(frozen=True)
class BreathFigures:
    """One magnified clip, judged. NaN: no figure; inf: no difference. Shifts of patches are those from each source
    frame to the magnified one, root mean squares over patches and frames, in pixels of a picture of 492 rows.

    psnr_source, ssim_source: to the unmagnified frames, dB; the paper's measure. psnr_true, ssim_true: to the true
    magnified clip; above_nothing: psnr_true less that of the unmagnified clip, dB.
    gain: 1 + ALPHA times the part of the torso's true added motion that was added; correlation of the two, over patches
    and time. torso, head, background: how far their patches were moved, beside: those of the background near the body;
    head_leak: the part of the head's that is none of its true motion.
    added: root mean square of all change, background_added: of that on the background, grey levels.
    """

    psnr_source: float
    ssim_source: float
    psnr_true: float
    ssim_true: float
    above_nothing: float
    gain: float
    correlation: float
    torso: float
    head: float
    head_leak: float
    background: float
    beside: float
    added: float
    background_added: float


class Gathered:
    """What has been gathered of one magnified clip, judged frame by judged frame."""

    def __init__(self) -> None:
        self.shifts: list[np.ndarray] = []  # (n, 2) each, pixels
        self.squares = np.zeros(3)  # sums of added^2, (added - true)^2, and added^2 on the background
        self.alike: list[tuple[float, float]] = []  # SSIM to source and true frame

    def add(self, frame: np.ndarray, new: np.ndarray, true: np.ndarray, still: np.ndarray, shifts: np.ndarray) -> None:
        """One frame, its magnified version and the true one (H, W, 3) uint8, where the background is (H, W) bool, and
        the shifts of the patches from frame to new."""
        added = new.astype(np.int32) - frame
        error = new.astype(np.int32) - true
        self.squares += (added * added).sum(), (error * error).sum(), np.square(added[still]).sum()
        self.shifts.append(shifts)


def figures_of(case: BreathCase, own: Gathered, true: Gathered, kinds: np.ndarray, still: int) -> BreathFigures:
    """Everything about one magnified clip, `true` being the true one; kinds (J, n): the part that each patch shows,
    where it can be followed; still: samples of the background."""
    samples = float(case.true.size)
    moved, truth = np.array(own.shifts) * case.pixel, np.array(true.shifts) * case.pixel
    gain, correlation = torso_motion(moved, truth, kinds == TORSO) if case.breathing else (NAN, NAN)
    alike = np.mean(own.alike, axis=0)
    return BreathFigures(
        psnr_of(own.squares[0] / samples), float(alike[0]), psnr_of(own.squares[1] / samples), float(alike[1]),
        decibels(true.squares[0], own.squares[1]) if case.breathing else NAN, gain, correlation,
        rms(moved[kinds == TORSO]), rms(moved[kinds == HEAD]), rms(_unlike(moved[kinds == HEAD], truth[kinds == HEAD])),
        rms(moved[kinds == BACKGROUND]), rms(moved[kinds == BESIDE]), float(np.sqrt(own.squares[0] / samples)),
        float(np.sqrt(own.squares[2] / still)) if still else NAN,
    )  # fmt: skip


def torso_motion(moved: np.ndarray, truth: np.ndarray, on: np.ndarray) -> tuple[float, float]:
    """(gain, correlation) of the added motion of patches against the true one, (J, n, 2) each, less their means over
    time, where on (J, n). NaN without enough of them."""
    seen = on & (on.sum(0) >= SEEN)
    if not seen.any():
        return NAN, NAN
    a, t = (np.concatenate([_level(series[:, k][on_k]) for k, on_k in enumerate(seen.T) if on_k.any()]).ravel()
            for series in (moved, truth))  # fmt: skip
    both, own, true = float(a @ t), float(a @ a), float(t @ t)
    if true == 0:
        return NAN, NAN
    return 1 + ALPHA * both / true, both / np.sqrt(own * true) if own else 0.0


def _level(series: np.ndarray) -> np.ndarray:
    return series - series.mean(0)


def rms(shifts: np.ndarray) -> float:
    """Root mean square of the lengths of shifts (m, 2); NaN for none."""
    return float(np.sqrt((shifts * shifts).sum(-1).mean())) if len(shifts) else NAN


def _unlike(moved: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Shifts (m, 2) less their share, within 0 and 1, of the true ones."""
    true = float((truth * truth).sum())
    return moved - truth * min(max(float((moved * truth).sum()) / true, 0.0), 1.0) if true else moved
