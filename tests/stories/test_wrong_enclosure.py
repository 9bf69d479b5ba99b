"""A device says that it hangs elsewhere than the inventory has it: told at once, settled by a person."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.alerting.alert import AlertState
from shoal.events.severity import Severity
from shoal.health.status import Status
from shoal.inventory.claim import PlaceState
from shoal.inventory.device import Kind
from tests.harness import farm as harness
from tests.harness.farm import QUICK, STEP, Farm


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with harness.farm(tmp_path) as running:
        yield running


async def test_an_accepted_claim_moves_the_device_and_ends_the_alert(farm: Farm) -> None:
    listed, real = await farm.enclosure("Pen 2"), await farm.enclosure("Pen 3")

    probe = await farm.device("tmp-0201", listed, kind=Kind.SENSOR, values={"/3303/0/5700": 8.1}, claim=real)
    await farm.pass_time(STEP)

    [alert] = (await farm.alerts.list(farm.tenant)).items
    assert (alert.condition, alert.severity, alert.enclosure) == ("place_mismatch", Severity.WARNING, listed)
    assert alert.verdict.says == "It says it is in Pen 3, but it is listed in Pen 2."
    assert farm.mail.subjects == [f"Warning: tmp-0201 says it is somewhere else (#{alert.code})"]
    assert (await farm.health_of(probe)).status is Status.DEGRADED

    async with farm.database.transaction() as tx:
        moved = await farm.inventory.accept_claim(tx, farm.tenant, probe.device.id, by="Kari")
    await farm.settle()

    assert (moved.enclosure, moved.place_state) == (real, PlaceState.AGREED)
    [over] = (await farm.alerts.list(farm.tenant)).items
    assert over.state is AlertState.RESOLVED
    assert (await farm.health_of(probe)).status is Status.HEALTHY
    says = [line.says for line in await farm.history.timeline(probe.device.id, None, 100, ["place"])]
    assert says == [f"It is in {real} (by Kari)", f"It says that it is in {real}; we have it in {listed}"]


async def test_a_device_that_is_configured_right_ends_the_alert_by_itself(farm: Farm) -> None:
    listed, other = await farm.enclosure("Pen 2"), await farm.enclosure("Pen 3")
    probe = await farm.device("tmp-0201", listed, kind=Kind.SENSOR, claim=other)
    await farm.pass_time(STEP)
    assert len((await farm.alerts.list(farm.tenant, states=[AlertState.OPEN])).items) == 1

    now = farm.clock.now()
    await farm.hear(probe.voice.registered(now, lifetime_s=QUICK.lifetime_s, claim=listed, is_again=True))
    await farm.pass_time(STEP)

    assert (await farm.alerts.list(farm.tenant, states=[AlertState.OPEN])).items == []
    assert (await farm.health_of(probe)).status is Status.HEALTHY


async def test_another_tenants_enclosure_is_grave_and_an_enclosure_of_nobody_is_not(farm: Farm) -> None:
    async with farm.database.transaction() as tx:
        stranger = (await farm.inventory.create_tenant(tx, "Lerøy")).id
        bay = (await farm.inventory.create_farm(tx, stranger, "Bay")).id
        theirs = (await farm.inventory.create_enclosure(tx, stranger, bay, "Pen 9", "pen")).id
    pen = await farm.enclosure("Pen 2")

    await farm.device("tmp-0201", pen, kind=Kind.SENSOR, claim=theirs)
    await farm.device("tmp-0202", pen, kind=Kind.SENSOR, claim="behind the shed")
    await farm.pass_time(STEP)

    alerts = {alert.endpoint: alert for alert in (await farm.alerts.list(farm.tenant)).items}
    assert alerts["tmp-0201"].severity is Severity.HIGH
    assert alerts["tmp-0201"].verdict.cause == "place_foreign"
    assert alerts["tmp-0202"].severity is Severity.WARNING
    assert alerts["tmp-0202"].verdict.says == "It says it is in behind the shed, which does not exist."
    assert (await farm.alerts.list(stranger)).items == []
