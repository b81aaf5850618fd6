"""Between the half spectrum of a frame and the boxes of its subbands: rows of real and imaginary parts in turn."""

from __future__ import annotations

import numpy as np

from fastmag.kernels.cpu._jit import kernel


@kernel
def gather(spectrum, masks, height, reach, scale, box):
    """box (K, h, 2 w) = the frame's half spectrum and its mirror image (line: a row of both) times masks and scale."""
    orientations, h, w = masks.shape
    line = np.empty(2 * w, masks.dtype)
    for k in range(orientations):
        box[k, reach[0] + 1 : h - reach[0]] = 0
    line[:] = 0
    for ky in range(-reach[0], reach[0] + 1):
        row = spectrum[ky if ky >= 0 else ky + height]
        mirrored = spectrum[-ky if ky <= 0 else height - ky]
        for x in range(2 * reach[1] + 2):
            line[x] = scale * row[x]
        for x in range(1, reach[1] + 1):
            line[2 * (w - x)] = scale * mirrored[2 * x]
            line[2 * (w - x) + 1] = -scale * mirrored[2 * x + 1]
        for k in range(orientations):
            mask, into = masks[k, ky], box[k, ky]
            for x in range(w):
                into[2 * x] = line[2 * x] * mask[x]
                into[2 * x + 1] = line[2 * x + 1] * mask[x]


@kernel
def _sum(box, masks, y, line):
    """line (2 w) = the masked row y of all orientations."""
    for k in range(masks.shape[0]):
        row, mask = box[k, y], masks[k, y]
        if k == 0:
            for x in range(mask.shape[0]):
                line[2 * x] = row[2 * x] * mask[x]
                line[2 * x + 1] = row[2 * x + 1] * mask[x]
        else:
            for x in range(mask.shape[0]):
                line[2 * x] += row[2 * x] * mask[x]
                line[2 * x + 1] += row[2 * x + 1] * mask[x]


@kernel
def _add_folded(line, opposite, reach, scale, into):
    """into += scale * (line + the conjugate of the opposite row, mirrored)."""
    w = line.shape[0] // 2
    into[0] += scale * (line[0] + opposite[0])
    into[1] += scale * (line[1] - opposite[1])
    for x in range(1, reach + 1):
        into[2 * x] += scale * (line[2 * x] + opposite[2 * (w - x)])
        into[2 * x + 1] += scale * (line[2 * x + 1] - opposite[2 * (w - x) + 1])


@kernel
def fold(box, masks, height, reach, scale, spectrum, begin, end):
    """Add what the box (K, h, 2 w) holds, masked, and its conjugate mirror image to the frame's half spectrum.

    Of its rows those with frequencies begin ... end and their opposites.
    """
    lines = np.empty((2, 2 * masks.shape[2]), masks.dtype)
    for ky in range(begin, end):
        _sum(box, masks, ky, lines[0])
        if ky == 0:
            _add_folded(lines[0], lines[0], reach[1], scale, spectrum[0])
        else:
            _sum(box, masks, -ky, lines[1])
            _add_folded(lines[0], lines[1], reach[1], scale, spectrum[ky])
            _add_folded(lines[1], lines[0], reach[1], scale, spectrum[height - ky])


@kernel
def weigh(spectrum, weights, scale, result):
    for y in range(weights.shape[0]):
        row, weight, into = spectrum[y], weights[y], result[y]
        for x in range(weight.shape[0]):
            into[2 * x] = row[2 * x] * (scale * weight[x])
            into[2 * x + 1] = row[2 * x + 1] * (scale * weight[x])
