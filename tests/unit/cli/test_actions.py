"""What the groups of commands share: durations and moments as people write them, tables, files that are too long."""

import argparse
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.actions import day_of, duration, moment, say_table, text_of, time_of
from shoal.errors import Rejected


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        (" 7D ", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("0", timedelta()),
        ("0d", timedelta()),
        ("0m", timedelta()),
        ("9999999w", timedelta(days=365_250)),
    ],
)
def test_a_duration_is_read_as_people_write_it(raw: str, meant: timedelta) -> None:
    assert duration(raw) == meant


@given(st.text(max_size=12))
def test_any_text_is_a_duration_and_a_moment_or_neither(raw: str) -> None:
    for read in (duration, moment):
        with contextlib.suppress(argparse.ArgumentTypeError):
            read(raw)


def test_a_moment_is_a_day_a_time_or_how_long_ago() -> None:
    assert moment("2026-11-28T14:00+01:00") == datetime(2026, 11, 28, 13, tzinfo=UTC)
    assert moment("2026-11-28").tzinfo is UTC
    before = datetime.now(UTC)
    assert before <= moment("24h") + timedelta(hours=24) <= datetime.now(UTC)


def test_columns_stand_beneath_each_other_and_nothing_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say_table([("a", "long", ""), ("bb\x1b[2J", "b", "")])
    say_table([])

    assert capsys.readouterr().out == "a       long\nbb\ufffd[2J  b\n"


def test_a_file_that_cannot_be_a_key_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("00 11")
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    assert text_of(tmp_path / "key") == "00 11"
    for name, reason in (("long", "longer than"), ("binary", "cannot be read"), ("absent", "No such file")):
        with pytest.raises(Rejected, match=reason):
            text_of(tmp_path / name)


def test_never_is_told_by_nothing() -> None:
    at = datetime(2026, 11, 28, 14, 0, 5, tzinfo=UTC)

    assert (day_of(at), time_of(at)) == ("2026-11-28", "2026-11-28 14:00:05Z")
    assert (day_of(None), time_of(None)) == ("", "")
