"""Which paths of a device a policy means: `*`, `/3/*`, `/3/0/*`, `/3/0/9`, or `/`: the thing itself, without its objects."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from shoal.errors import Rejected
from shoal.lwm2m.path import Path

# The numbers of a path from the outside in. `/3/0/9` and all of its instances begin with (3, 0, 9).
Numbers: TypeAlias = tuple[int, ...]

# A resource is the innermost that is granted apart: `/3/0/9`.
NUMBERS_MAX: Final = 3
# The longest is "/65534/65534/65534".
PATTERN_CHARACTERS_MAX: Final = 24


@dataclass(frozen=True, slots=True)
class Pattern:
    """A set of paths: all that begin with these numbers. None is the thing itself and none of its objects."""

    numbers: Numbers | None

    @classmethod
    def parse(cls, raw: str) -> "Pattern":
        """The pattern that somebody wrote; `/3` is taken for `/3/*`.

        Raises:
            Rejected: none of the five forms.
        """
        text = raw.strip()
        if text == "*" or text == "/*":
            return ALL
        if text == "/":
            return ITSELF
        if len(text) > PATTERN_CHARACTERS_MAX:
            raise Rejected("paths", "too long for a path")
        try:
            path = Path.parse(text.removesuffix("/*"))
        except Rejected as error:
            raise Rejected("paths", f"{text} is none of *, /, /3/*, /3/0/*, /3/0/9") from error
        numbers = path.identifiers
        if len(numbers) > NUMBERS_MAX or (text.endswith("/*") and len(numbers) == NUMBERS_MAX):
            raise Rejected("paths", f"{text} is more than a resource, the innermost that a policy can name")
        return cls(numbers)

    def __str__(self) -> str:
        if self.numbers is None:
            return "/"
        text = "".join(f"/{number}" for number in self.numbers)
        return text if len(self.numbers) == NUMBERS_MAX else f"{text}/*" if text else "*"

    def covers(self, numbers: Numbers | None) -> bool:
        """Whether all that is asked for lies within: a path, or None for the thing itself."""
        if numbers is None or self.numbers is None:
            return self.numbers == numbers or self.numbers == ()
        return numbers[: len(self.numbers)] == self.numbers

    def touches(self, numbers: Numbers | None) -> bool:
        """Whether anything that is asked for lies within: reading `/3` reads `/3/0/9`, too."""
        if numbers is None or self.numbers is None:
            return self.covers(numbers)
        return self.covers(numbers) or self.numbers[: len(numbers)] == numbers


ALL: Final = Pattern(())
ITSELF: Final = Pattern(None)
