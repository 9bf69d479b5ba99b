"""How a person is reached, and for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import Rejected
from shoal.events.alert import EVERYBODY
from shoal.events.severity import Severity
from shoal.notifications.contact import (
    EMAIL_CHARACTERS_MAX,
    NAME_CHARACTERS_MAX,
    Contact,
    Method,
    parse_email,
    parse_methods,
    parse_name,
    parse_severity,
    reached,
)


def contact(id_: str, wants: Severity = Severity.WARNING) -> Contact:
    ways = [("email", "k@farm.example"), ("dashboard", ""), ("webhook", "chn-1")]
    methods = [Method(channel=channel, address=address) for channel, address in ways]
    return Contact(id=id_, tenant="ten-1", name="Kari", methods=methods, min_severity=wants)


@pytest.mark.parametrize("wanted", Severity)
@pytest.mark.parametrize("severity", Severity)
def test_a_person_is_told_of_what_is_at_least_as_bad_as_they_want(wanted: Severity, severity: Severity) -> None:
    person = contact("con-1", wanted)

    assert person.wants(severity) == (severity.rank <= wanted.rank)


def test_a_step_tells_those_it_names_or_everybody_who_wants_to_hear_and_never_nobody() -> None:
    kari, ola, boss = contact("con-kari"), contact("con-ola"), contact("con-boss", Severity.CRITICAL)
    people = [kari, ola, boss]

    assert reached(people, ["con-boss"], Severity.WARNING) == [boss]
    assert reached(people, [EVERYBODY], Severity.HIGH) == [kari, ola]
    assert reached(people, [EVERYBODY, "con-boss"], Severity.HIGH, told=["con-boss"]) == people
    assert reached(people, ["con-gone"], Severity.HIGH) == [kari, ola]
    assert reached([boss], ["con-gone"], Severity.WARNING) == [boss]
    assert reached([], ["con-gone"], Severity.CRITICAL) == []


def test_the_channels_of_a_step_are_tried_first_and_the_persons_own_order_after_them() -> None:
    kari = contact("con-kari")

    assert [way.channel for way in kari.ways()] == ["email", "dashboard", "webhook"]
    assert [way.channel for way in kari.ways(["webhook", "email"])] == ["webhook", "email", "dashboard"]


@pytest.mark.parametrize(
    ("methods", "says"),
    [
        ([], "nobody could reach them"),
        ([("email", f"k{n}@farm.example") for n in range(11)], "1 to 10"),
        ([("email", "k@farm.example"), (" EMAIL ", "k@farm.example")], "twice"),
        ([("pigeon", "k")], "email, webhook or dashboard"),
        ([("email", "nobody")], "not an email address"),
        ([("webhook", "https://hooks.example")], "chn"),
    ],
)
def test_ways_that_reach_nobody_are_rejected(methods: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(Rejected, match=says):
        parse_methods(methods)


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
