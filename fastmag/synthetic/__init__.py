"""People whose pulse is known, rendered: to train the network, to judge every method, and as a first sample."""

from fastmag.synthetic.cells import CellClip, reduce_to_cells, render_cells
from fastmag.synthetic.render import Clip, Settings, Shot, magnified, render_clip

__all__ = ["CellClip", "Clip", "Settings", "Shot", "magnified", "reduce_to_cells", "render_cells", "render_clip"]
