"""The map as the skin network tells it from the clues, at every third frame and in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fastmag.coherent.clues import STRIDE
from fastmag.processes import cores
from fastmag.providers.ort import shipped

SIZE = 36, 36  # cells that the network takes
BLOCK = 10  # frames in a run: what they take stays in the cache


def learned_map(clues: np.ndarray, count: int) -> np.ndarray:
    """How strongly each cell beats, over the usual skin, in 0..2: (count, h, w) of clues (N, 18, h, w) at every third
    of `count` frames."""
    run = shipped("skin")
    blocks = [clues[start : start + BLOCK] for start in range(0, len(clues), BLOCK)]
    with ThreadPoolExecutor(cores()) as pool:
        maps = np.concatenate(list(pool.map(lambda x: run.run(["y"], {"X": np.ascontiguousarray(x)})[0], blocks)))
    return between(maps, count)


def between(maps: np.ndarray, count: int) -> np.ndarray:
    """Maps (N, h, w) of every third frame at all `count` frames, on a straight line; the last one stays."""
    before = np.minimum(np.arange(count) // STRIDE, len(maps) - 1)
    after = np.minimum(before + 1, len(maps) - 1)
    share = (np.arange(count) / STRIDE - before).astype(np.float32)[:, None, None]
    out = maps[before]
    out += (maps[after] - out) * share
    return out
