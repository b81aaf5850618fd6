"""The doors: arrays and files in, the same kind out."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import fastmag
from fastmag.video import Reader, probe, read_rgb, write_rgb

pytestmark = pytest.mark.filterwarnings("error")


def green(frames, where=np.s_[:, 26:46, 36:60, 1]):
    return frames[where].mean(axis=(1, 2))


def test_an_array_comes_back_with_a_stronger_pulse_and_a_still_wall(beating):
    out = fastmag.magnify(beating, fps=30, method=fastmag.Pulse(alpha=8))
    assert out.shape == beating.shape and out.dtype == np.uint8
    before, after = green(beating), green(out)
    spectrum = [np.abs(np.fft.rfft((x - x.mean()) * np.hanning(len(x))))[5:8].max() for x in (before, after)]
    assert 5 < spectrum[1] / spectrum[0] < 12
    wall = np.s_[:, :, :8]
    change = out.astype(float) - beating
    assert change[wall].std() < 0.15 * change[:, 26:46, 36:60].std()


def test_the_kind_of_array_is_kept(beating):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    out = fastmag.magnify(torch.from_numpy(beating), fps=30)
    assert isinstance(out, torch.Tensor)
    np.testing.assert_array_equal(out.numpy(), fastmag.magnify(beating, fps=30))


def test_a_library_under_another_name_reads_dlpack():
    """As JAX's arrays, whose type lives in a package that has no from_dlpack."""
    from fastmag.sources import like

    class Array:
        __module__ = "collections"

        def __array_namespace__(self):
            return np

    frames = np.zeros((2, 3, 4, 3), np.uint8)
    np.testing.assert_array_equal(like(frames, Array()), frames)


def test_files_and_arrays_agree(beating, tmp_path):
    """A lossless RGB file and the array inside it are magnified alike but for the file's times, rounded to 1 ms."""
    source, target = tmp_path / "in.mkv", tmp_path / "out.mkv"
    write_rgb(source, beating, 30, lossless=True)
    report = fastmag.magnify(source, target, lossless=True)
    assert report.frames == len(beating) and report.destination == target and report.damage is None
    assert report.rate_bpm == pytest.approx(72, abs=2)
    out, fps = read_rgb(target)
    assert fps == 30
    difference = np.abs(out.astype(int) - fastmag.magnify(beating, fps=30))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.03


def test_measure_reads_rate_and_quality(beating):
    measured = fastmag.measure(beating, fps=30)
    assert measured.present and measured.rate_bpm == pytest.approx(72, abs=2)
    assert measured.wave.shape == measured.times.shape == (len(beating),)
    np.testing.assert_allclose(np.diff(measured.times), 1 / 30, rtol=1e-6)


def test_no_pulse_is_said_and_the_frames_stay(beating):
    rng = np.random.default_rng(5)
    still = np.clip(beating[:1].astype(float) + rng.normal(0, 0.8, beating.shape), 0, 255).astype(np.uint8)
    measured = fastmag.measure(still, fps=30)
    out = fastmag.magnify(still, fps=30)
    change = out.astype(float) - still
    assert not measured.present and np.sqrt((change**2).mean()) <= 0.2


def test_sixty_frames_a_second_are_analysed_at_thirty_and_every_frame_is_changed():
    from conftest import beating_frames

    fast = beating_frames(300, 60.0)
    measured = fastmag.measure(fast, fps=60)
    assert len(measured.times) == 150 and measured.rate_bpm == pytest.approx(72, abs=2)
    out = fastmag.magnify(fast, fps=60)
    changed = (out != fast).any(axis=(1, 2, 3))
    assert changed.mean() > 0.9
    change = green(out.astype(float) - fast)
    assert np.abs(np.diff(change)).max() < 0.4 * np.ptp(change)


def test_variable_rate_keeps_time_stamps_and_finds_the_rate(tmp_path):
    """Frames dropped at random: the pulse is still read at its own rate, and every time stamp is kept."""
    from conftest import beating_frames

    from fastmag.video import Writer
    from fastmag.video.media import Frame, array_info

    frames, rng = beating_frames(360), np.random.default_rng(1)
    keep = np.sort(rng.choice(360, 300, replace=False))
    keep[0] = 0
    source, target = tmp_path / "vfr.mkv", tmp_path / "out.mkv"
    info = array_info(72, 96, 30, "gbrp")
    with Writer(source, info, lossless=True) as writer:
        for i in keep:
            planes = tuple(np.ascontiguousarray(frames[i][..., c]) for c in (1, 2, 0))
            writer.write(Frame(planes, i / 30, int(i * Fraction(1, 30) / info.time_base)))
    assert fastmag.measure(source).rate_bpm == pytest.approx(72, abs=2.5)
    fastmag.magnify(source, target, lossless=True)
    with Reader(source) as a, Reader(target) as b:
        times = [(x.time, y.time) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(*np.array(times).T, atol=1e-6)


def test_a_long_clip_is_magnified_in_sections_that_join(monkeypatch):
    from conftest import beating_frames

    monkeypatch.setattr("fastmag.deepmag.SECTION_SECONDS", 6.0)
    monkeypatch.setattr("fastmag.deepmag.OVERLAP_SECONDS", 2.0)
    frames = beating_frames(420)
    change = green(fastmag.magnify(frames, fps=30).astype(float) - frames)
    steps = np.abs(np.diff(change))
    joins = [120, 180, 240, 300]
    assert steps[joins].max() < 1.5 * np.quantile(steps, 0.99)
    halves = [np.std(change[i : i + 100]) for i in (30, 160, 290)]
    assert max(halves) < 1.6 * min(halves)


def test_a_region_alone_is_changed(beating):
    out = fastmag.magnify(beating, fps=30, method=fastmag.Pulse(roi=(30, 20, 36, 32)))
    changed = (out != beating).any(axis=(0, 3))
    assert changed[24:48, 34:62].any()
    changed[20:52, 30:66] = False
    assert not changed.any()


def test_the_paper_form_runs_on_a_file(beating, tmp_path):
    source, target = tmp_path / "in.mkv", tmp_path / "out.mp4"
    write_rgb(source, beating[:100], 30, lossless=True)
    report = fastmag.magnify(source, target, fastmag.Pulse(form="paper", n_steps=3))
    assert report.rate_bpm is None and probe(target).n_frames == 100


def test_progress_is_reported_to_a_function(beating):
    seen = []
    fastmag.magnify(beating, fps=30, progress=lambda *step: seen.append(step))
    assert {stage for stage, _, _ in seen} == {"analyse", "ascend", "synthesise"}
    assert seen[-1] == ("synthesise", len(beating), len(beating))


def test_importing_fastmag_is_cheap():
    heavy = "('numba', 'onnxruntime', 'scipy', 'av', 'numpy', 'torch')"
    code = f"import sys, fastmag; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_real_face(real_clip):
    measured = fastmag.measure(real_clip("face.mp4"))
    assert measured.present and 51.5 <= measured.rate_bpm <= 54
