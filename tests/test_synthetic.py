"""Rendered people: the same seed gives the same pixels, and the truth is what the pixels show."""

from __future__ import annotations

import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.synthetic import Member, Settings, Shot, magnified, reduce_to_cells, render_cells, render_clip
from fastmag.synthetic.codec import through_h264
from fastmag.synthetic.mesh import load_mesh, vertex_normals
from fastmag.synthetic.motion import TASKS, yaw_of_task
from fastmag.synthetic.person import make_person
from fastmag.synthetic.physiology import pulse
from fastmag.synthetic.raster import tone_curve
from fastmag.synthetic.scene import BACKGROUNDS, repeats

SMALL = {"size": (72, 96), "texture_rows": 64, "detail": 0.4, "antialias": 1}


@pytest.fixture(scope="module")
def clip():
    return render_clip(3, seconds=4, noise=0.5, amplitude=0.006, background="plain", **SMALL)


def test_same_seed_same_pixels_whatever_the_threads(clip):
    again = render_clip(3, seconds=4, noise=0.5, amplitude=0.006, background="plain", threads=3, **SMALL)
    assert np.array_equal(clip.frames, again.frames)
    assert np.array_equal(clip.pulsation, again.pulsation)
    other = render_clip(4, seconds=0.2, **SMALL)
    assert not np.array_equal(clip.frames[:6], other.frames)


def test_skin_shows_the_pulse_and_the_wall_does_not(clip):
    green = clip.pulsation[..., 1].astype(np.float32)
    skin = green.min(0) > 0.5 * np.percentile(green, 98)
    wall = green.max(0) == 0
    assert skin.sum() > 100
    assert wall.sum() > 1000
    level = clip.frames[:, skin].astype(float).mean(1)[:, 1] - (green[:, skin] * clip.p[:, None]).mean(1)
    shown = clip.frames[:, skin].astype(float).mean(1)[:, 1]
    assert np.corrcoef(np.diff(shown), np.diff(clip.p))[0, 1] > 0.9
    assert np.abs(np.corrcoef(np.diff(level), np.diff(clip.p))[0, 1]) < 0.3  # nothing of it is left without the truth
    still = clip.frames[:, wall].astype(float).mean(1)[:, 1]
    assert np.abs(np.corrcoef(np.diff(still), np.diff(clip.p))[0, 1]) < 0.3


def test_frames_are_linear_in_the_pulse():
    options = {"task": "C", "seconds": 0.4, "noise": 0.0, "background": "wild", **SMALL}
    beating = Shot(5, Settings(amplitude=0.05, **options))
    still = Shot(5, Settings(pulse=False, **options))
    for t in (0, 7, 11):
        picture, none = still.instant(t)
        same, pulsation = beating.instant(t)
        assert not none.any()
        np.testing.assert_array_equal(picture, same)
        expected = np.clip(np.floor(picture + beating.p[t] * pulsation + 0.5), 0, 255)
        assert np.abs(beating.frame(t)[0] - expected).max() <= 1  # at most the rounding of a tie
        assert np.abs(beating.p[t] * pulsation).max() > 1


def test_magnified_adds_alpha_times_the_truth(clip):
    grown = magnified(clip, 20.0)
    change = grown.astype(float) - clip.frames
    truth = 20 * clip.pulsation.astype(float) * clip.p[:, None, None, None]
    inside = (grown > 0) & (grown < 255)
    assert np.abs(change - truth)[inside].max() <= 0.5 + 1e-3
    assert np.abs(truth).max() > 5
    assert np.array_equal(magnified(clip, 0.0), clip.frames)


def test_without_a_pulse_the_same_scene_stands_still():
    quiet = render_clip(3, seconds=0.3, noise=0.5, background="plain", pulse=False, **SMALL)
    assert quiet.amplitude == 0
    assert not quiet.pulsation.any()


def test_repeated_frames_repeat_the_truth_too():
    shown = repeats(np.random.default_rng(0), 300)
    assert shown[0] == 0
    assert set(np.diff(shown)) >= {0, 2}
    clip = render_clip(1, seconds=2, repeat=True, **SMALL)
    same = [t for t in range(1, 60) if np.array_equal(clip.frames[t], clip.frames[t - 1])]
    assert same
    assert np.array_equal(same, 1 + np.flatnonzero(np.diff(clip.p) == 0))


def test_cells_are_the_reduced_frames():
    options = {"task": "T", "seconds": 0.3, "lively": True, "framing": "any", **SMALL}
    clip, cells = render_clip(9, **options), render_cells(9, **options)
    assert cells.cells.shape == (9, 36, 36, 3)
    for t in (0, 8):
        np.testing.assert_array_equal(cells.cells[t], reduce_to_cells(clip.frames[t]))
    np.testing.assert_allclose(cells.pulsation_cells[4], reduce_to_cells(clip.pulsation[4]), atol=1e-3)


def test_a_change_is_reduced_to_cells_as_a_frame_is():
    frame = np.random.default_rng(0).integers(0, 256, (75, 110, 3), dtype=np.uint8)
    np.testing.assert_allclose(reduce_to_cells(frame.astype(np.float32)), reduce_to_cells(frame), atol=2e-3)


def test_pulse_has_the_rate_that_was_asked_for():
    wave, bpm = pulse(np.random.default_rng(0), 1800, 30.0, 75.0)
    assert bpm == 75
    assert abs(wave.mean()) < 1e-4
    assert wave.std() == pytest.approx(1, abs=1e-4)
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    near = np.abs(np.fft.rfftfreq(1800, 1 / 30) - 1.25) < 0.2
    assert spectrum[near].sum() > 0.6 * spectrum.sum()


