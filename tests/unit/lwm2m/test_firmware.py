"""Object 5 of a device: by pull and by push, from the first block to what is installed."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.errors import DeviceFault
from shoal.lwm2m import Begun, Device, Firmware, Server
from shoal.lwm2m.firmware import Method, Protocol, Result, State
from tests.harness.listener import Listener
from tests.unit.lwm2m.conftest import PATIENCE, sensor, until

NAME = "oxy-0417"
IMAGE = bytes(range(251)) * 40


class Bench:
    """A device with a firmware object. `installed` is what it was made to run, `web` what it fetches over HTTP."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.device = sensor(server)
        self.result = Result.SUCCESS
        self.installed: list[bytes] = []
        self.booted = 0
        self.web: bytes | Exception = IMAGE
        self.fault: Exception | None = None
        self.reported: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.reported.append(context["exception"]))
        self.asked: list[tuple[str, bytes]] = []
        self.receiving: list[int] = []
        self.device.on_receiving("/5/0/0", lambda _, count: self.receiving.append(count))
        self.firmware = Firmware(
            self.device,
            self._install,
            boot=self._boot,
            method=Method.BOTH,
            protocols=(Protocol.COAPS, Protocol.HTTPS),
            fetch_web=self._fetch,
            verify=self._verify,
        )

    async def _install(self, image: bytes) -> Result:
        self.installed.append(image)
        if self.fault is not None:
            raise self.fault
        return self.result

    def _verify(self, image: bytes) -> Result:
        if self.fault is not None:
            raise self.fault
        return Result.INITIAL if image.startswith(IMAGE[:4]) else Result.PACKAGE_UNSUPPORTED

    def _boot(self) -> None:
        self.booted += 1

    async def _fetch(self, uri: str, begun: Begun) -> bytes:
        self.asked.append((uri, begun.data))
        if isinstance(self.web, Exception):
            begun.data = IMAGE[:100]
            raise self.web
        return self.web

    async def shows(self, state: State, result: Result = Result.INITIAL) -> None:
        await until(lambda: (self.firmware.state, self.firmware.result) == (state, result))


@pytest.fixture
async def bench(server: Server, listener: Listener) -> AsyncIterator[Bench]:
    bench = Bench(server)
    async with bench.device:
        await bench.device.registered(PATIENCE)
        yield bench


def opaque(content: bytes) -> str:
    """Bytes as they go into a write: JSON has none."""
    return base64.b64encode(content).decode()


def offered(server: Server, folder: Path, content: bytes = IMAGE) -> str:
    file = folder / "image"
    file.write_bytes(content)
    return server.addresses[0] + server.serve_file("image", file, [NAME])


async def test_it_says_what_it_takes(bench: Bench, server: Server) -> None:
    assert await server.read(NAME, "/5/0/9") == Method.BOTH
    assert await server.read(NAME, "/5/0/8/1") == Protocol.HTTPS
    assert (await server.read(NAME, "/5/0/3"), await server.read(NAME, "/5/0/5")) == (0, 0)


async def test_an_image_that_is_pulled_is_installed_when_it_is_asked_to(
    bench: Bench, server: Server, tmp_path: Path
) -> None:
    await server.write(NAME, "/5/0/1", offered(server, tmp_path))
    await bench.shows(State.DOWNLOADED)
    await server.execute(NAME, "/5/0/2")
    await bench.shows(State.IDLE, Result.SUCCESS)

    assert bench.installed == [IMAGE]
    assert bench.booted == 1


async def test_an_image_that_is_pushed_shows_that_it_is_coming(bench: Bench, server: Server) -> None:
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)
    await server.execute(NAME, "/5/0/2")
    await bench.shows(State.IDLE, Result.SUCCESS)

    assert bench.installed == [IMAGE]
    assert bench.receiving == [1_024 * number for number in range(1, len(IMAGE) // 1_024 + 1)]


@pytest.mark.parametrize("how", ["uri", "package"])
async def test_a_reset_brings_it_back_to_idle(bench: Bench, server: Server, how: str) -> None:
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)

    if how == "uri":
        await server.write(NAME, "/5/0/1", "")
    else:
        await server.write(NAME, "/5/0/0", opaque(b"\0"))
    await bench.shows(State.IDLE)

    with pytest.raises(DeviceFault, match=r"4\.05"):
        await server.execute(NAME, "/5/0/2")
    assert bench.installed == []


async def test_an_image_that_does_not_run_leaves_its_result(bench: Bench, server: Server) -> None:
    bench.result = Result.UPDATE_FAILED
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)

    await server.execute(NAME, "/5/0/2")

    await bench.shows(State.IDLE, Result.UPDATE_FAILED)


