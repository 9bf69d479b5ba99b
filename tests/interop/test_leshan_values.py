"""Eclipse Leshan's client and OMA's test object (3442): every type of value in every format, and what can be done to it."""

from typing import Final

import pytest

from shoal.errors import DeviceFault
from shoal.lwm2m import Registered, Reported, Server
from tests.harness.listener import Listener
from tests.harness.peers import NAME, SECURE, LeshanPeer, leshan

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]


# Resource, what it holds at first, what is written. Times are seconds, links object:instance.
VALUES: Final = {
    "110": ("first", "Grønn merd 4 ✓"),
    "120": (-7, -(2**63)),
    "125": (2**64 - 1, 2**63 + 1),
    "130": (2.5, -21.1),
    "140": (True, False),
    "160": (None, 1_764_000_000),
    "170": ("3:0", "3442:0"),
}


@pytest.mark.parametrize("content_format", ["TLV", "SENML_JSON", "SENML_CBOR"])
async def test_every_type_of_value_is_read_and_written_in_every_format(
    server: Server, listener: Listener, content_format: str
) -> None:
    async with leshan(server.addresses[0], NAME, **SECURE, formats=[content_format]) as peer:
        await peer.says("registered")

        # Leshan 2.0.0-M18 writes an unsigned integer in TLV as if it had a sign: what is half as large is safe.
        written = {resource: value for resource, (_, value) in VALUES.items()}
        if content_format == "TLV":
            written["125"] = 2**62 + 1
        for resource, (first, _) in VALUES.items():
            if first is not None and (resource, content_format) != ("125", "TLV"):
                assert await server.read(NAME, f"/3442/0/{resource}") == first, resource
        for resource, value in written.items():
            await server.write(NAME, f"/3442/0/{resource}", value)
        for resource, value in written.items():
            assert await server.read(NAME, f"/3442/0/{resource}") == value, resource

        whole = await server.read(NAME, "/3442/0")
        assert isinstance(whole, dict)
        assert {resource: whole[f"/3442/0/{resource}"] for resource in written} == written


@pytest.mark.parametrize("content_format", ["TLV", "SENML_JSON", "SENML_CBOR"])
async def test_instances_of_a_resource_are_read_written_and_replaced(
    server: Server, listener: Listener, content_format: str
) -> None:
    async with leshan(server.addresses[0], NAME, **SECURE, formats=[content_format]) as peer:
        await peer.says("registered")

        assert await server.read(NAME, "/3442/0/1110") == {"/3442/0/1110/0": "zero", "/3442/0/1110/3": "three"}
        assert await server.read(NAME, "/3442/0/1120/2") == 20

        await server.write(NAME, "/3442/0/1120/2", 21)
        assert await server.read(NAME, "/3442/0/1120") == {"/3442/0/1120/1": 10, "/3442/0/1120/2": 21}

        await server.write(NAME, "/3442/0/1110", {"1": "one", "65534": "last"})
        assert await server.read(NAME, "/3442/0/1110") == {"/3442/0/1110/1": "one", "/3442/0/1110/65534": "last"}


async def test_a_write_to_an_instance_replaces_all_that_can_be_written(peer: LeshanPeer, server: Server) -> None:
    await server.write(NAME, "/3442/0", {"110": "only", "1120": {"5": 50}})

    assert await server.read(NAME, "/3442/0") == {"/3442/0/110": "only", "/3442/0/1120/5": 50}


async def test_an_execute_brings_its_arguments(peer: LeshanPeer, server: Server) -> None:
    await server.execute(NAME, "/3442/0/3", _0="north-pen", _4="2")

    assert await peer.says("executed /3442/0/3") == "executed /3442/0/3 0='north-pen',4='2'"
    with pytest.raises(DeviceFault) as not_executable:
        await server.execute(NAME, "/3442/0/110")
    assert not_executable.value.code == "4.05"


async def test_a_long_value_goes_in_blocks_both_ways(peer: LeshanPeer, server: Server) -> None:
    long = "".join(f"{number:07d} " for number in range(1_000))

    await server.write(NAME, "/3442/0/110", long)

    assert await server.read(NAME, "/3442/0/110") == long


async def test_several_values_travel_in_one_send(peer: LeshanPeer, listener: Listener) -> None:
    for temperature, content_format in ((4.5, "SENML_JSON"), (5.5, "SENML_CBOR")):
        await peer.tell(f"value {temperature}")
        await peer.tell(f"send {content_format} /3303/0/5700 /3442/0/125 /3/0/9")

        assert await peer.says("sent") == "sent CHANGED"
        expected = {"/3303/0/5700": temperature, "/3442/0/125": 2**64 - 1, "/3/0/9": 87}
        await listener.hears(Reported, lambda event, expected=expected: _values(event) == expected)


async def test_values_that_were_collected_come_with_the_times_at_which_they_were(
    peer: LeshanPeer, listener: Listener
) -> None:
    for value in (4.5, 5.5):
        await peer.tell(f"value {value}")
        await peer.tell("collect /3303/0/5700")
    await peer.tell("flush SENML_CBOR")

    reported = await listener.hears(Reported, lambda event: len(event.readings) == 2)
    assert sorted(str(reading.value) for reading in reported.readings) == ["4.5", "5.5"]
    assert all(reading.time is not None for reading in reported.readings)


async def test_a_client_of_1_0_is_spoken_to_in_tlv_and_its_queue_mode_is_in_its_binding(
    server: Server, listener: Listener
) -> None:
    async with leshan(server.addresses[0], NAME, **SECURE, version="1.0", queue_mode=True) as peer:
        await peer.says("registered")
        registered = await listener.hears(Registered)
        assert (registered.version, registered.binding, registered.queue_mode) == ("1.0", "UQ", True)

        assert await server.read(NAME, "/3/0/9") == 87
        assert await server.read(NAME, "/3442/0/1120") == {"/3442/0/1120/1": 10, "/3442/0/1120/2": 20}
        await server.write(NAME, "/3442/0/110", "older")
        assert await server.read(NAME, "/3442/0/110") == "older"
        await server.observe(NAME, "/3303/0/5700")
        await peer.tell("value 3.5")
        await listener.hears(Reported, lambda event: event.via == "notify" and event.readings[0].value == 3.5)


def _values(event: Reported) -> dict[str, object]:
    return {reading.path: reading.value for reading in event.readings}
