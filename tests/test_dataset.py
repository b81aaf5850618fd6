"""`fastmag render`: files of people and their truth, whole data sets, stopping and going on."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.synthetic import cast, recordings, render_clip
from fastmag.synthetic.command import render, scene
from fastmag.synthetic.dataset import Plan, render_people
from fastmag.video import Reader, read_rgb

SMALL = {"size": (72, 96), "texture_rows": 64, "detail": 0.4, "antialias": 1}


def test_the_truth_holds_waves_masks_and_options(tmp_path):
    truth = render(tmp_path / "clip.mp4", seconds=2.5, fps=20, seed=1, lossless=True, person=cast(0, 2)[0], **SMALL)
    data = np.load(truth)
    clip = render_clip(1, seconds=2.5, fps=20, person=cast(0, 2)[0], **SMALL)
    for name in ("p", "breath", "yaw", "skin", "torso"):
        np.testing.assert_array_equal(data[name], getattr(clip, name))
    assert data["mask_frames"].tolist() == [0, 20, 40]
    masks = np.unpackbits(data["torso_masks"], axis=-1)[..., :96].astype(bool)
    np.testing.assert_array_equal(masks[0], clip.torso)
    np.testing.assert_array_equal(read_rgb(tmp_path / "clip.mp4")[0], clip.frames)


def test_the_truth_makes_the_same_scene_again(tmp_path):
    render(tmp_path / "clip.mp4", seconds=0.2, seed=4, task="D", person=cast(1, 3)[2], lossless=True, **SMALL)
    shot, grown = scene(tmp_path / "clip.npz"), scene(tmp_path / "clip.npz", pulse_factor=11.0)
    np.testing.assert_array_equal(shot.frame(3)[0], read_rgb(tmp_path / "clip.mp4")[0][3])
    np.testing.assert_array_equal(shot.instant(3)[0], grown.instant(3)[0])
    assert grown.settings.pulse_factor == 11
    (tmp_path / "other.npz").write_bytes(b"no")
    for name in ("other.npz", "absent.npz"):
        with pytest.raises(InputError, match="is not the truth"):
            scene(tmp_path / name)


def plan(**changes) -> Plan:
    return Plan(people=2, tasks="AD", seed=3, options={"seconds": 0.4, "fps": 15.0, **SMALL}, **changes)


def content(folder) -> dict[str, bytes]:
    """The frames of every video and the waves of every truth, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".mp4":
            found[path.name] = read_rgb(path)[0].tobytes()
        elif path.suffix == ".npz":
            data = np.load(path)
            found[path.name] = b"".join(data[name].tobytes() for name in sorted(data.files))
        else:
            found[path.name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("people") / "set"
    calls: list[tuple] = []
    index = render_people(out, plan(), jobs=1, progress=lambda *state: calls.append(state))
    assert index == out / "index.csv"
    assert calls[-1] == (4, 4)
    return out


def test_a_data_set_has_a_video_for_every_person_and_task(folder):
    rows = list(csv.DictReader((folder / "index.csv").open()))
    expected = recordings(3, 2, "AD")
    assert [row["video"] for row in rows] == [f"{what.name}.mp4" for what in expected]
    assert [row["skin_type"] for row in rows] == [str(what.member.skin_type) for what in expected]
    for row in rows:
        with Reader(folder / row["video"]) as reader:
            assert sum(1 for _ in reader) == int(row["frames"]) == 6
        assert float(np.load(folder / row["truth"])["bpm"]) == pytest.approx(float(row["bpm"]), abs=0.01)
    sheet = read_rgb(folder / "contact.png")[0][0]
    assert sheet.shape == (2 * 112, 2 * 150, 3)
    assert sheet.std() > 10


def test_a_data_set_goes_on_where_it_was(folder, tmp_path):
    """Whole files are kept as they are; half a recording is rendered again, to the same frames."""
    before = content(folder)
    kept = folder / "person-000-A.mp4"
    stamp = kept.stat().st_mtime_ns
    (folder / "person-001-D.npz").unlink()  # its video alone does not count
    (folder / "person-000-D.mp4").unlink()
    (folder / "person-000-D.npz").unlink()
    (folder / ".fastmag-00ff.mp4").write_bytes(b"half a file")
    render_people(folder, plan(), jobs=2, progress=False)
    assert content(folder) == before
    assert kept.stat().st_mtime_ns == stamp


def test_another_plan_is_refused(folder):
    with pytest.raises(InputError, match="another plan"):
        render_people(folder, plan(lossless=True), jobs=1, progress=False)


def test_a_killed_data_set_leaves_only_whole_files(tmp_path):
    out = tmp_path / "set"
    code = (
        "from fastmag.synthetic.dataset import *\n"
        "if __name__ == '__main__':\n"
        f"    render_people({str(out)!r}, Plan(people=3, tasks='AD', options=dict(seconds=1.0, size=(72, 96), "
        "texture_rows=64, detail=.4, antialias=1)), jobs=1, progress=False)"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script], start_new_session=True)
    until = time.monotonic() + 60
    while not list(out.glob("person-*.npz")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    whole = [path.stem for path in out.glob("person-*.npz")]
    assert 1 <= len(whole) < 6
    for name in whole:
        with Reader(out / f"{name}.mp4") as reader:
            assert sum(1 for _ in reader) == 30
    subprocess.run([sys.executable, script], check=True)
    assert len(list(out.glob("person-*.npz"))) == len(list(out.glob("person-*.mp4"))) == 6
    assert not list(out.glob(".fastmag-*"))


def test_a_recording_is_split_in_time_and_its_end_can_be_rendered_alone(tmp_path):
    from fastmag.export import pulse_data

    what = recordings(1, 2, "AC")[3]
    path = pulse_data.render_recording(tmp_path, what, 2.0)
    known, held_out = pulse_data.load_recording(path)
    assert (len(known.y), len(held_out.y)) == (47, 11)  # of 60 frames 48 and 12, less one each
    assert (known.held_out, held_out.held_out, known.task) == (False, True, "C")
    options = {"seconds": 2.0, "person": what.member, "start": pulse_data.known_frames(60), **SMALL}
    p = render_clip(what.seed, what.task, **options).p
    y = np.diff(p.astype(float))
    np.testing.assert_allclose(held_out.y, (y - y.mean()) / y.std(), atol=1e-4)


def command(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "fastmag.cli", "render", *words], capture_output=True, text=True)


def test_the_command_renders_a_cast(tmp_path):
    done = command(str(tmp_path / "set"), "--people", "1", "--tasks", "B", "--seconds", "0.2", "--size", "96,72",
                   "--jobs", "1", "--seed", "2", "--breath-factor", "3")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "index.csv" in done.stdout
    shot = scene(tmp_path / "set" / "person-000-B.npz")
    assert shot.settings.breath_factor == 3
    assert shot.settings.person == cast(2, 1)[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--people", "0"), "one person at least"),
        (("--people", "2", "--tasks", "AZ"), "tasks must be"),
        (("--people", "2", "--task", "B"), "--task belongs to a single video"),
        (("--people", "2", "--overwrite"), "--overwrite belongs to a single video"),
        (("--tasks", "AB"), "--tasks belongs to a cast"),
        (("--people", "2", "--wave", "absent.csv"), "no recording at"),
    ],
)
def test_bad_commands_are_one_line(tmp_path, words, said):
    done = command(str(tmp_path / "out.mp4"), "--seconds", "0.2", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