async def test_what_came_over_a_lost_link_is_given_to_the_next_fetch(bench: Bench, server: Server) -> None:
    bench.web = DeviceFault(NAME, "fetch", None, "the link is lost")
    await server.write(NAME, "/5/0/1", "https://farm.example/x")
    await bench.shows(State.IDLE, Result.CONNECTION_LOST)
    assert bench.firmware.fetched == 100

    bench.web = IMAGE
    await server.write(NAME, "/5/0/1", "https://farm.example/x")
    await bench.shows(State.DOWNLOADED)

    assert bench.asked == [("https://farm.example/x", b""), ("https://farm.example/x", IMAGE[:100])]
    assert bench.firmware.fetched == len(IMAGE)


@pytest.mark.parametrize(
    ("uri", "result"),
    [
        ("https://farm.example/gone", Result.URI_INVALID),
        ("ftp://farm.example/x", Result.PROTOCOL_UNSUPPORTED),
        ("coaps://farm.example/fw/nothing", Result.CONNECTION_LOST),
        ("https://[farm.example/x", Result.URI_INVALID),
    ],
)
async def test_an_address_that_leads_nowhere_has_a_result(
    bench: Bench, server: Server, uri: str, result: Result
) -> None:
    bench.web = DeviceFault(NAME, "fetch", "410", "gone")

    await server.write(NAME, "/5/0/1", uri)

    await bench.shows(State.IDLE, result)
    assert (bench.firmware.package_uri, bench.reported) == ("", [])


async def test_an_install_that_raises_failed_and_is_reported(bench: Bench, server: Server) -> None:
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)
    bench.fault = OSError("the flash is broken")

    await server.execute(NAME, "/5/0/2")

    await bench.shows(State.IDLE, Result.UPDATE_FAILED)
    await until(lambda: bench.reported == [bench.fault])
    assert bench.booted == 0
    bench.fault = None
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)


async def test_a_fetch_that_raises_ends_and_is_reported(bench: Bench, server: Server) -> None:
    bench.web = TimeoutError("nobody is there")

    await server.write(NAME, "/5/0/1", "https://farm.example/x")

    await bench.shows(State.IDLE, Result.CONNECTION_LOST)
    await until(lambda: bench.reported == [bench.web])


@pytest.mark.parametrize("how", ["pull", "push"])
async def test_an_image_that_cannot_be_looked_at_is_not_taken(bench: Bench, server: Server, how: str) -> None:
    bench.fault = ValueError("no header")

    if how == "pull":
        await server.write(NAME, "/5/0/1", "https://farm.example/x")
    else:
        await server.write(NAME, "/5/0/0", opaque(IMAGE))

    await bench.shows(State.IDLE, Result.INTEGRITY_FAILED)
    await until(lambda: bench.reported == [bench.fault])


async def test_a_download_that_a_reboot_broke_off_goes_on_and_takes_nothing_twice(
    bench: Bench, server: Server, listener: Listener, tmp_path: Path
) -> None:
    image = IMAGE * 100
    uri = offered(server, tmp_path, image)
    fetch = bench.device.fetch
    cut = asyncio.Event()

    def came(count: int, size: int | None) -> None:
        del size
        if count >= 50_000 and not cut.is_set():
            cut.set()
            bench.device.lose_power()

    async def watched(uri: str, progress: object = None, begun: Begun | None = None) -> bytes:
        del progress
        return await fetch(uri, came, begun)

    bench.device.fetch = watched  # type: ignore[method-assign]  # the same, with an eye on it
    await server.write(NAME, "/5/0/1", uri)
    await asyncio.wait_for(cut.wait(), PATIENCE.total_seconds())
    await until(lambda: bench.firmware.fetched > 0)
    state, kept = bench.firmware.state, bench.firmware.fetched

    bench.device.power_on()
    await bench.device.registered(PATIENCE)
    bench.firmware.resume()
    await bench.shows(State.DOWNLOADED)
    await server.execute(NAME, "/5/0/2")
    await until(lambda: bench.installed == [image])

    assert (state, 50_000 <= kept < len(image)) == (State.DOWNLOADING, True)


async def test_nothing_is_resumed_that_was_not_begun(bench: Bench) -> None:
    bench.firmware.resume()

    assert bench.firmware.state is State.IDLE


async def test_an_image_of_another_kind_is_refused_when_it_is_whole(bench: Bench, server: Server) -> None:
    await server.write(NAME, "/5/0/0", opaque(b"an image of something else"))

    await bench.shows(State.IDLE, Result.PACKAGE_UNSUPPORTED)


