"""How far each place goes along with the breath: a small network that sees the evidence of a section.

Evidence ends where a shirt is plain, and what moves over a plain ground takes some of the ground with it; a network
that has seen many people fills in the one and learns the other. It answers in the evidence's own unit, and the evidence
turns with the picture, so that neither the size of a breath nor its way has to be learnt.
"""

from __future__ import annotations

import numpy as np

from fastmag.motion.agreement import COUNT, VECTORS, Agreement
from fastmag.providers.ort import shipped

STILL = np.float32(0.03)  # of the largest motion: as much is taken off everywhere, so that what is still is 0
LARGEST = 99.5  # percentile of the places' motion


def network(evidence: np.ndarray) -> np.ndarray:
    """The network that ships: evidence (B, COUNT, 128, 128) -> motion (B, 2, 128, 128) in units of the evidence."""
    return shipped("lift").run(None, {"X": evidence})[0]


def field(body: Agreement, answers=network) -> np.ndarray:
    """How far each place goes along, across and down in pixels per pixel of the wave: (2, 128, 128) float32.

    answers: a network in place of the one that ships.
    """
    both = np.stack([body.evidence, mirrored(body.evidence)])
    with_y, against = answers(both)
    return calm((with_y - against) * np.float32(0.5 * body.unit))


def mirrored(evidence: np.ndarray) -> np.ndarray:
    """The evidence (COUNT, h, w) for -y: as good, and its answer is the other's with the other sign."""
    signs = np.where(np.arange(COUNT) < VECTORS, -1, 1).astype(np.float32)
    return evidence * signs[:, None, None]


def calm(motion: np.ndarray) -> np.ndarray:
    """Motion (2, h, w) less a little everywhere: what hardly moves is still."""
    length = np.hypot(*motion)
    least = STILL * np.percentile(length, LARGEST)
    return motion * np.maximum(1 - least / np.maximum(length, np.float32(1e-12)), 0)
