"""The tables of docs/conformance name functions and tests that are there, so that they cannot rot."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
TABLES: Final = sorted((ROOT / "docs" / "conformance").glob("*.md"))
HEAD: Final = ("Requirement", "Clause", "Server", "Client", "Proved by")
CRATES: Final = {path.name for path in (ROOT / "crates").iterdir()}
DOCUMENTS: Final = re.compile(
    r"^((Core|Transport) 1\.[012]( (§|appendix )\S+( to §\S+)?)?|RFC \d+( (§|appendix )\S+)?|§\S+)$"
)


class Row(NamedTuple):
    """A requirement: `sides` are the server's cell and the client's."""

    where: str
    requirement: str
    clause: str
    sides: tuple[str, str]
    proved_by: str


def rows(table: Path) -> Iterator[Row]:
    for number, line in enumerate(table.read_text().splitlines(), 1):
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if not line.startswith("|") or cells == HEAD or set(line) <= set("|-"):
            continue
        assert len(cells) == len(HEAD), f"{table.name}:{number} has {len(cells)} cells"
        yield Row(f"{table.name}:{number}", cells[0], cells[1], (cells[2], cells[3]), cells[4])


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def source(reference: str) -> Path:
    """`gateway/uplink.rs` is in `crates/gateway/src`; what names a folder below its crate is there, all else from here."""
    crate, _, rest = reference.partition("/")
    if crate not in CRATES:
        return ROOT / reference
    return ROOT / "crates" / crate / (rest if rest.startswith(("src/", "tests/")) else f"src/{rest}")


def has_function(path: Path, name: str) -> bool:
    return path.is_file() and bool(re.search(rf"\b(fn|def|class) {name}\b", path.read_text()))


def test_every_table_is_read() -> None:
    assert [table.stem for table in TABLES] == ["coap", "formats", "lwm2m"]
    assert sum(len(list(rows(table))) for table in TABLES) > 100


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_function_and_every_test_is_there(table: Path) -> None:
    missing = []
    for row in rows(table):
        functions = [reference for side in row.sides for reference in named(side) if not side.startswith("no:")]
        for reference in functions:
            file, _, name = reference.partition(":")
            if not name or not has_function(source(file), name):
                missing.append(f"{row.where} {reference}")
        for reference in named(row.proved_by):
            file, _, name = reference.partition("::")
            if not (has_function(source(file), name) if name else source(file).exists()):
                missing.append(f"{row.where} {reference}")

    assert missing == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_a_row_says_where_it_comes_from_who_does_it_and_what_proves_it_or_why_not(table: Path) -> None:
    wrong = []
    for row in rows(table):
        is_done = any(named(side) and not side.startswith("no:") for side in row.sides)
        is_waiting = "yes" in row.sides
        if not all(DOCUMENTS.match(clause) for clause in row.clause.split(", ")):
            wrong.append(f"{row.where} clause: {row.clause}")
        wrong.extend(
            f"{row.where} {side!r} is no function, no gap with a reason, and not the other side's"
            for side in row.sides
            if not (named(side) or side in ("—", "yes") or re.match(r"no: \w", side))
        )
        if is_done and not is_waiting and not named(row.proved_by):
            wrong.append(f"{row.where} is not proved: {row.requirement}")

    assert wrong == []
