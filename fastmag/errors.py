"""The two ways in which fastmag says no."""


class InputError(ValueError):
    """The user's input is wrong: what it was, what was expected, and the remedy, in one line (exit code 2)."""


class DamagedVideo(RuntimeWarning):
    """A video broke off in the middle; what could be decoded was used (exit code 1)."""
