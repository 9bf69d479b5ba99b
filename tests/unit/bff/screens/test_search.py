"""What a search found, as it stands beneath the field."""

from shoal.bff import heard
from shoal.bff.screens.search import search_screen
from tests.unit.bff.conftest import Pages


def test_the_group_of_the_best_match_comes_first_and_each_says_where_it_is() -> None:
    found = [
        {"kind": "alert", "id": "alr-1", "name": "oxy-0101 is silent", "detail": "A7K2"},
        {
            "kind": "device",
            "id": "dev-1",
            "name": "oxy-0101",
            "detail": "TM-204",
            "farm_name": "North",
            "enclosure_name": "Pen 4",
        },
        {"kind": "alert", "id": "alr-2", "name": ""},
        {"kind": "farm", "id": "frm-1", "name": "North"},
    ]

    groups = search_screen([heard.Found.model_validate(one) for one in found]).groups

    assert [group.kind for group in groups] == ["alert", "device", "farm"]
    assert [(one.name, one.beside) for one in groups[0].items] == [("oxy-0101 is silent", "#A7K2"), ("alr-2", "")]
    assert groups[1].items[0].beside == "TM-204, North › Pen 4"
    assert groups[2].items[0].beside == ""


async def test_the_pages_ask_the_api(ida: Pages) -> None:
    screen = await ida.screen("search", q="oxy-0417")

    assert screen["groups"][0]["kind"] == "device"
    assert screen["groups"][0]["items"][0]["name"] == "oxy-0417"
