"""A log line is a dotted name and its facts."""

import json
import logging
import sys
from datetime import timedelta

from shoal.app.logs import FactFormatter, JsonFormatter


def record(message: str, level: int = logging.INFO, **facts: object) -> logging.LogRecord:
    made = logging.LogRecord("shoal", level, __file__, 1, message, (), None)
    made.created = 1_780_000_000.25
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def line(message: str, level: int = logging.INFO, **facts: object) -> str:
    return FactFormatter().format(record(message, level, **facts))


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


def test_for_programs_a_line_is_an_object_with_the_same_facts() -> None:
    shown = JsonFormatter().format(
        record(
            "worker.waits", logging.WARNING, group="health", partition=3, left=timedelta(seconds=2), said='a "b"\n{}'
        )
    )

    assert "\n" not in shown
    assert json.loads(shown) == {
        "time": "2026-05-28T20:26:40.250Z",
        "level": "warning",
        "event": "worker.waits",
        "group": "health",
        "partition": 3,
        "left": "0:00:02",
        "said": 'a "b"\n{}',
    }


def test_a_fact_cannot_pass_for_the_time_or_the_event() -> None:
    shown = json.loads(JsonFormatter().format(record("notification.attempted", event="forged", time="yesterday")))

    assert (shown["event"], shown["time"]) == ("notification.attempted", "2026-05-28T20:26:40.250Z")


def test_an_exception_is_one_line_for_programs() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        made = record("worker.stuck", logging.ERROR)
        made.exc_info = sys.exc_info()

    shown = JsonFormatter().format(made)

    assert "\n" not in shown
    assert "ValueError: no" in json.loads(shown)["exception"]
