"""Paths of LwM2M's tree: `/3/0/9` is resource 9 of instance 0 of object 3."""

import re
from dataclasses import dataclass
from typing import Final

from shoal.errors import Rejected

_FORM: Final = re.compile(r"/(\d{1,5})(?:/(\d{1,5})(?:/(\d{1,5})(?:/(\d{1,5}))?)?)?", re.ASCII)
# OMA LwM2M Core 1.1 §7.3: identifiers are 16 bit; 65535 means "no instance" and never stands in a path.
IDENTIFIER_MAX: Final = 65_534


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """One to four identifiers: object, instance, resource, resource instance."""

    object: int
    instance: int | None = None
    resource: int | None = None
    resource_instance: int | None = None

    @classmethod
    def parse(cls, raw: str) -> "Path":
        """`/3`, `/3/0`, `/3/0/9` or `/3/0/11/0`; with or without the slash in front.

        Raises:
            Rejected: anything else.
        """
        text = raw if raw.startswith("/") else f"/{raw}"
        found = _FORM.fullmatch(text)
        if found is None:
            raise Rejected("path", f"{raw[:40]!r} is not like /3/0/9")
        identifiers = [int(part) for part in found.groups() if part is not None]
        if any(identifier > IDENTIFIER_MAX for identifier in identifiers):
            raise Rejected("path", f"an identifier in {raw[:40]!r} is larger than {IDENTIFIER_MAX}")
        return cls(*identifiers)

    @property
    def identifiers(self) -> tuple[int, ...]:
        parts = (self.object, self.instance, self.resource, self.resource_instance)
        return tuple(part for part in parts if part is not None)

    def contains(self, other: "Path") -> bool:
        """Whether `other` is this path or lies beneath it."""
        return other.identifiers[: len(self.identifiers)] == self.identifiers

    def __str__(self) -> str:
        return "".join(f"/{identifier}" for identifier in self.identifiers)
