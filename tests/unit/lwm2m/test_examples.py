"""The examples do what they say."""

import ast
import asyncio
import importlib.util
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest

from shoal import lwm2m
from shoal.errors import DeviceFault
from shoal.lwm2m import Registered, Reported, Server
from shoal.lwm2m.state import load
from tests.harness.listener import Listener, listening
from tests.harness.product import free_port
from tests.unit.lwm2m.conftest import KEY, PATIENCE, SECURE, until

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = DOCS / "examples"
# Python between fences; what somebody types into a console is tried elsewhere.
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.DOTALL)
    if ">>>" not in block
]


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def running(name: str, *given: object) -> AsyncIterator[None]:
    """The example lives until the end of the block."""
    task = asyncio.create_task(example(name).live(*given))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    observe = [("/3303/*/5700", "pmin=0")]
    async with Server(SECURE, credentials={"oxy-0417": KEY, "cam-0001": KEY}, observe=observe) as server:
        yield server


@pytest.fixture
async def listener(server: Server) -> AsyncIterator[Listener]:
    async with listening(server) as listener:
        yield listener


async def test_the_thermometer_reports_and_can_be_renamed(
    server: Server, listener: Listener, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running("device", server.addresses[0], "oxy-0417", KEY, 0.01):
        await listener.hears(Registered)
        await listener.hears(Reported, lambda event: any(reading.path == "/3/0/9" for reading in event.readings))
        await listener.hears(Reported, lambda event: any(reading.path == "/3303/0/5700" for reading in event.readings))
        with pytest.raises(DeviceFault, match=r"4\.00 a name has"):
            await server.write("oxy-0417", "/3303/0/5750", "")

        await server.write("oxy-0417", "/3303/0/5750", "north pen")

        await until(lambda: "a server calls it north pen" in capsys.readouterr().out)


async def test_the_whole_device_of_the_manual_runs_as_it_is_written(server: Server, listener: Listener) -> None:
    [program] = [block for block in BLOCKS if "asyncio.run" in block]
    program = program.replace("coaps://127.0.0.1:5684", server.addresses[0])

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        told = await listener.hears(Reported, lambda event: event.via == "send")
    finally:
        process.kill()
        await process.wait()

    assert [reading.path for reading in told.readings] == ["/3303/0/5700"]


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_manual_shows_is_python_and_names_what_there_is(block: str) -> None:
    tree = compile(block, "python.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)

    named = {one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "lwm2m"}
    assert named <= set(lwm2m.__all__)


async def test_the_server_prints_what_devices_say(capsys: pytest.CaptureFixture[str]) -> None:
    serving = asyncio.create_task(example("server").serve("coaps://127.0.0.1:0", ["oxy-0417"], KEY))
    said = ""

    def says(words: str) -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return words in said

    await until(lambda: says("listens on"))
    address = said.partition("listens on ")[2].partition(" ")[0].rstrip(",")
    async with running("device", address, "oxy-0417", KEY, 0.01):
        for words in ("oxy-0417 registered", "Sensor Value (/3303/0/5700)", "battery: 87 %"):
            await until(lambda words=words: says(words))
    serving.cancel()
    await asyncio.wait([serving])


async def test_a_device_in_one_process_gets_its_account_from_a_server_in_another() -> None:
    ports = [free_port(socket.SOCK_DGRAM) for _ in range(2)]
    listen, bootstrap = (f"coaps://127.0.0.1:{port}" for port in ports)
    async with (
        speaking("bootstrap", "--listen", listen, "--bootstrap", bootstrap) as server,
        speaking("device", "--bootstrap", "--server", bootstrap, "--every", "0.05") as device,
    ):
        async with asyncio.timeout(PATIENCE.total_seconds()):
            assert await line_of(device) == "oxy-0417 is registered"
            said = [await line_of(server) for _ in range(5)]

    assert said[0] == f"hands out accounts of {listen} at {bootstrap}"
    assert {"oxy-0417 bootstrap requested", "oxy-0417 bootstrap finished", "oxy-0417 registered"} <= set(said)


@asynccontextmanager
async def speaking(name: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example as a process of its own."""
    program = (sys.executable, "-u", str(EXAMPLES / f"{name}.py"), *arguments)
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_the_agent_keeps_its_settings_and_installs_its_image(
    server: Server, listener: Listener, tmp_path: Path
) -> None:
    image = tmp_path / "upload"
    image.write_bytes(b"IMAGE 2.0\n" + bytes(5_000))
    folder = tmp_path / "camera"
    folder.mkdir()
    given = (server.addresses[0], "cam-0001", KEY, folder, 60.0)
    async with running("agent", *given):
        await listener.hears(Registered)
        assert await server.read("cam-0001", "/3/0/3") == "1.0"
        body = {"instance": 2, "resources": {"5850": False, "5750": "deck"}}
        await server._ask("cam-0001", "create", "/3311", body, PATIENCE)
        await server.write("cam-0001", "/3311/2/5850", value=True)
        with pytest.raises(DeviceFault, match=r"4\.05 the time comes from NTP"):
            await server.write("cam-0001", "/3/0/13", 1_767_225_600)
        uri = server.addresses[0] + server.serve_file("upload", image, ["cam-0001"])
        await server.write("cam-0001", "/5/0/1", uri)
        for _ in range(2_000):
            if await server.read("cam-0001", "/5/0/3") == 2:
                break
        await server.execute("cam-0001", "/5/0/2")
        await until((folder / "image").exists)
        await until(lambda: load(folder / "state.json").own.get("/5/0/5") == "1")

    listener.events.clear()
    async with running("agent", *given):
        await listener.hears(Registered)
        assert await server.read("cam-0001", "/3/0/3") == "2.0"
        assert await server.read("cam-0001", "/3311/2/5850") is True
        assert await server.read("cam-0001", "/3311/2/5750") == "deck"
        assert await server.read("cam-0001", "/5/0/5") == 1


async def test_the_agent_comes_up_with_a_damaged_state(server: Server, listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(b"{")

    async with running("agent", server.addresses[0], "cam-0001", KEY, tmp_path, 60.0):
        await listener.hears(Registered)

    assert (tmp_path / "state.damaged").read_bytes() == b"{"
