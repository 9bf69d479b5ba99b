"""What ids mean."""

from pathlib import Path as FilePath

import pytest

from shoal.errors import Rejected, Unavailable
from shoal.lwm2m import Device, Path, Reported, Server, definition, load_objects, resource_at
from shoal.lwm2m.objects import known_objects
from tests.harness.listener import listening

FEEDER = FilePath(__file__).with_name("feeder.xml")


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
    found = list(known_objects())

    assert len(found) > 300
    assert [known_objects().definition(one.id) for one in found] == found
    for one in found:
        ids = [resource.id for resource in one.resources]
        assert ids == sorted(set(ids))
        assert all(one.resource(resource.id) is resource for resource in one.resources)


def test_a_version_may_be_asked_for() -> None:
    assert definition(10260, "1.0") != definition(10260)
    assert definition(10260, "9.9") == definition(10260)
    for version, type_ in (("1.0", "string"), ("2.0", "boolean"), (None, "boolean")):
        mode = resource_at("/10260/0/3", version)
        assert mode is not None
        assert mode.type == type_
    assert resource_at("/3/0/22", "1.0") is not None, "the newest that has it"


def test_definitions_of_the_user_join_those_of_the_registry(tmp_path: FilePath) -> None:
    (tmp_path / "feeder.xml").write_text("\ufeff" + FEEDER.read_text())
    (tmp_path / "notes.txt").write_text("not read")

    for objects in (load_objects(tmp_path), load_objects(str(FEEDER))):
        rate = objects.resource_at("/41001/0/1")
        assert rate is not None
        assert (rate.name, rate.type, rate.units, rate.range) == ("Rate", "float", "kg/min", "0..10")
        assert objects.resource_at("/3/0/9") == resource_at("/3/0/9")
    assert definition(41_001) is None, "who did not load them does not have them"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("<ObjectID>41001", "<ObjectID>one", 'line 6: ObjectID cannot be "one"'),
        ("<Type>Float", "<Type>Real", 'line 28: Type cannot be "Real"'),
        ("</Resources>", "", "line "),
        ("<?xml", '<!DOCTYPE LWM2M [<!ENTITY a "b">]><?xml', "line 1"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: FilePath, before: str, after: str, reason: str) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text(FEEDER.read_text().replace(before, after, 1))

    with pytest.raises(Rejected) as refused:
        load_objects(tmp_path)

    assert (refused.value.subject, refused.value.reason[: len(reason)]) == (str(bad), reason)


def test_a_place_without_definitions_is_told(tmp_path: FilePath) -> None:
    (tmp_path / "latin.xml").write_bytes(b"<LWM2M>\n\xe9</LWM2M>")

    with pytest.raises(Rejected, match="line 2: not UTF-8"):
        load_objects(tmp_path)
    with pytest.raises(Unavailable, match="No such file"):
        load_objects(tmp_path / "nowhere.xml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unavailable, match=r"no \*\.xml"):
        load_objects(tmp_path / "empty")


async def test_values_of_an_own_object_have_their_types_on_both_sides() -> None:
    objects = load_objects(FEEDER)
    written: list[object] = []
    async with (
        Server("coap://127.0.0.1:0", endpoints=["feeder-1"], objects=objects) as server,
        listening(server) as listener,
    ):
        device = Device("feeder-1", server.addresses[0], objects=objects)
        device.on_write("/41001", lambda _, value: written.append(value))
        async with device:
            device.set("/41001/0/1", 2)
            device.set("/41001/0/2", 2**64 - 1)
            device.set("/41001/0/3", b"\x00\x01")
            with pytest.raises(Rejected):
                device.set("/41001/0/1", "fast")
            await device.registered()

            assert await server.read("feeder-1", "/41001/0") == {
                "/41001/0/1": 2.0,
                "/41001/0/2": 2**64 - 1,
                "/41001/0/3": b"\x00\x01",
            }
            await server.write("feeder-1", "/41001/0/3", b"\x02\x03")
            with pytest.raises(Rejected):
                await server.write("feeder-1", "/41001/0/1", "fast")
            await server.execute("feeder-1", "/41001/0/0")
            await device.send("/41001/0/2")
            sent = await listener.hears(Reported, lambda event: event.via == "send")
            assert [reading.value for reading in sent.readings] == [2**64 - 1]

            with pytest.raises(Rejected):
                device.record("/41001/0/3", "a table")
            device.record("/41001/0/2", 2**64 - 2)
            device.record("/41001/0/3", b"\x05")
            await device.flush()
            recorded = await listener.hears(Reported, lambda event: event is not sent and event.via == "send")
            assert [reading.value for reading in recorded.readings] == [2**64 - 2, b"\x05"]

    assert written == [b"\x02\x03"]
