"""The whole series of each pixel of a spool, a few pixels at a time: for filters that need all of time at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastmag.spool import Spool

ROWS, CHUNK_BYTES = 256, 16 << 20  # frames of a tile, at most
BLOCK_BYTES = 4 << 20  # of series held at once; at least LEAST columns
LEAST = 4  # that many series of two hours at 30 frames a second fit

Filter = Callable[[np.ndarray], np.ndarray]  # (T, n) float32 -> the same shape


def along_time(spool: Spool, change: Filter) -> None:
    """Replace the series of every pixel by `change` of it, in place, in memory that hardly grows with the length.

    A spool on disk is turned into tiles of some frames by some pixels first, so that a pixel's series is read in long
    pieces.
    """
    count, columns = len(spool), int(np.prod(spool.shape))
    width = min(columns, max(LEAST, BLOCK_BYTES // (4 * max(count, 1))))
    if not spool.on_disk:
        series = spool.read(0, count).reshape(count, columns)
        for low in range(0, columns, width):
            series[:, low : low + width] = change(series[:, low : low + width])
        return
    strips, depth = -(-columns // width), max(1, min(ROWS, CHUNK_BYTES // spool.row_bytes))
    with Spool((depth, width), spool.dtype) as tiles:
        chunks = [(low, min(low + depth, count)) for low in range(0, count, depth)]
        for low, high in chunks:
            rows = np.zeros((depth, strips * width), spool.dtype)
            rows[: high - low, :columns] = spool.read(low, high).reshape(high - low, columns)
            tiles.append(rows.reshape(depth, strips, width).swapaxes(0, 1))
        for strip in range(strips):
            _change_strip(tiles, range(strip, len(tiles), strips), count, change)
        for k, (low, high) in enumerate(chunks):
            rows = tiles.read(k * strips, (k + 1) * strips).swapaxes(0, 1).reshape(depth, -1)
            spool.write(low, rows[: high - low, :columns].reshape(-1, *spool.shape))


def _change_strip(tiles: Spool, places: range, count: int, change: Filter) -> None:
    series = np.concatenate([tiles.read(k, k + 1)[0] for k in places])
    series[:count] = change(series[:count])
    for k, tile in zip(places, series.reshape(len(places), -1, series.shape[1]), strict=True):
        tiles.write(k, tile[None])
