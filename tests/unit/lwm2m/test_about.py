"""What a device says of itself where its program says nothing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest

from shoal import lwm2m
from shoal.errors import DeviceFault, Rejected
from shoal.lwm2m import About, Device, Reading, Refusal, Registered, Reported, Server
from shoal.lwm2m.about import binding
from shoal.lwm2m.value import Scalar
from tests.harness.listener import Listener
from tests.unit.lwm2m.conftest import PATIENCE, until

ERROR_CODES = "/3/0/11"


@asynccontextmanager
async def running(device: Device) -> AsyncIterator[Device]:
    async with device:
        await device.registered(PATIENCE)
        yield device


@pytest.fixture
def bare(server: Server, listener: Listener) -> Device:
    """Its program says nothing at all."""
    return Device("buoy-1", server.addresses[1])


async def device_object(server: Server) -> dict[str, Scalar]:
    values = await server.read("buoy-1", "/3/0")
    assert isinstance(values, dict)
    return values


async def current_time(server: Server) -> datetime:
    seconds = await server.read("buoy-1", "/3/0/13")
    assert isinstance(seconds, int)
    return datetime.fromtimestamp(seconds, UTC)


class Camera(lwm2m.Object, id=3):
    """A Device object of the program's own."""

    maker: str = lwm2m.resource(0, default="Example Works")
    errors: dict[int, int] = lwm2m.resource(11)
    at: datetime = lwm2m.resource(13)

    @lwm2m.measured(13)
    def read_clock(self) -> datetime:
        return datetime(2020, 2, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("server", "version", "how", "modes"),
    [
        ("coaps://192.0.2.1", "1.0", {}, "U"),
        ("coaps://192.0.2.1", "1.0", {"queue_mode": True}, "UQ"),
        ("coap+tcp://192.0.2.1", "1.0", {}, "U"),
        ("coaps://192.0.2.1", "1.1", {"queue_mode": True}, "U"),
        ("coaps+tcp://192.0.2.1", "1.2", {}, "T"),
        ("coaps://192.0.2.1", "1.1", {"bootstrap": True}, "UT"),
        ("coaps://192.0.2.1", "1.0", {"bootstrap": True, "queue_mode": True}, "UQ"),
    ],
)
def test_the_binding_is_in_the_words_of_the_version(
    server: str, version: str, how: dict[str, bool], modes: str
) -> None:
    assert binding(server, version, **{"queue_mode": False, "bootstrap": False, **how}) == modes


def test_a_time_zone_that_nobody_knows_is_rejected() -> None:
    for name in ("Europe/Atlantis", "../etc/passwd", ""):
        with pytest.raises(Rejected, match="timezone"):
            About(timezone=name)


async def test_a_device_that_says_nothing_has_what_every_device_has(
    bare: Device, server: Server, listener: Listener
) -> None:
    async with running(bare):
        heard = await listener.hears(Registered)
        device = await device_object(server)
        found = await server.discover("buoy-1", "/3/0")

    assert "/3/0" in [path for path, _ in heard.objects]
    assert device.keys() == {"/3/0/11/0", "/3/0/13", "/3/0/14", "/3/0/16"}
    assert (device["/3/0/11/0"], device["/3/0/16"]) == (0, "U")
    assert found.keys() > {"/3/0/4", "/3/0/11", "/3/0/13", "/3/0/16"}


async def test_it_says_what_its_program_knows(server: Server, listener: Listener) -> None:
    about = About(
        manufacturer="Example Works",
        model="Buoy",
        serial="B-7",
        firmware="1.4",
        software="2.0",
        timezone="Asia/Kathmandu",
    )
    async with running(Device("buoy-1", server.addresses[1], version="1.0", queue_mode=True, about=about)):
        device = await device_object(server)

    assert {path: value for path, value in device.items() if path != "/3/0/13"} == {
        "/3/0/0": "Example Works",
        "/3/0/1": "Buoy",
        "/3/0/2": "B-7",
        "/3/0/3": "1.4",
        "/3/0/11/0": 0,
        "/3/0/14": "+05:45",
        "/3/0/15": "Asia/Kathmandu",
        "/3/0/16": "UQ",
        "/3/0/19": "2.0",
    }


async def test_the_time_is_that_of_the_reader(bare: Device, server: Server, listener: Listener) -> None:
    async with running(bare):
        before = datetime.now(UTC).replace(microsecond=0)
        assert before <= await current_time(server) <= datetime.now(UTC)


async def test_the_time_goes_on_and_nobody_is_told(server: Server, listener: Listener) -> None:
    device = Device("buoy-1", server.addresses[1])
    device.set("/3/0/9", 87)
    async with running(device):
        begun = await current_time(server)
        await server.observe("buoy-1", "/3/0")
        await until(lambda: datetime.now(UTC) > begun + timedelta(seconds=2))
        device.set("/3/0/9", 12)
        await listener.hears(Reported, lambda event: Reading(path="/3/0/9", value=12) in event.readings)

    notified = [event.readings for event in listener.heard(Reported) if event.via == "notify"]
    batteries = [[reading.value for reading in readings if reading.path == "/3/0/9"] for readings in notified]
    assert batteries == [[87], [12]], "what was there, and what has changed"


async def test_a_device_that_cannot_reboot_says_so(bare: Device, server: Server, listener: Listener) -> None:
    async with running(bare):
        for resource in (4, 5):
            with pytest.raises(DeviceFault, match=rf"4\.05 /3/0/{resource} cannot be executed"):
                await server.execute("buoy-1", f"/3/0/{resource}")


