"""What people ask of the tree of a device."""

import pytest

from tests.unit.bff.conftest import Pages
from tests.unit.bff.fake_farm import FakeFarm
from tests.unit.bff.fake_tree import FEEDER, LARGEST, UNKNOWN


def awake(farm: FakeFarm, kind: str = "camera") -> str:
    return str(
        next(
            d["id"] for d in farm.devices if d["status"] == "healthy" and not d["flags"]["asleep"] and d["kind"] == kind
        )
    )


def asleep(farm: FakeFarm) -> str:
    return str(next(d["id"] for d in farm.devices if d["flags"]["asleep"]))


async def test_a_device_that_is_awake_answers_at_once(ida: Pages) -> None:
    device = awake(ida.farm)

    wrote = await ida.do(f"actions/devices/{device}/write", {"path": "/1/0/1", "value": 600})
    read = await ida.do(f"actions/devices/{device}/read", {"path": "/1/0/1"})
    executed = await ida.do(f"actions/devices/{device}/execute", {"path": "/3/0/4"})

    assert [answer.json()["state"] for answer in (wrote, read, executed)] == ["done"] * 3
    assert read.json()["value"] == 600
    assert read.json()["source"] == "device"


async def test_what_is_read_comes_with_its_type(ida: Pages) -> None:
    device = awake(ida.farm)

    read = await ida.do(f"actions/devices/{device}/read", {"path": f"/{UNKNOWN}/0/2"})

    assert (read.json()["value"], read.json()["type"]) == ("AAEC", "opaque")


async def test_for_a_device_that_sleeps_the_command_waits_and_can_be_withdrawn(ida: Pages) -> None:
    device = asleep(ida.farm)

    answer = await ida.do(f"actions/devices/{device}/write", {"path": "/1/0/3", "value": 600})

    assert answer.json()["state"] == "waiting"
    command = answer.json()["command"]
    assert command["expected_at"] is not None
    assert (await ida.do(f"actions/commands/{command['id']}/cancel")).status_code == 204
    assert (await ida.screen(f"commands/{command['id']}"))["state"] == "cancelled"


@pytest.mark.parametrize("path", ["3/0/9", "/3/0/9/0/0", "/../0", "/3/0/9?x", "/123456", "", "/3//9"])
async def test_only_an_lwm2m_path_leaves_for_the_api(ida: Pages, path: str) -> None:
    ida.link.carried.clear()

    answer = await ida.do(f"actions/devices/{awake(ida.farm)}/read", {"path": path})

    assert answer.status_code == 422
    assert ida.link.carried == []


async def test_a_number_of_64_bit_goes_there_and_back_without_losing_a_digit(ida: Pages) -> None:
    device, path = awake(ida.farm), f"/{FEEDER}/0/1"

    read = await ida.do(f"actions/devices/{device}/read", {"path": path})
    await ida.do(f"actions/devices/{device}/write", {"path": path, "value": str(LARGEST - 1)})
    screen = await ida.screen(f"devices/{device}/objects")

    assert read.json()["value"] == str(LARGEST)
    assert read.json()["trip_ms"] == 212.4
    values = {r["path"]: r["value"] for o in screen["objects"] for i in o["instances"] for r in i["resources"]}
    assert values[path] == str(LARGEST - 1)


async def test_instances_of_a_resource_are_added_one_by_one_and_replaced_together(ida: Pages) -> None:
    device, path = awake(ida.farm), f"/{FEEDER}/0/9"

    await ida.do(f"actions/devices/{device}/write", {"path": path, "values": {"2": 22}, "partial": True})
    added = (await ida.do(f"actions/devices/{device}/read", {"path": path})).json()["value"]
    await ida.do(f"actions/devices/{device}/write", {"path": path, "values": {"1": 18}})
    replaced = (await ida.do(f"actions/devices/{device}/read", {"path": path})).json()["value"]

    assert (added, replaced) == ({"0": 6, "1": 18, "2": 22}, {"1": 18})


async def test_an_instance_is_made_shown_and_deleted(ida: Pages) -> None:
    device = awake(ida.farm)

    made = await ida.do(f"actions/devices/{device}/create", {"path": f"/{FEEDER}", "resources": {"0": "wrasse 2 mm"}})
    deleted = await ida.do(f"actions/devices/{device}/delete", {"path": f"/{FEEDER}/0"})
    screen = await ida.screen(f"devices/{device}/objects")

    assert (made.json()["path"], deleted.json()["state"]) == (f"/{FEEDER}/1", "done")
    [feeder] = [each for each in screen["objects"] if each["path"] == f"/{FEEDER}"]
    assert [each["path"] for each in feeder["instances"]] == [f"/{FEEDER}/1"]
    assert feeder["instances"][0]["resources"][0]["value"] == "wrasse 2 mm"


async def test_attributes_are_set_and_discovered(ida: Pages) -> None:
    device = awake(ida.farm)

    await ida.do(f"actions/devices/{device}/attributes", {"path": "/3/0", "attributes": {"pmin": 60, "pmax": None}})
    found = await ida.do(f"actions/devices/{device}/discover", {"path": "/3"})

    assert found.json()["state"] == "done"
    assert found.json()["value"]["/3/0"] == {"pmin": "60"} or found.json()["value"]["/3/0"] == {"pmin": "60.0"}
    assert "/3/0/9" in found.json()["value"]


async def test_what_a_device_reports_is_switched_off_and_back(ida: Pages) -> None:
    device = awake(ida.farm)

    off = await ida.do(f"actions/devices/{device}/observe", {"path": "/3/0/9", "observe": False, "version": 0})
    late = await ida.do(f"actions/devices/{device}/observe", {"path": "/3/0/9", "observe": True, "version": 0})
    shown = (await ida.screen(f"devices/{device}/objects"))["observations"]
    back = await ida.do(f"actions/devices/{device}/unobserve", {"path": "/3/0/9", "version": 1})
    after = (await ida.screen(f"devices/{device}/objects"))["observations"]

    assert (off.json()["state"], off.json()["version"]) == ("off", 1)
    assert late.status_code == 412
    assert next(one for one in shown if one["path"] == "/3/0/9")["is_wanted"] is False
    assert back.status_code == 204
    assert next(one for one in after if one["path"] == "/3/0/9")["origin"] == "profile"


async def test_to_ask_a_device_that_sleeps_what_it_has_waits_like_everything(ida: Pages) -> None:
    device = asleep(ida.farm)

    said = await ida.do(f"actions/devices/{device}/discover", {"path": "/3"})

    assert (said.json()["state"], said.json()["command"]["operation"]) == ("waiting", "discover")
