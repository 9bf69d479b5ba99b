"""Eclipse Leshan's client and what the server asks of several paths at once; formats that one value can have; create
and delete over `lwm2m.Server`."""

from typing import Final

import pytest

from shoal.errors import DeviceFault
from shoal.lwm2m import Reported, Server, Updated
from tests.harness.listener import Listener
from tests.harness.peers import NAME, SECURE, LeshanPeer, leshan

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]

TEMPERATURE: Final = "/3303/0/5700"


async def test_several_paths_of_any_level_are_read_with_one_request(peer: LeshanPeer, server: Server) -> None:
    values = await server.read_composite(NAME, ["/3/0/9", "/3303/0", "/3442/0/1120/2"])

    assert dict(values) == {
        "/3/0/9": 87,
        "/3303/0/5602": 20.0,
        TEMPERATURE: 20.0,
        "/3303/0/5701": "Cel",
        "/3442/0/1120/2": 20,
    }


async def test_what_is_not_there_is_left_out_of_a_composite_read(peer: LeshanPeer, server: Server) -> None:
    values = await server.read_composite(NAME, ["/3/0/9", "/3303/7/5700"])

    assert dict(values) == {"/3/0/9": 87}


async def test_several_values_are_written_with_one_request(peer: LeshanPeer, server: Server) -> None:
    await server.write_composite(NAME, {"/3442/0/110": "together", "/3442/0/120": 12, "/3/0/15": "Atlantic/Faroe"})

    assert await server.read(NAME, "/3442/0/110") == "together"
    assert await server.read(NAME, "/3442/0/120") == 12
    await peer.says("written /3/0/15 Atlantic/Faroe")
    with pytest.raises(DeviceFault) as read_only:
        await server.write_composite(NAME, {"/3/0/9": 1, "/3/0/15": "Europe/Oslo"})
    assert read_only.value.code == "4.05"


async def test_instances_are_created_and_deleted_and_the_client_tells_so(
    peer: LeshanPeer, server: Server, listener: Listener
) -> None:
    assert await server.create(NAME, "/3442/7", {110: "seven", 120: 7}) == "/3442/7"
    free = await server.create(NAME, "/3442", {110: "any"})
    assert free not in ("/3442", "/3442/0", "/3442/7")
    await listener.hears(Updated, lambda event: {"/3442/7", free} <= _paths(event))
    assert await server.read(NAME, "/3442/7/110") == "seven"

    await server.delete(NAME, free)
    await server.delete(NAME, "/3442/7")
    with pytest.raises(DeviceFault) as gone:
        await server.read(NAME, "/3442/7/110")
    assert gone.value.code == "4.04"


async def test_attributes_hold_back_what_they_should_until_they_are_taken_back(
    peer: LeshanPeer, server: Server, listener: Listener
) -> None:
    await server.observe(NAME, TEMPERATURE, gt=25.0)
    assert float((await server.discover(NAME, TEMPERATURE))[TEMPERATURE]["gt"]) == 25
    for value in (22, 24, 26):
        await peer.tell(f"value {value}")
    await listener.hears(Reported, lambda event: event.via == "notify" and _values(event) == {TEMPERATURE: 26})
    told = [_values(event)[TEMPERATURE] for event in listener.heard(Reported) if event.via == "notify"]
    assert 22 not in told
    assert 24 not in told

    await server.write_attributes(NAME, TEMPERATURE, gt=None)
    assert "gt" not in (await server.discover(NAME, TEMPERATURE))[TEMPERATURE]


@pytest.mark.parametrize("content_format", ["JSON", "CBOR", "TEXT,OPAQUE", "TLV", "SENML_JSON", "SENML_CBOR"])
async def test_a_single_value_travels_in_every_format_that_can_carry_it(
    server: Server, listener: Listener, content_format: str
) -> None:
    formats = content_format.split(",")
    # OMA LwM2M Core 1.1 §7.4.5: a client of 1.1 does not write the JSON of 1.0.
    version = "1.0" if content_format == "JSON" else "1.1"
    async with leshan(server.addresses[0], NAME, **SECURE, formats=formats, version=version) as peer:
        await peer.says("registered")

        for resource, value in {"110": "Grønn merd", "120": -7_000_000_000, "130": -21.1, "140": False}.items():
            await server.write(NAME, f"/3442/0/{resource}", value)
            assert await server.read(NAME, f"/3442/0/{resource}") == value
        await server.write(NAME, "/3442/0/150", b"\xff\x00\x01")
        assert await server.read(NAME, "/3442/0/150") == b"\xff\x00\x01"


def _values(event: Reported) -> dict[str, object]:
    return {reading.path: reading.value for reading in event.readings}


def _paths(event: Updated) -> set[str]:
    return {path for path, _ in event.objects or ()}
