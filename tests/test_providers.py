"""Providers: what is refused, what `auto` takes, and OpenVINO against ONNX Runtime's CPU where it is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from nets import Net, conv

import fastmag
from fastmag import backends, models, nvidia, providers
from fastmag.api import _network
from fastmag.errors import InputError, WrongProvider
from fastmag.export.autodiff import gradient_model
from fastmag.gradients import InputGradient
from fastmag.providers import choice
from fastmag.providers.ort import OnnxRuntime

SHAPE = (3, 12, 10)
PULSE = (3, 36, 36)


def small() -> onnx.ModelProto:
    """A gradient model with every kind of layer that providers have formulations for: strides, pools, pads, masks."""
    net = Net(SHAPE, 2)
    x = net.op("Relu", conv(net, "X", (8, 3, 3, 3), padding=[(1, 1), (1, 1)]), torch=torch.relu)
    x = net.op("Elu", conv(net, x, (8, 8, 3, 3), stride=[2, 2], padding=[(1, 1), (1, 1)]), torch=F.elu)
    x = net.op("AveragePool", x, torch=lambda t: F.avg_pool2d(t, 2), kernel_shape=[2, 2], strides=[2, 2])
    return gradient_model(net.head(x, curved=True).model())


class Fake:
    """The CPU's answers, changed: what a provider that is wrong, or merely rough, gives."""

    def __init__(self, network: providers.Network, precision: str, threads: int, change: Callable[[Any], Any]) -> None:
        self.cpu = OnnxRuntime(network, "cpu", "fp32", 1)
        self.change, self.precision = change, precision
        self.samples, self.threads, self.fixed = 4, threads, False

    def gradient(self, X: Any) -> tuple[Any, Any]:
        y, G = self.cpu.gradient(X)
        return y, self.change(G).astype(np.float32)

    def predict(self, X: Any) -> Any:
        return self.cpu.predict(X)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, float]]:
    """Put fake providers in the places of the real ones, with the speed that each is to be measured at."""
    monkeypatch.setattr(choice, "_taken", {})

    def put(speeds: dict[str, float] | None = None, **changes: Callable[[Any, str], Any]) -> dict[str, float]:
        times = {"cpu fp32": 1.0, **(speeds or {})}
        names: dict[int, str] = {}

        def starter(name: str) -> providers.Starter:
            def start(network: providers.Network, precision: str, threads: int) -> providers.Engine:
                fake = Fake(network, precision, threads, lambda G: changes[name](G, precision))
                names[id(fake)] = f"{name} {precision}"
                kept.append(fake)
                return fake

            return start

        kept: list[Any] = []
        for name in providers.NAMES[1:]:
            monkeypatch.setitem(providers.STARTERS, name, starter(name))
        monkeypatch.setattr(providers, "why_not", lambda name: None if name in ("cpu", *changes) else "none here")
        monkeypatch.setattr(choice, "seconds_each", lambda engine, *_: times[names.get(id(engine), "cpu fp32")])
        return times

    return put


def right(G: Any, precision: str) -> Any:
    return G


