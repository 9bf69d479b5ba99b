"""A device has an object of its maker that nobody defined: its bytes are bytes wherever they are looked at."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal.lwm2m import Device, Link
from tests.harness.product import Product, product

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAME = "feeder-17"
BYTES = bytes(range(40))


@pytest.fixture
async def shoal(tmp_path: Path) -> AsyncIterator[Product]:
    async with product(tmp_path / "data") as running:
        yield running


async def test_bytes_of_an_object_that_nobody_defined_are_bytes_everywhere(shoal: Product) -> None:
    made = await shoal.post("/devices", {"endpoint": NAME, "security": {"mode": "psk", "identity": NAME}})
    tree, said = f"/devices/{made['id']}/objects", base64.b64encode(BYTES).decode()
    device = Device(NAME, shoal.coaps, identity=NAME, key=bytes.fromhex(made["security"]["key"]))
    # Before it is switched on: its first registration lists the object.
    device.set("/49000/0/3", BYTES)
    device.set("/49000/0/4", Link(3303, 0))
    device.set("/49000/0/5", "calm")
    async with device:
        await device.registered(timedelta(seconds=60))

        await device.send("/49000/0")

        await shoal.until(lambda: told(shoal, tree))
        assert await told(shoal, tree) == {
            "/49000/0/3": ("opaque", said),
            "/49000/0/4": ("objlnk", "3303:0"),
            "/49000/0/5": ("string", "calm"),
        }
        for source in ("last-known", "device"):
            read = await shoal.get(f"{tree}/49000/0", source=source)
            assert read["kinds"] == {"/49000/0/3": "opaque", "/49000/0/4": "objlnk"}, source
            one = await shoal.get(f"{tree}/49000/0/3", source=source)
            assert (one["type"], one["value"]) == ("opaque", said), source


async def told(shoal: Product, tree: str) -> dict[str, tuple[str, Any]]:
    """Types and values of the unknown object, by path."""
    return {
        resource["path"]: (resource["type"], resource["value"])
        for one in (await shoal.get(tree))["items"]
        if one["object"] == 49_000
        for instance in one["instances"]
        for resource in instance["resources"]
    }
