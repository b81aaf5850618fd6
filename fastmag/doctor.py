"""`fastmag doctor`: what is installed, what works, and why other things do not."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fastmag import __version__, backends, models
from fastmag.errors import InputError

PACKAGES = ("numpy", "scipy", "numba", "onnxruntime", "av", "click", "tqdm", "matplotlib", "onnx", "torch")


def report() -> str:
    """The whole report as text."""
    sections = {"fastmag": fastmag_lines(), "packages": package_lines(), "backends": backend_lines(),
                "gradient": gradient_lines(), "video": video_lines()}  # fmt: skip
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
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            extra = {"onnx": "fastmag[export]", "torch": "fastmag[train]"}.get(name, "fastmag")
            lines.append(f"{name} is not installed: pip install '{extra}'")
    return lines


def backend_lines() -> list[str]:
    lines = []
    for name in backends.NAMES:
        reason = backends.why_not(name)
        lines.append(f"{name}: {kernels_line(name) if reason is None else 'not available: ' + reason}")
    lines.append("cuda: not available: this version has no CUDA kernels yet")
    return lines


def kernels_line(name: str) -> str:
    """Run one kernel and say so: an import alone proves little."""
    ops = backends.get(name)
    cells = ops.downsample_bicubic(np.full((48, 64), 77, np.uint8), (36, 36))
    works = abs(float(cells.mean()) - 77) < 1e-3
    return f"{'works' if works else 'WRONG RESULTS'}, {ops.threads()} threads"


def gradient_lines() -> list[str]:
    try:
        import onnxruntime

        from fastmag.gradients import InputGradient

        network = InputGradient(models.path("pulse_gradient"), expect=(3, 36, 36))
        x = np.random.default_rng(0).normal(0, 3e-3, (64, 3, 36, 36)).astype(np.float32)
        network.gradient(x)
        began = time.perf_counter()
        network.gradient(x)
        rate = len(x) / (time.perf_counter() - began)
    except (ImportError, InputError) as error:
        return [f"not available: {error}"]
    others = [p for p in onnxruntime.get_available_providers() if p != network.provider]
    lines = [f"pulse network: {network.provider} in use, {rate:.0f} gradients a second"]
    return lines + [
        f"{name}: listed by ONNX Runtime, not used: fastmag has no formulation for it yet" for name in others
    ]


def video_lines() -> list[str]:
    import av

    wanted = ("libx264", "libx264rgb", "libx265", "libvpx-vp9", "libsvtav1", "ffv1")
    have = [name for name in wanted if name in av.codecs_available]
    missing = [name for name in wanted if name not in have]
    lines = [f"PyAV {av.__version__}, encoders: {', '.join(have)}"]
    return lines + ([f"not in this build: {', '.join(missing)}"] if missing else [])
