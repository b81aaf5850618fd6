"""Wrong input: one line with the remedy, exit code 2, nothing written."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmag
from fastmag.cli import main
from fastmag.params import Pulse
from fastmag.presets import METHODS
from fastmag.video import write_rgb


@pytest.fixture(scope="module")
def clip(tmp_path_factory, beating):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_rgb(path, beating, 30)
    return path


def run(capsys, *arguments) -> tuple[int, str]:
    """(exit code, what was said on standard error) of the command."""
    argv, sys.argv = sys.argv, ["fastmag", *map(str, arguments)]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.argv = argv
    return code, capsys.readouterr().err


def refused(capsys, folder, *arguments, word: str) -> None:
    before = sorted(os.listdir(folder))
    code, said = run(capsys, *arguments)
    assert code == 2 and said.count("\n") == 1 and word in said, (code, said)
    assert sorted(os.listdir(folder)) == before


def sound_only(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def make(kind, folder, clip):
    """A wrong input of some kind, by name."""
    path = folder / "wrong.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is not a video\n" * 50)
    elif kind == "truncated":
        path.write_bytes(clip.read_bytes()[:300])
    elif kind == "sound":
        sound_only(path)
    elif kind == "directory":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "word"),
    [("missing", "does not exist"), ("empty", "is empty"), ("text", "not a video"), ("truncated", "not a video"),
     ("sound", "only sound"), ("directory", "is a directory")],
)  # fmt: skip
@pytest.mark.parametrize("command", ["magnify", "measure"])
def test_files_that_are_no_video(capsys, tmp_path, clip, command, kind, word):
    source = make(kind, tmp_path, clip)
    rest = [tmp_path / "out.mp4"] if command == "magnify" else []
    refused(capsys, tmp_path, command, source, *rest, word=word)


@pytest.mark.parametrize(("count", "method"), [*((n, m) for n in (1, 2, 20) for m in METHODS), (60, "pulse")])
def test_too_few_frames(capsys, tmp_path, beating, count, method):
    source = tmp_path / "short.mkv"
    frames = beating[:count].repeat(2, axis=1).repeat(2, axis=2)  # large enough for every method
    write_rgb(source, frames, 30, lossless=True)
    refused(capsys, tmp_path, "magnify", source, tmp_path / "out.mp4", "--method", method, word="longer clip")


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--passband", "0.7,15"], "half the frame rate"),
        (["--passband", "2.5,0.7"], "swap"),
        (["--passband", "a,b"], "expected LOW,HIGH"),
        (["--passband", "nan,2"], "passband"),
        (["--fps", "0.2"], "frames a second"),
        (["--fps", "100000"], "frames a second"),
        (["--roi", "80,0,40,20"], "outside the frame"),
        (["--roi", "1,2,3"], "X,Y,W,H"),
        (["--roi", "0,0,0,5"], "w, h >= 1"),
        (["--alpha", "-1"], "at least 0"),
        (["--alpha", "nan"], "finite"),
        (["--step-size", "1e-4"], "no meaning in the coherent form"),
        (["--form", "paper", "--alpha", "5"], "no meaning in the paper form"),
        (["--form", "paper", "--steps", "0"], "at least 1"),
        (["--backend", "tpu"], "backend must be one of"),
        (["--method", "magic"], "magic"),
        (["--codec", "nothing"], "nothing"),
        (["--frobnicate"], "No such option"),
        (["--preset", "evm/fase"], "evm/face"),
        (["--preset", "evm/face", "--method", "pulse"], "belongs to the method evm-color"),
        (["--method", "evm-color", "--form", "paper"], "--form has no meaning"),
        (["--method", "evm-color", "--level", "0"], "whole number from 1"),
        (["--method", "evm-color", "--alpha", "-1"], "at least 0"),
        (["--method", "evm-color", "--chroma", "nan"], "finite"),
        (["--method", "evm-color", "--fs", "0"], "above 0"),
        (["--method", "evm-color", "--passband", "0.7,15"], "half the frame rate"),
        (["--method", "evm-color", "--passband", "0.1,2"], "longer clip"),
        (["--method", "evm-color", "--roi", "80,0,40,20"], "outside the frame"),
        (["--compat", "mit"], "no meaning for the method pulse"),
        (["--method", "evm-motion", "--lambda-c", "0"], "above 0"),
        (["--method", "vam-color", "--frequency", "9"], "quarter of the frame rate"),
        (["--method", "vam-motion", "--sigma", "-1"], "at least 0"),
        (["--method", "phase-evm", "--pyramid", "cubic"], "cubic"),
        (["--method", "phase-evm", "--rates", "0.4,0.1"], "no meaning in the fir filter"),
        (["--method", "phase-evm", "--temporal", "iir", "--roi", "0,0,5,5"], "at least 8 pixels"),
        (["--method", "phase-evm", "--attenuate"], "longer clip"),
        (["--method", "riesz", "--sigma", "-1"], "at least 0"),
        (["--method", "riesz", "--temporal", "iir", "--passband", "1,2"], "no meaning in the iir filter"),
        (["--method", "vam-color", "--frequency", "-1"], "above 0"),
        (["--method", "evm-motion", "--rates", "0.4,0.1"], "rates has no meaning"),
        (["--preset", "evm/baby", "--rates", "0.1,0.4"], "SLOW < FAST"),
        (["--preset", "evm/baby", "--temporal", "ideal", "--passband", "0.1,2"], "longer clip"),
    ],
)
def test_flags_that_cannot_be(capsys, tmp_path, clip, flags, word):
    refused(capsys, tmp_path, "magnify", clip, tmp_path / "out.mp4", *flags, word=word)


def test_destinations_that_cannot_be(capsys, tmp_path, clip):
    existing = tmp_path / "there.mp4"
    existing.write_bytes(b"mine")
    refused(capsys, tmp_path, "magnify", clip, existing, word="--overwrite")
    assert existing.read_bytes() == b"mine"
    refused(capsys, tmp_path, "magnify", clip, clip, word="the input itself")
    refused(capsys, tmp_path, "magnify", clip, tmp_path / "no" / "out.mp4", word="does not exist")
    refused(capsys, tmp_path, "magnify", clip, tmp_path / "out.xyz", word="change the extension")
    refused(capsys, tmp_path, "magnify", clip, tmp_path, word="is a directory")
    refused(capsys, tmp_path, "measure", clip, "--csv", existing, word="change the extension")
    table = tmp_path / "there.csv"
    table.write_text("mine")
    refused(capsys, tmp_path, "measure", clip, "--csv", table, word="--overwrite")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a file on which every write fails")
def test_a_full_disk_leaves_nothing(capsys, tmp_path, clip, monkeypatch):
    """Every write fails with ENOSPC, as on a disk that has filled up in the middle."""
    from fastmag.files import WholeFile

    def on_full_disk(self, destination):
        self.destination, self.path = destination, Path("/dev/full")

    monkeypatch.setattr(WholeFile, "__init__", on_full_disk)
    monkeypatch.setattr(WholeFile, "discard", lambda self: None)
    refused(capsys, tmp_path, "magnify", clip, tmp_path / "out.mkv", "--lossless", word="no room left")


@pytest.mark.parametrize("kind", ["missing", "corrupt", "shape", "operator"])
def test_models_that_cannot_be(capsys, tmp_path, clip, kind):
    model = tmp_path / "model.onnx"
    words = {"missing": "No such file", "corrupt": "ONNX", "shape": "36", "operator": "Det"}
    if kind == "corrupt":
        model.write_bytes(b"\x08\x07garbage" * 20)
    elif kind in ("shape", "operator"):
        write_model(model, kind)
    refused(capsys, tmp_path, "magnify", clip, tmp_path / "out.mp4", "--model", model, word=words[kind])


def write_model(path, kind: str) -> None:
    """A network for pictures of another size, or one with an operator that has no reverse rule."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    side = 20 if kind == "shape" else 36
    nodes = [helper.make_node("ReduceMean", ["X"], ["m"], axes=[1], keepdims=0)]
    if kind == "operator":
        nodes.append(helper.make_node("Det", ["m"], ["d"], name="determinant"))
        nodes.append(helper.make_node("Unsqueeze", ["d", "one"], ["y"]))
    else:
        nodes += [helper.make_node("Flatten", ["m"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"])]
    weights = [
        numpy_helper.from_array(np.array([1], np.int64), "one"),
        numpy_helper.from_array(np.ones((side * side, 1), np.float32), "w"),
    ]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])], weights,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize(
    ("frames", "fps", "word"),
    [
        (np.zeros((40, 50, 3), np.uint8), 30, "add a time axis"),
        (np.zeros((9, 40, 50), np.uint8), 30, "repeat a grey channel"),
        (np.zeros((9, 40, 50, 1), np.uint8), 30, "repeat the grey channel"),
        (np.zeros((9, 40, 50, 4), np.uint8), 30, "leave the fourth"),
        (np.zeros((9, 3, 40, 50), np.uint8), 30, "channels last"),
        (np.zeros((9, 40, 50, 3)), 30, "dtype float64"),
        (np.full((9, 40, 50, 3), np.nan), 30, "NaN"),
        (np.zeros((0, 40, 50, 3), np.uint8), 30, "nothing in it"),
        (np.zeros((9, 40, 50, 3), np.uint8), None, "pass fps"),
        (np.zeros((9, 40, 50, 3), np.uint8), float("nan"), "frame rate"),
        (np.zeros((9, 40, 50, 3), np.uint8), 30, "longer clip"),
        ([1, 2, 3], 30, "source must be a path or frames"),
    ],
)
@pytest.mark.parametrize("door", [fastmag.magnify, fastmag.measure])
def test_arrays_that_cannot_be(door, frames, fps, word):
    with pytest.raises(fastmag.InputError, match=word):
        door(frames, fps=fps)


