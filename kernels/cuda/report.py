"""python -m fastmag.kernels.cuda.report: compile every kernel for several GPUs, without one; registers, stack, spills.

A spilled register, a local array in memory, or float64 in a float32 kernel is a fault: the exit code is 1.
"""

from __future__ import annotations

import re
import sys
import types as python_types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from numba import cuda

TARGETS = ((8, 0), (9, 0), (12, 0))  # A100, H100 and H200, RTX 50 and its siblings


@dataclass(frozen=True)
class Compiled:
    """What the assembler says of one kernel, for one signature and one target (major, minor)."""

    kernel: str
    signature: str
    target: tuple[int, int]
    registers: int
    stack: int
    spilled: int
    shared: int
    doubles: int
    doubles_allowed: bool

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, in words."""
        found = []
        if self.spilled:
            found.append(f"{self.spilled} bytes of registers spilled")
        if self.stack:
            found.append(f"{self.stack} bytes of local memory")
        if self.doubles and not self.doubles_allowed:
            found.append(f"{self.doubles} float64 instructions in a float32 kernel")
        return found


def compiled(kernel: Any, signature: str, target: tuple[int, int]) -> Compiled:
    """Compile a kernel for one signature and one target, without a device."""
    from numba.cuda import dispatcher

    device = python_types.SimpleNamespace(compute_capability=target)
    with mock.patch.object(dispatcher, "get_current_device", lambda: device):
        code, _ = cuda.compile(kernel.function, signature, device=False, cc=target, abi="numba")
    said = assembled(code, target)
    return Compiled(
        kernel.name,
        signature,
        target,
        registers=_number(r"Used (\d+) registers", said),
        stack=_number(r"(\d+) bytes stack frame", said),
        spilled=_number(r"(\d+) bytes spill stores", said) + _number(r"(\d+) bytes spill loads", said),
        shared=_number(r"(\d+) bytes smem", said),
        doubles=len(re.findall(r"^\s*[a-z]+[a-z.0-9]*\.f64", code, re.MULTILINE)),
        doubles_allowed=kernel.doubles or "float64" in signature,
    )


def assembled(code: str, target: tuple[int, int]) -> str:
    """PTX to machine code for a target; what the assembler says about it."""
    from cuda.bindings import nvjitlink

    linker = nvjitlink.create(2, [f"-arch=sm_{target[0]}{target[1]}", "-verbose"])
    try:
        content = code.encode()
        nvjitlink.add_data(linker, nvjitlink.InputType.PTX, content, len(content), "kernel")
        nvjitlink.complete(linker)
        said = bytearray(nvjitlink.get_info_log_size(linker))
        nvjitlink.get_info_log(linker, said)
        return said.decode()
    finally:
        nvjitlink.destroy(linker)


def everything(targets: tuple[tuple[int, int], ...] = TARGETS) -> Iterator[Compiled]:
    """All kernels, all of their signatures, all targets."""
    from fastmag.kernels.cuda._jit import KERNELS

    for kernel in KERNELS:
        for signature in kernel.signatures:
            for target in targets:
                yield compiled(kernel, signature, target)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"the assembler's report has no {pattern!r}: {text[:300]}")
    return int(found.group(1))


def main() -> int:
    """Print a line for each, and what is wrong; the exit code."""
    wrong = 0
    print(f"{'kernel':28} {'sm':>4} {'registers':>9} {'stack':>6} {'spilled':>8} {'shared':>7}")
    for one in everything():
        sm = f"{one.target[0]}{one.target[1]}"
        line = f"{one.kernel:28} {sm:>4} {one.registers:9} {one.stack:6} {one.spilled:8} {one.shared:7}"
        print(line + "".join(f"  FAULT: {fault}" for fault in one.faults), flush=True)
        wrong += bool(one.faults)
    print(f"{wrong} with faults" if wrong else "no spills, no local memory, no float64 in float32 kernels")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
