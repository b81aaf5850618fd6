"""Damaged input, wrong input, and outputs that appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import clips
import numpy as np
import pytest

from fastmag.errors import InputError
from fastmag.planes import planar_format
from fastmag.video import Frame, Reader, Writer, array_info, probe, write_rgb

SHAPES = planar_format("yuv420p").shapes(48, 64)
FRONT = {"movflags": "faststart"}


def refused(action, *says: str) -> str:
    """The InputError of `action`: one line that holds each of `says`."""
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    for words in says:
        assert words in message
    return message


def noise(path: Path, n: int = 60, **options) -> Path:
    """A clip whose bytes are mostly pictures."""
    quality = {"preset": "ultrafast", "crf": "25", "g": "10"}
    return clips.make_clip(path, clips.scene(n, SHAPES), options=quality, **options)


def count(path: Path) -> tuple[int, str | None]:
    with Reader(path) as reader:
        return sum(1 for _ in reader), reader.damage


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, options", [("a.mp4", FRONT), ("a.mkv", {})])
@pytest.mark.parametrize("keep", [0.9, 0.5])
def test_a_file_that_was_cut_gives_what_it_has_and_says_so(tmp_path, name, options, keep):
    whole = noise(tmp_path / name, container_options=options)
    assert count(whole) == (60, None)
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep)])
    n, damage = count(cut)
    assert 60 * keep - 8 <= n <= 60 * keep + 2
    assert damage and f"after {n} of" in damage and "\n" not in damage


def test_a_few_frames_short_is_no_damage(tmp_path):
    whole = noise(tmp_path / "a.mp4", container_options=FRONT)
    sizes = [len(b) for _, b in clips.packets(whole, "video")]
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size - sizes[-1] - sizes[-2]])
    assert count(cut) == (58, None)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_reading_stops_at_the_first_damaged_picture(tmp_path, name):
    whole = noise(tmp_path / name, container_options=FRONT if name == "a.mp4" else {})
    data = bytearray(whole.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    bad = tmp_path / f"bad_{name}"
    bad.write_bytes(data)
    n, damage = count(bad)
    assert 20 <= n <= 32 and damage and f"after {n} " in damage
    good = [p[0].copy() for p in frames(whole)][:n]
    for got, want in zip((p[0] for p in frames(bad)), good, strict=True):
        np.testing.assert_array_equal(got, want)  # nothing half decoded is handed out


def frames(path: Path) -> list[tuple[np.ndarray, ...]]:
    with Reader(path) as reader:
        return [f.planes for f in reader]


def test_a_recording_that_starts_between_key_frames_is_read(tmp_path):
    whole = noise(tmp_path / "a.ts", n=40)
    cut = tmp_path / "cut.ts"
    data = whole.read_bytes()
    cut.write_bytes(data[188 * (len(data) // 188 // 8) :])
    n, damage = count(cut)
    assert n >= 28 and damage is None


def test_a_change_of_picture_size_ends_the_clip(tmp_path):
    path = tmp_path / "a.h264"
    big = clips.make_clip(tmp_path / "1.h264", clips.smooth(5, SHAPES))
    small = clips.make_clip(tmp_path / "2.h264", clips.smooth(5, planar_format("yuv420p").shapes(32, 32)))
    path.write_bytes(big.read_bytes() + small.read_bytes())
    n, damage = count(path)
    assert n == 5 and damage and "size changes from 64x48 to 32x32" in damage


# --- input that is none ----------------------------------------------------------------------------------------------


def test_missing_input(tmp_path):
    refused(lambda: probe(tmp_path / "none.mp4"), "none.mp4 does not exist", "expected a video file", "check the name")


def test_directory_as_input(tmp_path):
    refused(lambda: probe(tmp_path), "is a directory", "name one of the files in it")


def test_empty_input(tmp_path):
    (tmp_path / "a.mp4").touch()
    refused(lambda: probe(tmp_path / "a.mp4"), "is empty", "copy or record it again")


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.csv", "a", "a.srt"])
def test_text_as_input(tmp_path, name):
    (tmp_path / name).write_text("1\n00:00:01,000 --> 00:00:02,000\nnot a film\n" * 200)
    refused(lambda: probe(tmp_path / name), name, "expected a video")


def test_noise_as_input(tmp_path):
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    refused(lambda: probe(tmp_path / "a.mp4"), "expected a", "copy or record it again, or convert it")


def test_sound_without_pictures(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        clips._sing(container, container.add_stream("aac", rate=48000), 1, 0)
    refused(lambda: probe(tmp_path / "a.m4a"), "holds only sound", "name a file with pictures")


def test_header_without_pictures(tmp_path):
    whole = noise(tmp_path / "a.mp4", container_options=FRONT)
    data = whole.read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: data.index(b"mdat") + 100])
    refused(lambda: probe(tmp_path / "b.mp4"), "no picture that decodes", "copy or record it again")


def test_recording_whose_index_was_never_written(tmp_path):
    whole = noise(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    refused(lambda: probe(tmp_path / "b.mp4"), "cut short", "copy or record it again")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable_input(tmp_path):
    source = noise(tmp_path / "a.mp4", n=3)
    source.chmod(0)
    refused(lambda: probe(source), "cannot be read", "check its permissions")


# --- output that cannot be -------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path) -> Path:
    return noise(tmp_path / "in.mp4", n=5)


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
        refused(lambda name=name: write(source, name, overwrite=True), "is the input itself", "different output name")
    assert source.read_bytes() == before


def test_output_that_exists(source):
    there = source.with_name("out.mp4")
    there.write_text("precious")
    refused(lambda: write(source, there), "already exists", "--overwrite")
    assert there.read_text() == "precious"
    write(source, there, overwrite=True)
    assert probe(there).n_frames == 5


def test_output_folder_that_is_missing(source):
    refused(lambda: write(source, source.parent / "no/out.mp4"), "folder", "does not exist", "make it first")


def test_output_that_is_a_folder(source):
    refused(lambda: write(source, source.parent), "is a directory", "expected a file name")


def test_output_folder_that_is_not_writable(source):
    folder = Path("/proc") if os.geteuid() == 0 else source.parent / "locked"
    if folder.name == "locked":
        folder.mkdir(mode=0o555)
    elif not folder.is_dir():
        pytest.skip("no folder here refuses the superuser")
    refused(lambda: write(source, folder / "out.mp4"), "out", "choose another output folder")


@pytest.mark.parametrize("name", ["out.xyz", "out", "out.png", "out.mp3"])
def test_output_with_an_unknown_extension(source, name):
    refused(lambda: write(source, source.with_name(name)), "expected one of .mp4 .mov", "change the extension")


@pytest.mark.parametrize("codec, says", [("h265000", "no encoder"), ("aac", "does not encode video"), ("vp9", None)])
def test_codecs_that_do_not_fit(source, codec, says):
    refused(lambda: write(source, source.with_name("out.avi" if says else "out.mov"), codec=codec),
            *([says, "change the codec"] if says else ["cannot write 64x48", ".mkv"]))  # fmt: skip
    assert sorted(p.name for p in source.parent.iterdir()) == ["in.mp4"]


def test_no_frames(source):
    def empty():
        with Writer(source.with_name("out.mp4"), array_info(48, 64, 30)):
            pass

    refused(empty, "no frame to write")
    assert sorted(p.name for p in source.parent.iterdir()) == ["in.mp4"]


# --- whole or not at all ---------------------------------------------------------------------------------------------


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
        for planes in clips.smooth(3, SHAPES):
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
    return subprocess.Popen([sys.executable, "-c", code, str(destination)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_leaves_nothing(tmp_path):
    process = program("", 10**9, tmp_path / "out.mp4")
    assert process.stdout is not None and process.stdout.readline() == "busy\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0 and "KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, name):
    setup = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))"
    process = program(setup, 400, tmp_path / name)
    output, errors = process.communicate(timeout=60)
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
