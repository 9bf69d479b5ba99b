"""Devices over TCP against the whole product: aiocoap, and our own client."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal.lwm2m import Device
from tests.harness.coap_peers import Sensor, aiocoap_peer
from tests.harness.product import Product, free_port, product

pytestmark = pytest.mark.timeout(300)

TEMPERATURE = "/3303/0/5700"


async def test_devices_over_tcp_appear_are_asked_and_report(tmp_path: Path) -> None:
    uri = f"coap+tcp://127.0.0.1:{free_port()}"
    async with product(tmp_path / "data", "--listen", uri) as shoal:
        farm = await shoal.post("/farms", {"name": "North"})
        pen = await shoal.post(f"/farms/{farm['id']}/enclosures", {"name": "Pen 4", "kind": "pen"})
        asked = {"kind": "sensor", "enclosure": pen["id"], "security": {"mode": "none"}}
        ours = await shoal.post("/devices", {"endpoint": "ours", **asked})
        theirs = await shoal.post("/devices", {"endpoint": "theirs", **asked})

        resources = {TEMPERATURE: Sensor(b"4.5"), "/3/0/9": Sensor(b"66")}
        device = Device("ours", uri)
        device.set("/3/0/9", 87)
        device.set(TEMPERATURE, 5.5)
        async with device, aiocoap_peer(uri, resources) as peer:
            await device.registered()
            assert str((await peer.register("theirs", "T")).code).startswith("2.01")

            for made, battery, temperature in ((ours, 87, 5.5), (theirs, 66, 4.5)):
                shown = await shoal.until(lambda made=made: _registered(shoal, made["id"]))
                registration = shown["registration"]
                assert (registration["binding"], registration["secure"]) == ("T", False)
                assert registration["address"].startswith("127.0.0.1:")
                assert battery == await _read(shoal, made["id"], "/3/0/9")
                await shoal.until(lambda made=made, value=temperature: _reported(shoal, made["id"], value))
            assert (await shoal.metrics("shoal_core_held"))["connections"] == 2
        # Both left: one said so, the other is out of reach and as registered as before.
        await shoal.until(lambda: _connections_are_gone(shoal))
        assert (await shoal.get(f"/devices/{theirs['id']}"))["registration"] is not None


async def _registered(shoal: Product, device: str) -> Any:
    shown = await shoal.get(f"/devices/{device}")
    return shown if shown["registration"] else None


async def _read(shoal: Product, device: str, path: str) -> Any:
    answer = await (await shoal.api()).get(f"/devices/{device}/objects{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["value"]


async def _reported(shoal: Product, device: str, value: float) -> bool:
    since = datetime.now(UTC) - timedelta(minutes=5)
    parameters = {"path": TEMPERATURE, "from": since.isoformat()}
    chart = await shoal.get(f"/devices/{device}/readings", **parameters)
    return any(value in (point["min"], point["max"]) for point in chart["points"])


async def _connections_are_gone(shoal: Product) -> bool:
    return (await shoal.metrics("shoal_core_held"))["connections"] == 0
