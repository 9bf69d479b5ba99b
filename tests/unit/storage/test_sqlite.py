"""Errors of SQLite in the words of an operator."""

import sqlite3
from pathlib import Path

import pytest

from shoal.storage.sqlite import unavailable

PATH = Path("/data/shoal.db")


def error(code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError("said by SQLite")
    made.sqlite_errorcode = code  # type: ignore[misc]
    return made


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (sqlite3.SQLITE_BUSY, "locked"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk reports an error"),
        (sqlite3.SQLITE_FULL, "disk is full"),
        (sqlite3.SQLITE_READONLY, "may not be written"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT, "damaged"),
        (sqlite3.SQLITE_NOTADB, "damaged"),
    ],
)
def test_what_an_operator_can_mend_is_said_with_the_remedy(code: int, reason: str) -> None:
    told = unavailable(error(code), PATH)

    assert told is not None
    assert str(PATH) in told.reason
    assert reason in told.reason
    assert told.remedy


@pytest.mark.parametrize("wrong", [error(sqlite3.SQLITE_ERROR), error(sqlite3.SQLITE_CONSTRAINT_UNIQUE), KeyError()])
def test_our_own_mistakes_stay_what_they_are(wrong: Exception) -> None:
    assert unavailable(wrong, PATH) is None
