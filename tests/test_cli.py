"""The command as a user meets it."""

import os
import re
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from conftest import beating_frames

from fastmag.video import probe, read_rgb, write_rgb


def fastmag(*arguments, **options):
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "fastmag.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_rgb(path, beating_frames(150), 30)
    return path


def test_magnify_writes_a_video_and_says_what_it_found(clip, tmp_path):
    done = fastmag("magnify", clip, tmp_path / "out.mp4", "--alpha", "12")
    assert done.returncode == 0, done.stderr
    assert re.search(r"pulse at 7[0-3]\.\d beats a minute", done.stdout) and done.stderr == ""  # no bar: no terminal
    assert probe(tmp_path / "out.mp4").n_frames == 150
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_flags_reach_the_method(clip, tmp_path):
    """A larger alpha changes more; a region changes nothing outside; the paper form is another one."""
    before = read_rgb(clip)[0].astype(float)

    def change(*flags):
        out = tmp_path / "out.mkv"
        done = fastmag("magnify", clip, out, "--lossless", "--overwrite", *flags)
        assert done.returncode == 0, done.stderr
        return read_rgb(out)[0] - before

    small, large = change("--alpha", "4"), change("--alpha", "16")
    assert np.sqrt((large**2).mean()) > 2 * np.sqrt((small**2).mean()) > 0
    inside = change("--alpha", "16", "--roi", "30,20,36,32")
    assert not inside[:, :18].any() and inside[:, 26:46, 36:60].any()
    paper, stronger = (
        change("--form", "paper", "--steps", "3"),
        change("--form", "paper", "--steps", "3", "--strength", "4"),
    )
    assert np.sqrt((stronger**2).mean()) > 1.5 * np.sqrt((paper**2).mean()) > 0


def test_measure_prints_and_writes(clip, tmp_path):
    table, plot = tmp_path / "pulse.csv", tmp_path / "pulse.png"
    done = fastmag("measure", clip, "--csv", table, "--plot", plot)
    assert done.returncode == 0, done.stderr
    assert re.search(r"7[0-3]\.\d beats a minute \(quality", done.stdout)
    rows = np.genfromtxt(table, delimiter=",", names=True)
    assert rows.dtype.names == ("time_s", "wave", "rate_bpm") and len(rows) == 150
    np.testing.assert_allclose(np.diff(rows["time_s"]), 1 / 30, atol=2e-4)
    assert plot.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_doctor_names_what_works(clip):
    said = fastmag("doctor").stdout
    for word in ("numba", "cpu: works", "cpu: works in fp32", "libx264", "cuda: not available"):
        assert word in said


def test_render_writes_a_clip_and_its_truth(tmp_path):
    out = tmp_path / "person.mp4"
    done = fastmag("render", out, "--seconds", "1", "--size", "96,72", "--bpm", "66")
    assert done.returncode == 0, done.stderr
    truth = np.load(tmp_path / "person.npz")
    assert probe(out).n_frames == 30 == len(truth["p"]) and truth["skin"].any() and truth["skin"].shape == (72, 96)
    again = fastmag("render", out, "--seconds", "1", "--size", "96,72")
    assert again.returncode == 2 and "--overwrite" in again.stderr


def test_demo_ends_with_where_to_look(clip, tmp_path):
    done = fastmag("demo", clip, "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    *_, video, picture = done.stdout.strip().splitlines()
    assert probe(video.split(":", 1)[1].strip()).n_frames == 150
    with open(picture.split(":", 1)[1].strip(), "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_a_signal_stops_it_and_leaves_nothing(tmp_path):
    import signal

    source = tmp_path / "long.mp4"
    write_rgb(source, np.tile(beating_frames(150), (8, 1, 1, 1)), 30, preset="ultrafast")
    flags = [source, tmp_path / "out.mp4", "--encoder-preset", "placebo"]
    command = [sys.executable, "-m", "fastmag.cli", "magnify", *flags]
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs in the background ignore Ctrl-C
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listening)
    for _ in range(2400):
        if any(name.startswith(".fastmag-") for name in os.listdir(tmp_path)) or running.poll() is not None:
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=240)
    assert running.returncode == 130 and "stopped" in said
    assert os.listdir(tmp_path) == ["long.mp4"]


def test_help_is_quick():
    """Under 0.3 s more than bare Python, in the best of five; processor time, so that company does not count."""
    import resource

    def spent():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def seconds(*command):
        runs = []
        for _ in range(5):
            began = spent()
            subprocess.run([sys.executable, *command], capture_output=True, check=True)
            runs.append(spent() - began)
        return min(runs)

    assert seconds("-m", "fastmag.cli", "--help") - seconds("-c", "pass") < 0.3
