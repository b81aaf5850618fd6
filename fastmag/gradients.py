"""InputGradient: how a network's output changes with its input, dy/dX; checked when it is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from fastmag import onnx_bytes
from fastmag.errors import InputError
from fastmag.providers import Array, Network
from fastmag.providers.blocks import Blocks
from fastmag.providers.choice import SIZES, Chosen, choose
from fastmag.providers.ort import PROVIDERS, OnnxRuntime, line, session

# The self-check: the step of the central differences in the sizes of X that are tried, and how many directions. Right
# gradients of 212 random networks and two large ones were off by 5e-4 in the median and 5e-2 at most (kinks of ReLU,
# rounding); wrong ones are off by a third or more.
STEP, DIRECTIONS, TOLERANCE = 5e-4, 4, 0.15
MOST_ELEMENTS = 1 << 24  # of one sample: the self-check holds ten of them in float64


class InputGradient:
    """y and dy/dX of a network whose output is one scalar per sample; callable as X -> dy/dX.

    model: an ONNX file (path or bytes): a gradient model (input "X", outputs "G" and "y") or a forward model (one input
        X (batch, ...) float32, one output y (batch, 1)), which is differentiated here and then needs the onnx package.
    threads: runs side by side, by default one for every core this process may use.
    expect: the shape of one sample that the caller is going to give, e.g. (3, 36, 36).
    provider: what computes: "cpu", "openvino", "cuda", "tensorrt", never replaced by another; or "auto", the fastest
        whose gradient is right. precision: "fp32", "bf16" or "auto" (see fastmag.providers.choice).
    work: about how many gradients will be asked for, None for many: little work is not worth starting another provider.
    Raises InputError if the file is no such model, if its G is not the gradient of its y, or if the named provider is
    not available or wrong (its gradient is compared with the CPU's).

    Samples do not depend on each other, so a batch may have any size; it is cut into blocks.
    """

    def __init__(
        self,
        model: str | Path | bytes | Any,
        threads: int | None = None,
        *,
        expect: tuple[int, ...] | None = None,
        provider: str = "cpu",
        precision: str = "fp32",
        work: float | None = None,
    ) -> None:
        threads = _check_threads(threads)
        content, self._name = _read(model)
        forward = None
        if onnx_bytes.outputs(content) != {"G", "y"}:  # vetted by the onnx package before ONNX Runtime sees it
            forward, content = content, _differentiated(content, self._name)
        run = session(content, self._name, PROVIDERS["cpu"])
        batch, self.shape = _check_ends(run, self._name, expect)
        network = Network(content, self._name, self.shape, batch, forward)
        self._chosen = Chosen("cpu", OnnxRuntime(network, "cpu", "fp32", threads, run), 0.0)
        self._blocks = Blocks(self._chosen.engine)
        self._check_gradient()
        self._chosen = choose(network, provider, precision, threads, self._chosen.engine, work)
        self._blocks = Blocks(self._chosen.engine)

    @property
    def provider(self) -> str:
        """What computes."""
        return self._chosen.name

    @property
    def precision(self) -> str:
        """What it computes in: fp32, bf16 or tf32."""
        return self._chosen.engine.precision

    @property
    def error(self) -> float:
        """How far the gradient was off from the CPU's in fp32 when the two were compared; 0 for the CPU."""
        return self._chosen.error

    @property
    def threads(self) -> int:
        """Runs side by side."""
        return self._chosen.engine.threads

    @property
    def on_device(self) -> bool:
        """Whether X may be an array in the memory of a GPU; y and dy/dX are then there, too, and nothing waits."""
        return hasattr(self._chosen.engine, "holds")

    def __str__(self) -> str:
        return str(self._chosen)

    def __call__(self, X: Array) -> Array:
        """dy/dX, float32, of X (B, *shape) float32; X and the result are C-contiguous."""
        return self.gradient(X)[1]

    def gradient(self, X: Array) -> tuple[Array, Array]:
        """y (B,) and dy/dX (B, *shape), float32, of X (B, *shape) float32. Raises InputError for anything else."""
        engine: Any = self._chosen.engine
        if self.on_device and engine.holds(X):
            from fastmag.providers.cuda import DeviceGradient

            return DeviceGradient(engine)(X)
        self._check_input(X)
        return self._blocks.gradient(X)

    def predict(self, X: Array) -> Array:
        """y (B,) float32 of X (B, *shape) float32, without the work for the gradient."""
        self._check_input(X)
        return self._blocks.predict(X)

    def _check_input(self, X: Array) -> None:
        want = f"(batch, {', '.join(map(str, self.shape))}) float32"
        if not isinstance(X, np.ndarray) or X.dtype != np.float32 or X.shape[1:] != self.shape or not X.ndim:
            got = f"{X.shape} {X.dtype}" if isinstance(X, np.ndarray) else type(X).__name__
            raise InputError(f"X must be an array {want}; got {got}: convert or reshape it")
        if not np.isfinite(X).all():
            raise InputError("X has values that are NaN or infinite; expected finite numbers: leave those samples out")

    def _check_gradient(self) -> None:
        """Refuse a G that does not agree with central differences of y at any of several sizes of X."""
        errors = []
        try:
            with np.errstate(all="ignore"):
                for error in self._disagreements():
                    if error <= TOLERANCE:
                        return
                    errors.append(error)
        except Exception as error:  # ONNX Runtime's, or NumPy's where an output has another shape than was announced
            raise InputError(f"{self._name} fails when it is run ({line(error)}); export it again") from error
        if all(np.isnan(errors)):
            raise InputError(
                f"{self._name}: y does not change with X, or is not a finite number; train and export the network again"
            )
        raise InputError(
            f"{self._name}: its G is off from the slope of its y by {np.nanmin(errors):.0%}; "
            "make the gradient model again with fastmag.export.autodiff.gradient_model"
        )

    def _disagreements(self) -> Iterator[float]:
        """For each size of X: the error of G relative to the slopes of y along some random directions."""
        random = np.random.default_rng(0)
        for size in SIZES:
            x, *directions = random.standard_normal((1 + DIRECTIONS, *self.shape)) * size
            moves = STEP * np.array(directions)
            above, below = (x + moves).astype(np.float32), (x - moves).astype(np.float32)
            y = self.predict(np.concatenate([above, below])).astype(np.float64)
            G = self(x[None].astype(np.float32)).astype(np.float64)
            axes = tuple(range(1, above.ndim))
            slopes = ((above.astype(np.float64) - below) * G).sum(axis=axes)
            change = y[:DIRECTIONS] - y[DIRECTIONS:]
            scale = max(np.linalg.norm(change), np.linalg.norm(slopes))
            yield float(np.linalg.norm(change - slopes) / scale) if scale > 0 else np.nan


def _check_threads(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, int) or threads < 1:
        raise InputError(f"threads must be a whole number from 1; got {threads!r}: leave it out to use every core")
    return threads


def _read(model: str | Path | bytes | Any) -> tuple[bytes, str]:
    """The content of a model and what to call it in messages."""
    if isinstance(model, bytes) or hasattr(model, "SerializeToString"):
        content, name = model if isinstance(model, bytes) else model.SerializeToString(), "the ONNX model"
    else:
        content, name = onnx_bytes.read(model), str(model)
        if onnx_bytes.keeps_weights_outside(content):
            content = _whole(model, name)
    onnx_bytes.vet(content, name)
    return content, name


def _whole(model: str | Path, name: str) -> bytes:
    """The content of a model with the weights that stand in files beside it."""
    try:
        from .export.onnx_files import load
    except ImportError as error:
        raise InputError(
            f"{name} keeps weights in another file, which takes the onnx package to read: pip install 'fastmag[export]'"
        ) from error
    return load(model).SerializeToString()


def _differentiated(content: bytes, name: str) -> bytes:
    try:
        from .export.autodiff import gradient_model
    except ImportError as error:
        raise InputError(
            f"{name} is a forward model, and its gradient needs the onnx package: pip install 'fastmag[export]'"
        ) from error
    try:
        return gradient_model(content).SerializeToString()
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _is_gradient(session: ort.InferenceSession) -> bool:
    return {output.name for output in session.get_outputs()} == {"G", "y"}


def _check_ends(
    session: ort.InferenceSession, name: str, expect: tuple[int, ...] | None
) -> tuple[int | None, tuple[int, ...]]:
    """The fixed batch (None if any goes) and the shape of one sample, once inputs and outputs are what they must be."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or (len(outputs) != 1 and not _is_gradient(session)):
        raise InputError(
            f"{name} has {len(inputs)} inputs and the outputs {', '.join(o.name for o in outputs)}, expected one input "
            "and one output y (G and y in a gradient model); export the part of the network between X and y"
        )
    batch, *shape = inputs[0].shape or [None]
    if inputs[0].type != "tensor(float)" or not shape or not all(isinstance(n, int) for n in shape):
        raise InputError(
            f"{name} takes {inputs[0].type} {inputs[0].shape}, expected float32 of a fixed shape but for the batch; "
            "export the network so"
        )
    if math.prod(shape) > MOST_ELEMENTS:
        raise InputError(
            f"{name} takes X of the shape {tuple(shape)}, more than {MOST_ELEMENTS:,} elements: use a smaller one"
        )
    if expect is not None and tuple(shape) != tuple(expect):
        raise InputError(
            f"{name} takes X of the shape {tuple(shape)}, expected {tuple(expect)}; use a network made for this method"
        )
    for output in outputs:
        if output.name != "G" and (not output.shape or any(isinstance(n, int) and n != 1 for n in output.shape[1:])):
            raise InputError(
                f"{name} puts out {output.name} of the shape {output.shape}, expected (batch, 1), a scalar per sample; "
                "export the network so"
            )
    return (batch if isinstance(batch, int) else None), tuple(shape)
