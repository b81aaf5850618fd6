"""magnify.onnx against its meaning in float64, and the C++ program against ONNX Runtime called from Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import beating_frames
from scipy.signal import sosfiltfilt

from fastmag import models
from fastmag.errors import InputError
from fastmag.evaluation.cases import Ask
from fastmag.export.chunk import form
from fastmag.export.graphs import write_all
from fastmag.export.magnify_graph import magnify_model
from fastmag.gradients import InputGradient
from fastmag.temporal import butterworth

ROOT = Path(__file__).parents[1]
PASSBAND = (0.7, 2.5)
CHUNK, OVERLAP = 90, 30  # frames, at 30 a second


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return magnify_model(models.path("pulse"), PASSBAND)


@pytest.fixture(scope="module")
def session(model):
    return session_of(model)


def session_of(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session, frames: np.ndarray, fps: float = 30.0, alpha: float = 10.0) -> tuple[np.ndarray, float]:
    feeds = {"frames": frames, "alpha": np.array(alpha, np.float32), "fps": np.array(fps, np.float32)}
    magnified, presence = session.run(["magnified", "presence"], feeds)
    return magnified, float(presence)


@pytest.fixture(scope="module")
def network() -> InputGradient:
    return InputGradient(models.path("pulse_gradient"), threads=1)


@pytest.mark.parametrize(("count", "fps", "size"), [(120, 30.0, (61, 83)), (200, 60.0, (30, 41))])
def test_the_graph_is_its_meaning(session, network, count, fps, size):
    """Clips too short to foretell how they go on."""
    assert_its_meaning(session, network, beating_frames(count, fps, *size), fps)


@pytest.mark.parametrize(("task", "seed"), [("B", 955_300), ("C", 955_402), ("D", 955_500)])
def test_the_graph_is_its_meaning_for_people(session, network, task, seed):
    """People who turn and sway, for long enough to foretell how they go on; the prior map of C, and the first map of D,
    is not the usual one."""
    case = Ask(task, seed, render={"seconds": 8.0, "size": (92, 124)}).case()
    assert_its_meaning(session, network, case.frames, case.fps)


def assert_its_meaning(session, network, frames, fps):
    magnified, presence = run(session, frames, fps)
    want, present = form.magnify(frames, 10.0, fps, PASSBAND, network)
    difference = np.abs(magnified.astype(int) - want)
    assert present > 0.5 and abs(presence - present) < 0.02
    assert np.abs(want.astype(int) - frames).mean() > 0.1
    assert difference.max() <= 1 and (difference > 0).mean() < 0.002  # measured: .0016 at most


def test_a_pulse_grows_and_nothing_else(session):
    frames = beating_frames(240)
    magnified, presence = run(session, frames)
    disc, wall = np.s_[:, 30:42, 40:56, 1], np.s_[:, 4:14, 4:14, 1]

    def beat(clip: np.ndarray) -> float:
        trace = clip.mean((1, 2))
        return float(np.abs(np.exp(2j * np.pi * 1.2 / 30 * np.arange(240)) @ (trace - trace.mean())))

    assert presence == 1
    assert 9 < beat(magnified[disc]) / beat(frames[disc]) < 13
    assert np.array_equal(magnified[wall], frames[wall])


def test_without_a_pulse_nothing_changes(session):
    frames = np.random.default_rng(0).normal(120, 1.5, (120, 40, 50, 3)).round().astype(np.uint8)
    magnified, presence = run(session, frames)
    assert presence == 0 and np.array_equal(magnified, frames)


@pytest.mark.parametrize(("count", "fps", "level"), [(120, 30.0, 0), (88, 30.0, 255), (30, 10.0, 90)])
def test_a_still_picture_stays(session, count, fps, level):
    frames = np.full((count, 37, 41, 3), level, np.uint8)
    magnified, presence = run(session, frames, fps)
    assert presence == 0 and np.array_equal(magnified, frames)


def test_the_file_is_small_standard_and_open(model):
    network = Path(models.path("pulse"))
    assert len(model.SerializeToString()) < 1.3 * network.stat().st_size
    assert {o.domain for o in model.opset_import} == {""} and not model.functions
    frames = next(i for i in model.graph.input if i.name == "frames").type.tensor_type.shape.dim
    assert [bool(d.dim_param) for d in frames] == [True, True, True, False]
    assert {p.key: p.value for p in model.metadata_props}["passband"] == "0.7 2.5"


def test_other_networks_are_refused():
    x = onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, ["batch", 8])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 1])
    weight = onnx.numpy_helper.from_array(np.ones((8, 1), np.float32), "w")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["X", "w"], ["y"])], "net", [x], [y], [weight])
    with pytest.raises(InputError, match=r"batch, 3, 36, 36.*got X \(batch, 8\)"):
        magnify_model(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]))


def test_the_band_pass_as_a_matrix():
    """Within 0.5 % of the filter run forward and backward, more than 4 s from the ends, where the series goes on."""
    for fps in (25.0, 30.0):
        n = int(16 * fps)
        series = np.random.default_rng(1).standard_normal(n).cumsum()
        got = form.band(n, butterworth(PASSBAND, fps), fps) @ series
        want = sosfiltfilt(butterworth(PASSBAND, fps), series)
        inner = slice(int(4 * fps), -int(4 * fps))
        assert np.abs(got - want)[inner].max() < 0.005 * np.abs(want).max()


# The C++ program


def headers() -> Path | None:
    """Where ONNX Runtime's C++ headers lie: the system's, or where `make test` puts them."""
    folders = [ROOT / ".venv" / "onnxruntime", *(Path(p) for p in ("/usr/include/onnxruntime", "/usr/include"))]
    return next((f for f in folders if (f / "onnxruntime_cxx_api.h").exists()), None)


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    found = headers()
    missing = [tool for tool in ("cmake", "g++") if shutil.which(tool) is None]
    if missing or found is None:
        pytest.skip(f"the C++ program needs {', '.join(missing) or 'the headers of ONNX Runtime (libonnxruntime-dev)'}")
    build = tmp_path_factory.mktemp("embed")
    options = [f"-DONNXRUNTIME_INCLUDE={found}", "-DFASTMAG_WERROR=ON", "-DCMAKE_BUILD_TYPE=Release"]
    for words in (["-S", str(ROOT / "export" / "embed"), "-B", str(build), *options], ["--build", str(build)]):
        done = subprocess.run(["cmake", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return build / "fastmag-embed"


@pytest.fixture(scope="module")
def library() -> str:
    found = sorted(Path(ort.__file__).parent.glob("capi/libonnxruntime.so*"))
    if not found:
        pytest.skip("this ONNX Runtime has no shared library of its own")
    return str(found[0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The files that `fastmag export` writes, and raw frames."""
    path = tmp_path_factory.mktemp("models")
    write_all(models.path("pulse"), path)
    beating_frames(200, height=36, width=48).tofile(path / "in.raw")
    return path