WRONG: dict[str, Any] = {
    "scaled by 1.02": (lambda G: 1.02 * G, "0.02"),
    "channels swapped": (lambda G: G[:, ::-1], "1."),
    "zero": (lambda G: 0 * G, "off by 1 "),
    "not a number": (lambda G: G * np.nan, "inf"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_provider_is_refused(fakes: Any, kind: str) -> None:
    """By name: an error that says by how much it was off. In auto: a warning, and the CPU."""
    change, off = WRONG[kind]
    fakes({"openvino fp32": 0.1}, openvino=lambda G, _: change(G))
    with pytest.raises(InputError, match="provider openvino is wrong") as caught:
        InputGradient(small(), threads=1, provider="openvino")
    assert off in str(caught.value) and "use provider cpu" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.warns(WrongProvider, match="left out"):
        gradient = InputGradient(small(), threads=1, provider="auto")
    assert (gradient.provider, gradient.error) == ("cpu", 0.0)


def test_wrong_y_is_refused_too(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes(openvino=right)
    monkeypatch.setattr(Fake, "gradient", lambda self, X: (2 * self.cpu.gradient(X)[0], self.cpu.gradient(X)[1]))
    with pytest.raises(InputError, match="is wrong for"):
        InputGradient(small(), threads=1, provider="openvino")


def test_auto_takes_the_fastest_that_is_right(fakes: Any) -> None:
    fakes({"openvino fp32": 0.5, "cuda fp32": 0.2, "tensorrt fp32": 0.1}, openvino=right, cuda=right)
    assert InputGradient(small(), threads=1, provider="auto").provider == "cuda"
    assert InputGradient(small(), threads=1, provider="openvino").provider == "openvino"
    assert InputGradient(small(), threads=1).provider == "cpu"


def test_auto_stays_on_the_cpu_for_little(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to gain, or little to do: then nothing else is even started."""
    times = fakes({"openvino fp32": 0.95}, openvino=right)
    assert InputGradient(small(), threads=1, provider="auto").provider == "cpu"
    times["openvino fp32"] = 0.1
    monkeypatch.setattr(choice, "_taken", {})
    assert InputGradient(small(), threads=1, provider="auto", work=9).provider == "openvino"
    monkeypatch.setitem(providers.STARTERS, "openvino", None)
    assert InputGradient(small(), threads=1, provider="auto", work=7).provider == "cpu"


def test_auto_measures_once(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes({"openvino fp32": 0.1}, openvino=right)
    assert InputGradient(small(), threads=1, provider="auto").provider == "openvino"
    monkeypatch.setattr(choice, "seconds_each", None)
    assert InputGradient(small(), threads=1, provider="auto").provider == "openvino"


@pytest.mark.parametrize(("off", "taken"), [(0.05, "bf16"), (0.12, "fp32")])
def test_precision(fakes: Any, off: float, taken: str) -> None:
    """auto takes bf16 where it is faster and near enough; named, it may be rougher; the error is told."""
    fakes(
        {"openvino fp32": 0.5, "openvino bf16": 0.1},
        openvino=lambda G, precision: G * (1 + off * (precision == "bf16")),
    )
    for provider in ("auto", "openvino"):
        gradient = InputGradient(small(), threads=1, provider=provider, precision="auto")
        assert (gradient.provider, gradient.precision) == ("openvino", taken)
    gradient = InputGradient(small(), threads=1, provider="openvino", precision="bf16")
    assert gradient.error == pytest.approx(off, rel=1e-3) and f"off by {off:g}" in str(gradient)
    assert InputGradient(small(), threads=1, provider="openvino", precision="fp32").precision == "fp32"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"provider": "abacus"}, "must be one of auto, cpu, openvino"),
        ({"precision": "fp8"}, "must be one of fp32, bf16, auto"),
        ({"precision": "bf16"}, "cpu has no bf16"),
        ({"provider": "tensorrt"}, "tensorrt is not available: .*install"),
    ],
)
def test_what_is_not_there(options: dict[str, str], words: str) -> None:
    if options.get("provider") == "tensorrt" and providers.why_not("tensorrt") is None:
        pytest.skip("TensorRT is listed here")
    with pytest.raises(InputError, match=words):
        InputGradient(small(), threads=1, **options)


def test_the_doors_pass_it_on(fakes: Any) -> None:
    """magnify and measure take what is named, refuse what is wrong, and say what computed."""
    frames = np.random.default_rng(0).integers(90, 110, (100, 40, 40, 3), np.uint8)
    fakes(openvino=lambda G, _: -G)
    for call in (
        lambda: fastmag.magnify(frames, method=fastmag.Pulse(provider="openvino"), fps=30),
        lambda: fastmag.measure(frames, fps=30, provider="openvino"),
    ):
        with pytest.raises(InputError, match="provider openvino is wrong"):
            call()
    for options, words in ({"provider": "abacus"}, "provider must be"), ({"precision": "fp8"}, "precision must be"):
        with pytest.raises(InputError, match=words):
            fastmag.Pulse(**options)
        with pytest.raises(InputError, match=words):
            fastmag.measure(frames, fps=30, **options)


def test_work_is_guessed_from_the_frames(fakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 frames ask for 19 gradients each in the paper's form, and for about one in the coherent."""
    asked = []
    monkeypatch.setattr("fastmag.api.InputGradient", lambda *_, work, **__: asked.append(work))
    for n_frames in (300, None):
        for form in ("paper", "coherent"):
            _network(fastmag.Pulse(form=form), SimpleNamespace(n_frames=n_frames, fps=60.0))
    assert asked[0] == 150 * 19 and 150 <= asked[1] < 300 and asked[2:] == [None, None]


def test_a_listed_provider_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime takes the CPU in silence where CUDA does not start."""
    real = ort.InferenceSession
    monkeypatch.setattr(nvidia, "why_not", lambda: None)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["TensorrtExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", lambda *a, **_: real(*a, providers=["CPUExecutionProvider"]))
    with pytest.raises(InputError, match="TensorrtExecutionProvider did not start"):
        InputGradient(small(), threads=1, provider="tensorrt")


def test_without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'fastmag\[openvino\]'"):
        InputGradient(small(), threads=1, provider="openvino")


# OpenVINO itself


@pytest.fixture
def openvino() -> Any:
    if (reason := providers.why_not("openvino")) is not None:
        pytest.skip(reason)
    from fastmag.providers.vino import package

    return package()


def relative(a: Any, b: Any) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))


def test_openvino_sends_nothing_out(openvino: Any) -> None:
    assert "openvino_telemetry" not in sys.modules


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["small", "pulse"])
def test_openvino_agrees(openvino: Any, kind: str, threads: int) -> None:
    model, shape = (small(), SHAPE) if kind == "small" else (models.path("pulse_gradient"), PULSE)
    cpu, other = (InputGradient(model, threads=threads, provider=name) for name in ("cpu", "openvino"))
    assert other.provider == "openvino" and other.error < 1e-4 and other.threads == threads
    for n in (0, 1, 17, 40):
        X = (np.random.default_rng(n).standard_normal((n, *shape)) * 3e-3).astype(np.float32)
        (y, G), (true_y, true) = other.gradient(X), cpu.gradient(X)
        assert y.shape == (n,) and G.shape == X.shape and G.dtype == np.float32 and G.flags.c_contiguous
        if n:
            assert relative(y, true_y) < 1e-5 and relative(G, true) < 5e-3
            assert relative(other.predict(X), cpu.predict(X)) < 1e-5


def test_openvino_gets_no_transposed_convolution(openvino: Any) -> None:
    """It answers wrongly for dense ones on some processors: those of stride 1 become convolutions."""
    from fastmag.providers.vino import turn_transposed

    model = openvino.Core().read_model(models.path("pulse_gradient").read_bytes())
    kinds = [node.get_type_name() for node in model.get_ops()]
    assert "ConvolutionBackpropData" in kinds
    turn_transposed(model)
    assert "ConvolutionBackpropData" not in [node.get_type_name() for node in model.get_ops()]


def test_bf16_changes_little(openvino: Any) -> None:
    """The change that the shipped pulse network makes of a person in bfloat16: within 2 %, correlation 0.999."""
    from fastmag import deepmag
    from fastmag.coherent.estimate import estimate
    from fastmag.synthetic import reduce_to_cells, render_clip

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16 arithmetic")
    clip = render_clip(3, "A", 8.0, 30, size=(120, 160))
    cells = np.stack([reduce_to_cells(frame) for frame in clip.frames])
    ops, changes = backends.get("cpu"), []
    for provider, precision in (("cpu", "fp32"), ("openvino", "bf16")):
        network = InputGradient(models.path("pulse_gradient"), threads=1, provider=provider, precision=precision)
        y, share = deepmag.read_pulse(cells, 30.0, network, ops)
        changes.append(estimate(cells, y, share, 30.0, (0.7, 2.5), ops).change(cells, 10.0))
    assert 0 < network.error < choice.LIMITS["bf16"] and np.abs(changes[0]).max() > 0.1
    assert 0 < relative(changes[1], changes[0]) < 0.02
    assert np.corrcoef(changes[0].ravel(), changes[1].ravel())[0, 1] > 0.999
