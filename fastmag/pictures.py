"""Before and after in one picture: frames at the pulse's peak and trough, and a scan line over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag.files import WholeFile
from fastmag.video import Reader, to_rgb


@dataclass(frozen=True)
class Comparison:
    """What a picture shows: RGB frames before and after at the change's peak and trough, and one column over time.

    peak, trough: (before, after), each (H, W, 3) uint8; scan: (before, after), each (R, T, 3) uint8, of the rows `rows`
    (first, last + 1) of the column; at: their seconds.
    """

    peak: tuple[np.ndarray, np.ndarray]
    trough: tuple[np.ndarray, np.ndarray]
    scan: tuple[np.ndarray, np.ndarray]
    column: int
    rows: tuple[int, int]
    at: tuple[float, float]
    seconds: float


def pairs(before, after, upright: bool = True) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """(time, before, after) for every frame of two videos of one size, as RGB (H, W, 3) uint8, turned for display."""
    with Reader(before) as a, Reader(after) as b:
        turns = (a.info.rotation // 90 if upright else 0, b.info.rotation // 90 if upright else 0)
        for one, other in zip(a, b, strict=False):
            rgb = np.rot90(to_rgb(one, a.info), turns[0]), np.rot90(to_rgb(other, b.info), turns[1])
            yield one.time, rgb[0], rgb[1]


def compare(before, after) -> Comparison:
    """Read two videos twice, in bounded memory: first where and when they differ most, then those frames."""
    times, trace, power = [], [], 0.0
    for time, old, new in pairs(before, after):
        change = new[::2, ::2, 1].astype(np.float32) - old[::2, ::2, 1]
        times.append(time)
        trace.append(change.mean())
        power = power + change**2
    column, rows = busiest(np.asarray(power))
    steady = np.array(trace) - np.mean(trace)
    edge = min(len(steady) // 4, 15)
    inner = steady[edge : len(steady) - edge]
    peak, trough = edge + int(inner.argmax()), edge + int(inner.argmin())
    shown: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    scans: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for i, (_, old, new) in enumerate(pairs(before, after)):
        if i in (peak, trough):
            shown[i] = (old.copy(), new.copy())
        scans[0].append(old[slice(*rows), column].copy())
        scans[1].append(new[slice(*rows), column].copy())
    scan = np.stack(scans[0], axis=1), np.stack(scans[1], axis=1)
    return Comparison(shown[peak], shown[trough], scan, column, rows, (times[peak], times[trough]), times[-1])


def busiest(power: np.ndarray) -> tuple[int, tuple[int, int]]:
    """The column of a video with the most change, and the rows of it that hold nine tenths of that, a quarter of the
    height at least; power (H / 2, W / 2) is the change's."""
    height, column = len(power), int(np.argmax(power.sum(axis=0)))
    along = np.cumsum(power[:, column]) / max(float(power[:, column].sum()), 1e-12)
    first, last = np.searchsorted(along, (0.05, 0.95))
    middle, half = (first + last) / 2, max((last - first) / 2 + height / 10, height / 8)
    return 2 * column, (2 * max(0, int(middle - half)), 2 * min(height, int(np.ceil(middle + half))))


def before_after(before, after, path, title: str = "") -> Path:
    """Draw a Comparison of two videos into `path` (.png): left the source, right the magnified video."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    seen = compare(before, after)
    height, width = seen.peak[0].shape[:2]
    figure, axes = plt.subplots(3, 2, figsize=(9, 9 * (2.35 * height / (2 * width)) + 0.8), layout="constrained",
                                height_ratios=[1, 1, 0.35])  # fmt: skip
    rows = ((f"peak, {seen.at[0]:.2f} s", seen.peak), (f"trough, {seen.at[1]:.2f} s", seen.trough))
    for (label, images), row in zip(rows, axes, strict=False):
        for axis, image, name in zip(row, images, ("before", "after"), strict=True):
            axis.imshow(image)
            axis.plot([seen.column] * 2, seen.rows, color="white", lw=0.8, ls=":")
            axis.set_title(f"{name}: {label}", fontsize=9)
            axis.axis("off")
    for axis, image in zip(axes[2], seen.scan, strict=True):
        axis.imshow(image, aspect="auto", extent=(0, seen.seconds, seen.rows[1], seen.rows[0]))
        axis.set(xlabel="seconds", yticks=[])
        axis.set_title(f"column {seen.column} over time", fontsize=9)
    figure.suptitle(title, fontsize=10)
    file = WholeFile(Path(path))
    try:
        figure.savefig(file.path, dpi=110, format="png")
        file.commit()
    finally:
        plt.close(figure)
        file.discard()
    return Path(path)
