"""A device whose key was changed goes on with the old one: why it is quiet is said on its page, with the evidence."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shoal.lwm2m import Device
from tests.harness.product import Product, product

KEY = bytes(range(16))
# Three reports that are missing make a device with mains power late.
REPORT_EVERY_S = 2


@pytest.mark.timeout(300)
async def test_a_wrong_key_is_the_cause_of_silence_until_the_device_gets_the_right_one(tmp_path: Path) -> None:
    async with product(tmp_path / "data") as shoal:
        profile = await shoal.post(
            "/profiles", {"name": "Quick", "report_every_s": REPORT_EVERY_S, "lifetime_s": 60, "grace_s": 5}
        )
        made = await shoal.post(
            "/devices",
            {
                "endpoint": "oxy-1",
                "profile": profile["id"],
                "security": {"mode": "psk", "identity": "oxy-1", "key": KEY.hex()},
            },
        )
        device = made["id"]
        async with Device("oxy-1", shoal.coaps, identity="oxy-1", key=KEY, lifetime=timedelta(seconds=60)) as old:
            await old.registered(timedelta(seconds=60))

            renewed = await shoal.post(
                f"/devices/{device}/credentials", {"mode": "psk", "identity": "oxy-1", "overlap_s": 0}
            )

            shown = await shoal.until(lambda: refused_with_a_reason(shoal, device))
            [entry] = (await shoal.get("/security-events", device=device, reason="wrong_key"))["items"]
        facts = [fact["says"] for fact in shown["verdict"]["evidence"]]
        assert any(says.startswith("Handshake refused: wrong key") and "127.0.0.1" in says for says in facts)
        assert (entry["identity"], entry["address"], entry["endpoint"]) == ("oxy-1", "127.0.0.1", "oxy-1")

        right = bytes.fromhex(renewed["key"])
        async with Device("oxy-1", shoal.coaps, identity="oxy-1", key=right, lifetime=timedelta(seconds=60)) as new:
            await new.registered(timedelta(seconds=60))
            await shoal.until(lambda: is_well(shoal, device))


async def refused_with_a_reason(shoal: Product, device: str) -> Any:
    shown = await shoal.get(f"/devices/{device}")
    return shown if shown["cause"] == "handshake_refused" else None


async def is_well(shoal: Product, device: str) -> bool:
    return bool((await shoal.get(f"/devices/{device}"))["status"] == "healthy")