def test_tasks_turn_as_the_paper_says():
    yaw = {task: yaw_of_task(np.random.default_rng(2), task, 900, 30.0) for task in TASKS}
    assert np.ptp(yaw["A"]) < 10
    for task, speed in (("B", 10), ("C", 30)):
        assert 100 < np.ptp(yaw[task]) < 130
        assert np.median(np.abs(np.diff(yaw[task]))) * 30 == pytest.approx(speed, rel=0.1)
    fast = np.abs(np.diff(yaw["D"])) * 30
    assert fast.max() > 60
    assert np.ptp(yaw["D"]) > 60


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_backgrounds(kind):
    shot = Shot(2, Settings(seconds=1.6, background=kind, noise=0.0, pulse=False, **SMALL))
    first, last = (shot.instant(t)[0][:40, -12:] / shot.light.gain[t] for t in (0, 45))
    if kind == "black":
        assert first.max() < 15
    assert (np.abs(first - last).max() > 0.01) == (kind in ("moving", "flicker", "wild"))


def test_h264_keeps_order_and_number_of_frames():
    x = np.arange(64) + np.zeros((64, 1))
    frames = [np.uint8(40 + 3 * t + 20 * np.sin(x / 9))[..., None].repeat(3, -1) for t in range(20)]
    seen = list(through_h264(frames, 30, 20))
    assert len(seen) == 20
    assert all(np.abs(a.astype(int).mean() - b.mean()) < 2 for a, b in zip(seen, frames, strict=True))
    clip = render_clip(1, seconds=0.5, crf=30, **SMALL)
    plain = render_clip(1, seconds=0.5, **SMALL)
    assert clip.frames.shape == plain.frames.shape
    assert not np.array_equal(clip.frames, plain.frames)
    np.testing.assert_array_equal(clip.pulsation, plain.pulsation)


def test_people_differ_and_face_the_camera():
    one, other = (make_person(Member(seed, False, 3), texture_rows=64, detail=0.4) for seed in (0, 1))
    assert not np.array_equal(one.textures[0], other.textures[0])
    assert not np.array_equal(one.textures[0], one.textures[2])  # lids
    nose = one.vertices[:, 2].argmax()
    assert one.normals[nose, 2] > 0.5
    middle = np.average(one.vertices, axis=0)
    outwards = ((one.vertices - middle) * one.normals)[one.vertices[:, 1] > 0].sum(1)
    assert (outwards > 0).mean() > 0.9


def test_tone_curve_rises_and_never_clips():
    level, slope = tone_curve(2.2).T
    assert (np.diff(level) > 0).all()
    assert level[0] == 0
    assert level[-1] < 255.5
    assert slope[-1] < 0.05 * slope.max()  # the pulse is lost in a highlight


def write_ball(path, rows: int = 16) -> None:
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, rows), indexing="ij")
    points = np.stack([np.sin(theta) * np.sin(phi), 1.3 * np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(
        -1, 3
    )
    lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in points]
    lines += [f"vt {c / (rows - 1):.4f} {1 - r / (rows - 1):.4f}" for r in range(rows) for c in range(rows)]
    for r in range(rows - 1):
        for c in range(rows - 1):
            a, b, d, e = (r * rows + c + k + 1 for k in (0, 1, rows, rows + 1))
            lines.append(f"f {a}/{a} {d}/{d} {e}/{e} {b}/{b}")
    path.write_text("\n".join(lines))


def test_a_mesh_of_ones_own(tmp_path):
    write_ball(tmp_path / "ball.obj")
    mesh = load_mesh(tmp_path)
    assert mesh.vertices[:, 1].max() == pytest.approx(13, abs=0.01)
    assert (mesh.vertices * vertex_normals(mesh.vertices, mesh.faces))[:, 0].sum() > 0
    clip = render_clip(0, seconds=0.1, head=tmp_path / "ball.obj", **SMALL)
    assert clip.pulsation[0].any()


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "holds 0 vertices"), ("v 1 2 x\n", "line 1"), ("v 0 0 0\n" * 200 + "f 1 2 900\n" * 200, "damaged")],
)
def test_bad_meshes_are_refused(tmp_path, text, said):
    (tmp_path / "bad.obj").write_text(text)
    with pytest.raises(InputError, match=said):
        load_mesh(tmp_path / "bad.obj")


def test_no_mesh_is_refused(tmp_path):
    with pytest.raises(InputError, match="no mesh at"):
        load_mesh(tmp_path / "absent.obj")
    with pytest.raises(InputError, match="holds 0"):
        load_mesh(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": "E"}, "unknown task"),
        ({"seconds": 0.0}, "two frames"),
        ({"fps": float("nan")}, "fps must be"),
        ({"size": (8, 8)}, "size must be"),
        ({"size": (73, 96), "crf": 20}, "even sizes"),
        ({"background": "beach"}, "unknown background"),
        ({"noise": -1.0}, "noise must be"),
        ({"framing": "wide"}, "framing must be"),
    ],
)
def test_bad_settings_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        Shot(0, Settings(**{"seconds": 0.2, **SMALL, **options}))


def test_the_command_writes_video_and_truth(tmp_path):
    from fastmag.synthetic.command import render
    from fastmag.video import Reader

    truth = render(tmp_path / "clip.mp4", seconds=0.5, fps=30, size=(72, 96), texture_rows=64, detail=0.4, seed=1)
    data = np.load(truth)
    assert data["p"].shape == (15,)
    assert data["skin"].shape == (72, 96)
    assert data["skin"].any()
    with Reader(tmp_path / "clip.mp4") as reader:
        assert sum(1 for _ in reader) == 15
    with pytest.raises(InputError, match="already exists"):
        render(tmp_path / "clip.mp4", seconds=0.5, fps=30, size=(72, 96))
