"""A device that knows nothing but its factory key becomes a device of a real Shoal, and gets other keys when it is told to."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal.lwm2m import Device
from tests.harness.product import free_port, product

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE = timedelta(seconds=60)


async def test_a_device_is_brought_in_by_its_factory_key_and_given_new_keys_by_one_call(tmp_path: Path) -> None:
    address = f"coaps://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    async with product(tmp_path / "data", "--bootstrap-listen", address) as shoal:
        farm = await shoal.post("/farms", {"name": "North"})
        pen = await shoal.post(f"/farms/{farm['id']}/enclosures", {"name": "Pen 4", "kind": "pen"})
        made = await shoal.post("/devices", {"endpoint": "s-17", "kind": "sensor", "enclosure": pen["id"]})
        path = f"/devices/{made['id']}"
        factory = await shoal.post(f"{path}/bootstrap", {"identity": "factory-17"})
        key, state = bytes.fromhex(factory["key"]), tmp_path / "device.json"

        async with Device("s-17", address, identity="factory-17", key=key, bootstrap=True, state=state) as device:
            await device.registered(PATIENCE)
            first = await shoal.until(lambda: said(shoal, path, "Was given new keys"))
            shown = await shoal.until(lambda: claiming(shoal, path))
            asked = await shoal.post(f"{path}:bootstrap", expected=202)
            await shoal.until(lambda: said(shoal, path, "Was given new keys", times=2))
            await device.registered(PATIENCE)
            assert await shoal.until(lambda: answered(shoal, asked["id"]))

        # The account outlives the device's own restart, without the bootstrap server.
        async with Device(
            "s-17", "coaps://127.0.0.1:9", identity="factory-17", key=key, bootstrap=True, state=state
        ) as device:
            await device.registered(PATIENCE)

    assert first
    assert shown["claim"]["enclosure"] == pen["id"]
    assert shown["registration"]["secure"]
    assert key.hex() not in shoal.log.read_text()


async def claiming(shoal: Any, path: str) -> Any:
    """The device once it has said where it is; the history may know of a registration before the inventory does."""
    device = await shoal.get(path)
    return device if device["claim"] else None


async def said(shoal: Any, path: str, words: str, times: int = 1) -> bool:
    timeline = await shoal.get(f"{path}/timeline")
    return sum(line["says"] == words for line in timeline["items"]) >= times


async def answered(shoal: Any, command: str) -> bool:
    return bool((await shoal.get(f"/commands/{command}"))["state"] == "answered")
