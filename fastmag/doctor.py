"""`fastmag doctor`: what is installed, what works, and why other things do not."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fastmag import __version__, backends, models, nvidia
from fastmag.errors import InputError

EXTRAS = {
    "openvino": "openvino", "cupy-cuda13x": "cuda", "numba-cuda": "cuda", "onnx": "export", "torch": "train",
}  # fmt: skip
GPU_BUILDS = {"onnxruntime": "onnxruntime-gpu"}  # the same package under another name; never both
PACKAGES = ("numpy", "scipy", "numba", "onnxruntime", "av", "click", "tqdm", "matplotlib", *EXTRAS)


def report() -> str:
    """The whole report as text."""
    sections = {"fastmag": fastmag_lines(), "packages": package_lines(), "backends": backend_lines(),
                "networks": gradient_lines(), "video": video_lines()}  # fmt: skip
    return "\n".join(f"{title}\n" + "\n".join("  " + line for line in lines) for title, lines in sections.items())


def fastmag_lines() -> list[str]:
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"fastmag {__version__}, Python {platform.python_version()}, {sys.platform} {platform.machine()}, {cores} cores"
    ]


def package_lines() -> list[str]:
    lines = []
    for name in PACKAGES:
        here = next((n for n in (name, GPU_BUILDS.get(name)) if n and _version(n)), None)
        extra = f"[{EXTRAS[name]}]" if name in EXTRAS else ""
        lines.append(f"{here} {_version(here)}" if here else f"{name} is not installed: pip install 'fastmag{extra}'")
    return lines


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def backend_lines() -> list[str]:
    lines = []
    for name in backends.NAMES:
        reason = backends.why_not(name)
        lines.append(f"{name}: {kernels_line(name) if reason is None else 'not available: ' + reason}")
    return [*lines, f"auto takes {backends.choice()[0]}"]


def kernels_line(name: str) -> str:
    """Run one kernel and say so: an import alone proves little."""
    ops = backends.get(name)
    where = f"{ops.threads()} threads" if name == "cpu" else str(nvidia.find())
    return f"{'works' if backends.runs_rightly(ops) else 'WRONG RESULTS'}, {where}"


def gradient_lines() -> list[str]:
    """Every provider in every precision on the pulse network: gradients a second and how far off, or why not."""
    from fastmag import providers

    lines = []
    for name in providers.NAMES:
        for precision in providers.PRECISIONS if name != "cpu" else ("fp32",):
            try:
                lines.append(f"{name}: {network_line(name, precision)}")
            except (ImportError, InputError) as error:
                lines.append(f"{name}: {error}".replace(f"{name}: provider {name} is", f"{name}:"))
                if "not available" in str(error):
                    break
    return lines


def network_line(provider: str, precision: str) -> str:
    """How fast a provider answers for the pulse network, and how far off it is."""
    from fastmag.gradients import InputGradient

    network = InputGradient(models.path("pulse_gradient"), expect=(3, 36, 36), provider=provider, precision=precision)
    x = np.random.default_rng(0).normal(0, 3e-3, (128, 3, 36, 36)).astype(np.float32)
    network.gradient(x)
    began = time.perf_counter()
    network.gradient(x)
    rate = len(x) / (time.perf_counter() - began)
    off = f", off by {network.error:.1g} from the cpu" if provider != "cpu" else ""
    return f"works in {network.precision}, {rate:.0f} gradients of the pulse network a second{off}"


def video_lines() -> list[str]:
    import av

    from fastmag.video import hardware

    wanted = ("libx264", "libx264rgb", "libx265", "libvpx-vp9", "libsvtav1", "ffv1")
    have = [name for name in wanted if name in av.codecs_available]
    missing = [name for name in wanted if name not in have]
    lines = [f"PyAV {av.__version__}, encoders: {', '.join(have)}"]
    lines += [f"not in this build: {', '.join(missing)}"] if missing else []
    units = {"decoding by the GPU (NVDEC)": hardware.why_no_decoder(),
             "encoding by the GPU (NVENC)": hardware.why_no_encoder(hardware.H264)}  # fmt: skip
    return lines + [f"{what}: {'not available: ' + reason if reason else 'works'}" for what, reason in units.items()]
