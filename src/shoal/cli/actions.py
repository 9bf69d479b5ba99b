"""What the groups of commands share: how an action is added, how it reaches the data, what it says and in which form."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from shoal.app.desk import Desk, desk
from shoal.errors import Rejected
from shoal.onboarding.label import terminal_code
from shoal.settings import Settings

Stored: TypeAlias = Callable[[argparse.ArgumentParser], None]
Settle: TypeAlias = Callable[[argparse.Namespace], Settings]
Run: TypeAlias = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]

_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
# A thousand years: what no calendar can hold is as wrong as what is merely too long.
_DURATION_MAX: Final = timedelta(days=365_250)
# A PEM certificate takes a tenth of it, a key less.
_TEXT_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Actions:
    """The actions of a group: `shoal GROUP ACTION`. `stored` adds where the data are, `settle` reads the settings."""

    group: str
    stored: Stored
    settle: Settle
    parsers: Any = None

    @classmethod
    def of(
        cls, command: argparse.ArgumentParser, group: str, description: str, stored: Stored, settle: Settle
    ) -> "Actions":
        """A group that describes itself."""
        describe(command, description)
        return cls(group, stored, settle, command.add_subparsers(required=True, metavar="ACTION"))

    def add(self, name: str, run: Run, **texts: Any) -> argparse.ArgumentParser:
        """Adds an action."""
        return self.make(self.parsers.add_parser(name, **texts), f"{self.group} {name}", run)

    def make(self, parser: argparse.ArgumentParser, command: str, run: Run) -> argparse.ArgumentParser:
        """Makes a parser the one of a command that works on the data of a tenant."""
        parser.add_argument("--tenant", metavar="TENANT", help="name or id; may be left out while there is only one")
        self.stored(parser)
        parser.set_defaults(run=run, settle=self.settle, command=command)
        return parser


def describe(command: argparse.ArgumentParser, description: str) -> None:
    """Help with lines that stay as they are."""
    command.description = description
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def with_json(parser: argparse.ArgumentParser) -> None:
    """Lets an action answer programs: in the shapes of the API."""
    parser.add_argument("--json", action="store_true", help="for programs: JSON as the API answers it, a thing a line")


def opened(given: argparse.Namespace) -> AbstractAsyncContextManager[Desk]:
    """The desk of the tenant that a command is about."""
    return desk(given.settle(given), given.tenant, given.command)


def say(*lines: str) -> None:
    """Tells people, or whoever reads the standard output."""
    print(*lines, sep="\n", flush=True)


def note(*lines: str) -> None:
    """Tells people only: on the standard error, where no program takes it for the answer."""
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def say_json(*things: BaseModel | dict[str, Any]) -> None:
    """Tells programs: one object a line."""
    for thing in things:
        say(thing.model_dump_json() if isinstance(thing, BaseModel) else json.dumps(thing))


def say_table(rows: Iterable[Sequence[str]]) -> None:
    """Rows with their columns beneath each other; blanks at the ends of lines are left out."""
    known = [[_legible(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*known, strict=True)]
    for row in known:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def say_code(text: str) -> None:
    """The code as something to scan, where there is a screen to scan it from."""
    if sys.stdout.isatty():
        say("", terminal_code(text), "")


def show_progress(text: str) -> None:
    """How far it is, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def duration(raw: str) -> timedelta:
    """`90m`, `12h`, `7d`, `2w`, or 0. An ArgumentTypeError for what is none, which argparse tells."""
    if raw == "0":
        return timedelta()
    match = re.fullmatch(r"(\d{1,7})([mhdw])", raw.strip().lower(), re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{raw!r} is no duration: 90m, 12h, 7d or 2w")
    return min(int(match[1]) * _UNITS[match[2]], _DURATION_MAX)


def moment(raw: str) -> datetime:
    """`2026-11-28`, `2026-11-28T14:00+01:00`, in this machine's time unless said; or how long ago: `24h`."""
    if re.fullmatch(r"\d+[mhdw]", raw.strip().lower(), re.ASCII):
        return datetime.now(UTC) - duration(raw)
    try:
        return datetime.fromisoformat(raw).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{raw!r} is no time: 2026-11-28, 2026-11-28T14:00, or 24h ago") from error


def text_of(file: Path) -> str:
    """A text; `-` is the standard input. Raises Rejected: it cannot be read, or is too long."""
    try:
        if str(file) == "-":
            text = sys.stdin.read(_TEXT_BYTES_MAX + 1)
        else:
            with file.open(encoding="utf-8") as reading:
                text = reading.read(_TEXT_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(str(file), f"cannot be read: {error}") from error
    if len(text) > _TEXT_BYTES_MAX:
        raise Rejected(str(file), f"longer than {_TEXT_BYTES_MAX} characters")
    return text


def day_of(at: datetime | None) -> str:
    """A day for people, in UTC; empty for never."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d}"


def time_of(at: datetime | None) -> str:
    """A moment for people, in UTC; empty for never."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def _legible(text: str) -> str:
    """What somebody called a thing must not move the cursor of whoever reads it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
