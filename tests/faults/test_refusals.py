"""What must not come in does not, costs nothing, and can be found; what cannot work says so in one line."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from shoal.errors import Unavailable
from shoal.lwm2m import Device
from tests.harness.mail import MailServer
from tests.harness.nat import nat
from tests.harness.product import Ended, Product, free_port, product, run_to_its_end

KEY: Final = bytes(range(16))
# RFC 6347 §4.2.1 and RFC 7252 §4.8.2: a half handshake is given up after 93 s; a busy machine may be late.
HANDSHAKE_GIVEN_UP_S: Final = 150


# One loop for the module, as one Shoal stands for all of it: each test uses names of its own, and counts from where it
# began.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shoal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    async with product(tmp_path_factory.mktemp("refusals") / "data") as running:
        yield running


async def create_device(shoal: Product, endpoint: str, **more: str) -> str:
    security = {"mode": "psk", "identity": endpoint, "key": KEY.hex()}
    return str((await shoal.post("/devices", {"endpoint": endpoint, "security": security, **more}))["id"])


async def must_still_serve(shoal: Product, name: str) -> None:
    """A device that may come in comes in, and is heard."""
    await create_device(shoal, name)
    async with Device(name, shoal.coaps, identity=name, key=KEY) as device:
        device.set("/3303/0/5700", 8.5)
        await device.registered(timedelta(seconds=60))
        await device.send("/3303/0/5700")


# -- datagrams --------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
async def test_garbage_leaves_nothing_behind(shoal: Product) -> None:
    before = await shoal.metrics()
    noise = random.Random(7)
    target = (urlsplit(shoal.coaps).hostname, urlsplit(shoal.coaps).port)
    hello = bytes.fromhex("16fefd0000000000000000") + (100).to_bytes(2, "big") + bytes([1]) + bytes(99)
    kinds: list[Callable[[], bytes]] = [
        lambda: noise.randbytes(noise.randrange(1, 1400)),
        lambda: bytes([25, 0xFE, 0xFD]) + noise.randbytes(noise.randrange(8, 200)),
        lambda: hello[: noise.randrange(1, len(hello))] + noise.randbytes(noise.randrange(40)),
        lambda: b"",
    ]
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    for number in range(20_000):
        noise.choice(sockets).sendto(noise.choice(kinds)(), target)
        if number % 500 == 0:
            await asyncio.sleep(0)
    for each in sockets:
        each.close()

    await must_still_serve(shoal, "after-garbage")
    after = await shoal.metrics()
    # The one more is the device that came in.
    assert after["sessions"] - before["sessions"] <= 1
    assert after["half_open"] <= before["half_open"]
    assert after["peers"] - before["peers"] <= 1
    assert after["uploading"] == after["waiting"] == 0
    # It was counted, not passed over in silence.
    counted = ("refused_malformed", "hello_dropped", "unknown_connection_id", "unknown_address")
    assert sum(after[name] - before[name] for name in counted) > 1_000


@pytest.mark.timeout(400)
async def test_half_handshakes_are_few_and_are_given_up(shoal: Product) -> None:
    await create_device(shoal, "half")
    before = await shoal.metrics()
    async with AsyncExitStack() as stack:
        for carries in (1, 2) * 20:
            router = await stack.enter_async_context(nat(shoal.coaps, carries=carries))
            await stack.enter_async_context(Device("half", router.uri, identity="half", key=KEY))
        # A hello without a cookie costs no state; one with a cookie does, for a while.
        held = await shoal.until(lambda: _more_half_open(shoal, before))
        assert held <= 20
        await must_still_serve(shoal, "after-halves")

    await shoal.until(lambda: _none_half_open(shoal), within_s=HANDSHAKE_GIVEN_UP_S)
    assert (await shoal.metrics())["sessions"] - before["sessions"] <= 1


async def _more_half_open(shoal: Product, before: dict[str, float]) -> int:
    return int((await shoal.metrics())["half_open"] - before["half_open"])


async def _none_half_open(shoal: Product) -> bool:
    return (await shoal.metrics())["half_open"] == 0


async def test_a_wrong_key_is_found_on_the_timeline_and_in_the_security_log(shoal: Product) -> None:
    device = await create_device(shoal, "oxy-1")

    async with Device("oxy-1", shoal.coaps, identity="oxy-1", key=bytes(16)) as intruder:
        line = await shoal.until(lambda: _first(shoal, f"/devices/{device}/timeline", kind="security"))
        with pytest.raises(Unavailable):
            await intruder.registered(timedelta(seconds=1))

    assert line["detail"]["reason"] == "wrong_key"
    logged = (await shoal.get("/security-events"))["items"]
    assert ("oxy-1", device) in {
        (event["endpoint"], event["device"]) for event in logged if event["kind"] == "security"
    }
    shown = await shoal.get(f"/devices/{device}")
    assert (shown["registration"], shown["status"]) == (None, "new")


async def test_the_name_of_another_device_is_refused_and_told(shoal: Product) -> None:
    device = await create_device(shoal, "oxy-2")
    other = await create_device(shoal, "oxy-3")

    async with Device("oxy-3", shoal.coaps, identity="oxy-2", key=KEY):
        line = await shoal.until(lambda: _first(shoal, f"/devices/{device}/timeline", kind="security"))

    assert line["detail"]["reason"] == "endpoint_mismatch"
    for each in (device, other):
        assert (await shoal.get(f"/devices/{each}"))["registration"] is None


async def test_strangers_are_counted_and_leave_nothing_else(shoal: Product) -> None:
    before = await shoal.metrics()
    async with AsyncExitStack() as stack:
        for number in range(30):
            name = f"stranger-{number}"
            await stack.enter_async_context(Device(name, shoal.coaps, identity=name, key=KEY))
        await shoal.until(lambda: _failed_handshakes(shoal, before, 30))

    after = await shoal.metrics()
    for held in ("devices", "registrations", "sessions"):
        assert after[held] <= before[held]
    assert (await shoal.get("/devices", q="stranger"))["items"] == []
    logged = await shoal.until(lambda: _unknown(shoal))
    assert (logged["device"], logged["reason"]) == (None, "unknown_identity")
    await must_still_serve(shoal, "after-strangers")


async def _unknown(shoal: Product) -> Any:
    events = (await shoal.get("/security-events"))["items"]
    return next((event for event in events if event["identity"].startswith("stranger-")), None)


async def _failed_handshakes(shoal: Product, before: dict[str, float], count: int) -> bool:
    return (await shoal.metrics())["handshakes_failed"] - before["handshakes_failed"] >= count


async def _first(shoal: Product, path: str, **parameters: str) -> Any:
    items = (await shoal.get(path, **parameters))["items"]
    return items[0] if items else None


# -- what cannot start ------------------------------------------------------------------------------------------------


async def start_in_vain(folder: Path, *arguments: str) -> Ended:
    """`shoal up` that must refuse to start: one line that says what to do, no traceback, an exit code."""
    given = ["up", "--data", str(folder / "data"), *arguments]
    for option, free in (("--web", f"127.0.0.1:{free_port()}"), ("--listen", f"coaps://127.0.0.1:{free_port()}")):
        if option not in arguments:
            given += [option, free]
    ended = await run_to_its_end(*given, folder=folder)
    assert ended.code == 1, ended
    complaints = ended.complaint.splitlines()
    assert len(complaints) == 1, ended.complaint
    assert complaints[0].startswith("shoal: ")
    return ended


async def test_a_web_address_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        ended = await start_in_vain(tmp_path, "--web", f"127.0.0.1:{port}")

    assert f"127.0.0.1:{port}" in ended.complaint
    assert "--web" in ended.complaint


async def test_a_device_address_that_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]

        ended = await start_in_vain(tmp_path, "--listen", f"coaps://127.0.0.1:{port}")

    assert f"127.0.0.1:{port}" in ended.complaint
    assert "--listen" in ended.complaint


async def test_a_broker_that_does_not_answer(tmp_path: Path) -> None:
    ended = await start_in_vain(tmp_path, "--kafka", "127.0.0.1:1")

    assert "127.0.0.1:1" in ended.complaint
    assert "Check that the brokers run" in ended.complaint


async def test_a_second_one_on_the_same_folder(shoal: Product) -> None:
    ended = await start_in_vain(shoal.folder.parent)

    assert str(shoal.folder) in ended.complaint
    assert str(shoal.pid) in ended.complaint
    # The first one did not mind.
    assert await shoal.get("/devices")


@pytest.mark.parametrize("name", ["shoal.db", "log.db", "master.key"])
async def test_a_damaged_folder(tmp_path: Path, name: str) -> None:
    async with product(tmp_path / "data") as running:
        await create_device(running, "oxy-1")
    for beside in (tmp_path / "data").glob(f"{name}-*"):
        beside.unlink()
    (tmp_path / "data" / name).write_bytes(b"\x00 this was a file of ours \xff" * 300)

    ended = await start_in_vain(tmp_path)

    assert name in ended.complaint
    # Nothing was thrown away in the attempt.
    assert (tmp_path / "data" / name).read_bytes().startswith(b"\x00 this was")


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")

    ended = await start_in_vain(tmp_path)

    assert str(tmp_path / "data") in ended.complaint


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--listen", "http://127.0.0.1:1"), "listen"),
        (("--web", "8080"), "web"),
        (("--web", "0.0.0.0:8080"), "web"),
        (("--config", "missing.toml"), "config"),
        (("--enclosure-option", "12"), "enclosure_option"),
    ],
)
async def test_a_setting_that_is_wrong(tmp_path: Path, arguments: tuple[str, str], named: str) -> None:
    ended = await run_to_its_end("up", "--data", str(tmp_path / "data"), *arguments, folder=tmp_path)

    assert ended.code == 2
    assert len(ended.complaint.splitlines()) == 1
    assert named in ended.complaint
    assert not (tmp_path / "data").exists()


# -- neighbours that are away -----------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
async def test_mails_wait_while_the_mail_server_is_away_and_go_out_later(tmp_path: Path) -> None:
    mail = MailServer()
    (tmp_path / "shoal.toml").write_text(
        f'smtp_host = "127.0.0.1"\nsmtp_port = {mail.port}\nsmtp_security = "none"\nmail_from = "shoal@farm.example"\n'
    )
    async with product(tmp_path / "data", "--config", str(tmp_path / "shoal.toml")) as shoal:
        await shoal.post("/contacts", {"name": "Kari", "email": "kari@farm.example", "min_severity": "informational"})
        farm = (await shoal.post("/farms", {"name": "Storholmen"}))["id"]
        pens = [(await shoal.post(f"/farms/{farm}/enclosures", {"name": f"Pen {n}"}))["id"] for n in (1, 2)]
        await create_device(shoal, "oxy-1", enclosure=pens[0])
        # It says that it hangs in the other pen: somebody has to look.
        async with Device(
            "oxy-1", shoal.coaps, identity="oxy-1", key=KEY, enclosure=pens[1], enclosure_via="query"
        ) as device:
            await device.registered(timedelta(seconds=60))

            alert = await shoal.until(lambda: _first(shoal, "/alerts"))
            waiting = await shoal.until(lambda: _told(shoal, alert["id"], "waiting"))
            assert waiting["to"] == "Kari"
            assert mail.mails == []

            mail.start()
            try:
                await shoal.until(lambda: _told(shoal, alert["id"], "sent"), within_s=120)
            finally:
                mail.stop()

    assert {str(message["To"]) for message in mail.mails} == {"kari@farm.example"}
    assert "oxy-1" in mail.mails[0].as_string()


async def _told(shoal: Product, alert: str, state: str) -> Any:
    told = (await shoal.get(f"/alerts/{alert}"))["told"]
    # One that waits and was tried says why it waits.
    return next((one for one in told if one["state"] == state and (one["detail"] or state != "waiting")), None)
