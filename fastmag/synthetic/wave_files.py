"""Recorded waves for rendered people: a column of a CSV file, or a signal of a WFDB record (PhysioNet)."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfiltfilt

from fastmag.errors import InputError

_SPEC = re.compile(r"(?P<path>.+?)(?::(?P<column>[^:@/\\]+))?(?:@(?P<hz>[0-9.]+))?$")
_TIMES = {"timer": 1e-3, "ms": 1e-3, "time": 1.0, "seconds": 1.0, "datetime": 1.0}  # seconds per unit
KINDS = {
    "pulse": ((0.5, 8.0), ("PLETH", "PPG", "BVP", "hr", "pulse")),
    "breath": ((0.08, 1.0), ("RESP", "RSP", "breath", "respiration")),
}
"""Of each kind of wave: the band that is kept, in hertz, and the columns that hold it, first choice first."""


def read_wave(spec: str | Path, kind: str = "pulse") -> tuple[np.ndarray, float]:
    """A recorded wave (N,) float64 and its samples per second.

    spec: FILE[:COLUMN][@HZ]. A .csv file with or without names in its first line, or a WFDB header (.hea) beside its
    .dat or .mat file (formats 16 and 212). COLUMN is a name or a number from 0; by default the one that names a wave of
    that kind, or else the last. HZ is needed where no column of times and no header says it.
    Raises InputError for a file that cannot be read so.
    """
    match = _SPEC.match(str(spec))
    path = Path(str(spec))
    column, hz = None, None
    if match and not path.is_file():
        path, column, hz = Path(match["path"]), match["column"], match["hz"]
    if not path.is_file():
        raise InputError(f"no recording at {path}; expected FILE[:COLUMN][@HZ] with a .csv or .hea file")
    rate = None if hz is None else float(hz)
    names, table, times = _read_csv(path) if path.suffix.lower() == ".csv" else _read_wfdb(path)
    wave = table[:, _choose(path, names, column, kind)]
    if rate is None and times is None:
        raise InputError(f"{path} does not say its samples per second: add them, as in {path.name}@100")
    if rate is None and times is not None:
        rate = (len(times) - 1) / float(times[-1] - times[0])
        wave = np.interp(np.linspace(times[0], times[-1], len(times)), times, wave)
    if rate is None or not 4 <= rate <= 100_000:
        raise InputError(f"{path}: {rate} samples per second; expected 4 to 100000: name the rate, as in FILE@100")
    return wave, rate


def _choose(path: Path, names: list[str], column: str | None, kind: str) -> int:
    lower = [name.lower() for name in names]
    if column is not None:
        if column.lower() in lower:
            return lower.index(column.lower())
        if column.isdigit() and int(column) < len(names):
            return int(column)
        raise InputError(f"{path} has no column {column!r}; expected one of {', '.join(names)}")
    return next((lower.index(name.lower()) for name in KINDS[kind][1] if name.lower() in lower), len(names) - 1)


def _read_csv(path: Path) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Names, table (N, columns) and times (N,) in seconds, if a column holds them."""
    with path.open(newline="", errors="replace") as file:
        rows = [row for row in csv.reader(file) if row]
    if len(rows) < 16:
        raise InputError(f"{path} holds {len(rows)} lines; expected a recording of a pulse or a breath as CSV")
    named = not all(_number(cell) for cell in rows[0])
    names = [cell.strip() for cell in rows[0]] if named else [str(i) for i in range(len(rows[0]))]
    try:
        columns = [[_value(row[i]) for row in rows[named:]] for i in range(len(names))]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path} is not a table of numbers ({error}); expected one sample a line") from None
    table = np.array(columns, np.float64).T
    unit = _TIMES.get(names[0].lower()) if named and len(names) > 1 else None
    return names, table, None if unit is None else table[:, 0] * unit


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _value(cell: str) -> float:
    return float(cell) if _number(cell) else datetime.fromisoformat(cell.strip()).timestamp()


def _read_wfdb(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """As _read_csv, from a WFDB header and its one data file."""
    lines = [line.split() for line in path.read_text(errors="replace").splitlines() if line and line[0] != "#"]
    try:
        count, rate, length = int(lines[0][1]), float(lines[0][2].split("/")[0]), int(lines[0][3])
        signals = lines[1 : count + 1]
        kind, _, skip = signals[0][1].partition("+")
        names = [words[8] for words in signals]
        data = (path.parent / signals[0][0]).read_bytes()[int(skip or 0) :]
    except (IndexError, ValueError, OSError) as error:
        raise InputError(f"{path} is not a WFDB header with its data beside it ({error}); see physionet.org") from None
    if kind == "16":
        raw, lost = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64), -32768
    elif kind == "212":
        b = np.frombuffer(data[: len(data) // 3 * 3], np.uint8).reshape(-1, 3).astype(np.int32)
        pair = np.stack([b[:, 0] + ((b[:, 1] & 15) << 8), b[:, 2] + ((b[:, 1] >> 4) << 8)], -1).ravel()
        raw, lost = np.where(pair > 2047, pair - 4096, pair).astype(np.float64), -2048
    else:
        raise InputError(f"{path}: format {kind} is not read; expected 16 or 212: export the record as CSV")
    length = min(length, len(raw) // count)
    table = raw[: length * count].reshape(length, count)
    table[table == lost] = np.nan
    return names, table, np.arange(length) / rate


def excerpt(rng: np.random.Generator, spec: str | Path, kind: str, n: int, fps: float) -> np.ndarray:
    """n samples at fps of a recording, from a random place on: band-passed, zero mean, unit standard deviation.

    Raises InputError where the recording is shorter than n / fps seconds, or still.
    """
    wave, rate = read_wave(spec, kind)
    known = np.isfinite(wave)
    if known.sum() < 16 or np.ptp(wave[known]) == 0:
        raise InputError(f"{spec} holds no wave: it is constant or empty; name another column")
    wave = np.interp(np.arange(len(wave)), np.flatnonzero(known), wave[known])
    seconds, needed = (len(wave) - 1) / rate, (n - 1) / fps
    if seconds < needed:
        raise InputError(f"{spec} lasts {seconds:.1f} s; expected at least {needed:.1f} s: render fewer seconds")
    low, high = KINDS[kind][0]
    high = min(high, 0.45 * rate, 0.45 * fps)
    kept = sosfiltfilt(butter(2, (low, high), "bandpass", fs=rate, output="sos"), wave)
    start = rng.uniform(0, seconds - needed)
    out = np.interp((start + np.arange(n) / fps) * rate, np.arange(len(kept)), kept)
    out -= out.mean()
    return out / max(float(out.std()), 1e-12)
