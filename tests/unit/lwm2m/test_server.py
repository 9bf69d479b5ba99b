"""A server for a few lines of Python: what devices do comes as events, what is asked of them is awaited."""

import asyncio
import os
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m import (
    Deregistered,
    Device,
    Downloaded,
    Link,
    Observation,
    Registered,
    Reported,
    Security,
    Server,
)
from tests.harness.listener import Listener, listening
from tests.unit.lwm2m.conftest import CLEAR, KEY, PATIENCE, SECURE, sensor, until

ROOT: Final = Path(__file__).resolve().parents[3]


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


async def test_what_nobody_defined_is_reported_with_its_type(device: Device, listener: Listener) -> None:
    device.set("/49000/0/1", b"\x02\xff")
    device.set("/49000/0/2", Link(3303, 0))
    device.set("/49000/0/3", "calm")

    await device.send("/49000/0")

    event = await listener.hears(Reported)
    assert {(one.path, one.value, one.kind) for one in event.readings} == {
        ("/49000/0/1", b"\x02\xff", "opaque"),
        ("/49000/0/2", "3303:0", "objlnk"),
        ("/49000/0/3", "calm", None),
    }


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


async def test_a_refusal_says_what_to_change(device: Device, server: Server) -> None:
    for asked, reason in [
        (server.read("oxy-0417", "/3303/9"), "read 4.04 /3303/9 is not there"),
        (server.write("oxy-0417", "/3/0/9", 5), "write 4.05 /3/0/9 cannot be written"),
        (server.delete("oxy-0417", "/3/0"), "delete 4.05 /3/0 cannot be deleted"),
        (server.read("nobody", "/3/0"), "not answered no such device is registered"),
        (server.write("oxy-0417", "/3/0/14", 7), "^/3/0/14: not of type string"),
        (server.write_attributes("oxy-0417", "/3/0/9", pmin=-1.0), "^/3/0/9: pmin has a value"),
    ]:
        with pytest.raises((DeviceFault, Rejected), match=reason):
            await asked


@pytest.mark.parametrize("address", ["udp://127.0.0.1:1", "coaps://127.0.0.1:99999", ""])
async def test_an_address_that_is_none_is_rejected(address: str) -> None:
    with pytest.raises(Rejected, match="not of the form coaps://HOST:PORT"):
        await Server(address).__aenter__()


