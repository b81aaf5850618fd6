"""The map of where the body goes along: its symmetry, what is left still, and what it knows."""

from types import SimpleNamespace

import numpy as np
import pytest

from fastmag import models
from fastmag.motion import lift
from fastmag.motion.agreement import COUNT, REACH, VECTORS

SHAPE = (COUNT, 128, 128)


def body(evidence, unit=2.5):
    return SimpleNamespace(evidence=evidence.astype(np.float32), unit=unit)


def shirt(sign=1.0):
    """A person as evidence: a shirt below that is lifted by one unit, plain in its middle, a head that is not."""
    rows, columns = np.mgrid[:128, :128]
    trunk = ((rows > 70) & (np.abs(columns - 64) < 45)).astype(float)
    head = (((rows - 42) / 24) ** 2 + ((columns - 64) / 17) ** 2 < 1).astype(float)
    textured = np.maximum(trunk * (1 - (np.abs(columns - 64) < 12) * (rows > 85)), head)
    evidence = np.zeros(SHAPE)
    for first in (1, 3, 5):
        evidence[first] = -sign * trunk * textured
    evidence[7] = -sign * (trunk - 0.3 * head)
    evidence[9] = -sign
    evidence[VECTORS : VECTORS + 3] = 0.9 * trunk * textured
    evidence[VECTORS + 3] = 0.9 * textured
    evidence[VECTORS + 4] = 1.5 * textured
    evidence[VECTORS + 5] = trunk - 0.3 * head
    evidence[VECTORS + 6] = 0.5 * trunk * textured
    evidence[VECTORS + 7] = -1 + 0.9 * trunk + 1.1 * head
    evidence[VECTORS + 8] = 0.3 * (trunk + head)
    evidence[VECTORS + 9] = 0.4
    evidence[VECTORS + 10] = 0.6 * (trunk + head)
    evidence[VECTORS + 11] = 0.9
    evidence[VECTORS + 12] = np.log(8.0)
    return evidence


def test_the_shirt_goes_along_and_the_head_stays():
    evidence = shirt()
    field = lift.field(body(evidence))
    assert field.shape == (2, 128, 128) and field.dtype == np.float32
    inner = (slice(80, 110), slice(30, 98))
    assert -3.2 < field[1][inner].mean() < -1.2 and np.abs(field[0][inner]).mean() < 0.4
    plain = (slice(92, 112), slice(56, 73))
    assert field[1][plain].mean() < 0.4 * field[1][inner].mean()
    assert np.abs(field[:, 25:50, 54:74]).mean() < 0.15 and not field[:, :12, :20].any()


def test_the_answer_for_minus_y_is_the_other_way():
    one, other = (lift.field(body(shirt(sign))) for sign in (1, -1))
    np.testing.assert_allclose(other, -one, atol=1e-5)
    assert np.abs(one).max() > 1


def test_the_field_is_in_units_of_the_evidence():
    evidence = shirt()
    np.testing.assert_allclose(lift.field(body(evidence, 5.0)), 2 * lift.field(body(evidence, 2.5)), rtol=1e-4)


def test_nothing_seen_moves_nothing_far():
    assert np.abs(lift.field(body(np.zeros(SHAPE)))).max() < 1e-6


def test_mirrored_evidence_differs_in_its_vectors():
    evidence = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    other = lift.mirrored(evidence)
    np.testing.assert_array_equal(other[:VECTORS], -evidence[:VECTORS])
    np.testing.assert_array_equal(other[VECTORS:], evidence[VECTORS:])


def test_what_hardly_moves_is_still():
    motion = np.zeros((2, 50, 50), np.float32)
    motion[1, :25] = 4.0
    motion[1, 25:30] = 0.9 * lift.STILL[0] * 4
    motion[1, 30:35] = np.mean(lift.STILL) * 4
    calm = lift.calm(motion)
    np.testing.assert_allclose(calm[1, :25], 4.0, rtol=1e-5)
    np.testing.assert_allclose(calm[1, 30:35], 0.5 * motion[1, 30:35], rtol=1e-4)
    assert not calm[:, 25:30].any() and not lift.calm(np.zeros((2, 5, 5), np.float32)).any()


def test_another_network_answers_in_place_of_the_one_that_ships():
    seen = []

    def up(evidence):
        seen.append(evidence.shape)
        return evidence[:, :2]

    evidence = shirt()
    field = lift.field(body(evidence, 1.0), up)
    assert field[1, 90:110, 30:50].mean() == pytest.approx(-lift.size(evidence), rel=0.15) and not field[0].any()
    assert seen == [(2, *SHAPE)]


def test_answers_about_small_breaths_are_enlarged_and_about_large_ones_reduced():
    evidence = shirt()
    sizes = []
    for reach in (0.3, 2.0, lift.FAIR, 40.0):
        evidence[-1] = np.log(reach)
        sizes.append(lift.size(evidence))
    assert sizes[0] == lift.LARGEST_SIZE and sizes[2] == pytest.approx(1.0)
    assert sizes[1] == pytest.approx((lift.FAIR / 2) ** lift.SHARE) and sizes[3] < 0.8


def test_a_reach_that_is_rare_counts_as_the_nearest_usual_one():
    evidence = shirt()
    fields = []
    for reach in (0.5, lift.KNOWN[0], 7.0, lift.KNOWN[1], 50.0):
        evidence[-1] = np.log(reach + REACH[0])
        fields.append(lift.field(body(evidence)) / lift.size(evidence))
    np.testing.assert_allclose(fields[0], fields[1], atol=1e-4)
    np.testing.assert_allclose(fields[4], fields[3], atol=1e-4)
    assert np.abs(fields[1] - fields[3]).max() > 0.05


def test_the_network_takes_evidence():
    assert models.path("lift").exists()
    assert lift.network(np.zeros((1, *SHAPE), np.float32)).shape == (1, 2, 128, 128)
    with pytest.raises(Exception, match="INVALID_ARGUMENT"):
        lift.network(np.zeros((1, 3, 128, 128), np.float32))
