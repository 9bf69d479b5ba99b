"""The farm is set up through the API, once, also when an earlier start was interrupted."""

import json
import stat
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.demo.farm import LAYOUT, inhabitants
from shoal.demo.setup import Known, set_up


class Ledger:
    """As much of the API as the demo uses, kept in memory; breaks after `answers` requests."""

    def __init__(self) -> None:
        self.farms: list[dict[str, Any]] = []
        self.enclosures: dict[str, list[dict[str, Any]]] = {}
        self.devices: list[dict[str, Any]] = []
        self.models: list[dict[str, Any]] = []
        self.answers = 1_000
        self._numbers = count(1)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer), base_url="http://shoal/api/v1")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.answers -= 1
        if self.answers < 0:
            raise httpx.ConnectError("the process was stopped")
        parts = request.url.path.removeprefix("/api/v1/").split("/")
        if request.method == "GET":
            items = self._items(parts)
            wanted = request.url.params.get("q", "")
            return httpx.Response(200, json={"items": [i for i in items if wanted in i.get("endpoint", "")]})
        if parts == ["artifacts"]:
            version = request.content.split(b'name="version"')[1].split(b"\r\n")[2].decode()
            self.models.append({"name": "fish-count", "version": version})
            return httpx.Response(201, json={})
        body = json.loads(request.content)
        if parts[-1] == "credentials":
            return httpx.Response(201, json={"key": f"new key of {parts[1]}"})
        if parts == ["devices"] and any(device["endpoint"] == body["endpoint"] for device in self.devices):
            return httpx.Response(409, json={"type": "conflict"})
        made = {**body, "id": f"id-{next(self._numbers)}"}
        self._items(parts).append(made)
        if parts == ["devices"]:
            made = {**made, "security": {"key": f"key of {body['endpoint']}"}}
        return httpx.Response(201, json=made)

    def _items(self, parts: list[str]) -> list[dict[str, Any]]:
        if parts[-1] == "enclosures":
            return self.enclosures.setdefault(parts[1], [])
        return {"farms": self.farms, "devices": self.devices, "artifacts": self.models}[parts[0]]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


async def test_two_farms_six_enclosures_and_all_devices_are_made(ledger: Ledger, tmp_path: Path) -> None:
    async with ledger.client() as api:
        known = await set_up(api, tmp_path / "demo.json")

    assert [item["name"] for item in ledger.farms] == ["Storholmen", "Hellevika"]
    assert sum(map(len, ledger.enclosures.values())) == len(LAYOUT) == len(known.enclosures)
    assert [device["endpoint"] for device in ledger.devices] == [who.endpoint for who in inhabitants()]
    assert {device["profile"] for device in ledger.devices} == {"demo"}
    assert known.keys["oxy-0101"] == "key of oxy-0101"
    assert [model["version"] for model in ledger.models] == ["2.1.0", "2.2.0-rc1"]
    assert stat.S_IMODE((tmp_path / "demo.json").stat().st_mode) == 0o600


async def test_a_second_start_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    async with ledger.client() as api:
        first = await set_up(api, tmp_path / "demo.json")
        again = await set_up(api, tmp_path / "demo.json")

    assert first == again
    assert (len(ledger.farms), len(ledger.devices), len(ledger.models)) == (2, 24, 2)


@pytest.mark.parametrize("answers", [1, 2, 3, 5, 17, 20, 40])
async def test_an_interrupted_start_is_taken_up_where_it_ended(ledger: Ledger, tmp_path: Path, answers: int) -> None:
    ledger.answers = answers
    async with ledger.client() as api:
        with pytest.raises(httpx.ConnectError):
            await set_up(api, tmp_path / "demo.json")
        ledger.answers = 1_000

        known = await set_up(api, tmp_path / "demo.json")

    assert len(known.keys) == len(ledger.devices) == 24
    assert (len(ledger.farms), sum(map(len, ledger.enclosures.values())), len(ledger.models)) == (2, 6, 2)


async def test_a_device_whose_key_is_lost_gets_a_new_one(ledger: Ledger, tmp_path: Path) -> None:
    async with ledger.client() as api:
        first = await set_up(api, tmp_path / "demo.json")
        (tmp_path / "demo.json").unlink()

        known: Known = await set_up(api, tmp_path / "demo.json")

    assert known.enclosures == first.enclosures
    assert all(key.startswith("new key of") for key in known.keys.values())
