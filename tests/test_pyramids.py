"""The complex steerable pyramid: tight, as pyrtools has it, and local phase that moves with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.kernels import cpu, reference
from fastmag.pyramids import fast_length, riesz, steerable

OPS = pytest.mark.parametrize("ops", [reference, cpu], ids=["reference", "cpu"])
SHAPES = [(8, 8), (9, 8), (33, 47), (64, 96), (123, 123), (91, 130)]
OPTIONS = [
    {},
    {"orientations": 3},
    {"orientations": 8, "octaves": 0.5},
    {"orientations": 6, "transition": 0.5},
    {"orientations": 8, "octaves": 0.25},
]


def noise(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng([5, *shape]).uniform(0, 1, shape).astype(dtype)


def grating(shape: tuple[int, int], cycles: tuple[float, float], moved: tuple[float, float] = (0, 0)) -> np.ndarray:
    """cos of (down, across) cycles a frame, moved by pixels (down, across): (1, H, W) float32."""
    y, x = (np.arange(n)[:, None] - d for n, d in zip(shape, moved, strict=True))
    return np.cos(2 * np.pi * (cycles[0] * y / shape[0] + cycles[1] * x.T / shape[1]))[None].astype(np.float32)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_filters_and_residuals_make_one(shape, options):
    plan = steerable(shape, **options)
    H, W = shape
    total = np.zeros(shape)
    for level, (h, w) in enumerate(plan.sizes):
        assert plan.masks(level).shape == (plan.orientations, h, w)
        (y, x), power = np.nonzero((plan.masks(level) > 0).any(0)), (plan.masks(level) ** 2).sum(0) / 4
        y, x = np.where(2 * y < h, y, y - h), np.where(2 * x < w, x, x - w)
        assert (np.abs(y).max(), np.abs(x).max()) == plan.reach(level), "the box holds what passes, and no more"
        total[y % H, x % W] += power[y % h, x % w]
    total += total[-np.arange(H)][:, -np.arange(W)]
    np.testing.assert_allclose(total[:, : W // 2 + 1] + plan.residual(), 1, atol=1e-14)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [*SHAPES, (492, 658), (270, 481)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frames_are_rebuilt(shape, options, dtype):
    plan, frames = steerable(shape, **options), noise((2, *shape), dtype)
    rest = np.full((2, shape[0], shape[1] // 2 + 1), np.nan, np.result_type(dtype, np.complex64))
    subbands = cpu.steerable_analysis(frames, plan, residual=rest)
    assert all(subband.dtype == rest.dtype for subband in subbands)
    again = cpu.steerable_synthesis(subbands, plan, residual=rest)
    assert again.dtype == dtype
    np.testing.assert_allclose(again, frames, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_judge_rebuilds_frames_too(shape):
    plan, frames = steerable(shape), noise((2, *shape))
    rest = np.empty((2, shape[0], shape[1] // 2 + 1), complex)
    subbands = reference.steerable_analysis(frames, plan, residual=rest)
    again = reference.steerable_synthesis(subbands, plan, residual=rest)
    np.testing.assert_allclose(again, frames, rtol=0, atol=1e-14)
    bare = reference.steerable_synthesis(subbands, plan)
    assert np.abs(bare - frames).max() > 0.3, "the residuals hold the mean"


@OPS
@pytest.mark.parametrize("shape", [(64, 64), (96, 128), (120, 160)])
def test_subbands_match_pyrtools(ops, shape):
    """The same coefficients but for pyrtools' scale, grid and factor (-i)^3: compared frequency by frequency."""
    pyrtools = pytest.importorskip("pyrtools", reason="pyrtools is not installed: the pyramid has no outside judge")
    plan, frame = steerable(shape), noise(shape)
    other = pyrtools.pyramids.SteerablePyramidFreq(frame, order=3, is_complex=True)
    assert other.num_scales == plan.depth
    for level, subbands in enumerate(ops.steerable_analysis(frame[None], plan)):
        for k, subband in enumerate(subbands[0]):
            theirs = np.fft.fft2(other.pyr_coeffs[level, k] / (-1j) ** 3) / frame.size
            ours = np.fft.fft2(subband, norm="forward")
            rows, columns = (np.r_[0 : reach + 1, -reach:0] for reach in plan.reach(level))
            theirs, ours = theirs[np.ix_(rows, columns)], ours[np.ix_(rows, columns)]
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@OPS
def test_a_subband_is_the_frame_filtered_at_its_samples(ops):
    """Against the sum over all frequencies written out, on sizes that are no multiple of anything."""
    shape = (13, 11)
    plan, frame = steerable(shape), noise(shape)
    spectrum, (h, w) = np.fft.fft2(frame) / frame.size, plan.sizes[0]
    found = ops.steerable_analysis(frame[None], plan)[0][0]
    for k, y, x in [(0, 0, 0), (1, 3, 5), (3, h - 1, w - 1)]:
        down, across = y * plan.spacing(0)[0], x * plan.spacing(0)[1]
        value = sum(
            spectrum[v, u] * plan.masks(0)[k, v, u] * np.exp(2j * np.pi * (v * down / 13 + u * across / 11))
            for v in range(-6, 7)
            for u in range(-5, 6)
        )
        assert found[k, y, x] == pytest.approx(value, abs=1e-6)


