"""Outputs appear whole or not at all, and impossible ones are refused before work starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.video import Frame, Reader, Writer, array_info, probe, write_rgb


@pytest.fixture
def source(tmp_path) -> Path:
    return clips.noise(tmp_path / "in.mp4", n=5)


def write(source: Path, destination, **options) -> None:
    with Reader(source) as reader, Writer(destination, reader.info, source, preset="ultrafast", **options) as writer:
        for frame in reader:
            writer.write(frame)


def test_output_that_is_the_input(source, monkeypatch):
    before = source.read_bytes()
    (source.parent / "link.mp4").symlink_to(source)
    (source.parent / "hard.mp4").hardlink_to(source)
    monkeypatch.chdir(source.parent)
    for name in (source, "in.mp4", "./in.mp4", "link.mp4", "hard.mp4", source.parent / "x/../in.mp4"):
        clips.refused(lambda to=name: write(source, to, overwrite=True), "is the input itself", "different output name")
    assert source.read_bytes() == before


def test_output_that_exists(source):
    there = source.with_name("out.mp4")
    there.write_text("precious")
    clips.refused(lambda: write(source, there), "already exists", "--overwrite")
    assert there.read_text() == "precious"
    write(source, there, overwrite=True)
    assert probe(there).n_frames == 5


def test_output_folder_that_is_missing(source):
    clips.refused(lambda: write(source, source.parent / "no/out.mp4"), "folder", "does not exist", "make it first")


def test_output_that_is_a_folder(source):
    clips.refused(lambda: write(source, source.parent), "is a directory", "expected a file name")


def test_output_folder_that_is_not_writable(source):
    folder = Path("/proc") if os.geteuid() == 0 else source.parent / "locked"
    if folder.name == "locked":
        folder.mkdir(mode=0o555)
    elif not folder.is_dir():
        pytest.skip("no folder here refuses the superuser")
    clips.refused(lambda: write(source, folder / "out.mp4"), "out", "choose another output folder")


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.png", "out.mp3"])
def test_output_with_an_unknown_extension(source, name):
    clips.refused(lambda: write(source, source.with_name(name)), "expected one of .mp4 .mov", "change the extension")


@pytest.mark.parametrize("codec, says", [("h265000", "no encoder"), ("aac", "does not encode video"), ("vp9", None)])
def test_codecs_that_do_not_fit(source, codec, says):
    clips.refused(lambda: write(source, source.with_name("out.avi" if says else "out.mov"), codec=codec),
            *([says, "change the codec"] if says else ["cannot write 64x48", ".mkv"]))  # fmt: skip
    assert sorted(p.name for p in source.parent.iterdir()) == ["in.mp4"]


def test_no_frames(source):
    def empty():
        with Writer(source.with_name("out.mp4"), array_info(48, 64, 30)):
            pass

    clips.refused(empty, "no frame to write")
    assert sorted(p.name for p in source.parent.iterdir()) == ["in.mp4"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("existing", [False, True])
def test_an_exception_leaves_the_folder_as_it_was(source, fault, existing):
    there = source.with_name("out.mp4")
    if existing:
        there.write_text("precious")
    before = {p.name: p.read_bytes() for p in source.parent.iterdir()}
    with (
        pytest.raises(fault),
        Reader(source) as reader,
        Writer(there, reader.info, source, overwrite=True, preset="ultrafast") as writer,
    ):
        for index, frame in enumerate(reader):
            assert len(list(source.parent.iterdir())) == len(before) + 1
            if index == 3:
                raise fault
            writer.write(frame)
    assert {p.name: p.read_bytes() for p in source.parent.iterdir()} == before


def test_the_output_is_not_there_before_it_is_whole(source):
    there = source.with_name("out.mp4")
    with Writer(there, array_info(48, 64, 30), preset="ultrafast") as writer:
        for planes in clips.smooth(3):
            writer.write(Frame(planes))
            assert not there.exists()
    assert there.exists() and len(list(there.parent.iterdir())) == 2
    umask = os.umask(0)
    os.umask(umask)
    assert there.stat().st_mode & 0o777 == 0o666 & ~umask


ENDLESS = """
    import sys, itertools, numpy as np
    from fastmag.video import write_rgb
    from fastmag.errors import InputError
    {setup}
    rng = np.random.default_rng(0)
    def frames():
        for t in range({n}):
            if t == 30:
                print("busy", flush=True)
            yield rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    try:
        write_rgb(sys.argv[1], frames(), 30, preset="ultrafast")
    except InputError as error:
        print(error)
        sys.exit(2)
"""


def program(setup: str, n: int, destination: Path) -> subprocess.Popen:
    code = textwrap.dedent(ENDLESS).format(setup=setup, n=n)
    listening = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # jobs in the background ignore Ctrl-C
    return subprocess.Popen([sys.executable, "-c", code, str(destination)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, preexec_fn=listening)  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_nothing(tmp_path):
    process = program("", 10**9, tmp_path / "out.mp4")
    assert process.stdout is not None and process.stdout.readline() == "busy\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, name):
    setup = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    process = program(setup, 400, tmp_path / name)
    output, errors = process.communicate(timeout=240)
    lines = [line for line in output.splitlines() if line != "busy"]
    assert process.returncode == 2, errors
    assert len(lines) == 1 and "no room left" in lines[0] and "free some space" in lines[0]
    assert not list(tmp_path.iterdir())


def test_many_clips_leave_no_open_files(tmp_path):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("open files are counted through /proc")
    write_rgb(tmp_path / "a.mp4", np.zeros((3, 16, 16, 3), np.uint8), 30, preset="ultrafast")
    before = len(list(folder.iterdir()))
    for _ in range(20):
        probe(tmp_path / "a.mp4")
        write(tmp_path / "a.mp4", tmp_path / "b.mp4", overwrite=True)
        with pytest.raises(InputError):
            write(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert len(list(folder.iterdir())) <= before + 2
