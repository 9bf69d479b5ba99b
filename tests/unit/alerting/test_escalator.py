"""Time passes for alerts in a real database: the next one is told, once, whoever looks, and whatever ends in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from shoal.alerting import chase, escalator, store
from shoal.alerting.alert import AlertState, opened
from shoal.alerting.escalator import Escalator
from shoal.alerting.policy import Policy, Step
from shoal.alerting.store import Alerts
from shoal.clock import FakeClock, SystemClock
from shoal.events.alert import NotificationDue
from shoal.events.codec import decode
from shoal.events.topics import ALERT
from shoal.storage.database import Database
from tests.harness import findings
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON

MINUTE = timedelta(minutes=1)
STEPS = [Step(after=timedelta(), contacts=["kari"]), Step(after=5 * MINUTE, contacts=["ola"])]
NIGHT = Policy(id="pol-1", tenant="ten-1", name="Night", steps=STEPS)


class World:
    """Alerts, and several processes that let the time pass for them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock(NOON)
        self.alerts = Alerts(database, self.clock)
        self.escalators = [Escalator(database, self.clock) for _ in range(3)]

    async def open(self, number: int = 1, severity: str = "high") -> str:
        now = self.clock.now()
        event = findings.opened(severity=severity, device=f"dev-{number}", episode=f"ep-{number}")
        alert = opened(event, alert=f"alr-{number}", code=f"C{number}", fingerprint=f"f-{number}")
        async with self.database.transaction() as tx:
            return (await store.save(tx, *chase.begin(alert, [NIGHT], now))).id

    async def look(self) -> int:
        """All of them look at the clock; how many alerts they found due."""
        return sum(await asyncio.gather(*(each.escalate_due() for each in self.escalators)))

    async def called(self) -> list[str]:
        """Whom the events in the outbox call, in order."""
        rows = await self.database.outbox(1_000)
        events = [decode(ALERT, row.value) for row in rows]
        return [event.contacts[0] for event in events if isinstance(event, NotificationDue) and event.contacts]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database = await fresh_database()
    yield World(database)
    await database.close()


async def test_the_next_one_is_told_once_however_many_look(world: World) -> None:
    await world.open()
    assert await world.look() == 0

    world.clock.advance(5 * MINUTE)

    assert await world.look() == 1
    assert await world.called() == ["kari", "ola"]


async def test_the_columns_tell_when_something_is_due_next(world: World) -> None:
    assert await store.next_due(world.database) is None
    alert = await world.open()
    assert await store.next_due(world.database) == NOON + 5 * MINUTE

    await world.alerts.acknowledge("ten-1", alert, "Kari")
    assert await store.next_due(world.database) == NOON + timedelta(hours=8)

    await world.alerts.resolve("ten-1", alert, "Kari")
    assert await store.next_due(world.database) is None


async def test_what_was_taken_for_too_long_is_withdrawn_and_what_is_over_rests(world: World) -> None:
    held, over = await world.open(1), await world.open(2)
    await world.alerts.acknowledge("ten-1", held, "Kari")
    await world.alerts.resolve("ten-1", over, "Kari")
    world.clock.advance(timedelta(hours=8))

    assert await world.look() == 1

    assert (await world.alerts.one("ten-1", held)).state is AlertState.OPEN
    kinds = [row.kind for row in await world.alerts.timeline("ten-1", held)]
    assert kinds[-2:] == ["alert-withdrawn", "notification-due"]
    assert (await world.alerts.one("ten-1", over)).state is AlertState.RESOLVED


async def test_the_gravest_goes_first_when_many_are_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalator, "ALERTS_PER_TURN_MAX", 1)
    await world.open(1, "warning")
    await world.open(2, "critical")
    world.clock.advance(5 * MINUTE)

    await world.escalators[0].escalate_due()

    assert (await world.alerts.one("ten-1", "alr-2")).told == 2
    assert (await world.alerts.one("ten-1", "alr-1")).told == 1


async def test_a_crash_in_the_middle_changes_nothing_and_the_next_look_does_it_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    async def cut(*_: object) -> None:
        raise PowerCut

    await world.open()
    world.clock.advance(5 * MINUTE)
    with monkeypatch.context() as patch:
        patch.setattr(store, "save", cut)
        with pytest.raises(PowerCut):
            await world.escalators[0].escalate_due()
    assert await world.called() == ["kari"]

    assert await world.look() == 1
    assert await world.called() == ["kari", "ola"]


async def test_it_runs_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(escalator, "LOOK_EVERY", timedelta(milliseconds=10))
    # An hour ago, as the machine's own clock has it.
    world.clock = FakeClock(SystemClock().now() - timedelta(hours=1))
    await world.open()

    running = asyncio.create_task(Escalator(world.database, SystemClock()).run())
    async with asyncio.timeout(30):
        while await world.called() != ["kari", "ola"]:  # noqa: ASYNC110  # the database has no bell
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
