"""Errors say whose fault they are."""

import pytest

from shoal.errors import Conflict, DeviceFault, NotFound, Outdated, Rejected, Unavailable, check_version


def test_a_rejection_carries_fields_not_a_sentence() -> None:
    refused = Conflict("enclosure", "it has devices", devices=3)

    assert isinstance(refused, Rejected)
    assert (refused.kind, refused.subject, refused.reason, refused.facts["devices"]) == (
        "conflict",
        "enclosure",
        "it has devices",
        3,
    )
    assert str(refused) == "enclosure: it has devices"


def test_each_kind_of_rejection_has_its_own_word() -> None:
    assert Rejected("a", "b").kind == "invalid"
    assert NotFound("a", "b").kind == "not-found"


def test_a_device_fault_says_when_there_was_no_answer() -> None:
    assert str(DeviceFault("dev-1", "read", None)) == "dev-1: read not answered"
    assert str(DeviceFault("dev-1", "write", "4.05", "read only")) == "dev-1: write 4.05 read only"


def test_an_absent_neighbour_comes_with_a_remedy() -> None:
    away = Unavailable("SMTP server", "connection refused", "Check smtp_host")

    assert str(away) == "SMTP server: connection refused. Check smtp_host"


def test_only_who_has_seen_the_latest_version_may_change_it() -> None:
    check_version("frm-1", 3, None)
    check_version("frm-1", 3, 3)

    with pytest.raises(Outdated) as caught:
        check_version("frm-1", 3, 2)

    assert isinstance(caught.value, Conflict)
    assert caught.value.kind == "outdated"
    assert caught.value.facts == {"version": 3, "expected": 2}