@pytest.fixture
def call(program, library, folder):
    """`call(words, stdin)`: run the program in the folder of the models, on one thread."""

    def run_it(words: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
        command = [str(program), *words.split(), "--runtime", library, "--threads", "1"]
        return subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=120)

    return run_it


def streamed(session, frames: np.ndarray) -> np.ndarray:
    """The rule of fastmag_embed.h, chunk by chunk."""
    last, out, done = len(frames) - CHUNK, np.empty_like(frames), 0
    starts = [*range(0, last, CHUNK - OVERLAP), last]
    kept = np.empty((0, *frames.shape[1:]), int)
    for start in starts:
        new = run(session, frames[start : start + CHUNK])[0].astype(int)
        share = np.arange(1, len(kept) + 1).reshape(-1, 1, 1, 1)
        part = new[done - start : done - start + len(kept)]
        part[:] = (2 * (kept * (OVERLAP + 1 - share) + part * share) + OVERLAP + 1) // (2 * (OVERLAP + 1))
        end = len(frames) if start == last else start + CHUNK - OVERLAP
        out[done:end], kept, done = new[done - start : end - start], new[end - start :], end
    return out


def test_the_program_equals_python_bit_for_bit(call, folder, session):
    words = "magnify magnify.onnx --size 48x36 --fps 30 --chunk 3 --overlap 1"
    raw = (folder / "in.raw").read_bytes()
    frames = np.frombuffer(raw, np.uint8).reshape(-1, 36, 48, 3)
    for count in (88, 150, 200):  # less than a chunk; whole chunks alone; a last one that overlaps more
        done = call(words, raw[: count * frames[0].size])
        assert done.returncode == 0, done.stderr
        want = streamed(session, frames[:count]) if count > CHUNK else run(session, frames[:count])[0]
        assert np.array_equal(np.frombuffer(done.stdout, np.uint8).reshape(want.shape), want)
        assert not np.array_equal(want, frames[:count])
    assert f"{count} frames; presence" in done.stderr.decode()
    assert call(words + " in.raw out.raw").returncode == 0
    assert np.array_equal(np.fromfile(folder / "out.raw", np.uint8).reshape(frames.shape), want)
    assert not (folder / "out.raw.part").exists()


