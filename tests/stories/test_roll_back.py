"""A new model makes a camera ill: it goes back by itself, once; a person may send it back; and a camera that went back
without a word is noticed.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.alerting.alert import AlertState
from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.campaigns.update import Update, UpdateState
from shoal.errors import Conflict
from shoal.events.topics import DEAD
from shoal.health.store import Health
from shoal.health.worker import HealthHandler
from shoal.history.store import History
from shoal.history.worker import HistoryHandler
from shoal.ids import TenantId
from shoal.inventory.device import Kind
from shoal.stream.worker import HEARTBEAT_EVERY, Worker
from tests.harness.firmware_device import FirmwareDevice, Gateway, Outcome
from tests.harness.installation import Installation, installation

FACTORY, FIRST, SECOND = "2.0.3", "2.1.0", "2.2.0"
MINUTE = timedelta(minutes=1)
OUT_OF_MEMORY = 5  # object 3, resource 11; health calls that high


class Farm:
    """One camera that runs a model of ours, confirmed, and everybody who looks at it."""

    def __init__(self, shoal: Installation) -> None:
        self.shoal = shoal
        shoal.workers += [
            Worker(shoal.log, shoal.database, handler, shoal.clock)
            for handler in (HealthHandler(), AlertHandler(shoal.clock), HistoryHandler())
        ]
        self.health = Health(shoal.database, shoal.clock)
        self.alerts = Alerts(shoal.database, shoal.clock)
        self.history = History(shoal.database)
        self.tenant = TenantId("")
        self.models: dict[str, str] = {}

    async def settle_in(self) -> "Farm":
        self.tenant = await self.shoal.create_tenant("Nordlaks")
        for version in (FIRST, SECOND):
            self.models[version] = await self._uploaded(version)
        pen = await self.shoal.create_enclosure(self.tenant, await self.shoal.create_farm(self.tenant), "Pen 1")
        device = await self.shoal.create_device(self.tenant, "cam-0101", pen, Kind.CAMERA)
        self.camera = FirmwareDevice(self.shoal, device)
        await self.camera.start()
        await self.shoal.settle()
        self.gateway = Gateway(self.shoal, self.camera)
        first = await self.update(FIRST)
        await self.passes(40 * MINUTE)
        assert (await self.look(first)).state is UpdateState.CONFIRMED
        return self

    async def _uploaded(self, version: str) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield f"{version}\n".encode() + bytes(range(256)) * 500

        made = await self.shoal.campaigns.add_artifact(
            self.tenant, kind="model", name="fish-count", version=version, chunks=chunks()
        )
        return made.id

    async def passes(self, span: timedelta) -> None:
        await self.gateway.pass_time(span, tick=MINUTE)

    async def update(self, version: str, soak_s: float | None = None) -> Update:
        return await self.shoal.campaigns.start_update(
            self.camera.device, self.models[version], soak_s=soak_s, by="usr-1"
        )

    async def roll_back(self, update: Update) -> Update:
        return await self.shoal.campaigns.roll_back(self.tenant, self.camera.device.id, update.id, by="Kari")

    async def look(self, update: Update) -> Update:
        return await self.shoal.campaigns.update(self.tenant, update.id)

    async def updates(self) -> list[Update]:
        """All of them, newest first."""
        return (await self.shoal.campaigns.updates(self.tenant)).items

    async def alerts_of(self, condition: str) -> list[AlertState]:
        alerts = (await self.alerts.list(self.tenant)).items
        return [alert.state for alert in alerts if alert.condition == condition]

    async def told(self) -> list[str]:
        """The timeline of the camera's updates, oldest first."""
        lines = await self.history.timeline(self.camera.device.id, None, 100, ["update"])
        return [line.says for line in reversed(lines)]


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with installation(tmp_path) as shoal:
        farm = await Farm(shoal).settle_in()
        yield farm
        assert await shoal.events(DEAD) == []


async def test_a_camera_that_falls_ill_under_its_new_model_goes_back_by_itself(farm: Farm) -> None:
    update = await farm.update(SECOND)
    await farm.passes(5 * MINUTE)
    watched = await farm.look(update)
    await farm.camera.reports_error(OUT_OF_MEMORY)
    await farm.passes(MINUTE)
    failed = await farm.look(update)
    await farm.camera.reports_error(0)
    await farm.passes(40 * MINUTE)

    back = (await farm.updates())[0]
    assert watched.state is UpdateState.TRIAL
    assert failed.state is UpdateState.FAILED
    assert failed.reason == (
        "it is not well since the install: It reports out of memory (high). It goes back by itself"
    )
    assert (back.undoes, back.version, back.by, back.state) == (update.id, FIRST, None, UpdateState.CONFIRMED)
    assert farm.camera.version == FIRST
    told = await farm.told()
    assert f"Update to fish-count {SECOND} failed: {failed.reason}" in told
    assert f"Roll back to fish-count {FIRST} downloading" in told
    assert told[-1].startswith(f"Roll back to fish-count {FIRST} done")
    # That the new model did not work stays to be told: to be back is no success.
    assert await farm.alerts_of("update_failed") == [AlertState.OPEN]
    await farm.passes(60 * MINUTE)
    assert len(await farm.updates()) == 3, "and that was all"


