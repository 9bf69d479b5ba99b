"""Alerts in a real database: one open alert for each problem, and what people do with them."""

from collections.abc import AsyncIterator

import pytest

from shoal.alerting import chase, store
from shoal.alerting.alert import Alert, AlertState, opened
from shoal.alerting.store import NOTE_CHARACTERS_MAX, Alerts, EpisodeRow
from shoal.alerting.telling import opened_event
from shoal.clock import FakeClock
from shoal.errors import Conflict, NotFound, Rejected
from shoal.events.severity import Severity
from shoal.storage.database import Database
from tests.harness import findings
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await fresh_database()
    yield made
    await made.close()


@pytest.fixture
def alerts(database: Database) -> Alerts:
    return Alerts(database, FakeClock(NOON))


async def keep(
    database: Database,
    number: int,
    *,
    tenant: str = "ten-1",
    farm: str = "frm-1",
    severity: str = "high",
    when: float = 0,
) -> Alert:
    """An open alert of its own problem."""
    event = findings.opened(
        severity=severity, when=when, tenant=tenant, farm=farm, device=f"dev-{number}", enclosure=f"enc-{number}"
    )
    async with database.transaction() as tx:
        name, code = await store.name(tx, tenant, f"f-{number}", event.id)
        alert = opened(event, alert=name, code=code, fingerprint=f"f-{number}")
        chased, calls = chase.begin(alert, [], event.time)
        return await store.save(tx, chased, [opened_event(alert, event.time), *calls])


async def test_an_alert_comes_back_as_it_was_and_only_to_its_tenant(database: Database, alerts: Alerts) -> None:
    alert = await keep(database, 1)

    assert await alerts.one("ten-1", alert.id) == alert
    for tenant, name in (("ten-2", alert.id), ("ten-1", "alr-none")):
        with pytest.raises(NotFound):
            await alerts.one(tenant, name)
        with pytest.raises(NotFound):
            await alerts.timeline(tenant, name)
        with pytest.raises(NotFound):
            await alerts.acknowledge(tenant, name, "Kari")


async def test_there_is_one_open_alert_for_each_problem(database: Database, alerts: Alerts) -> None:
    first = await keep(database, 1)

    with pytest.raises(Conflict):
        await keep(database, 1, when=5)
    await alerts.resolve("ten-1", first.id, "Kari")
    second = await keep(database, 1, when=9)

    assert second.id != first.id
    assert len((await alerts.list("ten-1")).items) == 2


async def test_names_are_the_same_for_the_same_event_until_they_are_taken(database: Database) -> None:
    async with database.transaction() as tx:
        once, again = (
            await store.name(tx, "ten-1", "f-1", "ep-1-opened"),
            await store.name(tx, "ten-1", "f-1", "ep-1-opened"),
        )
        other = await store.name(tx, "ten-1", "f-1", "ep-2-opened")
    assert once == again
    assert other[0] != once[0]

    await keep(database, 1)
    async with database.transaction() as tx:
        after = await store.name(tx, "ten-1", "f-1", "ep-1-opened")
    assert after[0] != once[0]


async def test_pages_follow_each_other_newest_first_and_lose_nothing(database: Database, alerts: Alerts) -> None:
    # Some of them at the same moment.
    for number in range(7):
        await keep(database, number, when=number // 3)

    seen, cursor = [], None
    while True:
        page = await alerts.list("ten-1", after=cursor, limit=2)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break

    assert len({alert.id for alert in seen}) == 7
    assert [alert.opened_at for alert in seen] == sorted((alert.opened_at for alert in seen), reverse=True)
    with pytest.raises(Rejected):
        await alerts.list("ten-1", after="alr-none")
    with pytest.raises(Rejected):
        await alerts.list("ten-2", after=seen[0].id)


async def test_an_inbox_is_filtered_by_what_people_look_for(database: Database, alerts: Alerts) -> None:
    await keep(database, 1)
    warning = await keep(database, 2, severity="warning", farm="frm-2")
    taken = await keep(database, 3)
    await alerts.acknowledge("ten-1", taken.id, "Kari")

    async def ids(**wanted: object) -> set[str]:
        return {alert.device for alert in (await alerts.list("ten-1", **wanted)).items}  # type: ignore[arg-type]

    assert await ids(states=[AlertState.OPEN]) == {"dev-1", "dev-2"}
    assert await ids(severities=[Severity.WARNING]) == {"dev-2"}
    assert await ids(farm="frm-2") == {warning.device}
    assert await ids(enclosure="enc-3") == await ids(device="dev-3") == {"dev-3"}


async def test_counts_tell_what_needs_a_person(database: Database, alerts: Alerts) -> None:
    first = await keep(database, 1)
    await keep(database, 2, severity="warning", farm="frm-2")
    done = await keep(database, 3)
    await keep(database, 4, tenant="ten-2")
    await alerts.acknowledge("ten-1", first.id, "Kari")
    await alerts.resolve("ten-1", done.id, "Kari")

    counts = await alerts.counts("ten-1")

    assert (counts.open, counts.acknowledged) == (1, 1)
    assert (counts.by_severity[Severity.HIGH], counts.by_severity[Severity.WARNING]) == (1, 1)
    assert (await alerts.counts("ten-1", farm="frm-2")).acknowledged == 0


async def test_what_people_do_is_on_the_timeline_and_in_the_outbox(database: Database, alerts: Alerts) -> None:
    alert = await keep(database, 1)
    await alerts.acknowledge("ten-1", alert.id, "Kari", "  on my way ")
    await alerts.resolve("ten-1", alert.id, "Ola", "changed the fuse")

    rows = await alerts.timeline("ten-1", alert.id)

    assert [(row.kind, row.by, row.note) for row in rows] == [
        ("alert-opened", None, ""),
        ("notification-due", None, ""),
        ("alert-acknowledged", "Kari", "on my way"),
        ("notification-due", "Kari", ""),
        ("alert-resolved", "Ola", "changed the fuse"),
        ("notification-due", "Ola", ""),
    ]
    assert await database.outbox_waiting() == 6
    with pytest.raises(Conflict):
        await alerts.resolve("ten-1", alert.id, "Kari")
    assert await database.outbox_waiting() == 6


async def test_a_note_has_a_bound(database: Database, alerts: Alerts) -> None:
    alert = await keep(database, 1)

    with pytest.raises(Rejected, match="longer"):
        await alerts.acknowledge("ten-1", alert.id, "Kari", "x" * (NOTE_CHARACTERS_MAX + 1))
    assert (await alerts.one("ten-1", alert.id)).state is AlertState.OPEN


async def test_episodes_are_remembered(database: Database) -> None:
    async with database.transaction() as tx:
        assert await store.episode(tx, "ep-1") == EpisodeRow(alert=None, is_closed=False, changes=-1)
        await store.save_episode(tx, "ep-1", EpisodeRow(alert="alr-1", is_closed=False, changes=0))
        await store.save_episode(tx, "ep-1", EpisodeRow(alert="alr-1", is_closed=True, changes=2))
        assert await store.episode(tx, "ep-1") == EpisodeRow(alert="alr-1", is_closed=True, changes=2)