def test_the_ascent_equals_python_bit_for_bit(call, folder):
    x = (0.005 * np.random.default_rng(0).standard_normal((66, 3, 36, 36))).astype(np.float32)
    done = call("ascent ascent.onnx --step-size 6e-5 --steps 3", x.tobytes())
    assert done.returncode == 0, done.stderr
    python = session_of(onnx.load(str(folder / "ascent.onnx")))
    feeds = {"step_size": np.array(6e-5, np.float32), "n_steps": np.array(3)}
    want = np.concatenate([python.run(["X_N"], {"X": part, **feeds})[0] for part in (x[:64], x[64:])])
    assert np.array_equal(np.frombuffer(done.stdout, np.float32).reshape(x.shape), want) and (want != x).any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "expected a command and a model"),
        ("magnify missing.onnx --size 48x36 --fps 30", "cannot read the model missing.onnx"),
        ("magnify in.raw --size 48x36 --fps 30", "cannot load the model in.raw"),
        ("magnify ascent.onnx --size 48x36 --fps 30", "other inputs or outputs than expected"),
        ("ascent magnify.onnx --step-size 1 --steps 2", "other inputs or outputs than expected"),
        ("magnify magnify.onnx --size 48 --fps 30", "--size must be WIDTHxHEIGHT"),
        ("magnify magnify.onnx --size 0x36 --fps 30", "1 to 65536 pixels a side"),
        ("magnify magnify.onnx --size 48x36", "--fps is missing"),
        ("magnify magnify.onnx --size 48x36 --fps 4", "fps must be above 5"),
        ("magnify magnify.onnx --size 48x36 --fps 30 --alpha -1", "alpha must be a number from 0 on"),
        ("magnify magnify.onnx --size 48x36 --fps 30 --chunk 2", "at least 87 frames"),
        ("magnify magnify.onnx --size 48x36 --fps 30 --overlap 9", "from 0 to half of a chunk"),
        ("magnify magnify.onnx --size 48x37 --fps 30 in.raw", "ends within frame 194 (3168 of 5328 bytes)"),
        ("magnify magnify.onnx --size 480x90 --fps 30 in.raw", "the stream has 8 frames, expected at least 87"),
        ("magnify magnify.onnx --size 48x36 --fps 30", "the stream has 0 frames"),
        ("magnify magnify.onnx --size 48x36 --fps 30 missing.raw", "cannot open missing.raw"),
        ("magnify magnify.onnx --size 48x36 --fps 30 in.raw /dev/full", "cannot write /dev/full"),
        ("magnify magnify.onnx --size 48x36 --fps 30 --zoom 2", "unknown option --zoom"),
        ("ascent ascent.onnx --step-size 1 --steps 0 in.raw", "n_steps must be at least 1"),
        ("ascent ascent.onnx --step-size 1 --steps 2 ascent.onnx", "ends within sample"),
    ],
)
def test_bad_input(call, words, said):
    done = call(words)
    message = done.stderr.decode()
    assert done.returncode == 2, message
    assert said in message and message.count("\n") == 1 and message.startswith("fastmag-embed: ")


def test_a_library_that_is_none(program, folder):
    words = "magnify magnify.onnx --size 48x36 --fps 30 --runtime"
    for given in ("missing.so", "in.raw"):
        done = subprocess.run([str(program), *words.split(), given], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 2 and "cannot open ONNX Runtime" in done.stderr
