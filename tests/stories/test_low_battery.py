"""A battery runs low: one alert, however the level dips; worse is told again; a fresh battery ends it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.alerting.alert import AlertState
from shoal.events.condition import ConditionClosed, ConditionOpened
from shoal.events.severity import Severity
from shoal.events.topics import CONDITION
from shoal.health.status import Status
from shoal.inventory.device import Kind
from tests.harness import farm as harness
from tests.harness.farm import STEP, Farm, Resident


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with harness.farm(tmp_path) as running:
        yield running


async def sensor(farm: Farm, *, level: float) -> Resident:
    pen = await farm.enclosure("Pen 4")
    return await farm.device(
        "sal-0402", pen, kind=Kind.SENSOR, values={"/3327/0/5700": 31.2, "/3/0/9": level}, sleeps=True
    )


async def report(farm: Farm, resident: Resident, *levels: float) -> None:
    """One report for each level."""
    for level in levels:
        resident.values["/3/0/9"] = level
        await farm.pass_time(STEP)


async def test_a_battery_that_dips_around_the_threshold_is_one_alert(farm: Farm) -> None:
    probe = await sensor(farm, level=40)
    await report(farm, probe, 40, 26, 25, 24)
    assert (await farm.alerts.list(farm.tenant)).items == []

    # The third in a row, then up and down within the deadband.
    await report(farm, probe, 24, 27, 24, 30, 25, 32.9, 23)

    [alert] = (await farm.alerts.list(farm.tenant)).items
    assert (alert.condition, alert.severity) == ("battery_low", Severity.WARNING)
    assert farm.mail.subjects == [f"Warning: The battery of sal-0402 is low (#{alert.code})"]
    body = farm.mail.mails[0].get_body(("plain",))
    assert body is not None
    assert "Battery at 24 %, 25 % or less in 3 readings." in body.get_content()
    health = await farm.health_of(probe)
    assert (health.status, health.cause) == (Status.DEGRADED, "battery_low")


async def test_a_battery_that_falls_on_is_told_again_and_a_fresh_one_resolves_it(farm: Farm) -> None:
    probe = await sensor(farm, level=20)
    await report(farm, probe, 20, 20, 20)
    [taken] = (await farm.alerts.list(farm.tenant)).items
    await farm.alerts.acknowledge(farm.tenant, taken.id, "Kari")

    await report(farm, probe, 10, 9, 8)

    [worse] = (await farm.alerts.list(farm.tenant)).items
    assert (worse.id, worse.severity, worse.state) == (taken.id, Severity.HIGH, AlertState.OPEN)

    # Somebody changes the battery.
    await report(farm, probe, 100)

    [over] = (await farm.alerts.list(farm.tenant)).items
    assert (over.state, over.resolved_by) == (AlertState.RESOLVED, None)
    assert [subject.split(":")[0] for subject in farm.mail.subjects] == ["Warning", "Taken", "High", "Resolved"]
    assert (await farm.health_of(probe)).status is Status.HEALTHY
    events = await farm.events(CONDITION)
    assert len([event for event in events if isinstance(event, ConditionOpened)]) == 1
    assert len([event for event in events if isinstance(event, ConditionClosed)]) == 1


async def test_a_sensor_whose_battery_ran_out_is_silent_for_that_reason(farm: Farm) -> None:
    probe = await sensor(farm, level=12)
    await report(farm, probe, 9, 6, 3)

    probe.is_alive = False
    await farm.pass_time(timedelta(minutes=1))

    health = await farm.health_of(probe)
    assert (health.status, health.cause) == (Status.SILENT, "battery_empty")
    assert health.verdict is not None
    assert health.verdict.says == "Its battery was at 3 % when it was last read."
