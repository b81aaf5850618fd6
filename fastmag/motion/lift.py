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
LOST = 1.25  # what the network leaves out because it cannot be sure
USUAL, FURTHEST = 1.2, 2.0  # times as far as an answer: within this it may be right; more is chance
KNOWN = (4.0, 12.0)  # pixels of reach
BY_POSITION = 0.9  # the same by positions, of what is made of the answer
MOVES = 0.3  # of the largest motion: there places are asked
FOLLOWS, TEXTURE = VECTORS, VECTORS + 3  # maps of the evidence: the correlation of a neighbourhood, and what is seen
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
    answer = np.float32(0.5) * (with_y - against)
    motion = answer * np.float32(LOST * shown(answer, body) * body.unit)
    return calm(gaussian_filter(motion, (0, SMOOTHING, SMOOTHING), mode="nearest"))


def usual(evidence: np.ndarray) -> np.ndarray:
    """The evidence with a reach that is not rare among the people it was learnt from: of one that is smaller than any
    of theirs, the network says that there is no breath."""
    evidence = evidence.copy()
    evidence[-1] = np.clip(evidence[-1], *np.log(np.add(KNOWN, REACH[0])))
    return evidence


def shown(answer: np.ndarray, body: Agreement) -> float:
    """How many times as far as an answer (2, h, w) says places are seen to go, if that is more. By their velocities: of
    a breath that is smaller than any it has learnt from, the network makes too little. And by their positions: velocity
    that is read with noise makes slopes too small, and with them the answer."""
    length = np.hypot(*answer)
    weight = body.evidence[TEXTURE] * body.evidence[FOLLOWS] * (length > MOVES * length.max())
    power = max(float((weight * length**2).sum()), float(TINY))
    velocities = float((weight * (answer * body.evidence[:2]).sum(0)).sum()) / power
    positions = float((weight * (answer * body.went).sum(0)).sum()) / (power * body.unit)
    return float(np.clip(max(velocities / USUAL, positions / (LOST * BY_POSITION)), 1, FURTHEST))


def mirrored(evidence: np.ndarray) -> np.ndarray:
    """The evidence (COUNT, h, w) for -y: as good, and its answer is the other's with the other sign."""
    signs = np.where(np.arange(COUNT) < VECTORS, -1, 1).astype(np.float32)
    return evidence * signs[:, None, None]


def calm(motion: np.ndarray) -> np.ndarray:
    """Motion (2, h, w), none where it is a small part of the largest: a head's, a wall's."""
    length = np.hypot(*motion)
    return motion * ramp(length / max(float(np.percentile(length, LARGEST)), float(TINY)), STILL)