@OPS
def test_magnitude_is_amplitude_and_angle_is_phase(ops):
    shape, cycles = (96, 120), 15  # 8 pixels a cycle: the centre of level 1
    plan = steerable(shape)
    assert plan.wavelength(1) == 8
    subbands = ops.steerable_analysis(7 * grating(shape, (0, cycles)), plan)
    gain = plan.masks(1)[0, 0, cycles]
    np.testing.assert_allclose(np.abs(subbands[1][0, 0]), 3.5 * gain, rtol=1e-5)
    steps = np.angle(subbands[1][0, 0, :, 1:] / subbands[1][0, 0, :, :-1])
    np.testing.assert_allclose(steps, 2 * np.pi * plan.spacing(1)[1] / 8, atol=1e-5)
    assert np.abs(subbands[1][0, 2]).max() < 1e-5, "vertical detail is not in a horizontal grating"
    down = ops.steerable_analysis(7 * grating(shape, (12, 0)), plan)
    np.testing.assert_allclose(np.abs(down[1][0, 2]), 3.5 * plan.masks(1)[2, 12, 0], rtol=1e-5)
    slanted = ops.steerable_analysis(grating(shape, (8, 10)), plan)  # down and to the right: 45 degrees
    energy = [(np.abs(s) ** 2).sum() for s in slanted[1][0]]
    assert np.argmax(energy) == 1 and energy[3] < 1e-6 * energy[1]


@OPS
def test_a_moved_texture_moves_its_phase(ops):
    shape, moved = (90, 128), (0.3, -0.4)
    plan, texture = steerable(shape), noise(shape, np.float64)
    shifts = (np.fft.fftfreq(n)[:, None] * d for n, d in zip(shape, moved, strict=True))
    turn = np.exp(-2j * np.pi * np.add(*[s if i == 0 else s.T for i, s in enumerate(shifts)]))
    after = np.fft.ifft2(np.fft.fft2(texture) * turn).real
    frames = np.stack([texture, after]).astype(np.float32)
    for level, subband in enumerate(ops.steerable_analysis(frames, plan)[:3]):
        phase = ops.phase_difference(subband[1:], subband[:1])[0]
        weight = ops.amplitude(subband[0], True)
        for k, angle in enumerate(plan.angles):
            mean = (weight[k] * phase[k]).sum() / weight[k].sum()
            along = moved[0] * np.sin(angle) + moved[1] * np.cos(angle)
            # the texture's energy lies above the filter's centre: its mean wavelength is within a third of it
            assert mean == pytest.approx(-2 * np.pi * along / plan.wavelength(level), rel=0.35, abs=0.01)
            assert np.sign(mean) == -np.sign(along) or abs(along) < 0.1


@OPS
@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[2], OPTIONS[4]], ids=str)
@pytest.mark.parametrize(("shape", "cycles"), [((96, 120), (0, 15)), ((91, 123), (11, 0)), ((91, 123), (7, -12))])
def test_a_shift_of_phase_moves_a_grating(ops, shape, cycles, options):
    """By a third of a pixel and by two pixels, through every level and orientation that sees it, odd sizes too."""
    plan, before = steerable(shape, **options), grating(shape, cycles)
    subbands = ops.steerable_analysis(before, plan)
    for moved in [(0.2, 1 / 3), (-2.0, 1.5)]:
        turn = -2 * np.pi * (cycles[0] * moved[0] / shape[0] + cycles[1] * moved[1] / shape[1])
        # the half of a plane that does not hold the wave holds its opposite, which turns the other way
        facing = [cycles[0] / shape[0] * np.sin(a) + cycles[1] / shape[1] * np.cos(a) >= 0 for a in plan.angles]
        delta = np.where(facing, turn, -turn).astype(np.float32)[:, None, None]
        shifted = [ops.shift_phase(s, np.broadcast_to(delta, s.shape)) for s in subbands]
        change = ops.steerable_synthesis(shifted, plan)
        np.testing.assert_allclose(before + change, grating(shape, cycles, moved), atol=1e-5)


@OPS
def test_no_shift_no_change(ops):
    plan, frames = steerable((45, 62)), noise((2, 45, 62))
    subbands = ops.steerable_analysis(frames, plan)
    delta = [np.zeros(s.shape, np.float32) for s in subbands]
    for s, d in zip(subbands, delta, strict=True):
        assert not ops.shift_phase(s, d, 40.0).any()
    assert not ops.steerable_synthesis([s * 0 for s in subbands], plan).any(), "exactly nothing"
    delta[1][0, 2] = 0.3
    shifted = ops.shift_phase(subbands[1], delta[1])
    assert shifted[0, 2].all() and not shifted[0, :2].any() and not shifted[1].any()
    change = ops.steerable_synthesis([shifted], plan, [1])
    assert np.abs(change[0]).max() > 1e-3 and not change[1].any()


