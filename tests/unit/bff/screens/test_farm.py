from datetime import UTC, datetime

from shoal.bff import heard
from shoal.bff.screens import alerts, farm

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)
NOTHING = alerts.AlertGroup(alerts=[], total=0)
TANGEN = heard.FarmDetail(
    id="frm-1",
    name="Tangen",
    enclosures=[heard.Enclosure(id="enc-1", name="Pen 1"), heard.Enclosure(id="enc-2", name="Pen 2")],
)


def screen(
    coverage: list[heard.Coverage], devices: list[heard.Device], health: heard.Health | None = None
) -> farm.FarmScreen:
    page = heard.Page[heard.Device](items=devices, next=None)
    return farm.farm_screen(NOW, TANGEN, health or heard.Health(), coverage, NOTHING, NOTHING, page)


def test_an_enclosure_where_nothing_is_planned_is_listed_all_the_same() -> None:
    watched = heard.Coverage(
        enclosure="enc-1", name="Pen 1", quantities=[heard.Quantity(quantity="oxygen", expected=1)]
    )

    shown = screen([watched], [])

    assert [(cell.name, cell.state) for cell in shown.enclosures] == [("Pen 1", "dark"), ("Pen 2", "unwatched")]


def test_devices_come_worst_first_and_then_by_name() -> None:
    devices = [
        heard.Device(id="1", endpoint="oxy-2", status="healthy"),
        heard.Device(id="2", endpoint="oxy-1", status="healthy"),
        heard.Device(id="3", endpoint="cam-9", status="silent"),
    ]

    assert [line.name for line in screen([], devices).devices] == ["cam-9", "oxy-1", "oxy-2"]


def test_counts_are_this_farms_and_none_where_the_api_counts_none() -> None:
    health = heard.Health(healthy=99, farms=[heard.FarmCounts(farm="frm-1", healthy=2, silent=1)])

    assert screen([], [], health).counts.devices == 3
    assert screen([], []).counts.devices == 0