def test_params_are_checked_when_they_are_made():
    for wrong in ({"form": "other"}, {"rule": "sign"}, {"roi": (1, 2, 3)}, {"passband": 3}, {"alpha": "ten"}):
        with pytest.raises(fastmag.InputError):
            Pulse(**wrong)


def cut(clip, tmp_path, beating):
    """A file whose second half is missing, but which opens: Matroska is written front to back."""
    whole, part = tmp_path / "whole.mkv", tmp_path / "part.mkv"
    write_rgb(whole, np.concatenate([beating, beating]), 30, crf=20)
    data = whole.read_bytes()
    part.write_bytes(data[: int(len(data) * 0.7)])
    whole.unlink()
    return part


def test_a_break_in_the_middle_keeps_what_was_whole(capsys, tmp_path, clip, beating):
    from fastmag.video import probe, read_rgb

    part, out = cut(clip, tmp_path, beating), tmp_path / "out.mp4"
    code, said = run(capsys, "magnify", part, out)
    assert code == 1 and "breaks off" in said
    assert len(read_rgb(out)[0]) == len(read_rgb(part)[0]) > 150
    assert probe(out).n_frames


def test_strict_writes_nothing_when_the_file_breaks_off(capsys, tmp_path, clip, beating):
    part = cut(clip, tmp_path, beating)
    refused(capsys, tmp_path, "magnify", part, tmp_path / "out.mp4", "--strict", word="nothing was written")


def test_an_interrupt_leaves_no_half_file(capsys, tmp_path, clip, monkeypatch):
    from fastmag.video import Writer

    def interrupt(self, frame, seen=[]):  # noqa: B006
        seen.append(1)
        if len(seen) > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(Writer, "write", interrupt)
    before = sorted(os.listdir(tmp_path))
    code, said = run(capsys, "magnify", clip, tmp_path / "out.mp4")
    assert code == 130 and "stopped" in said and sorted(os.listdir(tmp_path)) == before