def test_some_levels_alone_are_the_same_as_among_all():
    plan, frames = steerable((45, 62)), noise((2, 45, 62))
    every = cpu.steerable_analysis(frames, plan)
    some = cpu.steerable_analysis(frames, plan, [2, 0])
    np.testing.assert_array_equal(some[0], every[2])
    np.testing.assert_array_equal(some[1], every[0])
    rest = [np.zeros_like(s) for s in every]
    rest[0], rest[2] = every[0], every[2]
    both = cpu.steerable_synthesis(some, plan, [2, 0]), cpu.steerable_synthesis(rest, plan)
    np.testing.assert_allclose(*both, atol=2e-7)


def test_overwriting_changes_the_subbands_and_nothing_else():
    plan, frames = steerable((45, 62)), noise((3, 45, 62))
    subbands = cpu.steerable_analysis(frames, plan)
    kept = [s.copy() for s in subbands]
    expected = cpu.steerable_synthesis(subbands, plan)
    for s, k in zip(subbands, kept, strict=True):
        np.testing.assert_array_equal(s, k)
    np.testing.assert_array_equal(cpu.steerable_synthesis(subbands, plan, overwrite=True), expected)


@pytest.mark.parametrize("batch", [1, 2, 7])  # few frames are shared out by orientation, many by frame
def test_threads_do_not_change_the_pyramid(batch):
    plan, frames = steerable((246, 329)), noise((batch, 246, 329))
    found = []
    try:
        for count in (1, 3):
            cpu.set_threads(count)
            rest = np.empty((batch, 246, 165), np.complex64)
            subbands = cpu.steerable_analysis(frames, plan, residual=rest)
            found.append([*subbands, rest, cpu.steerable_synthesis(subbands, plan, residual=rest)])
            found[-1].append(cpu.steerable_synthesis(subbands, plan, overwrite=True))
    finally:
        cpu.set_threads(None)
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)


def test_quarter_octaves_are_narrow_smooth_and_as_many_as_documented():
    """Each level peaks at its wavelength, has half of its power 1.5 steps wide, and no edge steeper than its flanks."""
    plan = steerable((480, 640), orientations=8, octaves=0.25)
    assert plan.depth == 24 and plan.transition == 0
    samples = sum(8 * h * w for h, w in plan.sizes) / (480 * 640)
    assert 38 < samples < 42  # an octave pyramid of four orientations has 5.3, half octaves of eight 16.8
    for level in (0, 3, 9):
        row = plan.masks(level)[0, 0, : plan.reach(level)[1] + 1]
        octave = np.log2(np.arange(1, len(row)) / 320)  # from the Nyquist frequency
        inside, power = row[1:] > 0, row[1:] ** 2
        assert octave[np.argmax(power)] == pytest.approx(1 - np.log2(plan.wavelength(level)), abs=0.02)
        if level:
            half = octave[power > power.max() / 2]
            assert np.ptp(half) == pytest.approx(0.375, abs=0.03)
        assert np.abs(np.diff(row)).max() < 0.1 * row.max() and inside.sum() > 10
    with pytest.raises(InputError, match="quarter octaves"):
        steerable((64, 64), octaves=0.25, transition=0.5)
    with pytest.raises(InputError, match="Riesz pyramid must be 1 or"):
        riesz((64, 64), octaves=0.25)


def test_fast_lengths_are_short_and_have_small_factors():
    for n in range(1, 700):
        m = fast_length(n)
        assert n <= m <= 1.2 * n + 7 and m % (8 if m > 16 else 4) == 0
        for factor in (2, 3, 5, 7):
            while m % factor == 0:
                m //= factor
        assert m == 1
    assert [fast_length(n) for n in (1, 123, 491, 657, 1079, 1919)] == [4, 128, 504, 672, 1080, 1920]


def test_bad_plans_and_arguments_are_refused_in_the_callers_terms():
    with pytest.raises(InputError, match="at least 8 pixels"):
        steerable((7, 100))
    with pytest.raises(InputError, match="depth must be 1 to 4"):
        steerable((64, 100), depth=5)
    with pytest.raises(InputError, match="orientations"):
        steerable((64, 64), orientations=1)
    with pytest.raises(InputError, match="octaves"):
        steerable((64, 64), octaves=0.3)
    with pytest.raises(InputError, match="transition"):
        steerable((64, 64), transition=0)
    plan, frames = steerable((16, 20)), noise((1, 16, 20))
    with pytest.raises(InputError, match="frames must be"):
        cpu.steerable_analysis(noise((1, 20, 16)), plan)
    with pytest.raises(InputError, match="levels must be 0 to 1"):
        cpu.steerable_analysis(frames, plan, [2])
    with pytest.raises(InputError, match="out must be"):
        cpu.steerable_analysis(frames, plan, [0], [np.empty((1, 4, 16, 20), np.complex128)])
    subbands = cpu.steerable_analysis(frames, plan)
    with pytest.raises(InputError, match="subbands of level 0"):
        cpu.steerable_synthesis([subbands[1]], plan, [0])
    assert steerable((492, 658)).depth == 6 and steerable((64, 64), octaves=0.5).transition == 0.75
