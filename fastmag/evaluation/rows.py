"""What all rows of a judgement have in common: one method on one clip."""

from __future__ import annotations

import dataclasses
from typing import ClassVar


class Flat:
    """A row whose PARTS are dataclasses of figures, and the same on one level of names, for tables."""

    MAIN: ClassVar[str]  # the method whose figures are said while a run goes on
    PARTS: ClassVar[dict[str, type]]
    clip: str
    task: str
    method: str

    @property
    def present(self) -> bool:
        """Whether the clip has anything to magnify."""
        raise NotImplementedError

    def said(self) -> str:
        """A few words while a run goes on."""
        raise NotImplementedError

    def flat(self) -> dict:
        """All figures by name."""
        own: dict = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            own |= dataclasses.asdict(value) if field.name in self.PARTS else {field.name: value}
        return own

    @classmethod
    def of_flat(cls, flat: dict):
        """The row that `flat` came from."""
        parts = {name: kind(**{f.name: flat[f.name] for f in dataclasses.fields(kind)})
                 for name, kind in cls.PARTS.items()}  # fmt: skip
        own = {f.name: flat[f.name] for f in dataclasses.fields(cls) if f.name not in parts}  # type: ignore[arg-type]
        return cls(**own, **parts)
