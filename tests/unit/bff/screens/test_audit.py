"""Who did what, in words."""

import pytest
from pydantic import JsonValue

from shoal.bff import heard
from shoal.bff.screens.audit import audit_line, sentence, text
from tests.unit.bff.conftest import NOW, Pages
from tests.unit.bff.fake_api import VIEWER_EMAIL


@pytest.mark.parametrize(
    ("action", "resource", "says"),
    [
        ("change", "farms", "Changed a farm"),
        ("create", "users", "Made a person"),
        ("set", "password", "Set a password"),
        ("delete", "sessions", "Logged out"),
        ("log-in", "sessions", "Logged in"),
        ("create", "credentials", "Gave a device a new key"),
        ("roll-back", "escalation-policies", "Roll back escalation policies"),
        ("create", "", "Made"),
    ],
)
def test_every_act_has_words_also_one_that_is_new(action: str, resource: str, says: str) -> None:
    assert sentence(action, resource) == says


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        (True, "yes"),
        (7, "7"),
        (["a", None], "a, none"),
        ({"pmin_s": 60, "read": []}, "pmin s 60, read none"),
    ],
)
def test_values_are_told_as_people_read_them(value: JsonValue, said: str | None) -> None:
    assert text(value) == said


def test_what_was_edited_stands_field_by_field() -> None:
    line = audit_line(
        heard.AuditEntry(
            id="1",
            at=NOW,
            by="usr-1",
            by_name="Ida",
            action="change",
            resource="devices",
            before={"name": "s-17", "enclosure": "enc-1"},
            after={"name": "By the bridge", "enclosure": None},
        )
    )

    assert line.name == "By the bridge"
    assert [(change.field, change.before, change.after) for change in line.changes] == [
        ("name", "s-17", "By the bridge"),
        ("enclosure", "enc-1", None),
    ]


def test_of_what_was_made_only_what_it_has_is_told() -> None:
    line = audit_line(
        heard.AuditEntry(
            id="1", at=NOW, by="usr-1", by_name="Ida", action="create", after={"name": "North", "profile": None}
        )
    )

    assert [change.field for change in line.changes] == ["name"]


async def test_the_screen_is_a_page_of_the_log_by_its_filters(ida: Pages) -> None:
    first = await ida.screen("audit")
    second = await ida.screen("audit", cursor=first["next"])
    farms = await ida.screen("audit", resource="farms")

    assert (len(first["items"]), len(second["items"]), second["next"]) == (50, 13, None)
    assert [line["says"] for line in farms["items"]] == ["Changed a farm"]


async def test_a_viewer_is_told_that_it_is_for_others(pages: Pages) -> None:
    await pages.log_in(VIEWER_EMAIL)

    assert (await pages.browser.get("/bff/screens/audit")).status_code == 403
