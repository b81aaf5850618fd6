"""Timings behind a correctness gate: `python -m bench` measures, `python -m bench table` prints what was measured."""
