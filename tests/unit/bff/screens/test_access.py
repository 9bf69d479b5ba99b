"""Places in the order in which people look for them; what is gone keeps its id."""

from datetime import UTC, datetime

from shoal.bff import heard, heard_access
from shoal.bff.screens.access import access_screen, places_of, why_screen

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def test_each_farm_stands_before_what_is_in_it() -> None:
    farms = [heard.Farm(id="frm-1", name="North"), heard.Farm(id="frm-2", name="South")]
    pens = [
        heard.Enclosure(id="enc-2", farm="frm-2", name="Pen 2"),
        heard.Enclosure(id="enc-1", farm="frm-1", name="Pen 1"),
    ]

    assert [(one.id, one.name) for one in places_of(farms, pens)] == [
        ("frm-1", "North"),
        ("enc-1", "Pen 1, North"),
        ("frm-2", "South"),
        ("enc-2", "Pen 2, South"),
    ]


def test_what_is_gone_keeps_its_id_and_a_service_has_no_owner() -> None:
    users = [heard_access.User(id="usr-1", name="Ida", role="technician", places=["frm-9"])]
    tokens = [heard_access.Token(id="tok-1", name="mine", user="usr-1"), heard_access.Token(id="tok-2", name="scales")]

    screen = access_screen(NOW, "usr-1", users, tokens, [], [], [])

    assert screen.people[0].places[0].name == "frm-9"
    assert [token.owner for token in screen.tokens] == ["Ida", ""]


def test_an_explanation_is_a_verdict_and_its_rules() -> None:
    explained = heard_access.Explained.model_validate(
        {"decision": "allowed", "says": "Yes", "because": [{"policy": "viewer-1", "bearing": "allows"}]}
    )

    shown = why_screen(explained)

    assert (shown.is_allowed, shown.because[0].policy) == (True, "viewer-1")
