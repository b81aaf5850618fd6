"""Eulerian video magnification (Wu, Rubinstein, Shih, Guttag, Durand, Freeman, SIGGRAPH 2012)."""

from __future__ import annotations

from itertools import islice

from fastmag import passes
from fastmag.baselines.level import Level, attenuated
from fastmag.columns import along_time
from fastmag.errors import InputError
from fastmag.ops import Ops
from fastmag.params import EvmColor
from fastmag.passes import Outcome
from fastmag.temporal import check_passband, ideal, shortest

MIT_DROPS = 10  # frames at the end that the released code leaves out


def magnify_color(source, sink, params: EvmColor, ops: Ops, progress: passes.Progress = passes.silent) -> Outcome:
    """EVM for colour: a level of the Gaussian pyramid, an ideal band-pass over all frames, times alpha, added.

    Raises InputError where the clip is too short or too slow for the passband.
    """
    mit = params.compat == "mit"
    slowed = (params.fs or source.fps) / source.fps
    check_passband(params.passband, source.fps * slowed)
    if mit:
        source = Shortened(source, MIT_DROPS)
    level = Level(source.picture, ops, params.level, params.alpha * attenuated(params.chroma), mit)
    spool, times = passes.analyse(source, level, progress, stride=1)
    check_length(len(spool), params.passband, source.fps * slowed)
    change, grid, fps = passes.even(spool, times)
    with change, sink:
        along_time(change, lambda series: ideal(series, params.passband, fps * slowed, one_sided=mit))
        count = passes.synthesise(source, sink, level, change, grid, progress)
    return Outcome(count, said(params.passband, params.alpha / 2 if mit else params.alpha))


def check_length(count: int, passband: tuple[float, float], fps: float) -> None:
    """Raise InputError where so few frames hold fewer than two periods of the passband's low end."""
    needed = shortest(passband, fps)
    if count < needed:
        raise InputError(
            f"the clip has {count} frames; a passband from {passband[0]:.3g} Hz needs at least {needed} "
            f"({needed / fps:.1f} seconds): use a longer clip"
        )


def said(passband: tuple[float, float], alpha: float) -> str:
    """One line for the user."""
    return f"what changes at {passband[0]:.3g}-{passband[1]:.3g} Hz is {1 + alpha:.3g} times as strong"


class Shortened:
    """A source without its last frames."""

    def __init__(self, source, drop: int):
        self._source, self._drop = source, drop
        self.fps, self.picture = source.fps, source.picture
        self.n_frames = source.n_frames and max(source.n_frames - drop, 0)

    def frames(self):
        """All frames but the last `drop`, in order."""
        held: list = []
        frames = self._source.frames()
        held.extend(islice(frames, self._drop))
        for frame in frames:
            held.append(frame)
            yield held.pop(0)
