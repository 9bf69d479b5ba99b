from datetime import UTC, datetime

import pytest

from shoal.bff import heard
from shoal.bff.screens import devices

NOW = datetime(2026, 11, 21, 14, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("total", "following", "is_filtered", "shown"),
    [(4_812, "c", True, 4_812), (None, "c", False, 9_000), (None, "c", True, None), (None, None, True, 1)],
)
def test_the_count_is_of_all_that_match_or_it_is_not_claimed(
    total: int | None, following: str | None, is_filtered: bool, shown: int | None
) -> None:
    page = heard.Page[heard.Device](items=[heard.Device(id="dev-1")], next=following, total=total)

    screen = devices.devices_screen(NOW, page, heard.Health(healthy=9_000), [], is_filtered=is_filtered)

    assert (screen.total, screen.all_total) == (shown, 9_000)


def test_a_cause_reads_as_words() -> None:
    assert devices.cause_text(heard.Device(id="1", cause="battery-empty")) == "battery empty"
    assert (
        devices.cause_text(heard.Device(id="1", verdict=heard.Verdict(says="Farm uplink down"))) == "Farm uplink down"
    )
    assert devices.cause_text(heard.Device(id="1")) == ""


def test_a_device_without_a_name_is_called_by_its_id_and_one_without_a_place_has_none() -> None:
    line = devices.device_line(heard.Device(id="dev-1"))

    assert (line.name, line.place.farm_name, line.battery_percent) == ("dev-1", "", None)


def test_farms_to_choose_from_are_in_the_order_of_the_alphabet() -> None:
    farms = [heard.Farm(id="frm-2", name="Tangen"), heard.Farm(id="frm-1", name="Bremnes")]

    screen = devices.devices_screen(NOW, heard.Page[heard.Device](), heard.Health(), farms, is_filtered=False)

    assert [farm.name for farm in screen.farms] == ["Bremnes", "Tangen"]