async def test_reboot_is_what_the_program_gives(server: Server, listener: Listener) -> None:
    rebooted = asyncio.Event()

    async def reboot() -> None:
        rebooted.set()

    async with running(Device("buoy-1", server.addresses[1], about=About(reboot=reboot))):
        await server.execute("buoy-1", "/3/0/4")
        await asyncio.wait_for(rebooted.wait(), PATIENCE.total_seconds())


async def test_what_the_program_executes_by_a_path_is_executed(
    bare: Device, server: Server, listener: Listener
) -> None:
    executed: asyncio.Queue[str] = asyncio.Queue()
    async with running(bare):
        bare.on_execute("/3/0", lambda path, _: executed.put_nowait(path))
        for resource in (4, 5, 12):
            await server.execute("buoy-1", f"/3/0/{resource}")
            assert await asyncio.wait_for(executed.get(), PATIENCE.total_seconds()) == f"/3/0/{resource}"


async def test_an_error_takes_the_place_of_none_and_a_reset_brings_that_back(
    bare: Device, server: Server, listener: Listener
) -> None:
    async with running(bare):
        bare.set("/3/0/11/2", 5)
        bare.set("/3/0/11/4", 7)
        assert await server.read("buoy-1", ERROR_CODES) == {"/3/0/11/2": 5, "/3/0/11/4": 7}

        await server.execute("buoy-1", "/3/0/12")
        assert await server.read("buoy-1", ERROR_CODES) == {"/3/0/11/0": 0}

        bare.set("/3/0/11/3", 9)
        assert await server.read("buoy-1", ERROR_CODES) == {"/3/0/11/3": 9}


async def test_a_reset_is_seen_in_the_programs_own_object(bare: Device, server: Server, listener: Listener) -> None:
    camera = Camera(errors={2: 5})
    bare.add(camera)
    async with running(bare):
        await server.execute("buoy-1", "/3/0/12")

        assert camera.errors == {0: 0}


async def test_what_the_program_has_of_object_3_stays_and_what_is_missing_comes(
    bare: Device, server: Server, listener: Listener
) -> None:
    bare.add(Camera(errors={3: 7}))
    bare.set("/3/0/14", "+01:00")
    bare.set("/3/0/16", "UN")
    async with running(bare):
        device = await device_object(server)

    year_2020 = int(datetime(2020, 2, 2, tzinfo=UTC).timestamp())
    assert device == {
        "/3/0/0": "Example Works",
        "/3/0/11/3": 7,
        "/3/0/13": year_2020,
        "/3/0/14": "+01:00",
        "/3/0/16": "UN",
    }


async def test_what_the_program_sets_or_takes_away_while_it_runs_is_its_own(
    bare: Device, server: Server, listener: Listener
) -> None:
    async with running(bare):
        bare.set("/3/0/13", datetime(2020, 2, 2, tzinfo=UTC))
        bare.unset("/3/0/14")
        device = await device_object(server)
        await server.write("buoy-1", "/3/0/13", 1_700_000_000)

        assert "/3/0/14" not in device
        assert await server.read("buoy-1", "/3/0/13") == 1_700_000_000


async def test_the_clock_is_set_by_those_who_may(bare: Device, server: Server, listener: Listener) -> None:
    async with running(bare):
        with pytest.raises(DeviceFault, match=r"4\.05 the device keeps its own time"):
            await server.write("buoy-1", "/3/0", {13: 1_700_000_000}, partial=True)

    given: list[datetime] = []

    async def set_clock(time: datetime) -> None:
        if time.year < 2020:
            raise Refusal("4.00", "that is long ago")
        given.append(time)

    async with running(Device("buoy-1", server.addresses[1], about=About(set_clock=set_clock))):
        await server.write("buoy-1", "/3/0/13", 1_700_000_000)
        with pytest.raises(DeviceFault, match=r"4\.00 that is long ago"):
            await server.write("buoy-1", "/3/0/13", 5)

        assert given == [datetime.fromtimestamp(1_700_000_000, UTC)]
        assert await current_time(server) > given[0], "what the clock says"


async def test_what_a_server_wrote_outlives_a_restart_but_not_the_time(
    server: Server, listener: Listener, tmp_path: FilePath
) -> None:
    given: list[datetime] = []

    def device() -> Device:
        about = About(set_clock=given.append)
        return Device("buoy-1", server.addresses[1], state=tmp_path / "state", about=about)

    heard = asyncio.Event()
    async with running(device()) as one:
        one.on_write("/3/0/14", lambda _, __: heard.set())
        await server.write("buoy-1", "/3/0/13", 1_700_000_000)
        await server.write("buoy-1", "/3/0/14", "+09:30")
        await asyncio.wait_for(heard.wait(), PATIENCE.total_seconds())

    async with running(device()):
        assert await server.read("buoy-1", "/3/0/14") == "+09:30"
        assert await current_time(server) > given[0]
        assert await server.read("buoy-1", ERROR_CODES) == {"/3/0/11/0": 0}
        assert len(given) == 1, "the clock is not set back"


async def test_it_can_be_started_again(bare: Device, server: Server, listener: Listener) -> None:
    for _ in range(2):
        async with running(bare):
            bare.set("/3/0/11/1", 4)
            assert await server.read("buoy-1", ERROR_CODES) == {"/3/0/11/1": 4}
            assert datetime.now(UTC) - await current_time(server) < PATIENCE


async def test_the_offset_that_is_not_said_is_that_of_the_system(
    bare: Device, server: Server, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "XYZ-03:30")
    time.tzset()
    try:
        async with running(bare):
            assert await server.read("buoy-1", "/3/0/14") == "+03:30"
    finally:
        monkeypatch.undo()
        time.tzset()
