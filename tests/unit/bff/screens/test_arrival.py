"""How far a new device has come."""

from datetime import timedelta

from shoal.bff import heard, heard_trust
from shoal.bff.screens.arrival import arrival_screen, new_device, places_screen
from tests.unit.bff.conftest import NOW


def test_a_reading_is_the_last_step() -> None:
    device = heard.Device.model_validate({"id": "dev-1", "endpoint": "oxy-1", "registration": {"id": "r-1"}})
    value = {"path": "/3303/0/5700", "value": 8.1, "at": NOW}
    tree = heard.Object.model_validate({"object": 3303, "instances": [{"instance": 0, "resources": [value]}]})

    shown = arrival_screen(NOW + timedelta(seconds=1), device, [tree], [], [])

    assert shown.reading_at == NOW


def test_a_key_is_shown_only_to_who_does_not_have_it() -> None:
    made = heard_trust.NewDevice.model_validate({"id": "dev-1", "security": {"mode": "psk", "key": "aa"}})

    assert new_device(made, is_key_given=False).key == "aa"
    assert new_device(made, is_key_given=True).key == ""


def test_a_farm_without_enclosures_is_there_all_the_same() -> None:
    farms = [heard.Farm(id="frm-1", name="North"), heard.Farm(id="frm-2", name="South")]

    shown = places_screen(NOW, farms, [heard.Enclosure(id="enc-1", farm="frm-1", name="Pen 1")])

    assert [[one.name for one in farm.enclosures] for farm in shown.farms] == [["Pen 1"], []]
