"""How a person is reached, and for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.events.severity import Severity
from shoal.notifications.contact import (
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    Contact,
    parse_email,
    parse_name,
    parse_severity,
)


@pytest.mark.parametrize("wanted", Severity)
@pytest.mark.parametrize("severity", Severity)
def test_a_person_is_told_of_what_is_at_least_as_bad_as_they_want(wanted: Severity, severity: Severity) -> None:
    person = Contact(id="con-1", tenant="ten-1", name="Kari", email="k@farm.example", min_severity=wanted)

    assert person.wants(severity) == (severity.rank <= wanted.rank)


def test_a_name_is_one_line() -> None:
    assert parse_name("  Kari   Nordmann \n") == "Kari Nordmann"
    assert parse_name("ø" * NAME_CHARACTERS_MAX) == "ø" * NAME_CHARACTERS_MAX


@pytest.mark.parametrize("raw", ["", "  ", "x" * (NAME_CHARACTERS_MAX + 1), "a\x00b", "a\u202eb"])
def test_a_name_that_is_none_is_rejected(raw: str) -> None:
    with pytest.raises(Rejected, match="name"):
        parse_name(raw)


@pytest.mark.parametrize("raw", ["kari@farm.example", " kari.nordmann+shoal@mail.farm.example ", "root@localhost"])
def test_an_address_that_mail_servers_know_is_taken(raw: str) -> None:
    assert parse_email(raw) == raw.strip()


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "kari",
        "kari@",
        "@farm.example",
        "kari@farm..example",
        "kari@farm.example\r\nBcc: all@farm.example",
        "Kari <kari@farm.example>",
        "kari@farm.example,ola@farm.example",
        "kåri@farm.example",
        "k" * 65 + "@farm.example",
        "k@" + "x" * EMAIL_CHARACTERS_MAX,
    ],
)
def test_an_address_that_is_none_is_rejected(raw: str) -> None:
    with pytest.raises(Rejected, match="email"):
        parse_email(raw)


@given(st.text(max_size=60))
def test_no_address_breaks_a_header(raw: str) -> None:
    try:
        email = parse_email(raw)
    except Rejected:
        return
    assert email.isascii()
    assert email.isprintable()
    assert " " not in email


def test_a_severity_is_known_by_its_word() -> None:
    assert parse_severity(" High ") is Severity.HIGH
    with pytest.raises(Rejected, match="critical, high, warning, informational"):
        parse_severity("dreadful")
