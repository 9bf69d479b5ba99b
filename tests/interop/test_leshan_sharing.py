"""Eclipse Leshan's client with two servers: its object 2 says what policies say."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.harness.peers import leshan
from tests.harness.product import Product

pytestmark = [pytest.mark.leshan, pytest.mark.timeout(300)]

# How Leshan's client knows us, and the other one.
OURS, OTHER = "123", "124"
LONG = timedelta(minutes=10)


async def test_the_rights_of_its_other_server_are_written_and_taken_back(tmp_path: Path) -> None:
    shoal = Product(tmp_path / "data")
    # It shows both of its servers to whoever asks: which of them we are has to be said.
    shoal.settings["SHOAL_SHORT_SERVER_ID"] = OURS
    await shoal.start()
    try:
        made = await shoal.post("/devices", {"endpoint": "leshan-1", "kind": "sensor", "security": {"mode": "psk"}})
        security = {"identity": made["security"]["identity"], "key_hex": made["security"]["key"]}
        async with leshan(
            shoal.coaps, "leshan-1", lifetime_s=int(LONG.total_seconds()), shared=True, **security
        ) as peer:
            await peer.says("registered")
            policy = await shoal.post(
                "/policies",
                {"effect": "allow", "who": {"kind": "server", "id": OTHER}, "operations": ["read", "execute"]},
            )
            given = await shoal.until(lambda: rights(shoal, made["id"], ["read", "execute"]))
            assert await listed(shoal, made["id"]) == {"0": 0, OURS: 15, OTHER: 5}

            await (await shoal.api()).delete(f"/policies/{policy['id']}")
            await shoal.until(lambda: rights(shoal, made["id"], []))
            assert await listed(shoal, made["id"]) == {"0": 0, OURS: 15}
    finally:
        await shoal.stop()

    assert (given["own"], given["servers"]) == (int(OURS), [int(OURS), int(OTHER)])


async def rights(shoal: Product, device: str, operations: list[str]) -> Any:
    """How it stands, once the device shows that its other server may this on the Device object."""
    found = await shoal.get(f"/devices/{device}/access-control")
    control = next((one for one in found["controls"] if one["path"] == "/3/0"), None)
    shown = [one["found"] for one in (control or {"rights": []})["rights"] if one["server"] == OTHER]
    return found if found["settled"] and shown == [operations] else None


async def listed(shoal: Product, device: str) -> Any:
    """The list of rights, read from the device."""
    return (await shoal.get(f"/devices/{device}/objects/2/0/2"))["value"]
