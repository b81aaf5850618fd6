"""What tells where the body follows the breath: slopes on y, the lift they share, and the evidence made of them."""

from dataclasses import replace

import numpy as np
import pytest

from fastmag import backends
from fastmag.coherent.wave import filtered
from fastmag.motion import agreement
from fastmag.motion.agreement import COUNT, VECTORS, Agreement, Motion, presence, regress, swing
from fastmag.motion.wave import Breath, breath

OPS, FPS, PASSBAND = backends.get("cpu"), 10.0, (0.16, 0.5)
COUNTED = 150
BODY, WALL = (slice(80, 115), slice(20, 108)), (slice(12, 40), slice(20, 108))
LIFT = np.array([0.3, -1.5])


def turning(seed, hz):
    """A velocity (T,) in the passband."""
    phase = np.random.default_rng(seed).uniform(0, 6)
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(COUNTED) / FPS + phase)).astype(np.float32)


def section(y, sway=0.0, seed=0, lift=LIFT):
    """A body in the lower half that is lifted by y, a head and a wall above it, and a sway of all of the body."""
    rng = np.random.default_rng(seed)
    rows = np.arange(128)[:, None] * np.ones(128)
    flow = rng.normal(0, 0.02, (COUNTED, 2, 128, 128)).astype(np.float32)
    both = sway * turning(5, 0.33)
    flow += (np.where(rows > 30, 1.0, 0.0) * both[:, None, None])[:, None] * np.array([1, 0.4])[:, None, None]
    flow += y[:, None, None, None] * (lift[:, None, None] * (rows > 70))
    looks = np.stack([0 * rows, np.where(rows > 70, -1.0, np.where(rows > 30, 0.4, 0.0))])
    luma = rng.uniform(0, 255, (123, 123))
    power = rng.uniform(20, 40, (128, 128)).astype(np.float32)
    return Motion(flow.astype(np.float32), power, looks, luma, luma / 40)


def found(motion, y, far=12.0):
    return Agreement(motion, filtered(y, PASSBAND, FPS, OPS.bandpass), far, PASSBAND, FPS, OPS)


def test_slopes_are_least_squares():
    rng = np.random.default_rng(1)
    band, columns = rng.normal(size=(40, 2, 3, 5)).astype(np.float32), rng.normal(size=(40, 3)).astype(np.float32)
    slope = regress(band, columns, 0.0)
    flat = band.reshape(40, -1)
    expected, *_ = np.linalg.lstsq(columns, flat, rcond=None)
    np.testing.assert_allclose(slope.per_y.ravel(), expected[0], atol=1e-5)
    rest = flat - columns[:, 1:] @ np.linalg.lstsq(columns[:, 1:], flat, rcond=None)[0]
    own = columns[:, 0] - columns[:, 1:] @ np.linalg.lstsq(columns[:, 1:], columns[:, 0], rcond=None)[0]
    explained = ((own @ rest) ** 2 / (own @ own)).reshape(2, 3, 5).sum(0)
    power = (rest**2).sum(0).reshape(2, 3, 5).sum(0)
    np.testing.assert_allclose(slope.correlation, explained / power, rtol=1e-3)


def test_a_ridge_takes_out_less_of_what_else_moves():
    rng = np.random.default_rng(2)
    y, other = rng.normal(size=(2, 200)).astype(np.float32)
    mixed = np.stack([y + 0.5 * other, other], 1)
    band = (0.7 * other[:, None, None, None] * np.ones((200, 2, 1, 1))).astype(np.float32)
    free, held = (np.abs(regress(band, mixed, ridge).per_y).max() for ridge in (0.0, 1e6))
    assert free < 1e-5 and held > 0.2


@pytest.mark.parametrize("sway", [0.0, 0.8])
def test_the_lift_is_what_the_body_shares(sway):
    y = turning(0, 0.25)
    body = found(section(y, sway), y)
    kept = 30 / (30 + 0.3)
    np.testing.assert_allclose(body.lift.slope, LIFT * kept, rtol=0.06)
    assert body.lift.weight[BODY].sum() > 0.9 * body.lift.weight[9:-9, 9:-9].sum() * 35 * 88 / (48 * 110)
    assert body.lift.led[BODY].mean() > 0.8 and body.lift.led[45:60].mean() < 0


def test_what_the_reference_does_is_taken_out():
    """y holds some of the sway, as a network's does: without the head for reference the wall's neighbour follows."""
    y = turning(0, 0.25) + 0.5 * turning(5, 0.33)
    body = found(section(turning(0, 0.25), 1.0), y)
    near, before = body.evidence[0:2], body.evidence[4:6]
    head = (slice(45, 60), slice(20, 108))
    assert np.abs(near[0][head]).mean() < 0.5 * np.abs(before[0][head]).mean()
    assert -near[1][BODY].mean() > 0.6


