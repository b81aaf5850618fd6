"""The time axis of a chunk in ONNX operators: windows, filters, the pulse wave of coherent/wave.py and fusion.py.

Angles are products of whole numbers, reduced before they are made float: so float32 is enough for any chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastmag.coherent import fusion
from fastmag.coherent.ends import LESS_UNSURE_SECONDS, UNSURE_SECONDS
from fastmag.coherent.wave import EDGE_SECONDS, HARMONICS, HOP, OVERSAMPLING, SPAN_SECONDS, TOOTH_HZ, WIDE_HZ
from fastmag.export.chunk.form import FILTER_SECONDS, RESPONSE_BINS, SLACK
from fastmag.export.chunk.graph_ends import continued
from fastmag.export.chunk.writer import FLOAT, INT, Operand, Value, Writer, added

HIGHEST_HZ = 10.5  # above all that a comb keeps: three times a fast pulse, and the reach of its last tooth
RATE_HZ = 0.004  # from one rate to the next that is tried; five of them are smoothed
Spectra = tuple[Value, Value]  # sums with cosines and with sines, (..., S, F)


@dataclass(frozen=True)
class Wave:
    """coherent.wave.Wave: p and position (n,), the rate in hertz ()."""

    p: Value
    rate: Value
    position: Value


class Clock:
    """The time axis of a chunk: `n` samples () at `fps` () a second, both known when the graph runs."""

    def __init__(self, writer: Writer, n: Value, fps: Value, passband: tuple[float, float]):
        self.writer, self.n, self.fps, self.passband = writer, n, fps, passband
        self.at = writer.range(0, n)
        self.span = self.frames_of(SPAN_SECONDS) // 2 * 2
        self.hop, self.size = self.span // HOP, self.span * OVERSAMPLING
        top = (fps * 0.5).at_most(HIGHEST_HZ)
        self.tone = writer.range(0, (top / fps * self.size.to(FLOAT) + SLACK).to(INT) + 1)  # (F,) cycles of a spectrum
        self.hertz = self.tone.to(FLOAT) * (fps / self.size.to(FLOAT))
        self.within = writer.range(0, self.span)
        self._windows: dict[float, Value] = {}
        self._cosine, self._sine = self._phases(self.within, self.tone, self.size)
        self._nine = self._around(4)
        self.band = self._band(*passband)
        self.wide = self._band(WIDE_HZ[0], (fps * 0.45).at_most(WIDE_HZ[1]))

    def frames_of(self, seconds: float) -> Value:
        """Whole frames in a time."""
        return (self.fps * seconds + SLACK).to(INT)

    def box(self, seconds: float) -> Value:
        """coherent.regression.box as a matrix (n, n)."""
        if seconds not in self._windows:
            frames = self.frames_of(seconds)
            self._windows[seconds] = self.mean_over((frames // 2 * 2 + 1).at_most(self.n * 2 - 1))
        return self._windows[seconds]

    def mean_over(self, width: Operand) -> Value:
        """ops.smooth_time over `width` frames, odd, as a matrix (n, n): the first and last one are repeated."""
        reach, last = width // 2, self.n - 1
        row, column = self.at.reshape(-1, 1), self.at.reshape(1, -1)
        inside = ((row - column).apply("Abs") <= reach).to(FLOAT)
        before = (reach - row).at_least(0).to(FLOAT) * (column < 1).to(FLOAT)
        after = (row + reach - last).at_least(0).to(FLOAT) * (column >= last).to(FLOAT)
        return (inside + before + after) / (width.to(FLOAT) if isinstance(width, Value) else float(width))

    def _band(self, low: Operand, high: Operand) -> Value:
        """form.band of the Butterworth band-pass with six poles: (n, n)."""
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
        """|H|^2 at the middles of the bins, by the bilinear transform."""
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

    def _phases(self, samples: Value, tones: Value, size: Value) -> tuple[Value, Value]:
        """Cosine and sine (m, F) at samples (m,) of so many cycles (F,) in `size` samples."""
        angle = ((samples.reshape(-1, 1) * tones) % size).to(FLOAT) * (2 * np.pi) / size.to(FLOAT)
        return angle.apply("Cos"), angle.apply("Sin")

    def pulse_wave(self, y: Value) -> Wave:
        """coherent.wave.pulse_wave of y (n - 1,)."""
        w = self.writer
        position = w.join(w.zeros(1), w.op("CumSum", y - y.mean(), w.constant(0, INT)))
        q = self.wide @ position
        p = self._by_spans(q.reshape(1, -1), UNSURE_SECONDS, self._comb(self.dominant_rate(q)))
        known = p * ((q * p).sum() / (p * p).sum().at_least(1e-30))
        return self.wave_of(p, self.wide @ (position - known) + known)

    def wave_of(self, p: Value, position: Value) -> Wave:
        """A Wave of unit standard deviation."""
        away = p - p.mean()
        p = p / (away * away).mean().apply("Sqrt").at_least(1e-12)
        return Wave(p, self.mean_rate(p), position)

    def dominant_rate(self, q: Value) -> Value:
        """coherent.wave.dominant_rate: ()."""
        low, high = self.passband
        hertz = RATE_HZ * np.arange(1, int((2 * high + 0.05) / RATE_HZ))
        time = self.at.to(FLOAT)
        window = 0.5 - 0.5 * (time * (2 * np.pi) / (self.n - 1).to(FLOAT)).apply("Cos")
        angle = time.reshape(-1, 1) * (2 * np.pi * hertz / self.fps)
        cosine, sine = ((q * window).reshape(1, -1) @ angle.apply(part) for part in ("Cos", "Sin"))
        rim = self.writer.zeros(2)
        power = self.writer.join(rim, (cosine * cosine + sine * sine).reshape(-1), rim)
        power = added(*(power.cut(0, k, len(hertz) + k) for k in range(5)))
        octave = power.take(self.writer.constant(np.minimum(2 * np.arange(1, len(hertz) + 1), len(hertz)) - 1, INT))
        known = (self.fps * 0.45 > 2 * hertz).to(FLOAT)
        inside = self.writer.constant((hertz >= low) & (hertz <= high)) > 0.5
        best = self.writer.where(inside, power + octave * known * 0.5, -1.0).best(0)
        return self.writer.constant(hertz).take(best)

    def mean_rate(self, wave: Value) -> Value:
        """coherent.wave.mean_rate: ()."""
        wave = wave - wave.mean()
        rate, size = self.dominant_rate(wave), self.n * 2
        a_tone = self.fps / size.to(FLOAT)
        tones = self.writer.range(0, (1.45 * self.passband[1] / a_tone).to(INT))
        taper = ((0.4 * rate - (tones.to(FLOAT) * a_tone - rate).apply("Abs")) / (0.1 * rate)).within(0, 1)
        cosine, sine = self._phases(self.at, tones, size)
        a, b = (wave @ part * taper for part in (cosine, sine))
        real, imaginary = cosine @ a + sine @ b, sine @ a - cosine @ b
        (x0, x1), (y0, y1) = ((part.cut(0, 0, -1), part.cut(0, 1)) for part in (real, imaginary))
        along, across = x1 * x0 + y1 * y0, y1 * x0 - x1 * y0
        turn = (across / (along + 1e-30)).apply("Atan") + (along < 0).to(FLOAT) * np.pi
        some = (self.n.to(FLOAT) - 1 > 6 * EDGE_SECONDS * self.fps).to(INT) * self.frames_of(EDGE_SECONDS)
        return turn.cut(0, some, self.n - 1 - some).mean() * self.fps / (2 * np.pi)

    def quadrature(self, series: Value) -> Value:
        """coherent.amplitude.quadrature: the Hilbert transform of (n,) by its kernel, of an even and of an odd n."""
        lag = self.at.reshape(-1, 1) - self.at.reshape(1, -1)
        n, odd = self.n.to(FLOAT), (lag.apply("Abs") % 2).to(FLOAT)
        angle = lag.to(FLOAT) * np.pi / n
        cosine, sine = angle.apply("Cos"), angle.apply("Sin") + (lag.apply("Abs") < 1).to(FLOAT)
        kernel = self.writer.where(self.n % 2 < 1, 2 * odd * cosine, cosine - 1 + 2 * odd) / (sine * n)
        return kernel @ series

    def fuse(self, series: list[Value], wave: Wave) -> Wave:
        """coherent.fusion.fuse of witnesses (n,), those that do not follow p left out."""
        reference = self.band @ wave.p
        power = (reference * reference).sum().at_least(1e-30)
        scales = [((self.band @ s) * reference).sum() / power for s in series]
        follows = [(scale > 0).to(FLOAT) for scale in scales]
        rows = [
            (s / scale.at_least(1e-30) * f).reshape(1, -1) for s, scale, f in zip(series, scales, follows, strict=True)
        ]
        stacked = self.writer.join(*rows)
        p = self._by_spans(stacked, LESS_UNSURE_SECONDS, self._fused(wave.rate, follows))
        return self.wave_of(self.writer.where(added(*follows) > 0.5, p, wave.p), wave.position)

    def _by_spans(self, series: Value, unsure: float, kept: Callable[[Spectra], Spectra]) -> Value:
        """coherent.wave.by_spans of (K, n): (n,)."""
        w, n, hop = self.writer, self.span, self.hop
        window = 0.5 - 0.5 * (self.within.to(FLOAT) * (2 * np.pi) / n.to(FLOAT)).apply("Cos")
        longer = continued(w, series, n // 2, self.fps, unsure)
        count = (self.n + n) // hop + 2
        at = (w.range(0, count) * hop).reshape(-1, 1) + self.within - n // 2
        length = self.n + n
        valid = ((at >= 0) & (at < length)).to(FLOAT)
        spans = longer.take(at.within(0, length - 1), axis=1) * valid * window
        cosine, sine = kept((spans @ self._cosine, spans @ self._sine))
        wave = cosine @ self._cosine.transposed(1, 0) + sine @ self._sine.transposed(1, 0)
        return self._overlapped(wave * window * 2 / self.size.to(FLOAT), window, count)

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

    def _comb(self, rate: Value) -> Callable[[Spectra], Spectra]:
        """coherent.wave.tooth_gain on the spectra (1, S, F) of one series."""

        def kept(spectra: Spectra) -> Spectra:
            cosine, sine = (part.reshape(-1, self.tone.size(0)) for part in spectra)
            power = cosine * cosine + sine * sine
            local = self._local(power, rate)
            gain: Value | None = None
            for k in range(1, HARMONICS + 1):
                half, distance = TOOTH_HZ * (1 + 0.35 * (k - 1)), (self.hertz - local * k).apply("Abs")
                gap = ((distance < local * 0.5) & (distance > 1.8 * half)).to(FLOAT)
                signal = mean_where(power, (distance < half).to(FLOAT))
                stands_out = (1 - 1.2 * power.median(gap) / (signal + 1e-20)).at_least(0)
                one = stands_out * taper(distance, 1.3 * half, 0.3 * half) * self._heard(local * k)
                gain = one if gain is None else gain.at_least(one)
            return cosine * gain, sine * gain

        return kept

    def _fused(self, rate: Value, follows: list[Value]) -> Callable[[Spectra], Spectra]:
        """coherent.fusion.fused_spectrum on the spectra (K, S, F) of witnesses."""

        def kept(spectra: Spectra) -> Spectra:
            local = self._local(self._in_units_of_noise(spectra, rate), rate)
            teeth = [self._tooth(k, local, spectra, follows) for k in range(1, HARMONICS + 1)]
            cosine, sine = (added(*parts) for parts in zip(*teeth, strict=True))
            return cosine, sine

        return kept

    def _in_units_of_noise(self, spectra: Spectra, rate: Value) -> Value:
        """The power (S, F) of the sum of the witnesses, each over its noise around `rate`."""
        distance = (self.hertz - rate).apply("Abs")
        noise = power_of(spectra).median(surroundings(distance, TOOTH_HZ, rate)) + 1e-20
        return power_of([(part / noise).sum(0) for part in spectra])

    def _local(self, power: Value, rate: Value) -> Value:
        """The frequency (S, 1) within 15 % of `rate` of the most power (S, F), nine frequencies taken together."""
        close = (self.hertz - rate).apply("Abs") < rate * 0.15
        return self.hertz.take(self.writer.where(close, power @ self._nine, -1.0).best(1)).reshape(-1, 1)

    def _heard(self, frequency: Value) -> Value:
        return (frequency <= self.fps * 0.42).to(FLOAT)

    def _tooth(self, k: int, local: Value, spectra: Spectra, follows: list[Value]) -> Spectra:
        half, distance = TOOTH_HZ * (1 + 0.35 * (k - 1)), (self.hertz - local * k).apply("Abs")
        tooth, gap = (distance < half).to(FLOAT), surroundings(distance, half, local)
        share = least_noise(self.writer, spectra, gap, tooth, follows)  # (K, S, 1)
        total = [(share * part).sum(0) for part in spectra]
        power = power_of(total)
        noise = power.median(gap)
        whole = (1 - fusion.CERTAIN * noise / (mean_where(power, tooth) + 1e-20)).at_least(0)
        differences = [part - one for part, one in zip(spectra, total, strict=True)]
        apart = (share * power_of(differences)).sum(0) @ self._hann(fusion.SMOOTHING[1])
        doubt = (fusion.CERTAIN * noise).at_most(fusion.DISAGREEMENT * apart) * fusion.CAUTIOUS
        single = (1 - doubt / (power @ self._hann(fusion.SMOOTHING[0]) + 1e-20)).within(0, 1)
        near, far = taper(distance, 1.3 * half, 0.3 * half), taper(distance, fusion.REACH * half, half)
        gain = (whole * near).at_least(single * far) * self._heard(local * k)
        return total[0] * gain, total[1] * gain

    def _around(self, reach: int) -> Value:
        """(F, F): 1 for frequencies at most `reach` apart."""
        return ((self.tone.reshape(-1, 1) - self.tone).apply("Abs") <= reach).to(FLOAT)

    def _hann(self, width: int) -> Value:
        """coherent.fusion.smooth as a matrix (F, F)."""
        apart = (self.tone.reshape(-1, 1) - self.tone).apply("Abs").to(FLOAT)
        return (
            (0.5 + 0.5 * (apart * (2 * np.pi / (width + 1))).apply("Cos"))
            * self._around(width // 2)
            * (2 / (width + 1))
        )


def power_of(spectra) -> Value:
    return spectra[0] * spectra[0] + spectra[1] * spectra[1]


def mean_where(power: Value, where: Value) -> Value:
    """(..., 1): the mean of the frequencies where a number is 1."""
    return (power * where).sum(-1, keep=True) / where.sum(-1, keep=True).at_least(1)


def taper(distance: Value, end: float, width: float) -> Value:
    """coherent.fusion.taper."""
    return ((end - distance) / width).within(0, 1)


def surroundings(distance: Value, half: float, rate: Value) -> Value:
    """coherent.fusion.surroundings: 1 or 0."""
    rim = (rate * 0.5).at_least((fusion.SURROUNDINGS + 1) * half)
    return ((distance > fusion.SURROUNDINGS * half) & (distance < rim)).to(FLOAT)


def least_noise(w: Writer, spectra: Spectra, gap: Value, tooth: Value, follows: list[Value]) -> Value:
    """coherent.fusion.least_noise of three witnesses: (3, S, 1). One that does not follow p is silent, all noise."""
    cosine, sine = ([part.cut(0, k, k + 1) for k in range(3)] for part in spectra)
    noise = {}
    for a in range(3):
        for b in range(a, 3):
            noise[a, b] = mean_where(cosine[a] * cosine[b] + sine[a] * sine[b], gap)
        trusted = mean_where(power_of((cosine[a], sine[a])), tooth) * fusion.TRUST
        noise[a, a] = noise[a, a] + trusted + 1e-6 + (1 - follows[a]) * 1e9
    share = w.join(*solve(noise, np.ones(3), 1e-6)).at_least(0)
    return share / share.sum(0)


def solve(s: dict[tuple[int, int], Value], v: Operand, floor: float) -> list[Value]:
    """coherent.regression.solve."""
    l10, l20 = s[0, 1] / s[0, 0], s[0, 2] / s[0, 0]
    d1 = (s[1, 1] - l10 * s[0, 1]).at_least(floor)
    rest = s[1, 2] - l10 * s[0, 2]
    l21 = rest / d1
    d2 = (s[2, 2] - l20 * s[0, 2] - l21 * rest).at_least(floor)
    y1 = v[1] - l10 * v[0]
    x2 = (v[2] - l20 * v[0] - l21 * y1) / d2
    x1 = y1 / d1 - l21 * x2
    return [v[0] / s[0, 0] - l10 * x1 - l20 * x2, x1, x2]
