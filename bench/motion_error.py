"""python -m bench.motion_error: how far a known sub-pixel sway is magnified, over alpha, by each motion method.

A texture of waves of 10 to 32 pixels, within 35 degrees of the motion, sways 0.1 pixels; the sway of the result is
measured by least squares on the phases of its waves. Writes bench/results/motion-error.json and docs/motion-error.png.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

import fastmag
from fastmag.baselines.vam import acceleration, response

HERE = Path(__file__).parent
SIZE, COUNT, FPS, HERTZ, SWAY = (96, 128), 120, 30.0, 1.5, 0.1
ALPHAS = (2, 5, 10, 20, 40, 80)


def texture(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The half spectrum of a texture that repeats beyond its edges, and where it is not zero."""
    rng = np.random.default_rng(seed)
    y, x = np.fft.fftfreq(SIZE[0])[:, None], np.fft.rfftfreq(SIZE[1])
    radius = np.hypot(y, x)
    mask = (radius > 1 / 32) & (radius < 1 / 10) & (np.abs(y) <= 0.7 * x)
    picture = np.fft.irfft2(np.where(mask, np.fft.rfft2(rng.normal(size=SIZE)), 0), SIZE)
    return np.fft.rfft2(120 + 25 * picture / picture.std()), mask


def moved(shift: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8: the texture so many pixels to the right, with a dither that stays."""
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(SIZE[1]) * shift[:, None, None])
    pictures = np.fft.irfft2(texture()[0] * turns, SIZE)
    return np.clip(np.floor(pictures[..., None] + np.random.default_rng(1).random((*SIZE, 3))), 0, 255).astype(np.uint8)


def shift_of(frames: np.ndarray) -> np.ndarray:
    """The texture's position (T,), from frame to frame, its mean removed."""
    mask = texture()[1]
    spectra = np.fft.rfft2(frames[..., 1].astype(float))[:, mask]
    f = np.broadcast_to(np.fft.rfftfreq(SIZE[1]), mask.shape)[mask]
    weight = np.abs(spectra[:-1]) ** 2
    angle = np.angle(spectra[1:] * np.conj(spectra[:-1]))
    position = np.r_[0, np.cumsum(-(weight * f * angle).sum(1) / (2 * np.pi * (weight * f * f).sum(1)))]
    return position - position.mean()


def methods(alpha: float) -> dict[str, tuple[object, float]]:
    """Params of each method, and the motion that it was asked for, in times of the original."""
    band = (1.0, 2.0)
    times = 1 + alpha * response(acceleration(HERTZ, FPS, "int"), HERTZ, FPS)
    return {
        "evm-motion": (fastmag.EvmMotion(alpha=alpha, lambda_c=1, temporal="ideal", passband=band), 1 + alpha),
        "phase-evm, octave": (fastmag.PhaseEvm(alpha=alpha, temporal="ideal", passband=band, sigma=2), 1 + alpha),
        "phase-evm, half-octave": (
            fastmag.PhaseEvm(alpha=alpha, temporal="ideal", passband=band, sigma=2, pyramid="half-octave"), 1 + alpha,
        ),
        "riesz, octave": (fastmag.Riesz(alpha=alpha, temporal="ideal", passband=band, sigma=2), 1 + alpha),
        "riesz, octave, no smoothing": (
            fastmag.Riesz(alpha=alpha, temporal="ideal", passband=band, sigma=0), 1 + alpha,
        ),
        "vam-motion, int": (fastmag.VamMotion(alpha=alpha, frequency=HERTZ, acceleration="int", sigma=2), times),
    }  # fmt: skip


def measure() -> dict[str, list[dict[str, float]]]:
    """For each method and alpha: motion got over motion asked, and the root mean square of what is off in pixels."""
    sway = SWAY * np.sin(2 * np.pi * HERTZ * np.arange(COUNT) / FPS)
    frames, rows = moved(sway), {}
    for alpha in ALPHAS:
        for name, (params, times) in methods(alpha).items():
            got, asked = shift_of(fastmag.magnify(frames, method=params, fps=FPS)), times * sway
            row = {"alpha": alpha, "asked_px": round(times * SWAY, 3), "ratio": round(asked @ got / (asked @ asked), 4)}
            row["off_px"] = round(float(np.sqrt(np.mean((got - asked) ** 2))), 4)
            rows.setdefault(name, []).append(row)
            print(name, row, flush=True)
    return rows


def draw(rows: dict[str, list[dict[str, float]]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
    for name, points in rows.items():
        axis.plot([p["asked_px"] for p in points], [p["ratio"] for p in points], "o-", label=name, markersize=4)
    axis.set(xscale="log", xlabel="motion asked for, pixels", ylabel="motion got / asked", ylim=(0, 1.15))
    axis.set_xticks([0.2, 0.5, 1, 2, 4, 8], ["0.2", "0.5", "1", "2", "4", "8"])
    axis.minorticks_off()
    axis.axhspan(0.95, 1.05, color="0.9")
    axis.legend(frameon=False)
    figure.savefig(HERE.parent / "docs" / "motion-error.png", dpi=110)


def main() -> None:
    from bench.records import commit

    rows = measure()
    record = {"commit": commit(), "date": time.strftime("%Y-%m-%d"), "sway_px": SWAY, "rows": rows}
    (HERE / "results" / "motion-error.json").write_text(json.dumps(record, indent=1) + "\n")
    draw(rows)


if __name__ == "__main__":
    main()
