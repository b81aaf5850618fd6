"""Rows of a judgement on disk: appended as clips are done, so that a stopped run goes on; tables at the end."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from fastmag import __version__
from fastmag.errors import InputError
from fastmag.evaluation.judging import Row
from fastmag.evaluation.rows import Flat
from fastmag.files import WholeFile


class Record:
    """Rows of one run, in a folder or, without one, in memory alone.

    folder: holds asked.json and rows.jsonl, one row a line. `asked`: what must agree for a run to go on. kind: of row.
    Raises InputError when the folder holds another run.
    """

    def __init__(self, folder: str | Path | None, asked: dict, kind: type[Flat] = Row):
        self.rows: list = []
        self._path: Path | None = None
        if folder is None:
            return
        home = Path(folder)
        if home.exists() and not home.is_dir():
            raise InputError(f"{home} is a file; expected a folder for the results: name another one")
        home.mkdir(parents=True, exist_ok=True)
        self._path = home / "rows.jsonl"
        asked = json.loads(json.dumps(asked))
        if (home / "asked.json").exists():
            before = json.loads((home / "asked.json").read_text())
            differing = sorted(k for k in asked.keys() | before.keys() if asked.get(k) != before.get(k))
            if differing:
                raise InputError(f"{home} holds a run with another {', '.join(differing)}: name another folder")
            self.rows = list(_read(self._path, kind))
        else:
            (home / "asked.json").write_text(json.dumps(asked, indent=1) + "\n")

    def has(self, clip: str, methods: Iterable[str]) -> bool:
        """Whether a clip has been judged with all these methods."""
        return set(methods) <= {row.method for row in self.rows if row.clip == clip}

    def add(self, rows: Sequence[Flat]) -> None:
        """All rows of one clip."""
        clips = {row.clip for row in rows}
        self.rows = [row for row in self.rows if row.clip not in clips] + list(rows)
        if self._path is not None:
            with open(self._path, "a") as out:
                out.writelines(json.dumps(plain(row.flat())) + "\n" for row in rows)


def _read(path: Path, kind: type[Flat]) -> Iterable[Flat]:
    """The rows of a file; of a row that is there twice the later one; a line that was cut off is left out."""
    found: dict[tuple[str, str], Flat] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            flat = json.loads(line)
        except ValueError:
            continue
        numbers = {name: float("nan") if v is None else float(v) if v == "inf" else v for name, v in flat.items()}
        found[flat["clip"], flat["method"]] = kind.of_flat(numbers)
    return found.values()


def plain(flat: dict) -> dict:
    """Figures by name as JSON knows them: null where there is none, "inf" where there is no difference."""
    return {
        name: value if not isinstance(value, float) else None if value != value else "inf" if abs(value) == float("inf")
        else value for name, value in flat.items()
    }  # fmt: skip


def write_json(path, rows: Sequence[dict], options: dict) -> None:
    """All figures, each row's by name, with what was asked for and the version that answered."""
    record = {"fastmag": __version__, "options": options, "rows": [plain(row) for row in rows]}
    _write(path, json.dumps(record, indent=1) + "\n")


def write_csv(path, rows: Sequence[Flat]) -> None:
    """One line a clip and method; empty where there is no figure."""
    flat = [plain(row.flat()) for row in rows]
    text = io.StringIO()
    out = csv.DictWriter(text, list(flat[0]) if flat else ["clip"], lineterminator="\n")
    out.writeheader()
    out.writerows(flat)
    _write(path, text.getvalue())


def _write(path, text: str) -> None:
    file = WholeFile(Path(path))
    file.path.write_text(text)
    file.commit()
