"""A log line is a dotted name and its facts."""

import logging
import sys

from shoal.app.logs import FactFormatter


def line(message: str, level: int = logging.INFO, **facts: object) -> str:
    record = logging.LogRecord("shoal", level, __file__, 1, message, (), None)
    record.created = 1_780_000_000.25
    for name, value in facts.items():
        setattr(record, name, value)
    return FactFormatter().format(record)


def test_facts_follow_the_name_and_read_back_as_words() -> None:
    assert line("worker.waits", logging.WARNING, group="health", partition=3) == (
        "2026-05-28T20:26:40.250Z warning worker.waits group=health partition=3"
    )


def test_a_fact_with_spaces_quotes_or_lines_stays_one_word() -> None:
    shown = line("registration.refused", endpoint='a "b"\n2026-01-01 error forged', reason="")

    assert shown.endswith(r' endpoint="a \"b\"\n2026-01-01 error forged" reason=""')
    assert "\n" not in shown


def test_an_exception_is_told_whole() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        record = logging.LogRecord("shoal", logging.ERROR, __file__, 1, "worker.stuck", (), sys.exc_info())

    assert "ValueError: no" in FactFormatter().format(record)
