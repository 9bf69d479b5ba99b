"""Who is told of which alerts, with names."""

from datetime import UTC, datetime

import pytest

from shoal.bff import heard, heard_calls
from shoal.bff.screens.escalation import EscalationScreen, escalation_screen, place_asked, rehearsal_screen

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


@pytest.fixture
def screen() -> EscalationScreen:
    policy = {
        "id": "pol-1",
        "name": "Night",
        "steps": [
            {"after_s": 0, "contacts": ["con-kari", "con-gone"]},
            {"after_s": 300, "contacts": ["everybody"], "at_once": True},
        ],
        "places": ["frm-1", "enc-1", "enc-gone"],
    }
    kari = {"id": "con-kari", "name": "Kari", "methods": [{"channel": "webhook", "address": "chn-1"}]}
    hook = {"id": "chn-1", "name": "Duty phone", "latest": {"state": "calling"}}
    mail = {"id": "email", "kind": "email", "name": "Mail", "is_ready": False, "says": "None"}
    return escalation_screen(
        NOW,
        [heard_calls.Policy.model_validate(policy)],
        [heard_calls.Contact.model_validate(kari)],
        [heard_calls.Channel.model_validate(mail), heard_calls.Channel.model_validate(hook)],
        [heard.Farm(id="frm-2", name="South"), heard.Farm(id="frm-1", name="North")],
        [heard.Coverage(enclosure="enc-1", farm="frm-1", name="Pen 1")],
    )


def test_ids_are_shown_as_names_and_what_is_gone_as_gone(screen: EscalationScreen) -> None:
    [policy] = screen.policies

    assert [[who.name for who in step.who] for step in policy.steps] == [["Kari", "removed"], ["Everybody"]]
    assert [place.name for place in policy.places] == ["North", "Pen 1, North", "enc-gone"]


def test_places_stand_with_their_enclosures_beneath_them(screen: EscalationScreen) -> None:
    assert [place.name for place in screen.places] == ["North", "Pen 1, North", "South"]


def test_who_is_reached_by_what_is_told_from_both_sides(screen: EscalationScreen) -> None:
    [kari] = screen.contacts

    assert ([method.shown for method in kari.methods], kari.policies) == (["Duty phone"], ["Night"])
    assert [(channel.name, channel.contacts) for channel in screen.channels] == [("Mail", []), ("Duty phone", ["Kari"])]


def test_a_message_that_is_under_way_is_told_from_one_that_is_over(screen: EscalationScreen) -> None:
    mail, hook = screen.channels

    assert mail.latest is None
    assert hook.latest is not None
    assert hook.latest.is_under_way


def test_a_rehearsal_names_people_and_the_ways_that_would_be_used() -> None:
    who = [{"name": "Kari", "channels": ["email", "webhook"]}, {"name": "Ola", "channels": ["email"]}]
    calls = [{"at": NOW, "who": who}, {"at": NOW, "after_s": 300, "who": who, "at_once": True}]

    said = rehearsal_screen(NOW, heard_calls.Rehearsal.model_validate({"policy_name": "Night", "calls": calls}))

    assert [(call.after_s, call.who, call.channels) for call in said.calls] == [
        (0, ["Kari", "Ola"], ["email"]),
        (300, ["Kari", "Ola"], ["email", "webhook"]),
    ]


def test_a_place_is_a_farm_or_an_enclosure_or_none() -> None:
    assert place_asked("enc-1") == {"enclosure": "enc-1"}
    assert place_asked("frm-1") == {"farm": "frm-1"}
    assert place_asked("") == place_asked(None) == {}