@pytest.mark.parametrize(("credential", "reason"), [(b"", "0 bytes"), (bytes(65), "65 bytes"), ("secret", "x509")])
async def test_a_credential_that_is_none_is_rejected(credential: Any, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        await Server(CLEAR, credentials={"oxy-0417": credential}).__aenter__()


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


async def test_several_paths_are_read_at_once_and_what_is_not_there_says_why(device: Device, server: Server) -> None:
    found = await server.read_composite("oxy-0417", ["/3/0/9", "/3303/0", "/3/0/99"], PATIENCE)

    assert found == {"/3/0/9": 87, "/3303/0/5700": 4.5}
    assert found.failed.keys() == {"/3/0/99"}


async def test_several_resources_are_written_at_once(device: Device, server: Server) -> None:
    await server.write_composite("oxy-0417", {"/3/0/14": "+03:00", "/3303/0/5750": "north"}, PATIENCE)

    found = await server.read_composite("oxy-0417", ["/3/0/14", "/3303/0/5750"], PATIENCE)
    assert found == {"/3/0/14": "+03:00", "/3303/0/5750": "north"}


async def test_several_resources_are_written_all_or_none(device: Device, server: Server) -> None:
    with pytest.raises(DeviceFault, match=r"4\.05"):
        await server.write_composite("oxy-0417", {"/3/0/14": "+05:00", "/3303/0/5700": 2.0})

    assert await server.read("oxy-0417", "/3/0/14") == "+01:00"


async def test_what_nobody_defined_is_written_with_its_type(device: Device, server: Server) -> None:
    device.set("/49000/0/1", b"\x01")
    device.set("/49000/0/2", Link(3, 0))
    device.set("/49000/0/3", 1)

    await server.write("oxy-0417", "/49000/0/1", b"\x02\xff")
    await server.write("oxy-0417", "/49000/0", {2: Link(3303, 0), 3: 5}, partial=True)
    await server.write_composite("oxy-0417", {"/49000/0/4": b"", "/49000/0/5": 2.5})

    values = await server.read("oxy-0417", "/49000/0")
    assert values == {
        "/49000/0/1": b"\x02\xff",
        "/49000/0/2": "3303:0",
        "/49000/0/3": 5,
        "/49000/0/4": b"",
        "/49000/0/5": 2.5,
    }


async def test_several_paths_are_observed_until_that_is_cancelled(
    device: Device, server: Server, listener: Listener
) -> None:
    paths = ("/3/0/9", "/3303/0/5700")

    found = await server.observe("oxy-0417", *paths, timeout=PATIENCE, pmin=0)
    device.set("/3303/0/5700", 5.5)
    reported = await listener.hears(
        Reported, lambda told: told.via == "notify" and any(one.value == 5.5 for one in told.readings)
    )
    await server.cancel_observation("oxy-0417", *paths, timeout=PATIENCE)

    assert found == {"/3/0/9": 87, "/3303/0/5700": 4.5}
    assert "/3303/0/5700" in {one.path for one in reported.readings}
    for path in paths:
        await listener.hears(Observation, lambda told, path=path: (told.path, told.state) == (path, "cancelled"))


async def test_a_device_is_told_when_to_report(device: Device, server: Server) -> None:
    await server.write_attributes("oxy-0417", "/3303/0/5700", PATIENCE, pmin=5, gt=7.5)
    first = (await server.discover("oxy-0417", "/3303/0"))["/3303/0/5700"]
    await server.write_attributes("oxy-0417", "/3303/0/5700", PATIENCE, gt=None)
    second = (await server.discover("oxy-0417", "/3303/0"))["/3303/0/5700"]

    assert (first.get("pmin"), first.get("gt")) == ("5", "7.5")
    assert (second.get("pmin"), second.get("gt")) == ("5", None)


async def test_attributes_that_have_no_meaning_there_reach_no_device(device: Device, server: Server) -> None:
    for path, attributes in [("/3303/0", {"gt": 1.0}), ("/3303/0/5700", {"con": True}), ("/9/0", {"pmin": 1.0})]:
        with pytest.raises(Rejected):
            await server.write_attributes("oxy-0417", path, PATIENCE, **attributes)


async def test_instances_are_created_and_deleted(device: Device, server: Server) -> None:
    named = await server.create("oxy-0417", "/3303/7", {5700: 1.5}, PATIENCE)
    chosen = await server.create("oxy-0417", "/3303", {"5700": 2.5}, PATIENCE)

    assert await server.read("oxy-0417", "/3303/7/5700") == 1.5
    assert await server.read("oxy-0417", f"{chosen}/5700") == 2.5
    await server.delete("oxy-0417", named)
    with pytest.raises(DeviceFault) as caught:
        await server.read("oxy-0417", named)
    assert caught.value.code == "4.04"
    with pytest.raises(Rejected):
        await server.delete("oxy-0417", "/3/0/14")


async def test_a_partial_write_keeps_what_it_does_not_name(device: Device, server: Server) -> None:
    device.set("/26241/0/1", 2.5)
    device.set("/26241/0/2", "at the ladder")

    await server.write("oxy-0417", "/26241/0", {1: 4.5}, partial=True)

    assert await server.read("oxy-0417", "/26241/0") == {"/26241/0/1": 4.5, "/26241/0/2": "at the ladder"}


async def test_values_keep_their_type_on_both_sides(device: Device, server: Server) -> None:
    largest = 2**64 - 1
    device.set("/10/0/7", b"\x00\xff")
    device.set("/3/0/13", 1_793_512_800)
    device.set("/1/0/14", 0)
    written: dict[str, object] = {}
    for at in ("/1", "/3", "/10"):
        device.on_write(at, written.__setitem__)

    assert await server.read("oxy-0417", "/10/0/7") == b"\x00\xff"
    assert await server.read("oxy-0417", "/3/0/13") == 1_793_512_800
    for path, value in [("/10/0/7", b"\x01"), ("/1/0/14", largest), ("/3/0/13", 2_000_000_000)]:
        await server.write("oxy-0417", path, value)
        assert await server.read("oxy-0417", path) == value
    await until(lambda: len(written) == 3)
    assert written == {"/10/0/7": b"\x01", "/1/0/14": largest, "/3/0/13": 2_000_000_000}


async def test_five_lines_in_a_console_manage_a_device() -> None:
    """The lines of docs/examples/console.txt, typed into `python -m asyncio`, with a device that answers."""
    lines = (ROOT / "docs" / "examples" / "console.txt").read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    typed = lines.replace("5684", str(port))
    console = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "asyncio",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    device = Device("oxy-0417", f"coaps://127.0.0.1:{port}", identity="oxy-0417", key=KEY)
    device.set("/3/0/9", 87)
    device.set("/3/0/14", "+01:00")
    device.set("/3303/0/5700", 4.5)
    written: dict[str, object] = {}
    device.on_write("/3", written.__setitem__)

    async with device:
        said, _ = await asyncio.wait_for(console.communicate(typed.encode()), 2 * PATIENCE.total_seconds())

    assert console.returncode == 0
    assert "Traceback" not in said.decode()
    assert "{'/3/0/9': 87, '/3303/0/5700': 4.5}" in said.decode()
    assert written == {"/3/0/14": "+02:00"}
