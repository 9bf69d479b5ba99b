"""A laboratory that lets in whoever comes, in the clear: a device that nobody made is in the list, and can be asked."""

import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal import lwm2m
from tests.harness.product import free_port, product


class Thermometer(lwm2m.Object, id=3303):
    value: float = lwm2m.resource(5700)


@pytest.mark.timeout(300)
async def test_a_device_that_nobody_made_is_there_as_soon_as_it_registers(tmp_path: Path) -> None:
    plain = f"coap://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    async with product(tmp_path / "data", "--listen", plain, "--open-enrolment", "Lab") as shoal:

        async def listed() -> dict[str, Any] | None:
            found = (await shoal.get("/devices"))["items"]
            return found[0] if found and found[0]["status"] == "healthy" else None

        async with lwm2m.Device("bench-1", plain, lifetime=timedelta(seconds=60)) as device:
            device.add(Thermometer(value=9.2))
            await device.registered(timedelta(seconds=60))

            made = await shoal.until(listed)
            read = await shoal.get(f"/devices/{made['id']}/objects/3303/0/5700")
            await device.send("/3303/0/5700")

            async def points() -> list[Any]:
                answer = await shoal.get(f"/devices/{made['id']}/readings", path="/3303/0/5700")
                shown: list[Any] = answer["points"]
                return shown

            assert await shoal.until(points)

        assert (made["endpoint"], made["security"]["mode"]) == ("bench-1", "none")
        assert (read["path"], read["value"]) == ("/3303/0/5700", 9.2)
