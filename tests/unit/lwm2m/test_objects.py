"""What ids mean."""

import pytest

from shoal.lwm2m import Path, definition, resource_at
from shoal.lwm2m.objects import objects


def test_a_resource_has_a_name_a_type_units_and_a_range() -> None:
    battery = resource_at("/3/0/9")

    assert battery is not None
    assert (battery.name, battery.type, battery.units, battery.range) == ("Battery Level", "integer", "/100", "0..100")
    assert (battery.is_readable, battery.is_writable, battery.is_executable) == (True, False, False)


def test_what_can_only_be_executed_has_no_type() -> None:
    reboot = resource_at("/3/0/4")

    assert reboot is not None
    assert (reboot.type, reboot.operations, reboot.is_executable) == (None, "E", True)


def test_our_own_objects_are_among_them() -> None:
    placement = definition(26241)

    assert placement is not None
    assert placement.name == "Placement"
    assert placement.resources[0].operations == "RW"


def test_one_of_several_values_is_what_its_resource_is() -> None:
    assert resource_at("/3/0/11/0") == resource_at(Path(3, 0, 11))
    assert resource_at("/3/0/11") is not None


@pytest.mark.parametrize("path", ["/3", "/3/0", "/3/0/9999", "/65000/0/1"])
def test_where_nothing_is_defined_is_nothing(path: str) -> None:
    assert resource_at(path) is None


def test_the_core_and_this_side_agree_on_every_object() -> None:
    assert len(objects()) > 300
    for number, found in objects().items():
        assert found.id == number
        ids = [resource.id for resource in found.resources]
        assert ids == sorted(set(ids))
        assert all(found.resource(resource.id) is resource for resource in found.resources)