def test_evidence_is_complete_and_finite():
    y = turning(0, 0.25)
    body = found(section(y), y)
    assert body.evidence.shape == (COUNT, 128, 128) and body.evidence.dtype == np.float32
    assert np.isfinite(body.evidence).all() and body.unit == pytest.approx(np.linalg.norm(LIFT), rel=0.1)
    np.testing.assert_allclose(body.evidence[1][BODY].mean() * body.unit, LIFT[1], rtol=0.05)
    assert np.abs(body.evidence[1][WALL]).mean() < 0.1
    assert body.evidence[-1][0, 0] == pytest.approx(np.log(12 * body.unit + 0.3), rel=1e-4)


def test_evidence_of_nothing_is_finite():
    y = turning(0, 0.25)
    nothing = Motion(*(np.zeros(s, np.float32) for s in ((COUNTED, 2, 128, 128), (128, 128), (2, 128, 128))),
                     np.zeros((123, 123)), np.zeros((123, 123)))  # fmt: skip
    for some in (y, 0 * y):
        assert np.isfinite(found(nothing, some).evidence).all()


def test_vectors_change_their_sign_with_y_and_nothing_else_does():
    y, motion = turning(0, 0.25), section(turning(0, 0.25), 0.5)
    one, other = found(motion, y), found(replace(motion, looks=-motion.looks), -y)
    np.testing.assert_allclose(other.evidence[:VECTORS], -one.evidence[:VECTORS], atol=1e-3)
    np.testing.assert_allclose(other.evidence[VECTORS:], one.evidence[VECTORS:], atol=1e-3)


def test_the_size_of_y_is_in_the_unit_alone():
    y = turning(0, 0.25)
    one, other = found(section(y), y, 12.0), found(section(y), 4 * y, 48.0)
    assert other.unit == pytest.approx(one.unit / 4, rel=1e-3)
    np.testing.assert_allclose(other.evidence, one.evidence, atol=5e-3)


@pytest.mark.parametrize("turn", ["mirror", "diagonal"])
def test_evidence_turns_with_the_picture(turn):
    y, motion = turning(0, 0.25), section(turning(0, 0.25), 0.5)

    def turned(maps, vectors):
        if turn == "mirror":
            flipped = maps[..., ::-1].copy()
            if vectors:
                flipped[..., 0, :, :] *= -1
            return flipped
        swapped = np.swapaxes(maps, -1, -2)
        return (swapped[..., ::-1, :, :] if vectors else swapped).copy()

    other = Motion(turned(motion.flow, True), turned(motion.power, False), turned(motion.looks, True),
                   turned(motion.luma, False), turned(motion.change, False))  # fmt: skip
    one, other = found(motion, y), found(other, y)
    expected = turned(one.evidence[:VECTORS].reshape(-1, 2, 128, 128), True).reshape(VECTORS, 128, 128)
    np.testing.assert_allclose(other.evidence[:VECTORS], expected, atol=5e-3)
    inner = (slice(None), slice(4, -4), slice(4, -4))  # 123 samples of luma do not lie on 128 alike from either end
    rest = [i for i in range(VECTORS, COUNT) if i not in (VECTORS + 7, VECTORS + 8) or turn == "diagonal"]
    expected = turned(one.evidence, False)
    np.testing.assert_allclose(other.evidence[rest][inner], expected[rest][inner], atol=5e-3)


def test_a_wave_swings_by_its_spread():
    assert swing(np.array([1.0, -1.0, 1.0, -1.0]), 4.0) == pytest.approx(agreement.SWING * 4)


def known(wave):
    return Breath(np.diff(wave), wave, wave, wave, 0.25)


def test_presence_asks_for_size_rhythm_and_share():
    t = np.arange(300) / FPS
    steady = np.sin(2 * np.pi * 0.25 * t)
    y, rows = np.diff(steady), slice(0, 299)
    assert presence(y, known(steady), rows, FPS, PASSBAND) == 1
    assert presence(0.01 * y, known(0.01 * steady), rows, FPS, PASSBAND) == 0
    assert presence(60 * np.random.default_rng(0).normal(size=299), known(steady), rows, FPS, PASSBAND) == 0
    uneven = breath(np.random.default_rng(1).normal(0, 0.1, 299), FPS, PASSBAND, OPS)
    assert presence(uneven.velocity, uneven, rows, FPS, PASSBAND) < presence(y, known(steady), rows, FPS, PASSBAND)


def test_presence_doubts_a_body_that_goes_much_further_than_y_says():
    steady = 0.1 * np.sin(2 * np.pi * 0.25 * np.arange(300) / FPS)
    asked = [presence(np.diff(steady), known(steady), slice(0, 299), FPS, PASSBAND, unit) for unit in (0, 3, 6, 30)]
    assert asked[:3] == [1, 1, 1] and asked[3] == 0
