"""The demo's devices are real LwM2M clients: they report, and a camera pulls a model and reboots, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.campaigns.step import MEMORY_FACTOR
from shoal.clock import FakeClock
from shoal.demo import devices
from shoal.demo.devices import MODEL_BEFORE, Inhabited, model_package, packaged_version
from shoal.demo.farm import Inhabitant, Quantity, inhabitants
from shoal.demo.setup import MODEL_BYTES
from shoal.lwm2m import Device, Downloaded, Registered, Reported, Server
from tests.harness.listener import Listener, listening

KEY = bytes(range(16))
NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
WHO = {each.quantity: each for each in inhabitants()}
CAMERA = WHO[Quantity.VIDEO]
VERSION, STATE, RESULT = "/5/0/7", "/5/0/3", "/5/0/5"
BLINK = timedelta(milliseconds=20)


def inhabited(who: Inhabitant, server: str = "coaps://127.0.0.1:5684", clock: FakeClock | None = None) -> Inhabited:
    device = Device(who.endpoint, server, identity=who.endpoint, key=KEY)
    return Inhabited(who, device, (clock or FakeClock(NOW)).now)


@pytest.mark.parametrize("quantity", Quantity)
def test_every_device_has_what_its_profile_reads(quantity: Quantity) -> None:
    one = inhabited(WHO[quantity])

    one.prepare()

    tree = one.device._values
    assert {"/3/0/0", "/3/0/1", "/3/0/3", "/4/0/0", "/4/0/2", STATE, RESULT, "/26241/0/1"} <= set(tree)
    assert (VERSION in tree) == (quantity is Quantity.VIDEO)
    # 9 to 12 degrees, 7 to 11 mg/l: what a value means is in its path.
    assert ("/3303/0/5700" in tree) == (quantity is Quantity.TEMPERATURE)
    assert ("/3300/0/5700" in tree) == (quantity in {Quantity.OXYGEN, Quantity.SALINITY})
    assert ("/3/0/9" in tree) == WHO[quantity].sleeps


@pytest.mark.parametrize("quantity", Quantity)
def test_a_report_holds_what_changes_and_nothing_else(quantity: Quantity) -> None:
    clock = FakeClock(NOW)
    one = inhabited(WHO[quantity], clock=clock)
    first = one.measure()
    before = dict(one.device._values)
    clock.advance(timedelta(hours=3))

    assert one.measure() == first
    assert set(first) <= set(one.device._values)
    assert any(one.device._values[path] != before[path] for path in first)
    assert not {"/3303/0/5701", "/3300/0/5701", "/3300/0/5750"} & set(first)


def test_a_model_finds_room_beside_the_old_one() -> None:
    one = inhabited(CAMERA)
    one.prepare()

    assert float(str(one.device._values["/3/0/10"])) > MODEL_BYTES / 1_000 * MEMORY_FACTOR


def test_a_battery_falls_to_where_its_story_wants_it_and_no_further() -> None:
    clock = FakeClock(NOW)
    one = inhabited(WHO[Quantity.SALINITY], clock=clock)
    levels = []
    one.drain(30, per_day=24 * 60, lowest=7)
    for _ in range(4):
        one.measure()
        levels.append(one.device._values["/3/0/9"])
        clock.advance(timedelta(minutes=10))
    one.drain(100, per_day=1)
    one.measure()

    assert levels == [30, 20, 10, 7]
    assert one.device._values["/3/0/9"] == 100


def test_a_package_says_its_version() -> None:
    package = model_package("fish-count", "2.1.0", 4_096, seed=1)

    assert (len(package), packaged_version(package)) == (4_096, "2.1.0")
    assert model_package("fish-count", "2.1.0", 4_096, seed=1) == package
    assert model_package("fish-count", "2.1.0", 4_096, seed=2) != package
    for other in (b"", b"\x00\x01\n", b"SHOAL-DEMO-MODEL fish-count\n", b"OTHER fish-count 2\n"):
        assert packaged_version(other) is None


class Mooring:
    """A camera that is registered at a server which serves files to it."""

    def __init__(self, server: Server, listener: Listener, camera: Inhabited) -> None:
        self.server = server
        self.listener = listener
        self.camera = camera
        self.name = camera.who.endpoint

    async def read(self, path: str) -> object:
        return await self.server.read(self.name, path)

    async def offer(self, folder: Path, content: bytes) -> str:
        file = folder / "model"
        file.write_bytes(content)
        return self.server.addresses[0] + self.server.serve_file("model", file, [self.name])

    async def shows(self, path: str, value: object, since: int = 0) -> None:
        """Waits until the camera reports the value, after so many reports."""
        await self.listener.hears(
            Reported,
            lambda event: (
                event in self.listener.heard(Reported)[since:]
                and any((each.path, each.value) == (path, value) for each in event.readings)
            ),
        )

    async def installs(self) -> None:
        """Asks it to install, and waits until it has registered again."""
        before = len(self.listener.heard(Registered))
        await self.server.execute(self.name, "/5/0/2")
        await self.listener.hears(Registered, lambda _: len(self.listener.heard(Registered)) > before)


@asynccontextmanager
async def moored() -> AsyncIterator[Mooring]:
    credentials = {CAMERA.endpoint: KEY}
    async with (
        Server("coaps://127.0.0.1:0", credentials=credentials, observe=[(STATE, ""), (RESULT, "")]) as server,
        listening(server) as listener,
    ):
        camera = inhabited(CAMERA, server.addresses[0])
        camera.prepare()
        async with camera.device:
            await camera.device.registered()
            mooring = Mooring(server, listener, camera)
            await mooring.shows(STATE, 0)
            yield mooring


@pytest.fixture
async def mooring(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mooring]:
    monkeypatch.setattr(devices, "INSTALL_TAKES", BLINK)
    monkeypatch.setattr(devices, "REBOOT_TAKES", BLINK)
    async with moored() as made:
        yield made


async def test_a_camera_pulls_a_model_reboots_and_runs_it(mooring: Mooring, tmp_path: Path) -> None:
    uri = await mooring.offer(tmp_path, model_package("fish-count", "2.1.0", 20_000, seed=1))

    await mooring.server.write(mooring.name, "/5/0/1", uri)
    await mooring.shows(STATE, 2)
    before = await mooring.read(VERSION)
    await mooring.installs()

    assert before == MODEL_BEFORE
    assert await mooring.read(VERSION) == "2.1.0"
    assert (await mooring.read(STATE), await mooring.read(RESULT)) == (0, 1)
    assert await mooring.read("/26242/0/7") == "2.1.0"
    assert mooring.listener.heard(Downloaded)[-1].bytes == 20_000


async def test_a_camera_whose_update_goes_wrong_comes_back_with_the_old_model(mooring: Mooring, tmp_path: Path) -> None:
    mooring.camera.update_goes_wrong = True
    uri = await mooring.offer(tmp_path, model_package("fish-count", "2.1.0", 4_096, seed=1))

    await mooring.server.write(mooring.name, "/5/0/1", uri)
    await mooring.shows(STATE, 2)
    await mooring.installs()

    assert (await mooring.read(VERSION), await mooring.read(RESULT)) == (MODEL_BEFORE, 8)


async def test_a_file_that_is_no_model_fails_the_check(mooring: Mooring, tmp_path: Path) -> None:
    uri = await mooring.offer(tmp_path, b"not a model")

    await mooring.server.write(mooring.name, "/5/0/1", uri)
    await mooring.shows(STATE, 2)
    await mooring.installs()

    assert (await mooring.read(VERSION), await mooring.read(RESULT)) == (MODEL_BEFORE, 5)


async def test_a_file_that_is_not_there_is_a_download_that_failed(mooring: Mooring) -> None:
    await mooring.server.write(mooring.name, "/5/0/1", mooring.server.addresses[0] + "/fw/nothing")

    await mooring.shows(RESULT, 4)
    assert await mooring.read(STATE) == 0


async def test_an_empty_address_resets_the_camera(mooring: Mooring, tmp_path: Path) -> None:
    uri = await mooring.offer(tmp_path, model_package("fish-count", "2.1.0", 4_096, seed=1))
    await mooring.server.write(mooring.name, "/5/0/1", uri)
    await mooring.shows(STATE, 2)

    reports = len(mooring.listener.heard(Reported))
    await mooring.server.write(mooring.name, "/5/0/1", "")
    await mooring.shows(STATE, 0, since=reports)

    assert (await mooring.read(STATE), await mooring.read(RESULT)) == (0, 0)


async def test_a_reboot_is_a_new_registration(mooring: Mooring) -> None:
    await mooring.server.execute(mooring.name, "/3/0/4")

    await mooring.listener.hears(Registered, lambda event: event is not mooring.listener.heard(Registered)[0])
    assert mooring.camera.is_powered


async def test_a_device_reports_for_ever_and_not_without_power(
    mooring: Mooring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "REPORT_EVERY", BLINK)
    living = asyncio.create_task(mooring.camera.live())
    sends = [await mooring.listener.hears(Reported, lambda event: event.via == "send")]

    mooring.camera.lose_power()
    mooring.camera.power_on()
    await mooring.listener.hears(Reported, lambda event: event.via == "send" and event not in sends)

    assert {reading.path for reading in sends[0].readings} >= {"/26242/0/0", "/4/0/2"}
    assert not living.done()
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
