"""The coherent form of colour for one chunk of frames as an ONNX graph: `fastmag.coherent`, step by step.

form.py             what it means: `fastmag magnify`, with its band-pass as a matrix
graph.py            the estimator and its gate
graph_wave.py       the time axis: windows, filters, combs, the fusion of witnesses
graph_ends.py       waves foretold beyond the ends of a chunk
graph_cells.py      maps of cells: blurred, scaled, told by colour
graph_evidence.py   how strongly cells beat; the head's sway
graph_map.py        clues, the skin network, models of colour
writer.py           ONNX graphs written as arithmetic
"""