async def test_what_was_wrong_before_is_not_blamed_on_the_update(farm: Farm) -> None:
    await farm.camera.reports_error(OUT_OF_MEMORY)
    await farm.passes(MINUTE)
    update = await farm.update(SECOND)
    await farm.passes(5 * MINUTE)
    await farm.camera.reports_error(0)
    await farm.passes(MINUTE)
    await farm.camera.reports_error(OUT_OF_MEMORY)

    await farm.passes(40 * MINUTE)

    assert (await farm.look(update)).state is UpdateState.CONFIRMED
    assert farm.camera.version == SECOND


async def test_a_camera_that_falls_silent_under_its_new_model_goes_back_when_it_is_heard_again(farm: Farm) -> None:
    update = await farm.update(SECOND)
    await farm.passes(5 * MINUTE)
    farm.camera.is_powered = False
    # In steps of a heartbeat: a gateway that was not there itself cannot call a device silent.
    await farm.gateway.pass_time(12 * MINUTE, tick=HEARTBEAT_EVERY)
    silent = await farm.look(update)

    farm.camera.is_powered = True
    await farm.camera.boots_into(SECOND)
    await farm.passes(60 * MINUTE)

    assert silent.state is UpdateState.FAILED
    assert farm.camera.version == FIRST
    assert (await farm.updates())[0].state is UpdateState.CONFIRMED


async def test_a_roll_back_that_fails_asks_for_a_person_and_never_for_another(farm: Farm) -> None:
    update = await farm.update(SECOND)
    await farm.passes(5 * MINUTE)
    farm.camera.outcome = Outcome.ROLLS_BACK
    await farm.camera.reports_error(OUT_OF_MEMORY)
    await farm.passes(3 * 60 * MINUTE)

    back, failed, _ = await farm.updates()
    assert (failed.id, failed.state) == (update.id, UpdateState.FAILED)
    assert (back.undoes, back.state) == (update.id, UpdateState.NEEDS_ATTENTION)
    assert await farm.alerts_of("update_failed") == [AlertState.OPEN]
    # The way back is still there for who has looked.
    farm.camera.outcome = Outcome.RUNS
    again = await farm.roll_back(update)
    await farm.passes(60 * MINUTE)
    assert (await farm.look(again)).state is UpdateState.CONFIRMED
    assert farm.camera.version == FIRST


async def test_a_first_update_that_makes_a_camera_ill_has_no_way_back(farm: Farm) -> None:
    pen = farm.camera.device.enclosure
    device = await farm.shoal.create_device(farm.tenant, "cam-0102", pen, Kind.CAMERA)
    farm.camera = FirmwareDevice(farm.shoal, device)
    await farm.camera.start()
    await farm.shoal.settle()
    farm.gateway = Gateway(farm.shoal, farm.camera)
    update = await farm.update(FIRST)
    await farm.passes(5 * MINUTE)

    await farm.camera.reports_error(OUT_OF_MEMORY)
    await farm.passes(40 * MINUTE)

    ended = await farm.look(update)
    assert ended.state is UpdateState.NEEDS_ATTENTION
    assert ended.reason.endswith("It was not rolled back: nothing that came from here was confirmed on it before")
    with pytest.raises(Conflict, match="nothing that came from here"):
        await farm.roll_back(update)


async def test_a_person_sends_a_camera_back_while_it_is_watched_and_afterwards(farm: Farm) -> None:
    update = await farm.update(SECOND)
    await farm.passes(5 * MINUTE)

    back = await farm.roll_back(update)
    with pytest.raises(Conflict):
        await farm.roll_back(update)
    await farm.passes(40 * MINUTE)

    given_up, returned = await farm.look(update), await farm.look(back)
    assert (given_up.state, given_up.reason) == (UpdateState.FAILED, "rolled back by Kari")
    assert (returned.state, returned.by, farm.camera.version) == (UpdateState.CONFIRMED, "Kari", FIRST)

    once_more = await farm.update(SECOND, soak_s=0)
    await farm.passes(5 * MINUTE)
    assert (await farm.look(once_more)).state is UpdateState.CONFIRMED
    await farm.roll_back(once_more)
    await farm.passes(40 * MINUTE)
    assert farm.camera.version == FIRST


async def test_a_camera_that_went_back_without_a_word_is_noticed(farm: Farm) -> None:
    await farm.passes(60 * MINUTE)
    await farm.camera.boots_into(FACTORY)
    await farm.passes(MINUTE)

    assert await farm.alerts_of("version_drift") == [AlertState.OPEN]
    says = f"Runs model {FACTORY} instead of {FIRST}, without an update of ours"
    assert says in await farm.told()

    await farm.camera.boots_into(FIRST)
    await farm.passes(5 * MINUTE)

    assert await farm.alerts_of("version_drift") == [AlertState.RESOLVED]
    assert (await farm.told())[-1] == f"Runs model {FIRST} again, as it should"


async def test_an_update_mends_a_drift(farm: Farm) -> None:
    await farm.camera.boots_into(FACTORY)
    await farm.passes(MINUTE)
    update = await farm.update(FIRST)
    await farm.passes(40 * MINUTE)

    assert (await farm.look(update)).state is UpdateState.CONFIRMED
    assert await farm.alerts_of("version_drift") == [AlertState.RESOLVED]
