"""InputGradient: how a network's output changes with its input, dy/dX, by ONNX Runtime; checked when it is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .errors import InputError
from .onnx_bytes import part_for

CPU = "CPUExecutionProvider"
# Elements of X in one run. Measured on two Xeon cores: for (3, 36, 36) 2 to 32 samples are equally fast, for
# (4, 123, 123) 1 or 2 are 7 % faster than 8: activations should stay in the cache.
BLOCK = 32_768
MOST_SAMPLES = 8

# The self-check: sizes of X to try (a normalised difference, a phase, a standardised input), the step of the central
# differences in those sizes, and how many directions. Right gradients of 212 random networks and two large ones were
# off by 5e-4 in the median and 5e-2 at most (kinks of ReLU, rounding); wrong ones are off by a third or more.
SIZES, STEP, DIRECTIONS, TOLERANCE = (3e-3, 0.05, 1.0), 5e-4, 4, 0.15

Array = NDArray[np.float32]


class InputGradient:
    """y and dy/dX of a network whose output is one scalar per sample; callable as X -> dy/dX.

    model: an ONNX file (path or bytes): a gradient model (input "X", outputs "G" and "y") or a forward model (one input
        X (batch, ...) float32, one output y (batch, 1)), which is differentiated here and then needs the onnx package.
    threads: runs side by side, by default one for every core this process may use.
    expect: the shape of one sample that the caller is going to give, e.g. (3, 36, 36).
    provider: ONNX Runtime's name of what computes; never replaced silently by another one.
    Raises InputError if the file is no such model, or if its G is not the gradient of its y.

    Samples do not depend on each other, so a batch may have any size; it is cut into blocks.
    """

    def __init__(
        self,
        model: str | Path | bytes | Any,
        threads: int | None = None,
        *,
        expect: tuple[int, ...] | None = None,
        provider: str = CPU,
    ) -> None:
        self.threads = _check_threads(threads)
        content, self._name = _read(model)
        self._forward: ort.InferenceSession | None = None
        session = _session(content, self._name, provider)
        if not _is_gradient(session):
            _check_ends(session, self._name, expect)
            self._forward = session
            content = _differentiated(content, self._name)
            session = _session(content, self._name, provider)
        batch, self.shape = _check_ends(session, self._name, expect)
        self._content, self._session = content, session
        self.provider = str(session.get_providers()[0])
        self._samples = batch or int(np.clip(BLOCK // int(np.prod(self.shape)), 1, MOST_SAMPLES))
        self._whole_blocks = batch is not None  # a model of a fixed batch takes no smaller one
        self._check_gradient()

    def __call__(self, X: Array) -> Array:
        """dy/dX, float32, of X (B, *shape) float32; X and the result are C-contiguous."""
        return self.gradient(X)[1]

    def gradient(self, X: Array) -> tuple[Array, Array]:
        """y (B,) and dy/dX (B, *shape), float32, of X (B, *shape) float32. Raises InputError for anything else."""
        self._check_input(X)
        y, G = np.empty(len(X), np.float32), np.empty(X.shape, np.float32)

        def block(start: int, stop: int) -> None:
            y_block, G[start:stop] = self._run(self._session, ["y", "G"], X[start:stop])
            y[start:stop] = y_block.reshape(-1)

        self._each(len(X), block)
        return y, G

    def predict(self, X: Array) -> Array:
        """y (B,) float32 of X (B, *shape) float32, without the work for the gradient."""
        self._check_input(X)
        y = np.empty(len(X), np.float32)

        def block(start: int, stop: int) -> None:
            y[start:stop] = self._run(self._forward_session, None, X[start:stop])[0].reshape(-1)

        self._each(len(X), block)
        return y

    @cached_property
    def _forward_session(self) -> ort.InferenceSession:
        return self._forward or _session(part_for(self._content, "y"), self._name, self.provider)

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads, thread_name_prefix="gradient")

    def _each(self, n: int, block: Callable[[int, int], None]) -> None:
        """Call block(start, stop) over n samples, in parallel: ONNX Runtime lets go of the interpreter while it works.

        One-threaded runs side by side scale with the cores (1.99x on two, where threads inside a run reach 1.5x).
        """
        size = self._samples
        if self.threads > 1 and not self._whole_blocks:
            size = max(1, min(size, -(-n // self.threads)))
        spans = [(start, min(start + size, n)) for start in range(0, n, size)]
        if self.threads == 1 or len(spans) == 1:
            for span in spans:
                block(*span)
        else:
            list(self._pool.map(lambda span: block(*span), spans))

    def _run(self, session: ort.InferenceSession, outputs: list[str] | None, X: Array) -> list[Array]:
        n = len(X)
        if self._whole_blocks and n < self._samples:
            X = np.concatenate([X, np.zeros((self._samples - n, *self.shape), np.float32)])
        return [np.asarray(value)[:n] for value in session.run(outputs, {_input(session): X})]

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
            raise InputError(f"{self._name} fails when it is run ({_line(error)}); export it again") from error
        if all(np.isnan(errors)):
            raise InputError(
                f"{self._name}: y does not change with X, or is not a finite number; train and export the network again"
            )
        raise InputError(
            f"{self._name}: its G is off from the slope of its y by {np.nanmin(errors):.0%} on {self.provider}; "
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
    if isinstance(model, bytes):
        return model, "the ONNX model"
    if hasattr(model, "SerializeToString"):
        return model.SerializeToString(), "the ONNX model"
    try:
        return Path(model).read_bytes(), str(model)
    except OSError as error:
        raise InputError(f"cannot read {model}: {error.strerror}; give the path of an ONNX file") from error


def _session(content: bytes, name: str, provider: str) -> ort.InferenceSession:
    """A session on exactly the provider that was asked for, one thread to a run."""
    if provider not in ort.get_available_providers():
        have = ", ".join(ort.get_available_providers())
        raise InputError(f"ONNX Runtime has no {provider} here; expected one of: {have}")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong arrives as an exception
    try:
        session = ort.InferenceSession(content, options, providers=[provider], enable_fallback=0)
        _ = [(end.name, end.shape) for end in (*session.get_inputs(), *session.get_outputs())]  # names may be no text
    except Exception as error:  # ONNX Runtime has a class for each of its error codes, and no common one
        raise InputError(f"{name} is not an ONNX model that can be run ({_line(error)}); export it again") from error
    if session.get_providers()[0] != provider:
        raise InputError(
            f"{provider} did not start, ONNX Runtime took {session.get_providers()[0]}; use that one or mend its driver"
        )
    return session


def _line(error: Exception) -> str:
    """What ONNX Runtime said, in one short line without its error codes."""
    text = " ".join(str(error).split()).split(" : ")[-1]
    return text[:160] or type(error).__name__


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


def _input(session: ort.InferenceSession) -> str:
    return str(session.get_inputs()[0].name)


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
