"""The tree of a device, named by the definitions."""

from dataclasses import replace
from pathlib import Path as FilePath

import httpx
import pytest

from shoal.api.object_tree import Meanings, last_known, tree_of, word_of
from shoal.clock import FakeClock
from shoal.events.device import Scalar
from shoal.history.store import LastValue
from shoal.inventory import presence
from shoal.inventory.device import Device
from shoal.lwm2m.objects import known_objects, load_objects
from shoal.lwm2m.path import Path
from tests.unit.api.company import Company

NOW = FakeClock().now()
OBJECTS = known_objects()
OBSERVED = {Path.parse("/3303/0/5700"), Path.parse("/3/0/11")}


async def registered(company: Company, objects: presence.Objects) -> Device:
    device = await company.current(await company.registered())
    assert device.registration is not None
    return replace(device, registration=replace(device.registration, objects=objects))


async def test_objects_and_instances_stand_in_the_order_of_their_numbers(company: Company) -> None:
    device = await registered(company, (("/3303/1", None), ("/3303/0", None), ("/3", "1.2"), ("/3/0", None)))

    tree = tree_of(device, OBSERVED, [], OBJECTS)

    assert [(one.object, one.name, one.version) for one in tree] == [(3, "Device", "1.2"), (3303, "Temperature", "")]
    assert [one.instance for one in tree[1].instances] == [0, 1]


async def test_an_object_without_instances_is_shown_without(company: Company) -> None:
    device = await registered(company, (("/5", "1.1"),))

    [firmware] = tree_of(device, OBSERVED, [], OBJECTS)

    assert (firmware.object, firmware.instances) == (5, [])


async def test_what_is_executed_has_no_type(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))

    resources = {one.path: one for one in tree_of(device, OBSERVED, [], OBJECTS)[0].instances[0].resources}

    assert (resources["/3/0/4"].name, resources["/3/0/4"].operations, resources["/3/0/4"].type) == ("Reboot", "E", "")


async def test_the_instances_of_a_resource_are_one_value(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))
    values = [LastValue("/3/0/11/0", 0, NOW), LastValue("/3/0/11/1", 4, NOW)]

    resources = {one.path: one for one in tree_of(device, OBSERVED, values, OBJECTS)[0].instances[0].resources}

    assert resources["/3/0/11"].multiple
    assert resources["/3/0/11"].value == {"0": 0, "1": 4}
    assert resources["/3/0/11"].observed
    assert not resources["/3/0/9"].observed


async def test_a_value_of_which_only_the_beginning_is_kept_says_so(company: Company, admin: httpx.AsyncClient) -> None:
    device = await company.registered()
    await company.reports(device, {"/3/0/2": "x" * 1_200, "/3/0/3": "TM-2.1"})

    objects = (await admin.get(f"/devices/{device.id}/objects")).json()["items"]
    last = (await admin.get(f"/devices/{device.id}/objects/3/0/2", params={"source": "last-known"})).json()

    told = {one["path"]: one["is_cut"] for each in objects for i in each["instances"] for one in i["resources"]}
    assert [path for path, is_cut in told.items() if is_cut] == ["/3/0/2"]
    assert (len(last["value"]), last["is_cut"]) == (1_000, True)


async def test_an_object_that_nobody_defined_shows_what_was_said_of_it(company: Company) -> None:
    device = await registered(company, (("/31999/0", None),))
    told: list[Scalar] = ["x", 7, 7.5, True]
    values = [LastValue(f"/31999/0/{number}", value, NOW) for number, value in enumerate(told)]

    [unknown] = tree_of(device, OBSERVED, values, OBJECTS)

    assert (unknown.name, unknown.urn, unknown.resources) == ("", "urn:oma:lwm2m:x:31999", [])
    resources = unknown.instances[0].resources
    assert next((one.path, one.value, one.operations) for one in resources) == ("/31999/0/0", "x", "RW")
    assert [one.type for one in resources] == ["string", "integer", "float", "boolean"]


async def test_an_object_that_nobody_defined_has_the_types_that_the_payload_told(company: Company) -> None:
    device = await registered(company, (("/49000/0", None),))
    values = [
        LastValue("/49000/0/1", "AAEC", NOW, kind="opaque"),
        LastValue("/49000/0/2", "3303:0", NOW, kind="objlnk"),
        LastValue("/49000/0/3", 1_764_000_000, NOW, kind="time"),
        LastValue("/49000/0/4/0", "AAEC", NOW, kind="opaque"),
        # Kept before readings told it.
        LastValue("/49000/0/5", "AAEC", NOW),
    ]

    [unknown] = tree_of(device, OBSERVED, values, OBJECTS)

    types = [one.type for one in unknown.instances[0].resources]
    assert types == ["opaque", "objlnk", "time", "opaque", "string"]


