"""Files at the door: clear refusals before work starts, and outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Collection
from pathlib import Path

from fastmag.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def check_source(path: str | os.PathLike[str]) -> Path:
    """`path` as a readable, non-empty file. Raises InputError otherwise."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory; expected a video file: name one of the files in it")
        if not path.exists():
            raise InputError(f"{path} does not exist; expected a video file: check the name and the folder")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes); expected a video file: copy or record it again")
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions and its disk") from error
    return path


def check_destination(
    destination: str | os.PathLike[str],
    sources: Collection[str | os.PathLike[str]] = (),
    extensions: Collection[str] = (),
    overwrite: bool = False,
) -> Path:
    """`destination` as a path that may be written, with links followed.

    Raises InputError when it is one of `sources`, exists without `overwrite`, has an extension outside `extensions`
    (lower case, with the dot; empty: any), is a directory, or its folder is missing or not writable."""
    asked = Path(destination)
    path = asked.resolve()
    if asked.is_dir():
        raise InputError(f"{asked} is a directory; expected a file name: add one, such as {asked / 'out.mp4'}")
    if extensions and path.suffix.lower() not in extensions:
        got = path.suffix or "no extension"
        raise InputError(f"{asked}: cannot write {got}; expected one of {' '.join(extensions)}: change the extension")
    for source in sources:
        if Path(source).exists() and (path == Path(source).resolve() or (path.exists() and path.samefile(source))):
            raise InputError(f"{asked} is the input itself; expected another file: choose a different output name")
    if path.exists() and not overwrite:
        raise InputError(f"{asked} already exists: choose another name or pass --overwrite (overwrite=True)")
    if not path.parent.is_dir():
        raise InputError(f"the folder {asked.parent} does not exist: make it first or choose another output folder")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"the folder {asked.parent} is not writable: choose another output folder or its permissions")
    return path


class WholeFile:
    """A file that is written under a hidden temporary name beside its destination and takes its name when whole.

    `path` is the temporary name. Call `commit()` once it is complete, or `discard()`, which is safe at any time."""

    def __init__(self, destination: Path):
        self.destination = destination
        self.path = destination.with_name(f".fastmag-{secrets.token_hex(6)}{destination.suffix}")
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise write_error(error, destination) from error

    def commit(self) -> None:
        os.replace(self.path, self.destination)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def is_full(error: BaseException) -> bool:
    """True for a full disk, an exhausted quota, or a file that outgrew its limit."""
    return getattr(error, "errno", None) in _FULL


def write_error(error: BaseException, destination: Path) -> InputError:
    """`error`, which arose while writing `destination`, as one line with its remedy."""
    reason = getattr(error, "strerror", None) or error
    if is_full(error):
        return InputError(
            f"no room left to write {destination} ({reason}); nothing was kept: "
            "free some space or choose another output folder"
        )
    return InputError(f"{destination} could not be written ({reason}); nothing was kept: choose another output folder")
