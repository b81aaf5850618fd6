"""How fastmag says no, and what it says beforehand."""


class InputError(ValueError):
    """The user's input is wrong: what it was, what was expected, and the remedy, in one line (exit code 2).

    What the message quotes may come from a file of anybody's: nothing in it ends the line or drives the terminal.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__("".join(c if c.isprintable() else " " for c in str(message)))


class DeviceFull(InputError):
    """The memory of a GPU is full: whoever asked for a batch may ask for less at a time."""


class DamagedVideo(RuntimeWarning):
    """A video broke off in the middle; what could be decoded was used (exit code 1)."""


class DiskSpace(UserWarning):
    """A long job is about to take much room for temporary files; there is enough."""


class WrongProvider(RuntimeWarning):
    """A provider gives wrong gradients here; another one is used."""
