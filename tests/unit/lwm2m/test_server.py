"""A server for a few lines of Python: what devices do comes as events, what is asked of them is awaited."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m import (
    Deregistered,
    Device,
    Downloaded,
    Observation,
    Registered,
    Reported,
    Security,
    Server,
)
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import CLEAR, KEY, PATIENCE, SECURE, sensor, until


async def test_a_device_that_has_its_key_registers(device: Device, listener: Listener) -> None:
    event = await listener.hears(Registered)

    assert (event.endpoint, event.secure, event.lifetime_s) == ("oxy-0417", True, 86_400)
    assert {path for path, _ in event.objects} >= {"/3/0", "/3303/0"}


async def test_a_device_without_a_credential_registers_in_the_clear(server: Server, listener: Listener) -> None:
    async with Device("buoy-1", server.addresses[1], attributes={"colour": "red"}) as device:
        await device.registered(PATIENCE)

        event = await listener.hears(Registered)

    assert (event.endpoint, event.secure, event.attributes) == ("buoy-1", False, {"colour": "red"})


async def test_a_device_whose_name_has_a_key_does_not_register_without_it(server: Server, listener: Listener) -> None:
    async with Device("oxy-0417", server.addresses[1]):
        await listener.hears(Security)

    assert listener.heard(Registered) == []


async def test_a_device_with_a_wrong_key_does_not_register_and_that_is_told(server: Server, listener: Listener) -> None:
    async with sensor(server, key=bytes(16)) as device:
        event = await listener.hears(Security)

        with pytest.raises(Unavailable):
            await device.registered(timedelta(0))

    assert event.identity == "oxy-0417"
    assert listener.heard(Registered) == []


async def test_it_listens_on_the_newer_internet_protocol_as_well() -> None:
    async with (
        Server("coaps://[::1]:0", credentials={"oxy-0417": KEY}) as server,
        listening(server) as listener,
        sensor(server),
    ):
        event = await listener.hears(Registered)

    assert event.address.startswith("[::1]:")


async def test_a_goodbye_is_told(device: Device, listener: Listener) -> None:
    await device.deregister()

    event = await listener.hears(Deregistered)
    assert event.registration == listener.heard(Registered)[0].registration


async def test_a_value_is_read(device: Device, server: Server) -> None:
    assert await server.read("oxy-0417", "/3/0/9") == 87
    assert await server.read("oxy-0417", "/3303/0") == {"/3303/0/5700": 4.5}


async def test_a_value_is_written(device: Device, server: Server) -> None:
    await server.write("oxy-0417", "/3/0/14", "+02:00")

    assert await server.read("oxy-0417", "/3/0/14") == "+02:00"


async def test_a_resource_is_executed_with_its_arguments(device: Device, server: Server) -> None:
    executed: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
    device.on_execute("/3/0/4", lambda path, arguments: executed.put_nowait((path, dict(arguments))))

    await server.execute("oxy-0417", "/3/0/4", _0="soon")

    assert await asyncio.wait_for(executed.get(), PATIENCE.total_seconds()) == ("/3/0/4", {"0": "soon"})


async def test_the_paths_of_a_device_are_discovered(device: Device, server: Server) -> None:
    found = await server.discover("oxy-0417", "/3")

    assert {"/3/0/9", "/3/0/14"} <= found.keys()


async def test_a_change_of_what_is_observed_is_reported(device: Device, server: Server, listener: Listener) -> None:
    await server.observe("oxy-0417", "/3303/0/5700")

    device.set("/3303/0/5700", 5.5)

    event = await listener.hears(Reported, lambda told: told.via == "notify" and told.readings[0].value == 5.5)
    assert event.readings[0].path == "/3303/0/5700"


async def test_what_is_no_longer_observed_is_no_longer_reported(
    device: Device, server: Server, listener: Listener
) -> None:
    await server.observe("oxy-0417", "/3303/0/5700")

    await server.cancel_observation("oxy-0417", "/3303/0/5700")
    device.set("/3303/0/5700", 5.5)
    # A notification would have been on its way before this.
    await device.send("/3/0/9")

    await listener.hears(Reported, lambda told: told.via == "send")
    await listener.hears(Observation, lambda told: told.state == "cancelled")
    assert [told for told in listener.heard(Reported) if told.readings[0].value == 5.5] == []


async def test_what_shall_be_observed_is_observed_after_each_registration() -> None:
    async with (
        Server(SECURE, credentials={"oxy-0417": KEY}, observe=[("/3303/*/5700", "")]) as server,
        listening(server) as listener,
        sensor(server),
    ):
        event = await listener.hears(Observation)

    assert (event.path, event.state) == ("/3303/0/5700", "established")


async def test_what_a_device_sends_is_reported(device: Device, listener: Listener) -> None:
    await device.send("/3/0/9", "/3303/0/5700")

    event = await listener.hears(Reported)
    assert event.via == "send"
    assert {(reading.path, reading.value) for reading in event.readings} == {("/3/0/9", 87), ("/3303/0/5700", 4.5)}


async def test_a_device_can_be_asked_while_its_registration_is_handled() -> None:
    async with Server(SECURE, credentials={"oxy-0417": KEY}) as server, sensor(server):
        async for event in server.events():
            if isinstance(event, Registered):
                level = await server.read(event.endpoint, "/3/0/9", PATIENCE)
                break

    assert level == 87


async def test_a_send_is_answered_when_the_caller_asks_for_the_next_event(server: Server) -> None:
    events = server.events()
    async with sensor(server) as device:
        registered = asyncio.create_task(device.registered(PATIENCE))
        assert isinstance(await anext(events), Registered)
        sent = asyncio.create_task(device.send("/3/0/9"))
        reported = asyncio.create_task(anext(events))  # acknowledges the registration

        assert isinstance(await reported, Reported)
        await registered
        assert not sent.done()
        following = asyncio.create_task(anext(events))  # acknowledges the reading
        await asyncio.wait_for(sent, PATIENCE.total_seconds())

    assert isinstance(await following, Deregistered)


async def test_what_nobody_took_was_not_received() -> None:
    async with Server(SECURE, credentials={"oxy-0417": KEY}) as server:
        events = server.events()
        async with sensor(server) as device:
            assert isinstance(await anext(events), Registered)
            sent = asyncio.create_task(device.send("/3/0/9"))
            assert isinstance(await anext(events), Reported)
            again = asyncio.create_task(device.send("/3/0/14"))
            await until(lambda: server._core.stats()["send"] == 2)

            await server.__aexit__(None, None, None)

            await asyncio.wait_for(sent, PATIENCE.total_seconds())
            with pytest.raises(DeviceFault) as caught:
                await asyncio.wait_for(again, PATIENCE.total_seconds())
            assert caught.value.code == "5.03"


async def test_what_a_device_refuses_is_its_fault(device: Device, server: Server) -> None:
    with pytest.raises(DeviceFault) as caught:
        await server.read("oxy-0417", "/3/0/20")

    assert caught.value.code == "4.04"


async def test_a_request_that_makes_no_sense_reaches_no_device(device: Device, server: Server) -> None:
    for path, value in [("/3/0/14", 7), ("/3/0/9", "much")]:
        with pytest.raises(Rejected):
            await server.write("oxy-0417", path, value)
    with pytest.raises(Rejected):
        await server.read("oxy-0417", "battery")


async def test_a_device_that_does_not_answer_in_time_is_at_fault(device: Device, server: Server) -> None:
    device.lose_power()

    with pytest.raises(DeviceFault) as caught:
        await server.read("oxy-0417", "/3/0/9", timedelta(seconds=0.2))

    assert caught.value.code is None


async def test_a_device_nobody_knows_cannot_be_asked(server: Server, listener: Listener) -> None:
    with pytest.raises(DeviceFault):
        await server.read("nobody", "/3/0/9")


async def test_a_device_may_be_admitted_and_dismissed_at_any_time(server: Server, listener: Listener) -> None:
    server.admit({"cam-7": KEY})

    async with Device("cam-7", server.addresses[0], identity="cam-7", key=KEY) as device:
        await device.registered(PATIENCE)
        server.dismiss("cam-7")

        with pytest.raises(DeviceFault):
            await server.read("cam-7", "/3/0/9")


async def test_a_device_that_cannot_be_taken_in_is_named_and_the_others_are_taken(
    server: Server, listener: Listener
) -> None:
    with pytest.raises(Rejected, match="must not be empty"):
        server.admit({"": KEY, "cam-7": KEY})

    async with Device("cam-7", server.addresses[0], identity="cam-7", key=KEY) as device:
        await device.registered(PATIENCE)


async def test_a_file_is_fetched_with_progress_by_those_who_may(
    device: Device, server: Server, listener: Listener, tmp_path: Path
) -> None:
    image = bytes(range(256)) * 20
    file = tmp_path / "image.bin"
    file.write_bytes(image)
    seen: list[tuple[int, int | None]] = []

    path = server.serve_file("token/image.bin", file, ["oxy-0417"])
    fetched = await device.fetch(server.addresses[0] + path, lambda bytes_, size: seen.append((bytes_, size)))

    assert fetched == image
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert {size for _, size in seen} == {len(image)}
    event = await listener.hears(Downloaded, lambda told: told.bytes == told.size)
    assert (event.endpoint, event.path, event.size) == ("oxy-0417", path, len(image))


async def test_a_file_that_is_withdrawn_or_for_another_is_not_found(
    device: Device, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "image.bin"
    file.write_bytes(b"new")
    other = server.serve_file("other", file, ["buoy-1"])
    gone = server.serve_file("gone", file, ["oxy-0417"])
    server.withdraw_file("gone")

    for path in (other, gone):
        with pytest.raises(DeviceFault) as caught:
            await device.fetch(server.addresses[0] + path)
        assert caught.value.code == "4.04"


async def test_an_address_that_is_taken_is_named(server: Server) -> None:
    taken = server.addresses[0]

    with pytest.raises(OSError, match="address already in use") as caught:
        async with Server(taken):
            pass

    assert caught.value.strerror == f"{taken}: address already in use"


async def test_closing_ends_the_events_fails_what_is_asked_and_frees_the_address() -> None:
    async with Server(CLEAR, endpoints=["buoy-1"]) as server:
        listening_task = asyncio.create_task(Listener(server).listen())
        address = server.addresses[0]
        asked = asyncio.create_task(server.read("buoy-1", "/3/0/9"))
        await until(lambda: server._core.stats()["waiting"] == 1)

    await asyncio.wait_for(listening_task, PATIENCE.total_seconds())
    with pytest.raises(Unavailable):
        await asked
    async with Server(address):
        pass
