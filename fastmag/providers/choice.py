"""Which provider and precision: each is compared with the CPU before it is used; `auto` takes the fastest that pass."""

from __future__ import annotations

import hashlib
import time
import warnings
from dataclasses import dataclass

import numpy as np

from fastmag import providers
from fastmag.errors import InputError, WrongProvider
from fastmag.providers import Engine, Network
from fastmag.providers.blocks import Blocks

# The comparison with the CPU provider in float32: sizes of X, samples of each, and how far G may be off (the median
# over the samples of the relative L2 error; of y likewise). Rounding alone gives 3e-7, and a ReLU that flips on it
# 1e-2 in single samples; bfloat16 flips more: 4e-2 to 8e-2 on the pulse network; wrong arithmetic gives 0.3 and more.
SIZES, SAMPLES = (3e-3, 0.05, 1.0), 4
LIMITS = {"fp32": 1e-3, "tf32": 2e-2, "bf16": 0.15}
AUTO_LIMIT = 0.1

# What another provider has to be worth before `auto` leaves the CPU, and the seconds of work on the CPU under which it
# does not look: loading and compiling takes OpenVINO 0.8 s and CUDA several.
MARGIN, WORTH_SECONDS, MEASURED_SECONDS = 1.15, 8.0, 0.05
ON_PROCESSOR = ("cpu", "openvino")


@dataclass(frozen=True)
class Chosen:
    """A provider by name, the network on it, and how far its gradient was off from the CPU's (0 for the CPU)."""

    name: str
    engine: Engine
    error: float

    def __str__(self) -> str:
        off = f", off by {self.error:.2g}" if self.name != "cpu" else ""
        return f"{self.name} in {self.engine.precision}{off}"


class _Wrong(InputError):
    """A provider's gradient is not the CPU's."""


_taken: dict[tuple[object, ...], tuple[str, str]] = {}  # what `auto` chose for a network, while this process lives


def choose(network: Network, provider: str, precision: str, threads: int, cpu: Engine, work: float | None) -> Chosen:
    """The provider to use.

    provider: a name, which is taken or refused, or "auto". precision: "fp32", "bf16" (on CUDA: TF32), or "auto", the
        fastest whose error is at most AUTO_LIMIT. cpu: the network on the CPU in float32. work: about how many
        gradients there will be; None for many.
    Raises InputError where a named provider is not available or its gradient is wrong; in `auto` a wrong one is left
    out with a warning (WrongProvider).
    """
    names: tuple[str, ...] = providers.NAMES if provider == "auto" else (provider,)
    wanted = providers.PRECISIONS if precision == "auto" else (precision,)
    if names == ("cpu",) and precision in ("fp32", "auto"):
        return Chosen("cpu", cpu, 0.0)
    if provider == "auto":
        names = tuple(name for name in names if providers.why_not(name) is None)
        if "fp32" in wanted and (names == ("cpu",) or not _worth(cpu, network, work)):
            return Chosen("cpu", cpu, 0.0)
        key = (hashlib.sha256(network.content).digest(), names, precision, threads)
        if key in _taken:
            return _one(network, *_taken[key], threads, cpu)
    found = _passing(network, names, wanted, threads, cpu, named=provider != "auto")
    best = found[0] if len(found) == 1 else _fastest(found, network)
    if provider == "auto":
        _taken[key] = best.name, "bf16" if best.engine.precision == "tf32" else best.engine.precision
    return best


def _one(network: Network, name: str, precision: str, threads: int, cpu: Engine) -> Chosen:
    """A provider in a precision, compared with the CPU. Raises InputError where it is not available or wrong."""
    if (name, precision) == ("cpu", "fp32"):
        return Chosen("cpu", cpu, 0.0)
    engine = providers.start(name, network, precision, threads)
    off, limit = difference(engine, cpu, network.shape), LIMITS[engine.precision]
    if not off <= limit:
        raise _Wrong(
            f"provider {name} is wrong for {network.name}: in {engine.precision} its gradient is off by {off:.2g} from "
            f"the CPU's in fp32 (at most {limit:g} is allowed); use provider cpu"
        )
    return Chosen(name, engine, off)


