"""The worker of alerts: conditions in, one alert for each problem, however often and in whatever order they come."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.alerting.alert import Alert, AlertState
from shoal.alerting.store import Alerts
from shoal.alerting.worker import AlertHandler
from shoal.clock import FakeClock
from shoal.events.alert import NotificationDue
from shoal.events.codec import AnyEvent, decode, encode
from shoal.events.condition import ConditionEvent
from shoal.events.severity import Severity
from shoal.events.topics import ALERT, CONDITION
from shoal.storage.database import Database
from shoal.stream.embedded import EmbeddedLog
from shoal.stream.log import Entry
from shoal.stream.relay import Relay
from shoal.stream.worker import Worker
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, changed, closed, opened


class World:
    """The condition topic, and the alerts worker over it."""

    def __init__(self, log: EmbeddedLog, database: Database) -> None:
        self.log = log
        self.database = database
        self.alerts = Alerts(database, FakeClock(NOON))
        self.worker = Worker(log, database, AlertHandler(FakeClock(NOON)), FakeClock(NOON))

    async def hear(self, *events: ConditionEvent) -> None:
        for event in events:
            await self.log.append(CONDITION, [Entry(event.key, encode(event))])
            await self.worker.drain()

    async def all(self) -> list[Alert]:
        """All alerts, the oldest first."""
        return (await self.alerts.list("ten-1")).items[::-1]

    async def told(self) -> list[AnyEvent]:
        await Relay(self.database, self.log).carry()
        part = await self.log.read(ALERT, 0, 0, limit=500, wait=timedelta())
        return [decode(ALERT, record.value) for record in part.records]

    async def messages(self) -> list[str]:
        return [f"{event.about} {event.severity}" for event in await self.told() if isinstance(event, NotificationDue)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    log = EmbeddedLog(tmp_path, partitions=1, clock=FakeClock(NOON))
    await log.start()
    database = await fresh_database()
    yield World(log, database)
    await database.close()
    await log.close()


LATE = opened("late", "warning", episode="ep-late", when=0)
LATE_OVER = closed("late", "warning", episode="ep-late", when=30, reason="became silent")
SILENT = opened("silent", "high", episode="ep-silent", when=30)
SILENT_OVER = closed("silent", "high", episode="ep-silent", when=90)


async def test_late_that_becomes_silent_is_one_alert_from_beginning_to_end(world: World) -> None:
    await world.hear(LATE, SILENT, LATE_OVER)
    [alert] = await world.all()
    assert (alert.state, alert.severity, alert.condition) == (AlertState.OPEN, Severity.HIGH, "silent")

    await world.hear(SILENT_OVER)

    [alert] = await world.all()
    assert (alert.state, alert.resolved_by) == (AlertState.RESOLVED, None)
    assert await world.messages() == ["opened warning", "opened high", "resolved high"]


async def test_every_event_three_times_tells_what_once_tells(world: World) -> None:
    for event in (LATE, SILENT, changed(episode="ep-silent", when=40, cause="supply_lost"), LATE_OVER, SILENT_OVER):
        await world.hear(event, event, event)

    assert len(await world.all()) == 1
    assert await world.messages() == ["opened warning", "opened high", "resolved high"]
    ids = [event.id for event in await world.told()]
    assert len(set(ids)) == len(ids)


async def test_all_of_it_again_tells_nothing(world: World) -> None:
    story = (LATE, SILENT, LATE_OVER, SILENT_OVER)
    await world.hear(*story)
    before = await world.told()

    await world.hear(*story)

    assert await world.told() == before


async def test_a_condition_that_closed_before_it_opened_opens_nothing(world: World) -> None:
    await world.hear(SILENT_OVER, SILENT)

    assert await world.all() == []
    assert await world.told() == []


async def test_what_is_only_informational_is_no_alert_until_it_gets_worse(world: World) -> None:
    await world.hear(opened("error_code", "informational", instance="2"))
    assert await world.all() == []

    await world.hear(changed("error_code", "warning", instance="2"))

    [alert] = await world.all()
    assert alert.severity is Severity.WARNING


async def test_a_fall_in_severity_is_seen_but_not_told(world: World) -> None:
    await world.hear(opened("battery_low", "high"), changed("battery_low", "warning"))

    [alert] = await world.all()
    assert alert.severity is Severity.WARNING
    assert await world.messages() == ["opened high"]


async def test_what_a_person_resolved_comes_back_only_when_it_gets_worse(world: World) -> None:
    await world.hear(opened("battery_low", "warning"))
    [first] = await world.all()
    await world.alerts.resolve("ten-1", first.id, "Kari")

    await world.hear(changed("battery_low", "warning", number=1, cause="cold"))
    assert len(await world.all()) == 1
    await world.hear(changed("battery_low", "high", number=2))

    [_, second] = await world.all()
    assert (second.state, second.severity) == (AlertState.OPEN, Severity.HIGH)
    await world.hear(closed("battery_low", "high"))
    assert [alert.state for alert in await world.all()] == [AlertState.RESOLVED, AlertState.RESOLVED]


async def test_the_same_problem_again_is_a_new_alert_once_the_old_one_is_over(world: World) -> None:
    await world.hear(opened(episode="ep-1"), closed(episode="ep-1", when=10), opened(episode="ep-2", when=20))

    first, second = await world.all()
    assert (first.state, second.state) == (AlertState.RESOLVED, AlertState.OPEN)
    assert first.id != second.id


async def test_two_devices_are_two_alerts(world: World) -> None:
    await world.hear(opened(episode="ep-1"), opened(episode="ep-2", device="dev-2", endpoint="cam-2"))

    alerts = await world.all()
    assert {alert.device for alert in alerts} == {"dev-1", "dev-2"}
    assert len({alert.code for alert in alerts}) == 2


async def test_a_severity_that_nobody_knows_is_buried_and_the_next_condition_is_heard(world: World) -> None:
    await world.hear(opened(severity="dreadful", episode="ep-1"), opened(episode="ep-2"))

    [alert] = await world.all()
    assert list(alert.problems) == ["ep-2"]
