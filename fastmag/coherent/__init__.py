"""The coherent form for colour: agreement with y over time decides how much, |dy/dX| decides where.

wave.py        y -> p, the pulse wave (adaptive comb)
ends.py        a wave goes on beyond both ends of a clip
seed.py        |dy/dX| -> where to start
skin.py        the seed -> colours of skin in this clip -> a map
sway.py        the head's own small motion, found and taken out
regression.py  the map and p -> how strongly each cell beats, shrunk towards the map
fusion.py      y, the skin's mean and the cells' sum -> a better p, with which the evidence is weighed again
clues.py       colour, |dy/dX|, the map so far, what follows p -> what a cell has to say for itself
learned.py     the clues -> the map, by the skin network
amplitude.py   how much in each channel; is there a pulse at all
local.py       how much of a pixel beats, by its colour and the map of the cells around it
estimate.py    the order of these steps
"""
