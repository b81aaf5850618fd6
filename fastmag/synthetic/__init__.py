"""People whose pulse and breath are known, rendered: to train the network, to judge every method, and as a first
sample."""

from fastmag.synthetic.cast import Member, Recording, cast, recordings
from fastmag.synthetic.cells import CellClip, reduce_to_cells, render_cells
from fastmag.synthetic.clip import Clip, magnified, render_clip
from fastmag.synthetic.render import Shot
from fastmag.synthetic.settings import Settings

__all__ = [
    "CellClip",
    "Clip",
    "Member",
    "Recording",
    "Settings",
    "Shot",
    "cast",
    "magnified",
    "recordings",
    "reduce_to_cells",
    "render_cells",
    "render_clip",
]
