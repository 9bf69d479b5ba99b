"""Who lives on the demo farm."""

from collections import Counter

from shoal.demo import farm
from shoal.demo.farm import Quantity, inhabitants


def test_the_demo_has_the_size_that_the_readme_names() -> None:
    devices = list(inhabitants())

    assert len({layout.farm for layout in farm.LAYOUT}) == 2
    assert len(farm.LAYOUT) == 6
    assert Counter(device.kind for device in devices) == {"sensor": 18, "camera": 6}
    assert len({device.endpoint for device in devices}) == 24


def test_every_enclosure_has_one_of_each_quantity() -> None:
    for layout in farm.LAYOUT:
        assert {device.quantity for device in inhabitants() if device.home == layout} == set(Quantity)


def test_the_players_of_the_stories_exist_and_the_battery_story_plays_on_a_sleeper() -> None:
    by_name = {device.endpoint: device for device in inhabitants()}

    assert by_name[farm.BATTERY_RUNS_LOW].sleeps
    assert by_name[farm.GOES_SILENT].kind == "camera"
    assert by_name[farm.CLAIMS_ANOTHER_ENCLOSURE].quantity is Quantity.TEMPERATURE
    assert by_name[farm.UPDATE_FAILS].kind == "camera"
