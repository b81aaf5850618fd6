"""The time axis of the chunk's form in ONNX operators: form_wave, step by step.

Angles are products of whole numbers, reduced before they are made float: so float32 is enough for any chunk.
"""

from __future__ import annotations

import numpy as np

from fastmag.coherent.wave import HARMONICS, HOP, OVERSAMPLING, SPAN_SECONDS, WIDE_HZ
from fastmag.export.chunk.form_wave import FILTER_SECONDS, GAP_NOISE, NONE, RESPONSE_BINS, SLACK, TOOTH_HZ, TRUST
from fastmag.export.chunk.writer import FLOAT, INT, Operand, Value, Writer


class Clock:
    """The time axis of a chunk: `n` samples () at `fps` () a second, both known when the graph runs."""

    def __init__(self, writer: Writer, n: Value, fps: Value):
        self.writer, self.n, self.fps = writer, n, fps
        self.at = writer.range(0, n)
        self.span = self.frames_of(SPAN_SECONDS) // 2 * 2
        self.hop, self.size = self.span // HOP, self.span * OVERSAMPLING
        count = (self.wide_high / fps * self.size.to(FLOAT) + SLACK).to(INT)
        self.tone = writer.range(1, count + 1)  # the frequencies (F,), in cycles of a span's spectrum
        self.hertz = self.tone.to(FLOAT) * (fps / self.size.to(FLOAT))
        self.within = writer.range(0, self.span)
        self._boxes: dict[float, Value] = {}
        self._span_phases = self.phases(self.within)

    @property
    def wide_high(self) -> Value:
        """The upper end of the passband of a pulse with its harmonics, in hertz."""
        return (self.fps * 0.45).at_most(WIDE_HZ[1])

    def frames_of(self, seconds: float) -> Value:
        """Whole frames in a time."""
        return (self.fps * seconds + SLACK).to(INT)

    def box(self, seconds: float) -> Value:
        """form_wave.box: (n, n)."""
        if seconds in self._boxes:
            return self._boxes[seconds]
        distance = (self.at.reshape(-1, 1) - self.at.reshape(1, -1)).apply("Abs")
        inside = (distance <= self.frames_of(seconds) // 2).to(FLOAT)
        self._boxes[seconds] = inside / inside.sum(1, keep=True)
        return self._boxes[seconds]

    def band(self, low: Operand, high: Operand) -> Value:
        """form_wave.band: (n, n)."""
        w, reach = self.writer, self.frames_of(FILTER_SECONDS)
        odd = w.constant(2 * np.arange(RESPONSE_BINS) + 1, INT)
        turn = (w.range(0, reach + 1).reshape(-1, 1) * odd) % (4 * RESPONSE_BINS)
        cosine = (turn.to(FLOAT) * (np.pi / (2 * RESPONSE_BINS))).apply("Cos")
        taps = cosine @ (self._response(low, high) / RESPONSE_BINS)
        at = w.range(-reach, self.n + reach)
        lag = (at.reshape(1, -1) - self.at.reshape(-1, 1)).apply("Abs")
        rows = taps.take(lag.at_most(reach)) * (lag <= reach).to(FLOAT)
        last = self.n - 1
        inner = at.within(0, last)
        mirror = (inner * 2 - at).within(0, last)
        outside = (at - inner).apply("Abs").at_most(1).to(FLOAT).reshape(-1, 1)
        matrix = rows @ (self._picks(inner) * (outside + 1) - self._picks(mirror) * outside)
        return matrix - matrix.mean(1, keep=True)

    def _response(self, low: Operand, high: Operand) -> Value:
        """form_wave.response at the middles of the bins."""
        w = self.writer
        warped = w.constant(np.tan((np.arange(RESPONSE_BINS) + 0.5) * (np.pi / (2 * RESPONSE_BINS))))
        a, b = ((f if isinstance(f, Value) else w.constant(f)) * np.pi / self.fps for f in (low, high))
        a, b = a.apply("Tan"), b.apply("Tan")
        detuned = (warped * warped - a * b) / (warped * (b - a))
        square = detuned * detuned
        return 1 / (square * square * square + 1)

    def _picks(self, index: Value) -> Value:
        """Rows of the unit matrix: (m, n)."""
        return ((index.reshape(-1, 1) - self.at).apply("Abs") < 1).to(FLOAT)

    def phases(self, samples: Value) -> tuple[Value, Value]:
        """Cosine and sine (m, F) of every frequency at samples (m,)."""
        turn = (samples.reshape(-1, 1) * self.tone) % self.size
        angle = turn.to(FLOAT) * (2 * np.pi) / self.size.to(FLOAT)
        return angle.apply("Cos"), angle.apply("Sin")

    def dominant_rate(self, q: Value, passband: tuple[float, float]) -> Value:
        """form_wave.dominant_rate: ()."""
        window = 0.5 - 0.5 * ((self.at.to(FLOAT) + 0.5) * (2 * np.pi) / self.n.to(FLOAT)).apply("Cos")
        cosine, sine = ((q * window).reshape(1, -1) @ part for part in self.phases(self.at))
        power = (cosine * cosine + sine * sine).reshape(-1)
        count = self.tone.size(0)
        octave = power.take((self.tone * 2 - 1).at_most(count - 1))
        inside = (self.hertz >= passband[0]) & (self.hertz <= passband[1])
        return self.hertz.take(self.writer.where(inside, power + octave * 0.5, -1.0).best(0))

    def comb(self, series: Value, rate: Value) -> Value:
        """form_wave.comb of witnesses (K, n): p (n,)."""
        w, n, hop = self.writer, self.span, self.hop
        window = 0.5 - 0.5 * (self.within.to(FLOAT) * (2 * np.pi) / n.to(FLOAT)).apply("Cos")
        count = (self.n + n + hop - 1) // hop
        at = (w.range(0, count) * hop).reshape(-1, 1) + self.within - n
        valid = ((at >= 0) & (at < self.n)).to(FLOAT)
        spans = series.take(at.within(0, self.n - 1), axis=1) * valid * window
        cosine, sine = self._span_phases
        kept = self._fused((spans @ cosine, spans @ sine), rate)
        wave = kept[0] @ cosine.transposed(1, 0) + kept[1] @ sine.transposed(1, 0)
        wave = wave * window * 2 / self.size.to(FLOAT)
        p = self._overlapped(wave, window, count)
        p = p - p.mean()
        return p / (p * p).mean().apply("Sqrt").at_least(1e-12)

    def _overlapped(self, wave: Value, window: Value, count: Value) -> Value:
        """The spans (S, span), which start every hop, added up and divided by the weight of their windows: (n,)."""
        w, n, hop = self.writer, self.span, self.hop
        near = w.range(0, n // hop + 1)  # one more span may cover a sample than there are hops in a span
        number = ((self.at + n) // hop).reshape(-1, 1) - near
        place = (self.at + n).reshape(-1, 1) - number * hop
        covers = ((place >= 0) & (place < n) & (number >= 0) & (number < count)).to(FLOAT)
        number, place = number.within(0, count - 1), place.within(0, n - 1)
        total = (wave.reshape(-1).take(number * n + place) * covers).sum(1)
        weight = ((window * window).take(place) * covers).sum(1)
        return total / weight.at_least(1e-6)

    def _fused(self, spectra: tuple[Value, Value], rate: Value) -> tuple[Value, Value]:
        """form_wave.fused of cosine and sine sums (K, S, F): both of the kept wave (S, F)."""
        cosine, sine = spectra
        power = cosine * cosine + sine * sine
        close = (self.hertz - rate).apply("Abs") < rate * 0.15
        first = power.cut(0, 0, 1).reshape(-1, self.tone.size(0))
        local = self.hertz.take(self.writer.where(close, first, -1.0).best(1)).reshape(-1, 1)
        parts = [self._tooth(k, local, cosine, sine, power) for k in range(1, HARMONICS + 1)]
        return sum(p[0] for p in parts[1:]) + parts[0][0], sum(p[1] for p in parts[1:]) + parts[0][1]

    def _tooth(self, k: int, local: Value, cosine: Value, sine: Value, power: Value) -> tuple[Value, Value]:
        half = TOOTH_HZ * (1 + 0.35 * (k - 1))
        distance = (self.hertz - local * k).apply("Abs")
        gap = ((distance < local * 0.5) & (distance > 1.8 * half)).to(FLOAT)
        tooth = (distance < half).to(FLOAT)
        noise, signal = self._between(power, gap, tooth)
        share = 1 / (noise + signal * TRUST + 1e-12)
        whole = share.sum(0)
        cosine, sine = ((share * part).sum(0) / whole for part in (cosine, sine))
        noise, signal = self._between(cosine * cosine + sine * sine, gap, tooth)
        taper = ((1.3 * half - distance) / (0.3 * half)).within(0, 1)
        gain = (1 - noise / (signal + 1e-20)).at_least(0) * taper
        return cosine * gain, sine * gain

    def _between(self, power: Value, gap: Value, tooth: Value) -> tuple[Value, Value]:
        """form_wave.between: noise and signal (..., S, 1)."""
        count = gap.sum(-1, keep=True)
        logs = ((power + 1e-30).apply("Log") * gap).sum(-1, keep=True) / count.at_least(1)
        noise = logs.apply("Exp") * GAP_NOISE * count.at_most(1)
        return noise, (power * tooth).sum(-1, keep=True) / tooth.sum(-1, keep=True).at_least(1)

    def slope(self, series: Value, p: Value) -> Value:
        """form_wave.slope: ()."""
        found = (series * p).sum() / ((p * p).sum() + 1e-12)
        return self.writer.where(found > 0, found, NONE)
