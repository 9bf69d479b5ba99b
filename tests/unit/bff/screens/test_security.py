"""The security log in plain words."""

from pathlib import Path
from typing import Final

import pytest

from shoal.api.refused import BY_NONE, BY_POLICY, BY_RULE, REASONS
from shoal.bff import heard_trust
from shoal.bff.screens.security import WORDS, security_line
from tests.unit.bff.conftest import NOW

CORE: Final = Path(__file__).resolve().parents[4] / "crates" / "gateway" / "src" / "security.rs"


def line(reason: str, **more: object) -> heard_trust.SecurityEvent:
    return heard_trust.SecurityEvent.model_validate(
        {"id": "r-1", "reason": reason, "first_at": NOW, "last_at": NOW, **more}
    )


@pytest.mark.parametrize("reason", sorted(WORDS))
def test_every_reason_says_what_to_do(reason: str) -> None:
    shown = security_line(line(reason))

    assert "_" not in shown.title
    assert shown.remedy.endswith((".", "?"))


def test_whoever_the_core_does_not_let_in_is_told_why_in_words() -> None:
    source = CORE.read_text()
    named = {piece.split('"')[1] for piece in source.split("=> ")[1:] if piece.startswith('"')}

    assert len(named) > 15
    assert named - WORDS.keys() == set()


def test_what_was_refused_to_somebody_is_told_with_their_name_and_where() -> None:
    denied = {"kind": "denied", "identity": "Kari", "subject": "usr-KAR00002", "operation": "update_firmware"}

    shown = security_line(line("policy_denies", place="frm-1", place_name="Storholmen", **denied))
    of_all = security_line(line("policy_denies", place="ten-1", place_name="ten-1", **denied))

    assert (shown.who, shown.subject, shown.operation) == ("Kari", "usr-KAR00002", "update firmware")
    assert (shown.place, of_all.place) == ("Storholmen", "")


def test_whatever_the_api_refuses_has_words() -> None:
    assert {BY_POLICY, BY_NONE, BY_RULE, *REASONS.values(), "login_throttled", "token_throttled"} <= WORDS.keys()


def test_a_reason_that_is_new_is_told_by_its_name() -> None:
    shown = security_line(line("moon_in_the_way", identity="oxy-1", operation="write_partial"))

    assert (shown.title, shown.remedy, shown.who) == ("Moon in the way", "", "oxy-1")
    assert shown.operation == "write partial"