def _passing(
    network: Network, names: tuple[str, ...], wanted: tuple[str, ...], threads: int, cpu: Engine, named: bool
) -> list[Chosen]:
    """What passes of the providers and precisions. A single one that fails raises; others are left out."""
    found, failed = [], []
    for name in names:
        for precision in wanted:
            try:
                one = _one(network, name, precision, threads, cpu)
                if len(wanted) == 1 or one.error <= AUTO_LIMIT:
                    found.append(one)
                else:
                    failed.append(InputError(f"{one}: more than {AUTO_LIMIT:g}"))
            except InputError as error:
                if isinstance(error, _Wrong) and not named:
                    warnings.warn(WrongProvider(f"{error}; it is left out"), stacklevel=2)
                failed.append(error)
    if not found:
        raise failed[0] if len(failed) == 1 else InputError("; ".join(map(str, failed)))
    return found


def difference(engine: Engine, judge: Engine, shape: tuple[int, ...]) -> float:
    """How far an engine is off from another: the larger of the errors of y and of G.

    Each is relative, the median over random samples; of G the median over the sizes of X at which the judge's gradient
    is neither zero nor infinite, of y the least: where X is small for the network, y is the rounding of its biases.
    Infinite where there is no such size, and for NaN.
    """
    random, of_y, of_G = np.random.default_rng(0), [], []
    for size in SIZES:
        X = (random.standard_normal((SAMPLES, *shape)) * size).astype(np.float32)
        true_y, true = (v.astype(np.float64).reshape(SAMPLES, -1) for v in Blocks(judge).gradient(X))
        y, G = (v.astype(np.float64).reshape(SAMPLES, -1) for v in Blocks(engine).gradient(X))
        length, spread = np.linalg.norm(true, axis=1), np.sqrt(np.mean(true_y**2))
        if np.isfinite(length).all() and length.min() > 0 and np.isfinite(true_y).all():
            with np.errstate(all="ignore"):
                of_G.append(np.median(np.linalg.norm(G - true, axis=1) / length))
                of_y.append(np.median(np.abs(y - true_y)) / spread if spread else 0.0)
    if not of_G:
        return np.inf
    return float(max(np.median(np.nan_to_num(of_G, nan=np.inf)), np.min(np.nan_to_num(of_y, nan=np.inf))))


def seconds_each(engine: Engine, shape: tuple[int, ...], name: str = "cpu") -> float:
    """Seconds a gradient takes in a large batch: the best of a few runs.

    What runs on the processor is measured by the processor's time, so that others who use the machine do not decide.
    """
    processor = name in ON_PROCESSOR
    clock, share = (time.process_time, engine.threads) if processor else (time.perf_counter, 1)
    X = np.random.default_rng(1).standard_normal((2 * engine.samples * engine.threads, *shape)).astype(np.float32)
    X *= np.float32(SIZES[0])
    blocks, best, end = Blocks(engine), np.inf, 0.0
    blocks.gradient(X)
    while end == 0 or time.perf_counter() < end:
        end = end or time.perf_counter() + MEASURED_SECONDS
        began = clock()
        blocks.gradient(X)
        best = min(best, clock() - began)
    return float(best) / share / len(X)


def _worth(cpu: Engine, network: Network, work: float | None) -> bool:
    return work is None or work * seconds_each(cpu, network.shape) > WORTH_SECONDS


def _fastest(found: list[Chosen], network: Network) -> Chosen:
    """The fastest; the CPU in float32, where it is among them, unless another is faster by the margin."""
    times = [
        seconds_each(one.engine, network.shape, one.name) * (1 / MARGIN if one.name == "cpu" else 1) for one in found
    ]
    return found[int(np.argmin(times))]
