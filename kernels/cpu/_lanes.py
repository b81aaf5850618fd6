"""Butterflies of the fast Fourier transform as vector instructions: 16 transforms side by side.

Numba cannot vectorise a butterfly by itself (it must assume that the many arrays of one lie over each other), so this
writes LLVM's vector operations out. They are portable: LLVM splits 16 lanes into what the processor has.
A point is 16 real parts and 16 imaginary parts in a row ("split"), or complex numbers as NumPy keeps them.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
MIDDLE, FIRST, LAST = 0, 1, 2
"""Split to split, complex numbers to split, split to complex numbers."""

_FAST = ("contract", "nsz", "reassoc")
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _PAIRS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_FLOAT, 2 * LANES)


class _Complex:
    """Complex numbers, one a lane, while instructions are being written."""

    def __init__(self, builder: Any, re: Any, im: Any) -> None:
        self.builder, self.re, self.im = builder, re, im

    def __add__(self, other: _Complex) -> _Complex:
        add = self.builder.fadd
        return _Complex(self.builder, add(self.re, other.re, flags=_FAST), add(self.im, other.im, flags=_FAST))

    def __sub__(self, other: _Complex) -> _Complex:
        sub = self.builder.fsub
        return _Complex(self.builder, sub(self.re, other.re, flags=_FAST), sub(self.im, other.im, flags=_FAST))

    def scaled(self, factor: float) -> _Complex:
        by = ir.Constant(_VECTOR, [ir.Constant(_FLOAT, factor)] * LANES)
        mul = self.builder.fmul
        return _Complex(self.builder, mul(self.re, by, flags=_FAST), mul(self.im, by, flags=_FAST))

    def times_i(self) -> _Complex:
        return _Complex(self.builder, self.builder.fneg(self.im), self.re)

    def times(self, re: Any, im: Any) -> _Complex:
        b = self.builder
        rr, ii = b.fmul(self.re, re, flags=_FAST), b.fmul(self.im, im, flags=_FAST)
        ri, ir_ = b.fmul(self.re, im, flags=_FAST), b.fmul(self.im, re, flags=_FAST)
        return _Complex(b, b.fsub(rr, ii, flags=_FAST), b.fadd(ri, ir_, flags=_FAST))


def _dft(x: list[_Complex]) -> list[_Complex]:
    """The inverse transform (exp(+i ...), no scale) of 2, 4, 8 or an odd number of points."""
    r = len(x)
    if r == 2:
        return [x[0] + x[1], x[0] - x[1]]
    if r % 2 == 0:
        even, odd = _dft(x[0::2]), _dft(x[1::2])
        half = math.sqrt(0.5)
        turn = {0: lambda z: z, 1: lambda z: (z + z.times_i()).scaled(half), 2: lambda z: z.times_i(),
                3: lambda z: (z.times_i() - z).scaled(half)}  # fmt: skip
        odd = [turn[k * 8 // r](z) for k, z in enumerate(odd)]
        return [e + o for e, o in zip(even, odd, strict=True)] + [e - o for e, o in zip(even, odd, strict=True)]
    pairs = range(1, r // 2 + 1)
    sums, differences = [x[j] + x[r - j] for j in pairs], [x[j] - x[r - j] for j in pairs]
    result = [sum(sums[1:], x[0] + sums[0])] * r
    for k in pairs:
        real, turned = x[0], differences[0].scaled(math.sin(2 * math.pi * k / r))
        for j in pairs:
            real = real + sums[j - 1].scaled(math.cos(2 * math.pi * j * k / r))
            if j > 1:
                turned = turned + differences[j - 1].scaled(math.sin(2 * math.pi * j * k / r))
        result[k], result[r - k] = real + turned.times_i(), real - turned.times_i()
    return result


def _indices(numbers: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_INT, len(numbers)), numbers)


def _at(b: Any, data: Any, start: Any, step: Any, k: int, vector: Any, extra: int = 0) -> Any:
    """The address of data[start + k step + extra] as that of a vector."""
    index = b.add(b.add(start, b.mul(step, ir.Constant(step.type, k))), ir.Constant(start.type, extra))
    return b.bitcast(b.gep(data, [index]), vector.as_pointer())


def _splat(b: Any, address: Any) -> Any:
    one = b.insert_element(ir.Constant(_VECTOR, ir.Undefined), b.load(address), ir.Constant(_INT, 0))
    return b.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), _indices([0] * LANES))


@intrinsic(prefer_literal=True)
def butterfly(context, radix, kind, source, start, step, target, into, stride, twiddles, first, flip):
    """`radix` points from source[start + k step] to target[into + k stride], times the twiddles from `first` on.

    flip exchanges real and imaginary parts where complex numbers are read or written, which makes the inverse
    transform the forward one.
    """
    r, how = radix.literal_value, kind.literal_value

    def write(context, b, signature, args):
        src, dst, table = (context.make_array(signature.args[i])(context, b, args[i]).data for i in (2, 5, 8))
        _, _, _, start, step, _, into, stride, _, first, flip = args
        swap = b.icmp_signed("!=", flip, ir.Constant(flip.type, 0))
        points = []
        for k in range(r):
            if how == FIRST:
                both = b.load(_at(b, src, start, step, k, _PAIRS), align=4)
                none = ir.Constant(_PAIRS, ir.Undefined)
                a, c = (b.shuffle_vector(both, none, _indices(list(range(i, 2 * LANES, 2)))) for i in (0, 1))
                points.append(_Complex(b, b.select(swap, c, a), b.select(swap, a, c)))
            else:
                parts = (b.load(_at(b, src, start, step, k, _VECTOR, i * LANES), align=4) for i in (0, 1))
                points.append(_Complex(b, *parts))
        for k, z in enumerate(_dft(points)):
            if how == LAST:
                a, c = b.select(swap, z.im, z.re), b.select(swap, z.re, z.im)
                both = b.shuffle_vector(a, c, _indices([i // 2 + i % 2 * LANES for i in range(2 * LANES)]))
                b.store(both, _at(b, dst, into, stride, k, _PAIRS), align=4)
                continue
            if k:
                at = b.add(first, ir.Constant(first.type, 2 * (k - 1)))
                re, im = (_splat(b, b.gep(table, [b.add(at, ir.Constant(at.type, i))])) for i in (0, 1))
                z = z.times(re, im)
            b.store(z.re, _at(b, dst, into, stride, k, _VECTOR), align=4)
            b.store(z.im, _at(b, dst, into, stride, k, _VECTOR, LANES), align=4)
        return context.get_dummy_value()

    n = types.intp
    return types.void(radix, kind, source, n, n, target, n, n, twiddles, n, n), write


@intrinsic
def transpose(context, source, start, step, target, into, stride, flip_source, flip_target):
    """16 x 16 numbers: column k of the rows source[start + k step ...] to target[into + k stride ...].

    A flip (0 or 1) takes the rows of that side in the order 1, 0, 3, 2 ...: imaginary before real parts.
    """

    def write(context, b, signature, args):
        src, dst = (context.make_array(signature.args[i])(context, b, args[i]).data for i in (0, 3))

        def at(data, start, step, flip, k):
            moved = b.mul(b.mul(step, flip), ir.Constant(step.type, -1 if k % 2 else 1))
            return _at(b, data, b.add(start, moved), step, k, _VECTOR)

        rows = [b.load(at(src, args[1], args[2], args[6], k), align=4) for k in range(LANES)]
        half = LANES // 2
        low = _indices([i // 2 + i % 2 * LANES for i in range(LANES)])
        high = _indices([half + i // 2 + i % 2 * LANES for i in range(LANES)])
        for _ in range(int(math.log2(LANES))):
            rows = [b.shuffle_vector(rows[k // 2], rows[k // 2 + half], high if k % 2 else low) for k in range(LANES)]
        for k, row in enumerate(rows):
            b.store(row, at(dst, args[4], args[5], args[7], k), align=4)
        return context.get_dummy_value()

    n = types.intp
    return types.void(source, n, n, target, n, n, n, n), write
