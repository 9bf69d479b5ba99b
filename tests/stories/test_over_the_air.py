"""A real Shoal updates real devices: pushed, fetched over CoAP and over HTTP; with the link cut in the middle, each byte
comes once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.demo.downloads import fetch_by_http
from shoal.errors import DeviceFault
from shoal.lwm2m.device import Device
from shoal.lwm2m.firmware import Firmware, Method, Protocol, Result, State
from shoal.lwm2m.state import Begun
from tests.harness.product import Product, product

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZE = 400_000
IMAGE = b"2.1.0\n" + bytes(number % 251 for number in range(SIZE - 6))
# A block of CoAP, and what may come twice around a cut: what was on its way.
BLOCK = 1024


class Camera:
    """A device whose firmware is the first line of an image. `received` counts what came to it, block by block."""

    def __init__(self, shoal: Product, endpoint: str, key: str) -> None:
        self.device = Device(endpoint, shoal.coaps, identity=endpoint, key=bytes.fromhex(key))
        self.device.set("/3/0/3", "2.0.3")
        self.image = b""
        self.blocks: list[int] = []
        self.device.on_receiving("/5/0/0", lambda _, count: self.blocks.append(count))
        self.loses_power_at: int | None = None
        self._fetch = self.device.fetch
        self.device.fetch = self._watched  # type: ignore[method-assign]  # the same, with an eye on it

    def with_firmware(self, **how: Any) -> "Camera":
        self.firmware = Firmware(self.device, self._install, boot=self.device.power_on, **how)
        return self

    async def _watched(self, uri: str, progress: object = None, begun: Begun | None = None) -> bytes:
        del progress
        return await self._fetch(uri, self._came, begun)

    def _came(self, count: int, size: int | None) -> None:
        del size
        if self.loses_power_at is not None and count >= self.loses_power_at:
            self.loses_power_at = None
            self.device.lose_power()

    async def _install(self, image: bytes) -> Result:
        self.image = image
        self.device.lose_power()
        self.device.set("/3/0/3", image.partition(b"\n")[0].decode())
        return Result.SUCCESS


@pytest.fixture
async def shoal(tmp_path: Path) -> AsyncIterator[Product]:
    async with product(tmp_path / "data") as running:
        yield running


async def installed(shoal: Product, endpoint: str) -> tuple[str, Camera]:
    """The id of a new device, and the device, switched off."""
    # Reports every few seconds, so that all timers of an update are short.
    profile = await shoal.post(
        "/profiles", {"name": endpoint, "report_every_s": 2, "lifetime_s": 60, "read": ["/3/0", "/5/0"]}
    )
    made = await shoal.post(
        "/devices",
        {
            "endpoint": endpoint,
            "kind": "camera",
            "profile": profile["id"],
            "security": {"mode": "psk", "identity": endpoint},
        },
    )
    return made["id"], Camera(shoal, endpoint, made["security"]["key"])


async def uploaded(shoal: Product, image: bytes = IMAGE) -> str:
    form = {"name": "camera", "version": image.partition(b"\n")[0].decode(), "kind": "firmware"}
    answer = await (await shoal.api()).post("/artifacts", data=form, files={"file": ("image", image)})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    return str(answer.json()["id"])


async def started(shoal: Product, device: str, artifact: str, **more: object) -> str:
    made = await shoal.post(f"/devices/{device}/updates", {"artifact": artifact, "soak_s": 1, **more})
    return str(made["id"])


async def ended(shoal: Product, device: str, update: str) -> Any:
    async def look() -> Any:
        found = await shoal.get(f"/devices/{device}/updates/{update}")
        ends = {"confirmed", "failed", "rolled_back", "cancelled", "needs_attention"}
        return found if found["state"] in ends else None

    return await shoal.until(look)


async def test_an_image_is_pushed_to_a_device_that_cannot_fetch(shoal: Product) -> None:
    device, camera = await installed(shoal, "cam-push")
    camera.with_firmware(method=Method.PUSH)
    artifact = await uploaded(shoal)
    async with camera.device:
        await camera.device.registered()
        update = await started(shoal, device, artifact)
        done = await ended(shoal, device, update)

    assert (done["state"], done["delivery"], done["over"]) == ("confirmed", "push", "coaps"), done
    assert (done["bytes"], done["size"], done["from_version"]) == (SIZE, SIZE, "2.0.3")
    assert camera.image == IMAGE
    assert camera.blocks == [BLOCK * number for number in range(1, SIZE // BLOCK + 1)], "each block once, and in order"


async def test_a_push_goes_on_where_it_was_when_the_device_comes_from_another_address(shoal: Product) -> None:
    device, camera = await installed(shoal, "cam-moves")
    camera.with_firmware(method=Method.PUSH)
    artifact = await uploaded(shoal)
    async with camera.device:
        await camera.device.registered()
        update = await started(shoal, device, artifact, delivery="push")
        for after in (50, 150, 250):
            await shoal.until(lambda after=after: _true(len(camera.blocks) >= after))
            camera.device.rebind()
            await camera.device.update()
        done = await ended(shoal, device, update)

    assert done["state"] == "confirmed", done
    assert camera.image == IMAGE
    assert len(camera.blocks) <= SIZE // BLOCK + 2 * 3, "nothing but what was on its way came twice"


async def test_a_device_that_rebooted_while_it_fetched_over_coap_goes_on_with_the_next_block(shoal: Product) -> None:
    device, camera = await installed(shoal, "cam-pull")
    camera.with_firmware(method=Method.PULL, protocols=(Protocol.COAPS,))
    # Large enough that the power goes in the middle, however fast the loopback is.
    image = IMAGE * 10
    camera.loses_power_at = SIZE
    artifact = await uploaded(shoal, image)
    async with camera.device:
        await camera.device.registered()
        update = await started(shoal, device, artifact, delivery="pull")
        await shoal.until(lambda: _true(camera.firmware.fetched > 0))
        kept = camera.firmware.fetched
        assert camera.firmware.state is State.DOWNLOADING
        camera.device.power_on()
        await camera.device.registered()
        camera.firmware.resume()
        done = await ended(shoal, device, update)

    assert (done["state"], done["delivery"], done["over"]) == ("confirmed", "pull", "coaps"), done
    assert camera.image == image
    assert SIZE <= kept < len(image)
    assert await _blocks_served(shoal) <= len(image) // BLOCK + 1 + 2, "what it had was not sent again"


async def test_a_link_that_breaks_over_http_costs_no_byte_twice(shoal: Product) -> None:
    device, camera = await installed(shoal, "cam-web")
    counted: list[tuple[str | None, int]] = []

    async def fetch(uri: str, begun: Begun) -> bytes:
        if counted:
            return await _counting(uri, begun, counted, None)
        with contextlib.suppress(DeviceFault):
            await _counting(uri, begun, counted, SIZE // 2)
        return await _counting(uri, begun, counted, None)

    camera.with_firmware(method=Method.PULL, protocols=(Protocol.COAPS, Protocol.HTTP), fetch_web=fetch)
    artifact = await uploaded(shoal)
    async with camera.device:
        await camera.device.registered()
        update = await started(shoal, device, artifact)
        done = await ended(shoal, device, update)

    assert (done["state"], done["delivery"], done["over"]) == ("confirmed", "pull", "http"), done
    assert (camera.image, done["bytes"]) == (IMAGE, SIZE)
    [(first_range, first), (second_range, second)] = counted
    assert (first_range, second_range) == (None, f"bytes={first}-")
    assert first + second == SIZE
    assert SIZE // 2 <= first < SIZE


async def test_one_click_takes_a_device_back_to_what_it_ran_before(shoal: Product) -> None:
    device, camera = await installed(shoal, "cam-back")
    camera.with_firmware(method=Method.PULL, protocols=(Protocol.COAPS,))
    first, second = await uploaded(shoal), await uploaded(shoal, b"2.2.0\n" + IMAGE)
    async with camera.device:
        await camera.device.registered()
        one = await ended(shoal, device, await started(shoal, device, first))
        two = await ended(shoal, device, await started(shoal, device, second))
        refused = await (await shoal.api()).post(f"/devices/{device}/updates", json={"roll_back": one["id"]})
        back = await shoal.post(f"/devices/{device}/updates", {"roll_back": two["id"]})
        done = await ended(shoal, device, back["id"])

    assert (one["state"], two["state"], two["previous_version"]) == ("confirmed", "confirmed", "2.1.0")
    assert (refused.status_code, refused.json()["type"]) == (409, "conflict")
    assert (done["state"], done["version"], done["undoes"]) == ("confirmed", "2.1.0", two["id"]), done
    assert camera.image == IMAGE


async def _counting(uri: str, begun: Begun, counted: list[tuple[str | None, int]], cut_after: int | None) -> bytes:
    """Fetches, counts what came over the wire, and cuts the link after so many bytes."""
    came, before = 0, len(begun.data)

    async def watch(response: httpx.Response) -> None:
        stream = response.aiter_raw

        async def cut(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            nonlocal came
            async for chunk in stream(chunk_size):
                came += len(chunk)
                yield chunk
                if cut_after is not None and came >= cut_after:
                    raise httpx.ReadError("the link is cut")

        response.aiter_raw = cut  # type: ignore[method-assign]

    try:
        client = httpx.AsyncClient(event_hooks={"response": [watch]}, trust_env=False)
        return await fetch_by_http(uri, begun, client)
    finally:
        counted.append((f"bytes={before}-" if before else None, came))


async def _true(is_so: bool) -> bool:
    await asyncio.sleep(0)
    return is_so


async def _blocks_served(shoal: Product) -> int:
    return int((await shoal.metrics())["file_blocks"])
