"""A client for a few lines of Python: it registers, serves its tree, and comes back by itself."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal import lwm2m
from shoal.errors import DeviceFault, Rejected, Unavailable
from shoal.lwm2m import Asked, Device, Refusal, Registered, Reported, Server, Updated
from shoal.lwm2m.state import load
from tests.harness.listener import Listener
from tests.unit.lwm2m.conftest import PATIENCE, sensor, until


async def taken(queue: "asyncio.Queue[Any]") -> Any:
    return await asyncio.wait_for(queue.get(), PATIENCE.total_seconds())


async def test_values_set_before_and_while_it_runs_are_served(device: Device, server: Server) -> None:
    device.set("/3/0/9", 41)
    device.set("/3/0/7/1", 3_700)

    assert await server.read("oxy-0417", "/3/0/9") == 41
    assert await server.read("oxy-0417", "/3/0/7/1") == 3_700
    assert await server.read("oxy-0417", "/3303/0/5700") == 4.5


async def test_a_value_that_is_not_of_its_type_is_rejected(device: Device, server: Server) -> None:
    with pytest.raises(Rejected):
        device.set("/3/0/9", "much")
    with pytest.raises(Rejected):
        device.set("/3/0", 1)

    assert await server.read("oxy-0417", "/3/0/9") == 87


async def test_a_wrong_value_that_was_set_before_does_not_let_it_start(server: Server) -> None:
    device = sensor(server)
    device.set("/3/0/9", "much")

    with pytest.raises(Rejected):
        await device.__aenter__()

    with pytest.raises(Rejected, match="not running"):
        device.rebind()


def test_an_identity_needs_its_key() -> None:
    with pytest.raises(Rejected):
        Device("oxy-0417", "coaps://127.0.0.1:5684", identity="oxy-0417")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"server": "http://127.0.0.1"}, "not of the form coaps://HOST:PORT"),
        ({"root": "lwm2m"}, "not like / or /lwm2m"),
        ({"root": "//"}, "not like / or /lwm2m"),
        ({"root": "/a b"}, "not like / or /lwm2m"),
        ({"root": "/" + "x" * 64}, "at most 64 characters"),
        ({"version": "1.3"}, "not 1.0, 1.1 or 1.2"),
        ({"lifetime": timedelta(seconds=-1)}, "lifetime: .* expected 0 to"),
        ({"awake_window": timedelta(seconds=-1)}, "awake_window_s"),
        ({"identity": "oxy-0417", "key": b""}, "0 bytes, expected 8 to 64"),
        ({"identity": "oxy-0417", "key": bytes(65)}, "65 bytes, expected 8 to 64"),
    ],
)
def test_a_device_that_makes_no_sense_says_why(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        Device("oxy-0417", given.pop("server", "coap://127.0.0.1:5683"), **given)


def test_a_claim_by_option_needs_the_number_of_the_option() -> None:
    with pytest.raises(Rejected):
        Device("oxy-0417", "coap://127.0.0.1:5683", enclosure="pen-4", enclosure_via="option")


def test_a_claim_is_rejected_before_it_runs() -> None:
    with pytest.raises(Rejected, match="not running"):
        Device("buoy-1", "coap://127.0.0.1:9").claim("ring-5")


async def test_an_enclosure_can_be_said_with_the_registration(server: Server, listener: Listener) -> None:
    async with Device("buoy-1", server.addresses[1], enclosure="pen-4", enclosure_via="query"):
        await listener.hears(Registered)

    async with Device("buoy-1", server.addresses[1], enclosure="pen-4") as device:
        await device.registered(PATIENCE)
        assert await server.read("buoy-1", "/26241/0/0") == "pen-4"


async def test_what_a_server_writes_is_told(device: Device, server: Server) -> None:
    written: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
    device.on_write("/3/0", lambda path, value: written.put_nowait((path, value)))

    await server.write("oxy-0417", "/3/0/14", "+02:00")

    assert await taken(written) == ("/3/0/14", "+02:00")


async def test_bytes_that_a_server_writes_are_told_as_bytes(device: Device, server: Server) -> None:
    written: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
    device.set("/5/0/3", 0)
    device.on_write("/5", lambda path, value: written.put_nowait((path, value)))

    await server.write("oxy-0417", "/5/0/0", "AP8=")

    assert await taken(written) == ("/5/0/0", b"\x00\xff")


async def test_a_handler_may_take_its_time(device: Device, server: Server) -> None:
    may_go_on = asyncio.Event()
    done: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()

    async def reboot(_path: str, arguments: Mapping[str, str]) -> None:
        await may_go_on.wait()
        done.put_nowait(arguments)

    device.on_execute("/3/0/4", reboot)

    await server.execute("oxy-0417", "/3/0/4")
    assert done.empty()
    may_go_on.set()

    assert await taken(done) == {}


async def test_a_handler_that_fails_is_reported_and_stops_nobody_else(device: Device, server: Server) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def fail(path: str, _value: object) -> None:
        raise RuntimeError(path)

    device.on_write("/3/0/14", fail)
    device.on_write("/3/0/14", lambda path, _value: told.put_nowait(path))

    await server.write("oxy-0417", "/3/0/14", "+02:00")

    assert await taken(told) == "/3/0/14"
    assert [str(context["exception"]) for context in reported] == ["/3/0/14"]


async def test_whoever_watches_something_large_and_fails_is_reported(
    device: Device, server: Server, tmp_path: Path
) -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context["exception"])))
    content = bytes(5_000)
    file = tmp_path / "file"
    file.write_bytes(content)

    def fail(what: object, count: int | None) -> None:
        raise RuntimeError("receiving" if what == "/5/0/0" else f"{count} bytes in all")

    device.set("/5/0/3", 0)
    device.on_receiving("/5/0/0", fail)
    await server.write("oxy-0417", "/5/0/0", base64.b64encode(content).decode())
    await until(lambda: len(reported) == 4)
    uri = server.addresses[0] + server.serve_file("file", file, ["oxy-0417"])
    assert await device.fetch(uri, fail) == content

    assert reported[:4] == ["receiving"] * 4
    assert set(reported[4:]) == {"5000 bytes in all"}


async def test_a_new_source_port_needs_no_new_session(device: Device, server: Server, listener: Listener) -> None:
    first = await listener.hears(Registered)

    device.rebind()
    await device.send("/3/0/9")
    await device.update()

    assert await server.read("oxy-0417", "/3/0/9") == 87
    stats = server._core.stats()
    assert (stats["handshakes"], stats["register"], stats["relocated"]) == (1, 1, 1)
    (now,) = server._core.registrations()
    assert now.registration == first.registration
    assert now.address != first.address


async def test_it_comes_back_after_a_goodbye_when_it_is_switched_on(device: Device, listener: Listener) -> None:
    await device.deregister()
    with pytest.raises(Unavailable):
        await device.registered(timedelta(0))

    device.power_on()
    await device.registered(PATIENCE)

    one, other = listener.heard(Registered)
    assert one.registration != other.registration


async def test_it_is_not_registered_without_power(device: Device) -> None:
    device.lose_power()

    with pytest.raises(Unavailable):
        await device.registered(timedelta(0))
    with pytest.raises(DeviceFault):
        await device.update()


async def test_it_renews_its_registration_when_it_is_told(device: Device, server: Server) -> None:
    await device.update()

    assert server._core.stats()["update"] == 1


async def test_a_wrong_key_is_said_by_whoever_waits_for_the_registration(server: Server, listener: Listener) -> None:
    async with sensor(server, key=bytes(16)) as device:
        await until(lambda: device._refusal != "")

        with pytest.raises(Unavailable) as caught:
            await device.registered(timedelta(0))

    assert caught.value.reason == device._refusal


async def test_what_it_waits_for_fails_when_it_is_stopped(server: Server) -> None:
    async with sensor(server) as device:  # nobody listens to the server: the registration is never answered
        sent = asyncio.create_task(device.send("/3/0/9"))
        await until(lambda: bool(device._waiting))

    with pytest.raises(Unavailable):
        await sent


async def test_it_can_be_started_again_with_the_values_it_had(server: Server, listener: Listener) -> None:
    device = sensor(server)
    async with device:
        await device.registered(PATIENCE)
        device.set("/3/0/9", 12)

    async with device:
        await device.registered(PATIENCE)

        assert await server.read("oxy-0417", "/3/0/9") == 12


async def test_a_device_speaks_the_version_that_it_is_told_below_a_root_of_its_own(
    server: Server, listener: Listener
) -> None:
    for version in ("1.0", "1.1", "1.2"):
        device = Device("buoy-1", server.addresses[1], version=version, root="/lwm2m")
        device.set("/3303/0/5700", 4.5)
        async with device:
            heard = await listener.hears(Registered, lambda event, version=version: event.version == version)
            assert await server.read("buoy-1", "/3303/0/5700") == 4.5
            assert "/3303/0" in [path for path, _ in heard.objects]


async def test_a_check_refuses_before_anything_happens(device: Device, server: Server) -> None:
    asked: list[Asked] = []

    async def check(what: Asked) -> None:
        asked.append(what)
        if what.operation == "execute" or what.values.get("/3/0/14") == "+25:00":
            raise Refusal("4.00", "no such zone")

    device.check("/3/0", check)

    await server.write("oxy-0417", "/3/0/14", "+02:00")
    with pytest.raises(DeviceFault, match=r"4\.00 no such zone"):
        await server.write("oxy-0417", "/3/0/14", "+25:00")
    with pytest.raises(DeviceFault, match=r"4\.00"):
        await server.execute("oxy-0417", "/3/0/4")

    assert [(what.operation, what.path) for what in asked] == [
        ("write", "/3/0/14"),
        ("write", "/3/0/14"),
        ("execute", "/3/0/4"),
    ]
    assert await server.read("oxy-0417", "/3/0/14") == "+02:00"


async def test_a_check_that_fails_is_reported_and_refuses(device: Device, server: Server) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    def fail(_asked: Asked) -> None:
        raise RuntimeError("a bug")

    device.check("/3/0/14", fail)

    with pytest.raises(DeviceFault, match=r"5\.00"):
        await server.write("oxy-0417", "/3/0/14", "+02:00")
    assert [str(context["exception"]) for context in reported] == ["a bug"]


async def test_a_source_is_asked_for_each_read_and_each_send(
    device: Device, server: Server, listener: Listener
) -> None:
    levels = iter(range(50, 60))
    device.source("/3/0/9", lambda: next(levels))

    assert await server.read("oxy-0417", "/3/0/9") == 50
    assert (await server.read("oxy-0417", "/3/0"))["/3/0/9"] == 51
    await device.send("/3/0/9")

    await until(lambda: listener.heard(Reported)[-1].readings[-1].value == 52)


async def test_what_is_taken_away_is_gone(device: Device, server: Server) -> None:
    device.unset("/3303/0")

    with pytest.raises(DeviceFault, match=r"4\.04"):
        await server.read("oxy-0417", "/3303/0")


async def test_readings_are_sent_with_their_times_and_in_order(device: Device, listener: Listener) -> None:
    start = datetime(2026, 6, 1, tzinfo=UTC)
    for minute in range(120):
        device.record("/3303/0/5700", minute / 10, at=start + timedelta(minutes=minute))

    await device.flush(PATIENCE)

    readings = [reading for report in listener.heard(Reported) for reading in report.readings]
    assert [reading.value for reading in readings] == [minute / 10 for minute in range(120)]
    assert readings[7].time == (start + timedelta(minutes=7)).timestamp()
    assert len(device.journal) == 0


async def test_what_can_never_be_sent_is_not_recorded(device: Device) -> None:
    for path, value in (("/3/0/9", 1.5), ("/3/0/9", "much"), ("/3/0", 1)):
        with pytest.raises(Rejected):
            device.record(path, value)

    assert len(device.journal) == 0


async def test_readings_of_an_outage_come_after_it(server: Server, listener: Listener) -> None:
    async with sensor(server) as device:
        await device.registered(PATIENCE)
        device.lose_power()
        device.record("/3303/0/5700", 1.5)
        device.record("/3303/0/5700", 2.5)
        with pytest.raises(Unavailable):
            await device.flush(timedelta(milliseconds=10))
        assert len(device.journal) == 2

        device.power_on()
        await device.flush(PATIENCE)

    values = [reading.value for report in listener.heard(Reported) for reading in report.readings]
    assert values == [1.5, 2.5]


async def test_a_device_in_queue_mode_says_whether_it_listens(server: Server, listener: Listener) -> None:
    async with Device("buoy-1", server.addresses[1], queue_mode=True, awake_window=timedelta(milliseconds=50)) as buoy:
        buoy.set("/3/0/9", 80)
        await buoy.registered(PATIENCE)
        await until(lambda: not buoy.is_awake)
        await buoy.send("/3/0/9")
        await until(lambda: not buoy.is_awake)

    assert len(listener.heard(Reported)) == 1


async def test_a_server_manages_its_registration_by_the_server_object(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    def buoy() -> Device:
        return Device("buoy-1", server.addresses[1], lifetime=timedelta(minutes=5), state=tmp_path / "state.json")

    async with buoy() as device:
        await device.registered(PATIENCE)
        assert await server.read("buoy-1", "/1/0/1") == 300
        await server.write("buoy-1", "/1/0/1", 77)
        await server.execute("buoy-1", "/1/0/8")
        await listener.hears(Updated, lambda event: event.lifetime_s == 77)
    listener.events.clear()
    async with buoy():
        assert (await listener.hears(Registered)).lifetime_s == 77


async def test_what_servers_did_survives_a_restart(server: Server, listener: Listener, tmp_path: Path) -> None:
    file = tmp_path / "state.json"

    def again() -> Device:
        device = Device("buoy-1", server.addresses[1], state=file)
        device.set("/3/0/14", "+00:00")
        device.set("/3303/0/5700", 4.5)
        device.set("/3303/1/5700", 5.5)
        return device

    async with again() as device:
        await device.registered(PATIENCE)
        await server.write("buoy-1", "/3/0/14", "+02:00")
        body = {"instance": 4, "resources": {"5700": 1.5, "5750": "raft"}}
        await server._ask("buoy-1", "create", "/3303", body, PATIENCE)
        await server._ask("buoy-1", "delete", "/3303/1", None, PATIENCE)
        await server._ask("buoy-1", "write_attributes", "/3303/0/5700", {"gt": 9.5}, PATIENCE)
        await until(lambda: load(file).attributes != {})

    written: list[object] = []
    device = again()
    device.on_write("/3/0/14", lambda _path, value: written.append(value))
    async with device:
        await device.registered(PATIENCE)
        assert await server.read("buoy-1", "/3/0/14") == "+02:00"
        assert await server.read("buoy-1", "/3303") == {
            "/3303/0/5700": 4.5,
            "/3303/4/5700": 1.5,
            "/3303/4/5750": "raft",
        }
        assert (await server.discover("buoy-1", "/3303/0/5700"))["/3303/0/5700"] == {"gt": "9.5"}

    assert written == ["+02:00"], "the owner hears of it, too"


async def test_what_the_owner_takes_away_stays_away(server: Server, listener: Listener, tmp_path: Path) -> None:
    class Probe(lwm2m.Object, id=3303):
        value: float = lwm2m.resource(5700, default=1.5)

        def created(self) -> None:
            if device.endpoint in refuses:
                raise Refusal("5.03", "not now")

    refuses: list[str] = []

    def again() -> Device:
        device = Device("buoy-1", server.addresses[1], state=tmp_path / "state.json")
        Probe.made_by_servers(device)
        return device

    async with (device := again()):
        await device.registered(PATIENCE)
        for instance in (4, 5):
            await server.create("buoy-1", f"/3303/{instance}", {5700: 2.5})
        # The server's answer may be here before the owner is told.
        await until(lambda: "/3303/5" in device._remembered.made())
        device.unset("/3303/4")

    refuses.append("buoy-1")
    asyncio.get_running_loop().set_exception_handler(lambda _, context: None)
    async with (device := again()):
        assert list(device._remembered.made()) == ["/3303/5"], "one that is refused for now is not forgotten"
    refuses.clear()
    async with (device := again()):
        await device.registered(PATIENCE)
        assert await server.read("buoy-1", "/3303") == {"/3303/5/5700": 2.5}


async def test_a_list_that_became_shorter_stays_so(server: Server, listener: Listener, tmp_path: Path) -> None:
    class Power(lwm2m.Object, id=3):
        zones: dict[int, int] = lwm2m.resource(7)

    def again() -> tuple[Device, Power]:
        device = Device("buoy-1", server.addresses[1], state=tmp_path / "state.json")
        device.keep("/3/0/7/0")
        device.keep("/3/0/7/1")
        power = Power()
        device.add(power)
        return device, power

    device, power = again()
    async with device:
        power.zones = {0: 3_600, 1: 3_700}
        power.zones = {0: 3_600}
    device, power = again()
    async with device:
        assert power.zones == {0: 3_600}


async def test_readings_survive_a_restart(server: Server, listener: Listener, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    async with Device("buoy-1", "coap://127.0.0.1:9", state=file) as device:  # nobody is there
        device.record("/3303/0/5700", 1.5, at=datetime(2026, 6, 1, tzinfo=UTC))

    async with Device("buoy-1", server.addresses[1], state=file) as device:
        device.record("/3303/0/5700", 2.5)
        await device.flush(PATIENCE)

    readings = [reading for report in listener.heard(Reported) for reading in report.readings]
    assert [reading.value for reading in readings] == [1.5, 2.5]
    assert load(file).readings == []


async def test_a_damaged_state_is_said_and_the_caller_may_begin_afresh(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(b"{")
    device = Device("buoy-1", server.addresses[1], state=file)
    with pytest.raises(Rejected, match="is damaged"):
        await device.__aenter__()

    file.unlink()
    async with device:
        assert device._handle is not None
