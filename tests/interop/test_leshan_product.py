"""Eclipse Leshan's client against the whole product, as an operator and an integrator see it."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio

from shoal.history.store import POINTS_MAX
from tests.harness.peers import LeshanPeer, leshan
from tests.harness.product import Product, product

# One loop for the module, as one Shoal stands for all of it: each test has a device of its own.
pytestmark = [pytest.mark.leshan, pytest.mark.timeout(400), pytest.mark.asyncio(loop_scope="module")]

NAMES: Final = (f"leshan-{number}" for number in itertools.count(1))
TEMPERATURE: Final = "/3303/0/5700"


class Site:
    """A farm with two enclosures, and a device in the first."""

    def __init__(self, shoal: Product, name: str) -> None:
        self.shoal = shoal
        self.name = name
        self.enclosures: list[str] = []
        self.device = ""
        self.credential: dict[str, str] = {}

    async def prepare(self, **more: str) -> None:
        farm = await self.shoal.post("/farms", {"name": f"Farm of {self.name}"})
        for name in ("Pen 4", "Pen 5"):
            made = await self.shoal.post(f"/farms/{farm['id']}/enclosures", {"name": name, "kind": "pen"})
            self.enclosures.append(made["id"])
        asked = {"endpoint": self.name, "kind": "sensor", "enclosure": self.enclosures[0], **more}
        device = await self.shoal.post("/devices", asked)
        self.device = device["id"]
        self.credential = {"identity": device["security"]["identity"], "key_hex": device["security"]["key"]}

    async def shown(self) -> Any:
        return await self.shoal.get(f"/devices/{self.device}")

    async def operate(self, method: str, path: str, body: object = None, **parameters: str) -> httpx.Response:
        """An operation on the device, over the API."""
        url = f"/devices/{self.device}/objects{path}"
        return await (await self.shoal.api()).request(method, url, json=body, params=parameters)

    async def readings(self, path: str) -> set[float]:
        """What was measured in the last minutes; the chart is so fine that what came apart stands apart."""
        since = datetime.now(UTC) - timedelta(minutes=5)
        parameters = {"path": path, "from": since.isoformat(), "points": str(POINTS_MAX)}
        chart = await self.shoal.get(f"/devices/{self.device}/readings", **parameters)
        return {point[edge] for point in chart["points"] for edge in ("min", "max")}

    async def timeline(self) -> Any:
        return (await self.shoal.get(f"/devices/{self.device}/timeline"))["items"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shoal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    async with product(tmp_path_factory.mktemp("leshan") / "data") as running:
        yield running


@pytest.fixture
def site(shoal: Product) -> Site:
    return Site(shoal, next(NAMES))


async def test_it_appears_with_live_values_where_the_operator_put_it(site: Site) -> None:
    await site.prepare()
    pen = site.enclosures[0]
    uri = site.shoal.coaps
    async with leshan(uri, site.name, **site.credential, enclosure=pen) as peer:
        await peer.says("registered")

        listed = await site.shoal.until(lambda: _registered_in(site, pen))
        assert listed["registration"]["secure"]
        assert (listed["registration"]["version"], listed["registration"]["lifetime_s"]) == ("1.1", 60)
        assert (listed["claim"]["enclosure"], listed["claim"]["via"]) == (pen, "query")
        assert (listed["place"]["enclosure"], listed["place"]["state"]) == (pen, "agreed")

        await _operate(site, peer)
        await _watch(site, peer)
        await peer.tell("update")
        await peer.says("updated")

    assert await site.shoal.until(lambda: _is_gone(site))
    told = await site.shoal.until(lambda: _told_of_goodbye(site))
    assert told[-1].startswith("Registered")


async def _operate(site: Site, peer: LeshanPeer) -> None:
    """Reads, writes and executes, all answered by the device itself."""
    battery = await site.operate("GET", "/3/0/9")
    assert battery.status_code == 200, battery.text
    assert (battery.json()["value"], battery.json()["source"]) == (87, "device")

    written = await site.operate("PUT", "/3/0/15", {"value": "Atlantic/Faroe"})
    assert written.status_code == 200, written.text
    await peer.says("written /3/0/15 Atlantic/Faroe")

    executed = await site.operate("POST", "/3303/0/5605")
    assert executed.status_code == 200, executed.text
    await peer.says("executed /3303/0/5605")

    refused = await site.operate("PUT", "/3/0/0", {"value": "Somebody Else"})
    assert refused.status_code == 502
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert "4.05" in refused.text

    tree = await site.shoal.get(f"/devices/{site.device}/objects")
    assert {3, 3303} <= {item["object"] for item in tree["items"]}


async def _watch(site: Site, peer: LeshanPeer) -> None:
    """Values come by observation and by Send, and are found in the list and in the past."""
    await site.shoal.until(lambda: _vital(site, "battery_percent", 87))
    assert (await site.shown())["manufacturer"] == "Leshan"

    await peer.tell("value 8.125")
    await peer.tell(f"send SENML_JSON {TEMPERATURE}")
    assert await peer.says("sent") == "sent CHANGED"
    await peer.tell("value 9.25")
    await peer.tell(f"send SENML_CBOR {TEMPERATURE}")
    assert await peer.says("sent") == "sent CHANGED"

    await site.shoal.until(lambda: _has_readings(site, {8.125, 9.25}))
    last = await site.operate("GET", TEMPERATURE, source="last-known")
    assert (last.json()["value"], last.json()["source"]) == (9.25, "last-known")


async def test_one_that_says_it_hangs_elsewhere_is_told_and_stays_where_it_was(site: Site) -> None:
    await site.prepare()
    first, second = site.enclosures
    async with leshan(site.shoal.coaps, site.name, **site.credential, enclosure=second) as peer:
        await peer.says("registered")

        shown = await site.shoal.until(lambda: _with_place_state(site, "mismatch"))
        assert (shown["place"]["enclosure"], shown["claim"]["enclosure"]) == (first, second)

        accepted = await (await site.shoal.api()).post(f"/devices/{site.device}:accept-claim")
        assert accepted.status_code == 204
        shown = await site.shoal.until(lambda: _with_place_state(site, "agreed"))
        assert shown["place"]["enclosure"] == second


async def test_with_a_wrong_key_or_the_wrong_name_it_never_appears(site: Site) -> None:
    await site.prepare()
    uri = site.shoal.coaps
    async with leshan(uri, site.name, **site.credential | {"key_hex": "00" * 16}) as peer:
        await peer.says("refused", "timeout")
        await site.shoal.until(lambda: _has_line(site, "security"))
    async with leshan(uri, "somebody-else", **site.credential) as peer:
        assert await peer.says("refused") == "refused BAD_REQUEST"

    assert (await site.shown())["registration"] is None
    assert (await site.shoal.get("/devices", q="somebody-else"))["items"] == []


async def test_what_is_asked_of_one_that_sleeps_waits_until_it_wakes(site: Site) -> None:
    # The demonstration's profile has an awake window of two seconds.
    await site.prepare(profile="demo")
    async with leshan(site.shoal.coaps, site.name, **site.credential, queue_mode=True, lifetime_s=600) as peer:
        await peer.says("registered")
        shown = await site.shoal.until(lambda: _asleep(site))
        assert shown["registration"]["queue_mode"]

        asked = await site.operate("PUT", "/3/0/15", {"value": "Atlantic/Faroe"}, ttl="600s")
        assert asked.status_code == 202, asked.text
        command = asked.json()
        assert command["state"] == "queued"
        assert not any(line.startswith("written") for line in peer.said)

        await peer.tell("update")
        await peer.says("written /3/0/15 Atlantic/Faroe")
        await site.shoal.until(lambda: _answered(site, command["id"]))


async def test_instances_come_and_go_are_changed_in_part_and_say_when_they_report(site: Site) -> None:
    await site.prepare()
    async with leshan(site.shoal.coaps, site.name, **site.credential, enclosure=site.enclosures[0]) as peer:
        await peer.says("registered")
        await site.shoal.until(lambda: _registered_in(site, site.enclosures[0]))

        named = await site.operate("POST", "/3442", {"instance": 7, "resources": {"110": "seven", "120": 70}})
        assert named.status_code == 201, named.text
        assert named.json()["path"] == "/3442/7"
        chosen = await site.operate("POST", "/3442", {"resources": {"110": "any"}})
        assert chosen.status_code == 201, chosen.text
        free = chosen.json()["path"]
        assert free not in ("/3442", "/3442/0", "/3442/7")
        await site.shoal.until(lambda: _instances(site, {"/3442/0", "/3442/7", free}))

        partly = await site.operate("PATCH", "/3442/7", {"resources": {"120": 71}})
        assert partly.status_code == 200, partly.text
        assert (await site.operate("GET", "/3442/7")).json()["value"] == {"110": "seven", "120": 71}
        wholly = await site.operate("PUT", "/3442/7", {"resources": {"120": 72}})
        assert wholly.status_code == 200, wholly.text
        assert (await site.operate("GET", "/3442/7")).json()["value"] == {"120": 72}

        api = await site.shoal.api()
        asked = {"path": "/3442/7/120", "attributes": {"pmin": 1, "pmax": 60, "gt": 100}}
        written = await api.post(f"/devices/{site.device}:send-attributes", json=asked)
        assert written.status_code == 200, written.text
        discovered = await api.post(f"/devices/{site.device}:discover", json={"path": "/3442/7"})
        links = {link["path"]: link["attributes"] for link in discovered.json()["links"]}
        assert {name: float(value) for name, value in links["/3442/7/120"].items()} == {
            "pmin": 1,
            "pmax": 60,
            "gt": 100,
        }

        for gone in ("/3442/7", free):
            assert (await site.operate("DELETE", gone)).status_code == 200
        again = await site.operate("DELETE", "/3442/7")
        assert (again.status_code, "4.04" in again.text) == (502, True)
        await site.shoal.until(lambda: _instances(site, {"/3442/0"}))


async def _registered_in(site: Site, enclosure: str) -> Any:
    items = (await site.shoal.get("/devices", enclosure=enclosure))["items"]
    return next(
        (item for item in items if item["endpoint"] == site.name and item["registration"] and item["claim"]), None
    )


async def _told_of_goodbye(site: Site) -> list[str]:
    told = [line["says"] for line in await site.timeline() if line["kind"] == "registration"]
    return told if told[0] == "Said goodbye" else []


async def _is_gone(site: Site) -> bool:
    return (await site.shown())["registration"] is None


async def _vital(site: Site, name: str, value: float) -> bool:
    vital = (await site.shown())["vitals"][name]
    return vital is not None and vital["value"] == value


async def _has_readings(site: Site, values: set[float]) -> bool:
    return values <= await site.readings(TEMPERATURE)


async def _with_place_state(site: Site, state: str) -> Any:
    shown = await site.shown()
    return shown if shown["place"]["state"] == state else None


async def _has_line(site: Site, kind: str) -> bool:
    return any(line["kind"] == kind for line in await site.timeline())


async def _asleep(site: Site) -> Any:
    shown = await site.shown()
    return shown if shown["flags"]["asleep"] else None


async def _answered(site: Site, command: str) -> bool:
    return bool((await site.shoal.get(f"/commands/{command}"))["state"] == "answered")


async def _instances(site: Site, paths: set[str]) -> bool:
    tree = (await site.shoal.get(f"/devices/{site.device}/objects"))["items"]
    instances = next(item["instances"] for item in tree if item["object"] == 3442)
    return {f"/3442/{instance['instance']}" for instance in instances} == paths
