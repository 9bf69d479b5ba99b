"""A camera that the feed supplier's server reads as well: policies say what it may, and the camera is told so."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any

import pytest

from shoal.lwm2m import Device, Refusal
from shoal.lwm2m.path import Path
from tests.harness.product import Product, product

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE = timedelta(seconds=60)
KEY = bytes(range(16))
AWAKE = timedelta(seconds=2)
OURS, SUPPLIER = 101, 102
BOOTSTRAP = 65_535


class Camera:
    """A device as bootstrap left it: two servers, and lists of rights that let in nobody but us."""

    def __init__(self, shoal: Product, **more: Any) -> None:
        self.device = device = Device("cam-4", shoal.coaps, identity="cam-4", key=KEY, **more)
        for instance, short_id in ((0, OURS), (1, SUPPLIER)):
            device.set(f"/1/{instance}/0", short_id)
            device.set(f"/1/{instance}/1", 300)
        device.set("/3/0/9", 87)
        device.set("/3303/0/5700", 7.5)
        for number, (object_id, instance, owner) in enumerate(
            [(3, 0, OURS), (3303, 0, OURS), (3303, BOOTSTRAP, BOOTSTRAP)]
        ):
            device.set(f"/2/{number}/0", object_id)
            device.set(f"/2/{number}/1", instance)
            device.set(f"/2/{number}/3", owner)
        self._rights: dict[str, object] = {}
        device.on_write("/2", self._rights.__setitem__)
        device.on_removed("/2", self._removed)

    def _removed(self, path: Path) -> None:
        self._rights.pop(str(path), None)

    def listed(self, number: int) -> dict[int, object]:
        """A list of rights, as the device has it now."""
        prefix = f"/2/{number}/2/"
        found = {path.removeprefix(prefix): value for path, value in self._rights.items() if path.startswith(prefix)}
        return {int(server): value for server, value in found.items()}


async def test_the_supplier_reads_what_a_policy_grants_and_a_refusal_is_seen(tmp_path: FilePath) -> None:
    async with product(tmp_path / "data") as shoal:
        security = {"mode": "psk", "identity": "cam-4", "key": KEY.hex()}
        made = await shoal.post("/devices", {"endpoint": "cam-4", "kind": "camera", "security": security})
        path = f"/devices/{made['id']}/access-control"
        assert await shoal.get(path) == (await shoal.get(path)) | {"shared": False, "controls": []}

        camera = Camera(shoal)
        async with camera.device:
            await camera.device.registered(PATIENCE)
            untouched = await settled(shoal, path)
            assert (untouched["own"], untouched["servers"], untouched["ruled"]) == (OURS, [OURS, SUPPLIER], False)
            assert camera.listed(0) == {}

            # A policy grants, and the device is told.
            policy = await shoal.post("/policies", {
                "effect": "allow", "who": {"kind": "server", "id": "102"}, "operations": ["read", "write"],
                "paths": ["/3/0/*", "/3303/0/5700"],
            })  # fmt: skip
            granted = await settled(shoal, path, ruled=True)
            assert policy["says"] == "Server 102 may read and write /3/0/* and /3303/0/5700 everywhere"
            assert camera.listed(0) == {0: 0, OURS: 15, SUPPLIER: 3}
            assert rights(granted, "/3/0", "102") == (["read", "write"], ["read", "write"])
            # Less than an instance cannot be said: nothing is granted, and whoever looks sees why.
            assert camera.listed(1) == {}
            assert at(granted, "/3303/0")["unsaid"][0]["policy"] == policy["id"]
            why = {"subject": "server:102", "operation": "read", "place": made["id"], "path": "/3303/0/5700"}
            assert (await shoal.post("/policies:explain", why, 200))["decision"] == "denied"
            assert (await shoal.post("/policies:explain", why | {"path": "/3/0/9"}, 200))["decision"] == "allowed"

            # It changes, and so does the device.
            await change(shoal, policy["id"], {"operations": ["read"]})
            await shoal.until(lambda: is_listed(camera, {0: 0, OURS: 15, SUPPLIER: 1}))
            await settled(shoal, path)

            # The device refuses: told once, and shown as drift with its reason.
            asked: list[object] = []
            camera.device.check("/2", lambda ask: refuse(asked, ask))
            await change(shoal, policy["id"], {"operations": ["read", "execute"]})
            drifted = await shoal.until(lambda: drifts(shoal, path))
            assert at(drifted, "/3/0")["state"] == "refused"
            assert at(drifted, "/3/0")["code"] == "4.05"
            assert "locked" in at(drifted, "/3/0")["reason"]
            assert rights(drifted, "/3/0", "102") == (["read", "execute"], ["read"])

            # A policy about somebody else, and a look for another reason, do not make us ask again.
            await shoal.post("/policies", {"effect": "deny", "who": {"kind": "everybody"}, "operations": ["delete"]})
            camera.device.set("/3304/0/5700", 40.0)
            later = await shoal.until(lambda: looked_again(shoal, path, drifted["since"]))
            assert at(later, "/3/0")["state"] == "refused"
            assert len(asked) == 1


async def test_one_that_sleeps_is_told_when_it_wakes_and_what_was_given_is_taken_back(tmp_path: FilePath) -> None:
    async with product(tmp_path / "data") as shoal:
        profile = {"name": "Sleeper", "report_every_s": 600, "lifetime_s": 600, "awake_window_s": AWAKE.total_seconds()}
        await shoal.post("/profiles", profile)
        security = {"mode": "psk", "identity": "cam-4", "key": KEY.hex()}
        made = await shoal.post("/devices", {"endpoint": "cam-4", "profile": "Sleeper", "security": security})
        path = f"/devices/{made['id']}"

        camera = Camera(shoal, queue_mode=True, awake_window=AWAKE)
        async with camera.device:
            await camera.device.registered(PATIENCE)
            await shoal.until(lambda: woken(camera, lambda: looked_at(shoal, path)))
            await shoal.until(lambda: asleep(camera))
            policy = await shoal.post("/policies", {
                "effect": "allow", "who": {"kind": "server", "id": "*"}, "operations": ["read"], "place": made["id"],
            })  # fmt: skip

            await shoal.until(lambda: waits(shoal, path))
            assert camera.listed(0) == {}, "it sleeps"
            await shoal.until(lambda: woken(camera, lambda: is_listed(camera, {0: 1, OURS: 15}, 0, 1)))

            await (await shoal.api()).delete(f"/policies/{policy['id']}")
            await shoal.until(lambda: woken(camera, lambda: is_listed(camera, {0: 0, OURS: 15}, 0, 1)))
            left = await shoal.until(lambda: woken(camera, lambda: looked_at(shoal, path)))

    assert (left["ruled"], left["drift"]) == (False, False)


def refuse(asked: list[object], ask: object) -> None:
    asked.append(ask)
    raise Refusal("4.05", "locked by the supplier")


async def change(shoal: Product, policy: str, what: dict[str, Any]) -> None:
    answer = await (await shoal.api()).patch(f"/policies/{policy}", json=what)
    assert answer.status_code == 200, answer.text


async def settled(shoal: Product, path: str, *, ruled: bool | None = None) -> Any:
    """How it stands, once nothing is asked of the device any more."""

    async def look() -> Any:
        found = await shoal.get(path)
        is_it = found["shared"] and found["settled"] and ruled in {None, found["ruled"]}
        return found if is_it and not any(one["state"] == "waiting" for one in found["controls"]) else None

    return await shoal.until(look)


async def woken(camera: Camera, ask: Callable[[], Awaitable[Any]]) -> Any:
    """Lets the device speak, and so listen for a moment, and then asks."""
    await camera.device.send("/3/0/9")
    return await ask()


async def asleep(camera: Camera) -> bool:
    return not camera.device.is_awake


async def waits(shoal: Product, path: str) -> bool:
    """Whether a read of its servers waits for the device to wake."""
    commands = (await shoal.get(f"{path}/commands"))["items"]
    return any((one["path"], one["state"]) == ("/1", "queued") for one in commands)


async def looked_at(shoal: Product, path: str) -> Any:
    found = await shoal.get(f"{path}/access-control")
    return found if found["shared"] and found["settled"] else None


async def drifts(shoal: Product, path: str) -> Any:
    found = await shoal.get(path)
    return found if found["settled"] and found["drift"] else None


async def looked_again(shoal: Product, path: str, since: str) -> Any:
    found = await shoal.get(path)
    return found if found["settled"] and found["since"] != since else None


async def is_listed(camera: Camera, wanted: dict[int, int], *numbers: int) -> bool:
    return all(camera.listed(number) == wanted for number in numbers or (0,))


def at(shown: Any, path: str) -> Any:
    return next(one for one in shown["controls"] if one["path"] == path)


def rights(shown: Any, path: str, server: str) -> tuple[list[str], list[str]]:
    """What a server is to be allowed, and what it is."""
    found = next(one for one in at(shown, path)["rights"] if one["server"] == server)
    return found["wanted"], found["found"]
