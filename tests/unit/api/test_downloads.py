"""Files for devices over HTTP: by an address of ours, whole or in parts, and to nobody else."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from shoal.api.context import DOWNLOADS_MAX
from shoal.campaigns.links import PREFIX
from shoal.inventory.device import Device
from tests.unit.api.company import Company

FILE = bytes(number % 251 for number in range(300_000))
ADDRESS = "/5/0/1"


@pytest.fixture
async def device(company: Company, admin: httpx.AsyncClient) -> str:
    """A device that fetches over HTTPS and was told where from: the path of that address."""
    return (await told(company, admin))[1]


async def told(company: Company, admin: httpx.AsyncClient, endpoint: str = "cam-1") -> tuple[Device, str]:
    form = {"name": "sensor", "version": "2.9.0", "kind": "firmware"}
    made = await admin.post("/artifacts", data=form, files={"file": ("image", FILE)})
    device = await company.registered(endpoint, objects=("/3/0", "/5/0"))
    started = await admin.post(f"/devices/{device.id}/updates", json={"artifact": made.json()["id"]})
    assert started.status_code == 201, started.text
    company.clock.advance(timedelta(seconds=1))
    await company.reports(device, {"/5/0/3": 0, "/5/0/5": 0, "/3/0/3": "1.0", "/5/0/8/0": 3})
    [command] = [each for each in await company.commands.of_device(company.tenant, device.id) if each.path == ADDRESS]
    address = str(msgspec.json.decode(command.body or b"")["value"])
    assert address.startswith(f"https://shoal.example{PREFIX}/"), address
    return device, address.removeprefix("https://shoal.example/api/v1")


@pytest.fixture
def nobody(company: Company) -> httpx.AsyncClient:
    """Somebody without a login."""
    return company.bearing(None)


async def test_a_device_fetches_its_file_without_a_login(nobody: httpx.AsyncClient, device: str) -> None:
    answer = await nobody.get(device)

    assert answer.status_code == 200
    assert answer.content == FILE
    assert answer.headers["content-length"] == str(len(FILE))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_head_says_what_there_is(nobody: httpx.AsyncClient, device: str) -> None:
    answer = await nobody.head(device, headers={"Range": "bytes=5-"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(FILE))
    assert answer.headers["etag"].strip('"') in device


async def test_a_device_goes_on_where_it_was(nobody: httpx.AsyncClient, device: str) -> None:
    etag = (await nobody.head(device)).headers["etag"]

    rest = await nobody.get(device, headers={"Range": "bytes=200000-", "If-Range": etag})
    middle = await nobody.get(device, headers={"Range": "bytes=10-19"})
    other = await nobody.get(device, headers={"Range": "bytes=200000-", "If-Range": '"of another file"'})

    assert (rest.status_code, rest.content) == (206, FILE[200_000:])
    assert rest.headers["content-range"] == f"bytes 200000-299999/{len(FILE)}"
    assert rest.headers["content-length"] == "100000"
    assert (middle.status_code, middle.content) == (206, FILE[10:20])
    assert (other.status_code, other.content) == (200, FILE), "it gets all of what it did not have"


async def test_what_is_behind_the_end_is_not_there(nobody: httpx.AsyncClient, device: str) -> None:
    answer = await nobody.get(device, headers={"Range": f"bytes={len(FILE)}-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(FILE)}"
    assert answer.json()["type"] == "range-not-satisfiable"


async def test_an_address_that_was_bent_is_none_of_ours(nobody: httpx.AsyncClient, device: str) -> None:
    head, file, expires, signature = device.rsplit("/", 3)
    bent = {
        "file": f"{head}/{'0' * 32}/{expires}/{signature}",
        "expiry": f"{head}/{file}/{int(expires) + 1}/{signature}",
        "signature": f"{head}/{file}/{expires}/{'A' * 22}",
        "update": f"/downloads/cmp-7AAAAAAC/{file}/{expires}/{signature}",
    }

    answers = {name: await nobody.get(path) for name, path in bent.items()}

    assert {name: answer.status_code for name, answer in answers.items() if name != "update"} == {
        "file": 403,
        "expiry": 403,
        "signature": 403,
    }
    assert answers["update"].status_code in {403, 404}
    assert all(FILE[:100] not in answer.content for answer in answers.values())


@pytest.mark.parametrize("rest", ["", "/x", "/cmp-1/../../secret/1/x", "/%2e%2e/%2e%2e/1/x"])
async def test_nonsense_is_no_address(nobody: httpx.AsyncClient, rest: str) -> None:
    assert (await nobody.get(f"/downloads{rest}")).status_code in {400, 403, 404, 422}


async def test_an_address_ends(company: Company, nobody: httpx.AsyncClient, device: str) -> None:
    company.clock.advance(timedelta(days=3))

    answer = await nobody.get(device)

    assert (answer.status_code, answer.json()["type"]) == (410, "gone")


async def test_a_file_that_is_needed_no_more_is_gone(
    company: Company, admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    device, address = await told(company, admin)
    [update] = (await admin.get(f"/devices/{device.id}/updates")).json()["items"]

    await admin.post(f"/devices/{device.id}/updates/{update['id']}:cancel")

    assert (await nobody.get(address)).status_code == 410


async def test_bytes_that_are_not_here_any_more_are_not_found(
    company: Company, admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    _, address = await told(company, admin)
    [artifact] = (await admin.get("/artifacts")).json()["items"]

    company.installation.files.path(artifact["sha256"]).unlink()

    assert (await nobody.get(address)).status_code == 404


async def test_how_far_a_device_came_is_seen(
    company: Company, admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    device, address = await told(company, admin)

    await nobody.get(address, headers={"Range": "bytes=0-149999"})
    [half] = (await admin.get(f"/devices/{device.id}/updates")).json()["items"]
    await nobody.get(address, headers={"Range": "bytes=150000-"})
    [whole] = (await admin.get(f"/devices/{device.id}/updates")).json()["items"]

    assert (half["state"], half["over"], half["bytes"]) == ("downloading", "https", 150_000)
    assert whole["bytes"] == len(FILE)


async def test_a_crowd_of_devices_comes_back_later(company: Company, nobody: httpx.AsyncClient, device: str) -> None:
    seats = company.rooms.downloads
    seats.taken = DOWNLOADS_MAX

    answer = await nobody.get(device)
    head = await nobody.head(device)

    assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
    assert "retry-after" in answer.headers
    assert head.status_code == 200, "what costs no transfer needs no seat"
    seats.taken = 0
    await nobody.get(device)
    assert seats.taken == 0


async def test_one_device_does_not_take_the_seats_of_all(
    company: Company, nobody: httpx.AsyncClient, device: str
) -> None:
    update = device.split("/")[2]
    seats = company.rooms.downloads
    with seats.one_more(update), seats.one_more(update):
        assert (await nobody.get(device)).status_code == 503

    assert (await nobody.get(device)).status_code == 200


async def test_what_is_sent_to_nobody_does_not_count_as_fetched(
    company: Company, admin: httpx.AsyncClient, nobody: httpx.AsyncClient
) -> None:
    device, address = await told(company, admin)
    sent = 0
    gone = asyncio.Event()

    async def receive() -> dict[str, object]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))
        if sent > 100_000:
            gone.set()
        await asyncio.sleep(0)

    url = nobody.build_request("GET", address).url
    scope = {
        "type": "http",
        "method": "GET",
        "path": url.path,
        "raw_path": url.raw_path,
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("api", 80),
        "client": ("192.0.2.7", 1),
        "root_path": "",
    }
    await company.application(scope, receive, send)  # type: ignore[arg-type]  # as a server calls it

    [update] = (await admin.get(f"/devices/{device.id}/updates")).json()["items"]
    assert 100_000 < sent < 200_000
    assert update["bytes"] <= sent
    assert company.rooms.downloads.taken == 0


async def test_many_fetch_at_a_time(company: Company, admin: httpx.AsyncClient, nobody: httpx.AsyncClient) -> None:
    addresses = [(await told(company, admin, f"cam-{number}"))[1] for number in range(4)]

    answers = await asyncio.gather(*(nobody.get(address) for address in addresses))

    assert all(answer.content == FILE for answer in answers)
    assert company.rooms.downloads.taken == 0
