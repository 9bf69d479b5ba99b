"""A new recognition model reaches the cameras of a farm: one runs it, another falls back, a third is never heard again."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.campaigns import store
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.update import Update, UpdateState
from shoal.errors import Conflict
from shoal.events.campaign import UpdateChanged
from shoal.events.topics import CAMPAIGN
from shoal.ids import TenantId
from shoal.inventory.device import Kind
from tests.harness.firmware_device import FirmwareDevice, Gateway, Outcome
from tests.harness.installation import Installation, installation

OLD, NEW = "2.0.3", "2.1.0"
MODEL = f"{NEW}\n".encode() + bytes(range(256)) * 1_000
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def shoal(tmp_path: Path) -> AsyncIterator[Installation]:
    async with installation(tmp_path) as started:
        yield started


class Farm:
    """A farm with cameras, and the model that is to reach them."""

    def __init__(self, shoal: Installation) -> None:
        self.shoal = shoal
        self.tenant = TenantId("")
        self.artifact = ""

    async def settle_in(self) -> "Farm":
        self.tenant = await self.shoal.create_tenant("Nordlaks")

        async def upload() -> AsyncIterator[bytes]:
            yield MODEL

        made = await self.shoal.campaigns.add_artifact(
            self.tenant, kind="model", name="fish-count", version=NEW, chunks=upload(), by="usr-1"
        )
        self.artifact = made.id
        return self

    async def install_camera(self, endpoint: str, outcome: Outcome = Outcome.RUNS) -> FirmwareDevice:
        farm = await self.shoal.create_farm(self.tenant, f"Farm of {endpoint}")
        pen = await self.shoal.create_enclosure(self.tenant, farm, "Pen 1")
        device = await self.shoal.create_device(self.tenant, endpoint, pen, Kind.CAMERA)
        camera = FirmwareDevice(self.shoal, device, outcome)
        await camera.start()
        await self.shoal.settle()
        return camera

    async def update(self, camera: FirmwareDevice) -> Update:
        return await self.shoal.campaigns.start_update(camera.device, self.artifact, by="usr-1")

    async def look(self, update: Update) -> Update:
        return await self.shoal.campaigns.update(self.tenant, update.id)

    async def facts(self, camera: FirmwareDevice) -> DeviceFacts:
        """What campaigns know of a camera."""
        async with self.shoal.database.transaction() as tx:
            [(facts, _)] = (await store.load_facts(tx, [camera.device.id])).values()
        return facts

    async def told(self, update: Update) -> list[str]:
        """The states that others heard of, each once."""
        states: list[str] = []
        for event in await self.shoal.events(CAMPAIGN):
            if isinstance(event, UpdateChanged) and event.update == update.id and event.state not in states[-1:]:
                states.append(event.state)
        return states


@pytest.fixture
async def farm(shoal: Installation) -> Farm:
    return await Farm(shoal).settle_in()


async def test_a_camera_pulls_a_new_model_and_is_confirmed_by_the_version_that_it_reports(farm: Farm) -> None:
    camera = await farm.install_camera("cam-0101")
    gateway = Gateway(farm.shoal, camera)

    update = await farm.update(camera)
    await gateway.pass_time(5 * MINUTE)
    watched = await farm.look(update)
    await gateway.pass_time(30 * MINUTE, tick=MINUTE)

    done = await farm.look(update)
    assert (watched.state, watched.reason) == (UpdateState.TRIAL, f"it reports {NEW}")
    assert camera.package == MODEL
    assert camera.version == NEW
    assert (done.state, done.reason) == (UpdateState.CONFIRMED, f"it reports {NEW}, and stayed well for 30 min")
    assert (done.from_version, done.bytes, done.attempts, done.installs) == (OLD, len(MODEL), 1, 1)
    assert await farm.told(update) == ["waiting", "downloading", "downloaded", "installing", "trial", "confirmed"]
    facts = await farm.facts(camera)
    assert facts.package_version is not None
    assert facts.package_version.value == NEW


async def test_a_camera_that_falls_back_is_seen_on_its_old_version(farm: Farm) -> None:
    good, bad = await farm.install_camera("cam-0101"), await farm.install_camera("cam-0501", Outcome.ROLLS_BACK)
    gateway = Gateway(farm.shoal, good, bad)

    first, second = await farm.update(good), await farm.update(bad)
    await gateway.pass_time(40 * MINUTE, tick=MINUTE)

    confirmed, rolled_back = await farm.look(first), await farm.look(second)
    assert confirmed.state is UpdateState.CONFIRMED
    assert rolled_back.state is UpdateState.ROLLED_BACK
    assert rolled_back.reason == f"the update failed; it went back to {OLD}"
    facts = await farm.facts(bad)
    assert facts.package_version is not None
    assert (facts.package_version.value, bad.version) == (OLD, OLD)


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Outcome.LIES, UpdateState.NEEDS_ATTENTION, f"it says that it succeeded, but reports {OLD}"),
        (Outcome.FORGETS, UpdateState.FAILED, f"it still reports {OLD}, and no result"),
        (Outcome.DIES, UpdateState.NEEDS_ATTENTION, "it was not heard again after the install"),
    ],
)
async def test_no_camera_is_called_updated_that_does_not_report_the_new_version(
    farm: Farm, outcome: Outcome, state: UpdateState, reason: str
) -> None:
    camera = await farm.install_camera("cam-0101", outcome)

    update = await farm.update(camera)
    await Gateway(farm.shoal, camera).pass_time(60 * MINUTE, tick=MINUTE)

    ended = await farm.look(update)
    assert (ended.state, ended.reason) == (state, reason)
    assert camera.version == OLD


async def test_a_download_that_broke_off_is_taken_up_after_a_pause(farm: Farm) -> None:
    camera = await farm.install_camera("cam-0101")
    gateway = Gateway(farm.shoal, camera)
    update = await farm.update(camera)
    await gateway.pass_time(timedelta(seconds=30))
    camera.link_is_up = False
    await gateway.pass_time(12 * MINUTE, tick=MINUTE)
    stopped = await farm.look(update)

    camera.link_is_up = True
    await gateway.pass_time(50 * MINUTE, tick=MINUTE)

    done = await farm.look(update)
    assert (stopped.state, stopped.reason) == (UpdateState.WAITING, "the download stands still")
    assert (done.state, done.attempts) == (UpdateState.CONFIRMED, 2)


async def test_one_update_of_a_camera_at_a_time_and_it_can_be_stopped(farm: Farm) -> None:
    camera = await farm.install_camera("cam-0101")
    gateway = Gateway(farm.shoal, camera)
    update = await farm.update(camera)
    with pytest.raises(Conflict):
        await farm.update(camera)
    await gateway.pass_time(timedelta(seconds=20))

    stopped = await farm.shoal.campaigns.cancel_update(farm.tenant, update.id, by="usr-1")
    await gateway.pass_time(2 * MINUTE)

    assert (stopped.state, stopped.reason) == (UpdateState.CANCELLED, "by usr-1")
    assert (camera.tree["/5/0/3"], camera.version) == (0, OLD)
    again = await farm.update(camera)
    await gateway.pass_time(40 * MINUTE, tick=MINUTE)
    assert (await farm.look(again)).state is UpdateState.CONFIRMED
