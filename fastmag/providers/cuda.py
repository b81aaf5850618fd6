"""ONNX Runtime's CUDA provider on arrays in device memory: one stream, a few fixed shapes, and no waiting.

Blocks are copied into one buffer of X that the session is bound to, zeros behind them; y and dy/dX come out of two
more. All of it is queued on a stream that waits for the caller's and that the caller's waits for, so that the processor
never waits in a whole ascent; only host arrays wait, for their result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime as ort

from fastmag.errors import DeviceFull, InputError
from fastmag.providers import Array, Network
from fastmag.providers.ort import GPU_BLOCK, PROVIDERS, line, session

PRECISIONS = {"fp32": "fp32", "bf16": "tf32"}  # no bfloat16 for a float32 graph: TensorFloat-32 is its fast mode
SMALLEST = 16  # samples of a block
WARM_UPS = 3  # runs after which ONNX Runtime has recorded its CUDA graph
FULL = ("allocat", "out of memory", "outofmemory", "alloc_failed")  # how a device says that its memory is full


class Cuda:
    """A network on the first GPU, for blocks of NumPy or CuPy arrays; results are where the block was.

    samples is halved until a block fits into device memory. graphs: let ONNX Runtime record a run as a CUDA graph and
    launch that; it then waits for every run. Raises InputError where not even one sample fits, or the card fails.
    """

    threads, fixed = 1, True

    def __init__(self, network: Network, precision: str, threads: int = 1, graphs: bool = False) -> None:
        try:
            import cupy
        except ImportError as error:
            raise InputError("the provider cuda needs CuPy: pip install 'fastmag[cuda]'") from error
        self._cupy, self._network, self._graphs = cupy, network, graphs
        self.precision = PRECISIONS[precision]
        self._stream = cupy.cuda.Stream(non_blocking=True)
        self.samples = network.samples(*GPU_BLOCK)
        while True:
            try:
                self._gradient = Bound(self, network.content, ("y", "G"))
                for _ in range(WARM_UPS if graphs else 1):
                    self._gradient.run(self.samples)
                self._stream.synchronize()
                return
            except Exception as error:  # ONNX Runtime has a class for each of its error codes, and no common one
                if _is_full(error):
                    self._smaller(error)
                elif isinstance(error, InputError):
                    raise
                else:
                    raise self._failed(error) from error

    def holds(self, X: Any) -> bool:
        """Whether X is in device memory, so that its gradient will be there, too."""
        return isinstance(X, self._cupy.ndarray)

    def gradient(self, X: Array) -> tuple[Array, Array]:
        y, G = self._tried(lambda: self._gradient, X)
        return y, G

    def predict(self, X: Array) -> Array:
        return self._tried(lambda: self._forward, X)[0]

    def _tried(self, bound: Callable[[], Bound], X: Array) -> list[Array]:
        """What a session answers; once more after room was made, where others have filled the card meanwhile."""
        try:
            try:
                return self._answers(bound(), X)
            except Exception as error:
                if not _is_full(error):
                    raise
                self._cupy.get_default_memory_pool().free_all_blocks()
                return self._answers(bound(), X)
        except Exception as error:  # as above
            if isinstance(error, DeviceFull):
                raise
            raise (self._full(error) if _is_full(error) else self._failed(error)) from error

    @cached_property
    def _forward(self) -> Bound:
        return Bound(self, self._network.prediction(), ("y",))

    def _answers(self, bound: Bound, X: Array) -> list[Array]:
        """What a session answers for up to `samples` samples."""
        current, n = self._cupy.cuda.get_current_stream(), len(X)
        self._stream.wait_event(current.record())
        with self._stream:
            size = bound.size_for(n)
            bound.x[:n] = self._cupy.asarray(X)
            bound.x[n:size] = 0
            bound.run(size)
            # Copies: the next block overwrites the buffers.
            found = [buffer[:n].copy() for buffer in bound.outputs]
            found[0] = found[0].reshape(n)
            if isinstance(X, np.ndarray) and not isinstance(X, self._cupy.ndarray):
                return [self._cupy.asnumpy(x) for x in found]
        current.wait_event(self._stream.record())
        return found

    def joined(self, parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
        """y and dy/dX of blocks that follow each other."""
        y, G = (self._cupy.concatenate(ends) for ends in zip(*parts, strict=True))
        return y, G

    def sizes(self) -> list[int]:
        """Of blocks, each half of the one before; one alone where the network's batch is fixed, or a graph is."""
        sizes = [self.samples]
        while sizes[-1] >= 2 * SMALLEST and not (self._graphs or self._network.batch):
            sizes.append(sizes[-1] // 2)
        return sizes

    def options(self) -> dict[str, Any]:
        """What the session is told: our stream, no search of minutes, memory in steps as asked for."""
        return {
            "device_id": 0,
            "user_compute_stream": str(self._stream.ptr),
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": int(self.precision == "tf32"),
            "arena_extend_strategy": "kSameAsRequested",
            "enable_cuda_graph": int(self._graphs),
        }

    def empty(self, shape: tuple[int, ...]) -> Any:
        """A float32 buffer on the device, zeros."""
        with self._stream:
            return self._cupy.zeros(shape, np.float32)

    @property
    def name(self) -> str:
        return self._network.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self._network.shape

    def _smaller(self, error: Exception) -> None:
        self._cupy.get_default_memory_pool().free_all_blocks()
        if self.samples == 1 or self._network.batch is not None:
            raise self._full(error) from error
        self.__dict__.pop("_gradient", None)  # a session that did not run holds memory all the same
        self.samples //= 2

    def _failed(self, error: Exception) -> InputError:
        return InputError(
            f"the GPU failed in {self._network.name} ({line(error)}): run it again; if it happens again, use the "
            "provider cpu and look at the driver's log (dmesg)"
        )

    def _full(self, error: Exception) -> InputError:
        return DeviceFull(
            f"the GPU is out of memory for {self._network.name} ({line(error)}): close what else runs on it, or use "
            "the provider cpu"
        )


class Bound:
    """A session whose input and outputs are buffers on the device, at the same addresses for good, and whose blocks
    have one of a few sizes: small calls do not pay for a whole block."""

    def __init__(self, engine: Cuda, content: bytes, outputs: tuple[str, ...]) -> None:
        self._session = session(content, engine.name, PROVIDERS["cuda"], engine.options())
        self.x = engine.empty((engine.samples, *engine.shape))
        ends = self._session.get_outputs()
        ends = ends if len(ends) == 1 else sorted(ends, key=lambda end: outputs.index(end.name))
        self.outputs = []
        for end in ends:
            rest = engine.shape if end.name == "G" else (1,) * (len(end.shape) - 1)
            self.outputs.append(engine.empty((engine.samples, *rest)))
        names = [end.name for end in ends]
        self._bindings = {size: self._bound(names, size) for size in engine.sizes()}
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def size_for(self, n: int) -> int:
        """The smallest block for n samples."""
        return min(size for size in self._bindings if size >= n)

    def run(self, size: int) -> None:
        """Queue one run of a block: x to the outputs."""
        self._session.run_with_iobinding(self._bindings[size], self._options)

    def _bound(self, outputs: list[str], size: int) -> Any:
        """The first `size` samples of the buffers, bound to the session."""
        binding = self._session.io_binding()
        source = self._session.get_inputs()[0].name
        binding.bind_input(source, "cuda", 0, np.float32, (size, *self.x.shape[1:]), self.x.data.ptr)
        for name, buffer in zip(outputs, self.outputs, strict=True):
            binding.bind_output(name, "cuda", 0, np.float32, (size, *buffer.shape[1:]), buffer.data.ptr)
        return binding


class Recorded:
    """A function of one device array of a fixed shape, recorded as a CUDA graph: launched at once instead of step by
    step. For what never waits, such as a whole ascent; its memory is its own for good.

    Raises InputError where it cannot be recorded: what allocates through others, or waits, cannot.
    """

    def __init__(self, function: Callable[[Any], Any], x: Any) -> None:
        import cupy

        self._stream, self._pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
        self._cupy = cupy
        self._stream.wait_event(cupy.cuda.get_current_stream().record())
        with cupy.cuda.using_allocator(self._pool.malloc), self._stream:
            self._x = x.copy()
            function(self._x)  # compiles, and fills the pool: neither can be recorded
            self._stream.synchronize()
            try:
                self._stream.begin_capture()
                try:
                    self._result = function(self._x)
                finally:
                    self._graph = self._stream.end_capture()
            except Exception as error:  # the driver's, CuPy's or ONNX Runtime's
                raise InputError(f"this cannot be recorded as a CUDA graph ({line(error)}): run it as it is") from error

    def __call__(self, x: Any) -> Any:
        """The function of x, an array as that of the recording."""
        if x.shape != self._x.shape or x.dtype != self._x.dtype:
            raise InputError(f"x must be {self._x.shape} {self._x.dtype}, as recorded; got {x.shape} {x.dtype}: pad it")
        current = self._cupy.cuda.get_current_stream()
        self._stream.wait_event(current.record())
        with self._stream:
            self._x[...] = x
            self._graph.launch(self._stream)
            found = self._result.copy()
        current.wait_event(self._stream.record())
        return found


class DeviceGradient:
    """X (B, ...) float32 in device memory -> (y (B,), dy/dX), there too: what `fastmag.ascent.ascend` takes."""

    def __init__(self, engine: Cuda) -> None:
        self._engine = engine

    def __call__(self, X: Any) -> tuple[Any, Any]:
        step = self._engine.samples
        parts = [self._engine.gradient(X[low : low + step]) for low in range(0, len(X), step)]
        return parts[0] if len(parts) == 1 else self._engine.joined(parts)


def _is_full(error: Exception) -> bool:
    said = (type(error).__name__ + str(error)).lower()
    return any(word in said for word in FULL)
