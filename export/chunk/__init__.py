"""The coherent form of colour for one chunk of frames, short enough for an ONNX graph.

`fastmag.coherent` reads the pulse from three witnesses in turn, takes the head's sway out and tries several maps. This
form keeps what carries most of the result: the comb for p, the seed from |dy/dX|, the clip's own colours of skin, the
regression of every cell, one better p from the cells, the amplitude and a gate. Every step is a sum, a product, a
matrix or a choice by comparison.

form.py, form_wave.py     what it means, in float64 NumPy
graph.py, graph_wave.py   the same in ONNX operators
writer.py                 ONNX graphs written as arithmetic
"""
