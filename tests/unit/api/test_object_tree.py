"""The tree of a device, named by the definitions."""

from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from shoal.api.object_tree import Meanings, last_known, tree_of, word_of
from shoal.clock import FakeClock
from shoal.history.store import LastValue
from shoal.inventory import presence
from shoal.inventory.device import Device
from shoal.inventory.profile import Observe, ProfileSettings
from shoal.lwm2m.objects import known_objects, load_objects
from shoal.lwm2m.path import Path
from tests.unit.api.company import Company

NOW = FakeClock().now()
OBJECTS = known_objects()
SETTINGS = ProfileSettings(report_every_s=60, lifetime_s=300, observe=(Observe("/3303/*/5700"), Observe("/3/0/11")))


async def registered(company: Company, objects: presence.Objects) -> Device:
    device = await company.current(await company.registered())
    assert device.registration is not None
    return replace(device, registration=replace(device.registration, objects=objects))


async def test_objects_and_instances_stand_in_the_order_of_their_numbers(company: Company) -> None:
    device = await registered(company, (("/3303/1", None), ("/3303/0", None), ("/3", "1.2"), ("/3/0", None)))

    tree = tree_of(device, SETTINGS, [], OBJECTS)

    assert [(one.object, one.name, one.version) for one in tree] == [(3, "Device", "1.2"), (3303, "Temperature", "")]
    assert [one.instance for one in tree[1].instances] == [0, 1]


async def test_an_object_without_instances_is_shown_without(company: Company) -> None:
    device = await registered(company, (("/5", "1.1"),))

    [firmware] = tree_of(device, SETTINGS, [], OBJECTS)

    assert (firmware.object, firmware.instances) == (5, [])


async def test_what_is_executed_has_no_type(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))

    resources = {one.path: one for one in tree_of(device, SETTINGS, [], OBJECTS)[0].instances[0].resources}

    assert (resources["/3/0/4"].name, resources["/3/0/4"].operations, resources["/3/0/4"].type) == ("Reboot", "E", "")


async def test_the_instances_of_a_resource_are_one_value(company: Company) -> None:
    device = await registered(company, (("/3/0", None),))
    values = [LastValue("/3/0/11/0", 0, NOW), LastValue("/3/0/11/1", 4, NOW)]

    resources = {one.path: one for one in tree_of(device, SETTINGS, values, OBJECTS)[0].instances[0].resources}

    assert resources["/3/0/11"].multiple
    assert resources["/3/0/11"].value == {"0": 0, "1": 4}
    assert resources["/3/0/11"].observed
    assert not resources["/3/0/9"].observed


async def test_an_object_that_nobody_defined_shows_what_was_said_of_it(company: Company) -> None:
    device = await registered(company, (("/31999/0", None),))

    [unknown] = tree_of(device, SETTINGS, [LastValue("/31999/0/7", "x", NOW)], OBJECTS)

    assert unknown.name == ""
    assert [(one.path, one.value, one.operations) for one in unknown.instances[0].resources] == [
        ("/31999/0/7", "x", "R")
    ]


async def test_an_intent_for_all_instances_covers_each(company: Company) -> None:
    device = await registered(company, (("/3303/0", None), ("/3303/4", None)))

    observed = [
        resource.path
        for instance in tree_of(device, SETTINGS, [], OBJECTS)[0].instances
        for resource in instance.resources
        if resource.observed
    ]

    assert observed == ["/3303/0/5700", "/3303/4/5700"]


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

    [bay] = tree_of(device, SETTINGS, [], OBJECTS)

    mode = next(resource for resource in bay.instances[0].resources if resource.path == "/10260/0/3")
    assert (mode.type, mode.operations) == (type_, operations)
    assert bay.version == (version or "")


async def test_objects_of_the_user_are_named_and_typed(company: Company) -> None:
    feeder = Path(41_001, 0)
    device = await registered(company, ((str(feeder), None),))
    objects = load_objects(FilePath(__file__).parents[1] / "lwm2m" / "feeder.xml")

    [shown] = tree_of(device, SETTINGS, [LastValue("/41001/0/1", 2.5, NOW)], objects)

    rate = next(resource for resource in shown.instances[0].resources if resource.path == "/41001/0/1")
    assert (shown.name, rate.name, rate.type, rate.units, rate.value) == ("Feeder", "Rate", "float", "kg/min", 2.5)