async def test_a_definition_says_the_type_whatever_came(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))

    [shown] = tree_of(device, OBSERVED, [LastValue("/3/0/0", "AAEC", NOW, kind="opaque")], OBJECTS)

    maker = shown.instances[0].resources[0]
    assert (maker.name, maker.type, maker.value) == ("Manufacturer", "string", "AAEC")


async def test_what_lies_beneath_an_observed_instance_is_observed(company: Company) -> None:
    device = await registered(company, (("/3303/0", None), ("/3303/4", None)))

    instances = tree_of(device, {Path.parse("/3303/4"), Path.parse("/3303/0/5700")}, [], OBJECTS)[0].instances

    observed = [[one.path for one in each.resources if one.observed] for each in instances]
    assert observed[0] == ["/3303/0/5700"]
    assert len(observed[1]) == len(instances[1].resources)


async def test_an_instance_can_be_made_of_what_the_definition_says(company: Company) -> None:
    device = await registered(company, (("/1/0", None), ("/3303", "1.1")))

    server, temperature = tree_of(device, (), [], OBJECTS)

    assert (server.urn, server.multiple, server.mandatory) == ("urn:oma:lwm2m:oma:1", True, True)
    assert (temperature.urn, temperature.instances) == ("urn:oma:lwm2m:ext:3303:1.1", [])
    value = next(one for one in temperature.resources if one.resource == 5700)
    assert (value.name, value.type, value.mandatory) == ("Sensor Value", "float", True)


async def test_whose_clock_a_value_counts_by_is_told(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))
    values = [LastValue("/3/0/9", 87, NOW, is_device_time=True), LastValue("/3/0/3", "1.0", NOW)]

    resources = {one.path: one for one in tree_of(device, OBSERVED, values, OBJECTS)[0].instances[0].resources}

    assert [resources[f"/3/0/{number}"].clock for number in (9, 3, 1)] == ["device", "server", None]


def test_what_was_last_known_lies_at_the_path_or_beneath_it() -> None:
    values = [LastValue(path, 1, NOW) for path in ("/3/0/1", "/3/0/11/0", "/3/0/11/1", "/33/0/1")]

    assert [value.path for value in last_known(values, Path.parse("/3/0/11"))] == ["/3/0/11/0", "/3/0/11/1"]
    assert [value.path for value in last_known(values, Path.parse("/3"))] == ["/3/0/1", "/3/0/11/0", "/3/0/11/1"]


async def test_a_path_has_the_type_and_unit_of_its_definition(company: Company) -> None:
    meanings = Meanings(OBJECTS, await registered(company, (("/3/0", None),)))

    assert (meanings.type_of("/3/0/9"), meanings.units_of(Path.parse("/3/0/9"))) == ("integer", "%")
    assert (meanings.type_of("/31999/0/1"), meanings.units_of(Path.parse("/3"))) == ("", "")
    assert word_of("unsigned integer") == "unsigned"


@pytest.mark.parametrize(
    ("version", "type_", "operations"), [("1.0", "string", "E"), (None, "string", "E"), ("2.0", "boolean", "RW")]
)
async def test_the_version_that_a_device_registered_decides(
    company: Company, version: str | None, type_: str, operations: str
) -> None:
    device = await registered(company, (("/10260", version), ("/10260/0", None)))

    [bay] = tree_of(device, OBSERVED, [], OBJECTS)

    mode = next(resource for resource in bay.instances[0].resources if resource.path == "/10260/0/3")
    assert (mode.type, mode.operations) == (type_, operations)
    assert bay.version == (version or "")


async def test_objects_of_the_user_are_named_and_typed(company: Company) -> None:
    feeder = Path(41_001, 0)
    device = await registered(company, ((str(feeder), None),))
    objects = load_objects(FilePath(__file__).parents[1] / "lwm2m" / "feeder.xml")

    [shown] = tree_of(device, OBSERVED, [LastValue("/41001/0/1", 2.5, NOW)], objects)

    rate = next(resource for resource in shown.instances[0].resources if resource.path == "/41001/0/1")
    assert (shown.name, rate.name, rate.type, rate.units, rate.value) == ("Feeder", "Rate", "float", "kg/min", 2.5)
