"""Where frames come from and go to: files, or arrays in memory, behind the same few names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastmag.color import Picture
from fastmag.errors import InputError
from fastmag.threads import ahead
from fastmag.video.media import Frame, VideoInfo, check_fps

CUDA_MEMORY = (2, 13)  # of a device, and managed, as DLPack numbers them
CACHE_BYTES = 160 << 20  # decoded frames kept for the second pass; longer clips are decoded twice


class FileSource:
    """A video file, decoded anew for every pass unless the first one asked for its frames `again` and they fit.

    queued: frames that a thread decodes in advance, 0 for none.
    decoder: as fastmag.video.decoders takes it; after the first frame, the one in use.
    """

    def __init__(self, path, fps=None, roi=None, cache_bytes: int = CACHE_BYTES, queued: int = 0, decoder: str = "cpu"):
        from fastmag.video import probe

        self.path, self._fps, self._cache_bytes = Path(path), fps, cache_bytes
        self._queued, self.decoder = queued, decoder
        self.info: VideoInfo = probe(path, fps)
        self.fps, self.n_frames = float(self.info.fps), self.info.n_frames
        self.damage: str | None = None
        self.picture = picture_of(self.info, roi)
        self._cache: list[Frame] | None = None

    def frames(self, again: bool = False) -> Iterator[Frame]:
        """All frames in order; after the last one `damage` tells whether the file broke off.

        again: they will be asked for once more, so that they are kept where that takes little memory.
        """
        if self._cache is not None:
            yield from self._cache
        elif self._queued:
            yield from ahead(self._decoded(again), self._queued)
        else:
            yield from self._decoded(again)

    def _decoded(self, again: bool) -> Iterator[Frame]:
        from fastmag.video.decoders import open_reader

        held = 0
        kept: list[Frame] | None = [] if again else None
        reader, self.decoder = open_reader(self.path, self._fps, self.decoder)
        with reader:
            for frame in reader:
                held += sum(plane.nbytes for plane in frame.planes)
                if kept is not None and held > self._cache_bytes:
                    kept = None
                if kept is not None:
                    kept.append(frame)
                yield frame
            self.damage = reader.damage
        self._cache = kept


class ArraySource:
    """Frames (T, H, W, 3) uint8 in memory, of the host or, as CuPy's array, of a GPU, at a constant rate."""

    def __init__(self, frames: np.ndarray, fps, roi=None):
        frames = check_frames(frames)
        self.fps = float(check_fps(fps, "the array"))
        self.n_frames, self.damage, self.array = len(frames), None, frames
        self.picture = Picture("rgb", (frames.shape[1:3],), roi=roi)

    def frames(self, again: bool = False) -> Iterator[Frame]:
        for i, frame in enumerate(self.array):
            yield Frame((frame,), i / self.fps)


class ArraySink:
    """Collects the changed frames of an ArraySource. A context manager, as Writer is."""

    def __init__(self, source: ArraySource):
        self.array = np.empty_like(source.array)
        self._count = 0

    def __enter__(self) -> ArraySink:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def write(self, frame: Frame) -> None:
        self.array[self._count] = frame.planes[0]
        self._count += 1


def picture_of(info: VideoInfo, roi=None) -> Picture:
    """How to read the planes of a file."""
    return Picture(info.kind, info.planes, info.bit_depth, info.matrix, info.full_range, info.rotation % 360, roi)


def check_frames(frames: np.ndarray) -> np.ndarray:
    """Frames as contiguous (T, H, W, 3) uint8. Raises InputError for any other shape or type."""
    if frames.ndim == 3 and frames.shape[2] == 3:
        raise InputError(f"frames must be (T, H, W, 3) uint8; got {frames.shape}: add a time axis")
    if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        said = f"frames must be (T, H, W, 3) uint8 in RGB order; got shape {frames.shape}"
        raise InputError(said + _remedy(frames.shape))
    if frames.dtype != np.uint8:
        hint = "scale to 0..255 and convert with .astype('uint8')"
        if frames.dtype.kind == "f" and not np.isfinite(frames).all():
            hint = "it holds NaN or infinity: mend these, " + hint
        raise InputError(f"frames must be (T, H, W, 3) uint8; got dtype {frames.dtype}: {hint}")
    return frames if frames.flags.c_contiguous else frames.copy()


def _remedy(shape: tuple[int, ...]) -> str:
    """How frames of a wrong shape become right ones, as far as that can be told."""
    if 0 in shape:
        return ": there is nothing in it"
    if len(shape) == 3:
        return ": repeat a grey channel, np.repeat(frames[..., None], 3, axis=3)"
    if len(shape) == 4 and shape[3] == 1:
        return ": repeat the grey channel, np.repeat(frames, 3, axis=3)"
    if len(shape) == 4 and shape[3] == 4:
        return ": leave the fourth channel out, frames[..., :3]"
    if len(shape) == 4 and shape[1] == 3:
        return ": put the channels last, frames.transpose(0, 2, 3, 1)"
    return ""


def on_device(frames):
    """Frames in the memory of a GPU as CuPy's array, without a copy."""
    try:
        return _cupy().from_dlpack(frames)
    except (BufferError, RuntimeError, TypeError) as error:
        raise InputError(f"the array cannot be read on the GPU ({error}): move it to the CPU first") from error


def to_numpy(frames):
    """Any array as NumPy, by DLPack where it is not one. Raises InputError for what is no array."""
    if isinstance(frames, np.ndarray):
        return frames
    if hasattr(frames, "__dlpack__"):
        try:
            return _cupy().asnumpy(_cupy().from_dlpack(frames)) if on_gpu(frames) else np.from_dlpack(frames)
        except (BufferError, RuntimeError, TypeError) as error:
            raise InputError(f"the array cannot be read on the CPU ({error}): move it there first") from error
    raise InputError(f"source must be a path or frames (T, H, W, 3) uint8; got {type(frames).__name__}")


def like(result: np.ndarray, example):
    """The result as the example's kind of array (NumPy, PyTorch, CuPy, JAX: whatever reads DLPack), where that is."""
    if isinstance(example, np.ndarray):
        return result
    module = sys.modules[type(example).__module__.split(".")[0]]
    library = example.__array_namespace__() if hasattr(example, "__array_namespace__") else module
    return library.from_dlpack(_cupy().asarray(result) if on_gpu(example) else result)  # type: ignore[attr-defined]


def on_gpu(array) -> bool:
    """Whether an array with DLPack is in the memory of an NVIDIA GPU."""
    return hasattr(array, "__dlpack_device__") and int(array.__dlpack_device__()[0]) in CUDA_MEMORY


def _cupy():
    try:
        import cupy
    except ImportError as error:
        raise InputError("the array is on a GPU: move it to the CPU, or pip install 'fastmag[cuda]'") from error
    return cupy
