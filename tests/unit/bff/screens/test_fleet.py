from datetime import UTC, datetime, timedelta

import pytest

from shoal.bff import heard
from shoal.bff.screens import alerts, fleet
from shoal.bff.screens.coverage import Cell, cell

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


def pen(name: str, **quantities: tuple[int, int]) -> heard.Coverage:
    said = {kind: {"alive": alive, "expected": of} for kind, (alive, of) in quantities.items()}
    return heard.Coverage.model_validate({"enclosure": name, "farm": "frm-1", "name": name, "quantities": said})


def cells(*coverage: heard.Coverage) -> list[Cell]:
    return [cell(line) for line in coverage]


@pytest.mark.parametrize(
    ("counts", "coverage", "status", "says"),
    [
        ({}, [], "new", "No device yet"),
        ({"healthy": 4}, [pen("Pen 1", oxygen=(2, 2))], "healthy", "All covered"),
        ({"new": 3}, [], "new", "3 not heard yet"),
        ({"healthy": 9, "silent": 1}, [], "degraded", "1 silent"),
        ({"healthy": 9, "failing": 1, "silent": 2}, [], "failing", "1 failing, 2 silent"),
        ({"healthy": 3}, [pen("Pen 4", oxygen=(1, 2))], "degraded", "Pen 4: oxygen 1 of 2"),
        (
            {"healthy": 3},
            [pen("Pen 4", oxygen=(1, 2)), pen("Pen 5", oxygen=(1, 2))],
            "degraded",
            "2 enclosures have lost a source",
        ),
        ({"healthy": 3}, [pen("Pen 4", oxygen=(0, 2), video=(1, 1))], "failing", "Pen 4: no oxygen"),
        (
            {"healthy": 3},
            [pen("Pen 4", oxygen=(0, 2), video=(0, 1), salinity=(1, 1))],
            "failing",
            "Pen 4: no oxygen or video",
        ),
        ({"silent": 1}, [], "silent", "Dark: its device is silent"),
        ({"silent": 40}, [], "silent", "Dark: all 40 devices are silent"),
        ({"silent": 39, "healthy": 1}, [], "silent", "Dark: 39 of 40 devices are silent"),
        ({"silent": 2, "healthy": 1}, [], "degraded", "2 silent"),
        ({"silent": 5, "healthy": 5}, [], "degraded", "5 silent"),
    ],
)
def test_a_farm_is_one_status_and_one_sentence(
    counts: dict[str, int], coverage: list[heard.Coverage], status: str, says: str
) -> None:
    said = heard.Counts(**counts)

    assert fleet.farm_status(said, cells(*coverage)) == status
    assert fleet.farm_says(said, cells(*coverage)) == says


def test_the_worst_farm_comes_first_and_counts_are_the_apis() -> None:
    farms = [heard.Farm(id=f"frm-{n}", name=n) for n in ("Alvik", "Berge", "Corvik")]
    health = heard.Health(
        healthy=4_000,
        silent=812,
        farms=[
            heard.FarmCounts(farm="frm-Alvik", healthy=20),
            heard.FarmCounts(farm="frm-Berge", silent=3, healthy=30),
            heard.FarmCounts(farm="frm-Corvik", silent=12),
        ],
    )

    screen = fleet.fleet_screen(NOW, health, farms, [], alerts.AlertGroup(alerts=[], total=0), 0, None)

    assert [farm.name for farm in screen.farms] == ["Corvik", "Berge", "Alvik"]
    assert (screen.counts.devices, screen.farms_total) == (4_812, 3)


def test_the_first_page_lists_a_handful_and_counts_the_rest() -> None:
    waiting = [heard.Alert(id=f"alr-{n}", opened_at=NOW - timedelta(minutes=n)) for n in range(20)]
    group = alerts.group(heard.Page[heard.Alert](items=waiting, total=38))

    screen = fleet.fleet_screen(NOW, heard.Health(), [], [], group, 4, None)

    assert (len(screen.needs_person.alerts), screen.needs_person.total) == (fleet.WRONG_NOW_MAX, 38)
