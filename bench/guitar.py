"""python -m bench.guitar CLIPS: how near EVM comes to MIT's own guitar_72_92_mit_result.mp4, and what is left.

CLIPS is the folder with MIT's guitar.mp4 and that file. Outside 72-92 Hz nothing is magnified, so that MIT's file shows
there which frames of the source it was made of: each of its frames is looked for among them first. Distances are root
mean squares of full scale of what moves, from the source as it is and as MIT's reader had it; those of the luma also
within the band and outside, where no gain reaches. Writes bench/results/guitar.json.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastmag
from fastmag.presets import PRESETS
from fastmag.video import read_rgb

RESULT = Path(__file__).parent / "results" / "guitar.json"
FS, BAND = 600.0, (72.0, 92.0)
EDGE = 2.0  # hertz beside the band that are not looked at where frames are told from each other
READ = (2, 2, 1)  # frame n of what MIT's script read is frame n + READ[n % 3] of guitar.mp4
FIRST = 1  # frame of the source that MIT's first one was made of, had all been read in order
INSIDE = slice(6, -9)
LUMA = np.array([0.299, 0.587, 0.114], np.float32) / 255


def as_read(frames: np.ndarray) -> np.ndarray:
    """The frames that MIT's script got: of three frames the second twice, the third not at all, two frames early."""
    n = np.arange(len(frames))
    return frames[np.minimum(n + np.array(READ)[n % 3], len(frames) - 1)]


def band_of(x: np.ndarray, edge: float = 0.0) -> np.ndarray:
    """The part of x (T, ...) within the band, widened by so many hertz on either side; without the mean."""
    spectrum, f = np.fft.rfft(x, axis=0), np.fft.rfftfreq(len(x), 1 / FS)
    spectrum[(f <= BAND[0] - edge) | (f >= BAND[1] + edge)] = 0
    return np.fft.irfft(spectrum, len(x), axis=0).astype(np.float32)


def places(theirs: np.ndarray, source: np.ndarray) -> np.ndarray:
    """For each frame of theirs, the frame of the source it is most like outside the band: lumas (T, H, W) -> (T,)."""
    moves = [x - x.mean(axis=0) for x in (theirs - band_of(theirs, EDGE), source)]
    flat = [x.reshape(len(x), -1) for x in moves]
    flat = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in flat]
    return np.argmax(flat[0] @ flat[1].T, axis=1)


def rms(x: np.ndarray) -> float:
    """Root mean square of what moves, the ends left out."""
    x = x[INSIDE] - x[INSIDE].mean(axis=0)
    return float(np.sqrt((x * x).mean()))


def distance(x: np.ndarray, theirs: np.ndarray) -> float:
    """Between clips (T, H, W, 3) uint8."""
    return float(np.sqrt(np.mean([rms((x[..., c] - theirs[..., c].astype(np.float32)) / 255) ** 2 for c in range(3)])))


def encoded(frames: np.ndarray, fps: float, bit_rate: float) -> np.ndarray:
    """The frames after H.264 of the main profile at so many bits a second."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=round(fps), options={"profile": "main"})
            stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
            stream.bit_rate = round(bit_rate)
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        return read_rgb(path)[0]


def compared(frames: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """How far both are from theirs, and what is left of the luma within the band and outside."""
    far, still = distance(ours, theirs), distance(frames, theirs)
    left = ours @ LUMA - theirs @ LUMA
    within, outside = rms(band_of(left)), rms(left - band_of(left))
    nearer = round(100 * (1 - far / still), 1)
    return {"ours": round(far, 5), "source": round(still, 5), "percent_nearer": nearer,
            "left_in_band": round(within, 5), "left_outside": round(outside, 5)}  # fmt: skip


def measure(clips: Path) -> dict[str, Any]:
    """All of it, of a folder with MIT's clips."""
    source, fps = read_rgb(clips / "guitar.mp4")
    path = clips / "guitar_72_92_mit_result.mp4"
    theirs = read_rgb(path)[0]
    count = len(theirs)
    found = places(theirs @ LUMA, source @ LUMA)
    rule = as_read(np.arange(len(source)))[FIRST : FIRST + count]
    record: dict[str, Any] = {"frames": count, "frames_that_keep_the_rule": int((found == rule).sum())}
    params = dataclasses.replace(PRESETS["evm/guitar-e"], compat="mit", alpha=75)
    for name, frames in {"as the file plays": source, "as read": as_read(source)}.items():
        ours, beside = fastmag.magnify(frames, method=params, fps=fps), frames[FIRST : FIRST + count]
        record[name] = compared(beside, ours, theirs)
    bits = 8 * path.stat().st_size / (count / fps)
    record["as read, encoded like theirs"] = compared(beside, encoded(ours, fps, bits), theirs)
    return record


def main() -> None:
    """Print the distances, and write the record."""
    from bench.records import about

    record = {**about(), **measure(Path(sys.argv[1]))}
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps({name: value for name, value in record.items() if name != "machine"}, indent=1))


if __name__ == "__main__":
    main()
