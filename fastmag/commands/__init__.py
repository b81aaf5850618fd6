"""The commands, by what they are about; fastmag.cli puts them together.

options.py  flags made from params, and the types of their values
video.py    magnify, measure, doctor, demo
people.py   render, train
judge.py    evaluate
"""