async def test_it_can_be_cancelled_while_there_is_something_to_cancel(bench: Bench, server: Server) -> None:
    with pytest.raises(DeviceFault, match=r"4\.05"):
        await server.execute(NAME, "/5/0/10")
    await server.write(NAME, "/5/0/0", opaque(IMAGE))
    await bench.shows(State.DOWNLOADED)

    await server.execute(NAME, "/5/0/10")

    await bench.shows(State.IDLE, Result.CANCELLED)


async def test_nothing_is_taken_while_it_installs(server: Server, listener: Listener) -> None:
    device = sensor(server)
    may_go_on = asyncio.Event()

    async def install(image: bytes) -> Result:
        del image
        await may_go_on.wait()
        return Result.SUCCESS

    firmware = Firmware(device, install)
    async with device:
        await device.registered(PATIENCE)
        await server.write(NAME, "/5/0/0", opaque(IMAGE))
        await until(lambda: firmware.state == State.DOWNLOADED)
        await server.execute(NAME, "/5/0/2")
        await until(lambda: firmware.state == State.UPDATING)

        for path, value in (("/5/0/0", opaque(b"x")), ("/5/0/1", "coap://127.0.0.1/x")):
            with pytest.raises(DeviceFault, match=r"4\.05 it is installing"):
                await server.write(NAME, path, value)
        may_go_on.set()
        await until(lambda: (firmware.state, firmware.result) == (State.IDLE, Result.SUCCESS))


async def test_an_address_that_was_given_before_a_restart_is_fetched_after_it(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    uri = offered(server, tmp_path)
    installed: list[bytes] = []

    async def install(image: bytes) -> Result:
        installed.append(image)
        return Result.SUCCESS

    def again() -> tuple[Device, Firmware]:
        key = bytes(range(16))
        device = Device(NAME, server.addresses[0], identity=NAME, key=key, state=tmp_path / "state.json")
        return device, Firmware(device, install)

    device, firmware = again()
    async with device:
        await device.registered(PATIENCE)
        await server.write(NAME, "/5/0/1", uri)
        await until(lambda: firmware.state == State.DOWNLOADED)

    device, firmware = again()
    async with device:
        await until(lambda: firmware.state == State.DOWNLOADED)
        await server.execute(NAME, "/5/0/2")
        await until(lambda: firmware.result == Result.SUCCESS)

    device, firmware = again()
    async with device:
        await device.registered(PATIENCE)
        assert (firmware.state, firmware.package_uri) == (State.IDLE, ""), "what was installed is not fetched again"
        assert firmware.result == await server.read(NAME, "/5/0/5") == Result.SUCCESS
    assert installed == [IMAGE]


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_download_that_failed_is_not_begun_again_by_a_restart(
    server: Server, listener: Listener, tmp_path: Path, is_whole: bool
) -> None:
    asked: list[str] = []

    async def install(image: bytes) -> Result:
        raise AssertionError(image)

    async def fetch_web(uri: str, begun: Begun) -> bytes:
        del begun
        asked.append(uri)
        if is_whole:
            return IMAGE
        raise DeviceFault(NAME, "fetch", "404", "gone")

    def again() -> tuple[Device, Firmware]:
        device = Device("buoy-1", server.addresses[1], state=tmp_path / "state.json")
        return device, Firmware(device, install, fetch_web=fetch_web, verify=lambda _: Result.PACKAGE_UNSUPPORTED)

    ended = Result.PACKAGE_UNSUPPORTED if is_whole else Result.URI_INVALID
    device, firmware = again()
    async with device:
        await device.registered(PATIENCE)
        await server.write("buoy-1", "/5/0/1", "https://farm.example/x")
        await until(lambda: firmware.result == ended)

    device, firmware = again()
    async with device:
        await device.registered(PATIENCE)
        assert (firmware.state, await server.read("buoy-1", "/5/0/5")) == (State.IDLE, ended)
    assert asked == ["https://farm.example/x"]


async def test_a_download_that_a_stop_broke_off_goes_on_at_the_next_start(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    uri = offered(server, tmp_path, IMAGE * 200)
    bench = Bench(server)
    async with bench.device:
        await bench.device.registered(PATIENCE)
        await server.write(NAME, "/5/0/1", uri)
        await until(lambda: bench.firmware.state == State.DOWNLOADING)

    await asyncio.sleep(0)
    assert (bench.firmware.state, bench.firmware.package_uri, bench.reported) == (State.DOWNLOADING, uri, [])
    async with bench.device:
        await bench.shows(State.DOWNLOADED)
