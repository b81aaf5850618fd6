"""The doors: magnify and measure. The backend is chosen here, once."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastmag import backends, deepmag, flow, models, passes, phase, respiration
from fastmag.baselines import evm, phase_evm, riesz, vam
from fastmag.errors import DamagedVideo, InputError
from fastmag.gradients import InputGradient
from fastmag.params import EvmColor, EvmMotion, Params, PhaseEvm, Pulse, Respiration, Riesz, VamColor, VamMotion
from fastmag.passes import Outcome
from fastmag.presets import method as method_of
from fastmag.progress import Stages
from fastmag.sources import ArraySink, ArraySource, FileSource, like, on_device, on_gpu, to_numpy
from fastmag.video.media import check_fps
from fastmag.vitals import WORDS, Measurement, measure_pulse, measure_respiration

# Gradients a frame in the coherent form: y is read twice or so, at half a gradient each, and every third frame's slope.
COHERENT_GRADIENTS = 1.2


@dataclass(frozen=True)
class Report:
    """What `magnify` did: files and frames, the pulse where one was looked for and found, and a word about both."""

    destination: Path
    frames: int
    seconds: float
    rate_bpm: float | None
    quality: float | None
    message: str
    damage: str | None = None


def magnify(
    source, destination=None, method: str | Params = "pulse", *, fps=None, backend: str = "auto", progress=False,
    overwrite: bool = False, strict: bool = False, decoder: str = "cpu", **writing,
):  # fmt: skip
    """Magnify a subtle change in a video.

    source: a path, or frames (T, H, W, 3) uint8 (NumPy or anything with DLPack) together with `fps`.
    destination: a path for a path; None for an array, whose result is returned as the same kind of array.
    method: the name of a method ("pulse") or preset ("evm/face"), or params such as `fastmag.Pulse(alpha=20)`.
    fps: frames a second of an array, or an override of the file's.
    progress: False, True (a bar on a terminal), or a function of (stage, frames done, frames in all).
    overwrite: replace an existing file. strict: write nothing if the source breaks off in the middle.
    decoder: of a file: "cpu", "cuda" (NVIDIA's) or "auto" (that one where it reads the file; docs/gpu.md).
    writing: codec, crf, preset, lossless, as fastmag.video.Writer takes them.

    Returns a Report for files. Raises InputError when the input is wrong; warns (DamagedVideo) when the file breaks
    off: what was decoded is magnified and written whole.
    """
    began, params, ops = time.perf_counter(), method_of(method), backends.get(backend)
    run = PIPELINES[type(params)]
    if not _is_path(source):
        if destination is not None:
            raise InputError("an array comes back as an array: leave destination out, or pass a path as source")
        stays = hasattr(ops, "Lanes") and on_gpu(source)
        frames = ArraySource(on_device(source) if stays else to_numpy(source), _array_fps(fps), params.roi)
        changed = ArraySink(frames)
        with Stages(progress) as stages:
            outcome = run(frames, changed, params, ops, stages)
        return like(changed.array[: outcome.frames], source)
    if destination is None:
        raise InputError("a video file needs a destination: name the file to write")
    from fastmag.video import Writer

    queued = flow.queued(ops)
    clip = FileSource(source, fps, params.roi, queued=queued, decoder=decoder)
    sink = Writer(destination, clip.info, source, overwrite=overwrite, queued=queued, **writing)
    with Stages(progress) as stages:
        try:
            outcome = run(clip, _Strict(sink, clip, strict), params, ops, stages)
        except _Broken:
            raise InputError(
                f"{clip.damage}; nothing was written: leave --strict out to keep what can be decoded"
            ) from None
    if clip.damage:
        warnings.warn(DamagedVideo(f"{clip.damage}; what was decoded is magnified and whole"), stacklevel=2)
    seconds = time.perf_counter() - began
    message = outcome.message + _hardware(clip, sink)
    return Report(Path(destination), outcome.frames, seconds, outcome.rate_bpm, outcome.quality, message, clip.damage)


def measure(
    source, signal: str = "pulse", *, fps=None, backend: str = "auto", progress=False, roi=None, model=None,
    passband=None, provider: str = "auto", precision: str = "fp32", decoder: str = "cpu",
) -> Measurement:  # fmt: skip
    """Read a signal from a video (a path, or frames (T, H, W, 3) uint8 with `fps`): its wave, rate and quality.

    signal: "pulse" or "respiration". roi: x, y, w, h in pixels. passband: hertz that the signal may have, by default
    that of the method. provider, precision: what computes the network (docs/gradient.md). decoder: as `magnify`.
    Raises InputError when the input is wrong; warns (DamagedVideo) when the file breaks off.
    """
    if signal not in READERS:
        raise InputError(f"signal must be one of {', '.join(READERS)}; got {signal!r}")
    kind, read = READERS[signal]
    given = {} if passband is None else {"passband": passband}
    params = kind(roi=roi, model=model, provider=provider, precision=precision, **given)
    ops = backends.get(backend)
    clip: FileSource | ArraySource
    if _is_path(source):
        clip = FileSource(source, fps, roi, 0, flow.queued(ops), decoder)
    else:
        clip = ArraySource(to_numpy(source), _array_fps(fps), roi)
    with Stages(progress) as stages:
        measured = read(clip, params, _network(params, clip), ops, stages)
    if clip.damage:
        warnings.warn(DamagedVideo(clip.damage), stacklevel=2)
    return measured


def describe(sections, signal: str = "pulse") -> tuple[float | None, float | None, str]:
    """(rate a minute, quality, one line) of the sections of a coherent magnification; None, None without sections."""
    if not sections:
        return None, None, "magnified in the paper's form"
    noun, unit = WORDS[signal]
    weights = np.array([s.stop - s.start for s in sections], float)
    presence = np.array([s.presence for s in sections])
    quality = float((weights * presence).sum() / weights.sum())
    if quality == 0:
        return None, 0.0, f"no {noun} was found: the video is left as it is"
    rate = float(60 * np.average([s.rate_hz for s in sections], weights=weights * presence))
    absent = (presence == 0).sum()
    rest = f"; {absent} of {len(sections)} sections without {noun} are left as they are" if absent else ""
    faint = ", faint: magnified in part" if quality < 0.5 else ""
    return rate, quality, f"{noun} at {rate:.1f} {unit} (quality {quality:.2f}{faint}){rest}"


class _Broken(Exception):
    """The source broke off, and the user wants nothing then."""


class _Strict:
    """A writer that is abandoned when the source turns out to be broken."""

    def __init__(self, writer, source, strict: bool):
        self.writer, self.source, self.strict = writer, source, strict

    def __enter__(self):
        self._check()
        self.writer.__enter__()
        return self

    def write(self, frame) -> None:
        self.writer.write(frame)

    def __exit__(self, kind, error, trace) -> None:
        if kind is None and self.strict and self.source.damage:
            kind, error = _Broken, _Broken()
            self.writer.__exit__(kind, error, None)
            raise error
        self.writer.__exit__(kind, error, trace)

    def _check(self) -> None:
        if self.strict and self.source.damage:
            raise _Broken


def _hardware(clip: FileSource, sink) -> str:
    """A word where the GPU's own decoder or encoder was in use."""
    words = ["; decoded by the GPU"] if clip.decoder == "cuda" else []
    return "".join(words + ([f"; encoded by {sink.encoder}"] if sink.encoder.endswith("_nvenc") else []))


def _is_path(source) -> bool:
    return isinstance(source, str | os.PathLike)


def _array_fps(fps):
    return check_fps(fps, "the array") if fps is not None else _no_fps()


def _no_fps():
    raise InputError("frames in memory have no frame rate: pass fps, in frames a second")


def _network(params: Pulse | Respiration, source) -> InputGradient:
    name, shape = ("pulse", (3, 36, 36)) if isinstance(params, Pulse) else ("respiration", phase.SHAPE)
    model = params.model or models.path(f"{name}_gradient")
    work = _gradients(params, source)
    return InputGradient(model, expect=shape, provider=params.provider, precision=params.precision, work=work)


def _gradients(params: Pulse | Respiration, source) -> float | None:
    """About how many gradients a run asks for, where the number of frames is known."""
    rate = passes.TRAINED_FPS if isinstance(params, Pulse) else phase.ANALYSIS_FPS
    each = (params.n_steps or 1) - 1 if params.form == "paper" else COHERENT_GRADIENTS
    return source.n_frames * min(1.0, rate / source.fps) * each if source.n_frames else None


def _by(network: InputGradient) -> str:
    """A word where another than the CPU computed."""
    return "" if network.provider == "cpu" else f"; network on {network}"


def _pulse(source, sink, params: Pulse, ops, progress) -> Outcome:
    network = _network(params, source)
    count, sections, _ = deepmag.magnify_pulse(source, sink, params, network, ops, progress)
    rate, quality, message = describe(sections)
    return Outcome(count, message + _by(network), rate, quality)


def _respiration(source, sink, params: Respiration, ops, progress) -> Outcome:
    network = _network(params, source)
    count, sections, _ = respiration.magnify_respiration(source, sink, params, network, ops, progress)
    rate, quality, message = describe(sections, "respiration")
    return Outcome(count, message + _by(network), rate, quality)


# From a signal to the method whose network reads it, and how
READERS: dict[str, tuple] = {"pulse": (Pulse, measure_pulse), "respiration": (Respiration, measure_respiration)}

# From params to the pipeline that takes them: (source, sink, params, ops, progress) -> Outcome
PIPELINES: dict[type, Callable[..., Outcome]] = {
    Pulse: _pulse,
    Respiration: _respiration,
    EvmColor: evm.magnify_color,
    EvmMotion: evm.magnify_motion,
    VamColor: vam.magnify_color,
    VamMotion: vam.magnify_motion,
    PhaseEvm: phase_evm.magnify,
    Riesz: riesz.magnify,
}
