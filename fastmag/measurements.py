"""A measurement on paper: CSV and plot."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from fastmag.errors import InputError
from fastmag.files import WholeFile, check_destination
from fastmag.vitals import WORDS, Measurement

PLOTS = (".png", ".pdf", ".svg")


def check_outputs(source, paths, overwrite: bool) -> None:
    """Raise InputError, before work starts, where a file cannot be written."""
    for path in paths:
        known = PLOTS if Path(path).suffix.lower() in PLOTS else (".csv", *PLOTS)
        check_destination(path, [source], known, overwrite)


def write_csv(measured: Measurement, path) -> None:
    """Columns: time in seconds, wave without unit, rate a minute around that time."""
    rates = np.interp(measured.times, measured.rate_times, measured.rates_bpm)
    file = WholeFile(Path(path))
    try:
        with open(file.path, "w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["time_s", "wave", "rate_bpm"])
            for row in zip(measured.times, measured.wave, rates, strict=True):
                table.writerow([f"{row[0]:.4f}", f"{row[1]:.5f}", f"{row[2]:.2f}"])
        file.commit()
    except BaseException:
        file.discard()
        raise


def write_plot(measured: Measurement, path) -> None:
    """Wave, rate over time and spectrum, one above the other."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    unit = WORDS[measured.signal][1]
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(10, 8), layout="constrained")
    top.plot(measured.times, measured.wave, lw=0.9, color="crimson")
    top.set(xlabel="time (s)", ylabel="wave", title=title(measured))
    middle.plot(measured.rate_times, measured.rates_bpm, "o-", ms=3, color="black")
    middle.set(xlabel="time (s)", ylabel=unit, xlim=top.get_xlim())
    n = 8 * len(measured.wave)
    power = np.abs(np.fft.rfft(measured.wave * np.hanning(len(measured.wave)), n)) ** 2
    frequency = 60 * np.fft.rfftfreq(n, 1 / measured.fps)
    bottom.plot(frequency, power / power.max(), lw=0.9, color="black")
    bottom.axvline(measured.rate_bpm, color="crimson", lw=0.8, ls="--")
    bottom.set(xlabel=unit, ylabel="power", xlim=(30, 300) if measured.signal == "pulse" else (0, 60))
    file = WholeFile(Path(path))
    try:
        figure.savefig(file.path, dpi=120, format=Path(path).suffix[1:].lower())
        file.commit()
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another place") from error
    finally:
        plt.close(figure)
        file.discard()


def title(measured: Measurement) -> str:
    """One line over the plot."""
    if not measured.present:
        return f"no {WORDS[measured.signal][0]} was found"
    return f"{measured.rate_bpm:.1f} {WORDS[measured.signal][1]}, quality {measured.quality:.2f}"
