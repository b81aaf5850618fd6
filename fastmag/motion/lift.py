"""How far each place goes along with the breath: a small network that sees the evidence of a section.

Evidence ends where a shirt is plain, and what moves over a plain ground takes some of the ground with it; a network
that has seen many people fills in the one and learns the other. It answers in the evidence's own unit, and the evidence
turns with the picture, so that neither the size of a breath nor its way has to be learnt.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from fastmag.motion.agreement import COUNT, REACH, TINY, VECTORS, Agreement, ramp
from fastmag.providers.ort import shipped

SMOOTHING = 1.0  # samples: what two neighbours are told apart by is chance
KNOWN = (4.0, 12.0)  # pixels of reach
FAIR, SHARE = 10.0, 0.25  # pixels of reach whose answer is right; the power by which others are drawn towards it
LARGEST_SIZE = 2.0  # times an answer
STILL = (0.2, 0.4)  # of the largest motion: from none to a whole one
LARGEST = 99.5  # percentile of the places' motion


def network(evidence: np.ndarray) -> np.ndarray:
    """The network that ships: evidence (B, COUNT, 128, 128) -> motion (B, 2, 128, 128) in units of the evidence."""
    return shipped("lift").run(None, {"X": evidence})[0]


def field(body: Agreement, answers=network) -> np.ndarray:
    """How far each place goes along, across and down in pixels per pixel of the wave: (2, 128, 128) float32.

    answers: a network in place of the one that ships.
    """
    evidence = usual(body.evidence)
    with_y, against = answers(np.stack([evidence, mirrored(evidence)]))
    motion = np.float32(0.5 * size(body.evidence) * body.unit) * (with_y - against)
    return calm(gaussian_filter(motion, (0, SMOOTHING, SMOOTHING), mode="nearest"))


def size(evidence: np.ndarray) -> float:
    """How many times as far as an answer places go. Unsure of the evidence, the network answers with what is usual: too
    little of a small breath, whose slopes noise has made smaller still, and too much of a large one."""
    reach = float(np.exp(evidence[-1].max()))
    return min((FAIR / reach) ** SHARE, LARGEST_SIZE)


def usual(evidence: np.ndarray) -> np.ndarray:
    """The evidence with a reach that is not rare among the people it was learnt from: of one that is smaller than any
    of theirs, the network says that there is no breath."""
    evidence = evidence.copy()
    evidence[-1] = np.clip(evidence[-1], *np.log(np.add(KNOWN, REACH[0])))
    return evidence


def mirrored(evidence: np.ndarray) -> np.ndarray:
    """The evidence (COUNT, h, w) for -y: as good, and its answer is the other's with the other sign."""
    signs = np.where(np.arange(COUNT) < VECTORS, -1, 1).astype(np.float32)
    return evidence * signs[:, None, None]


def calm(motion: np.ndarray) -> np.ndarray:
    """Motion (2, h, w), none where it is a small part of the largest: a head's, a wall's."""
    length = np.hypot(*motion)
    return motion * ramp(length / max(float(np.percentile(length, LARGEST)), float(TINY)), STILL)
