"""Two topics tell of one device at once, and a device begins while others look for it: nothing is forgotten."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shoal.events.campaign import UpdateChanged
from shoal.events.topics import CAMPAIGN, DEVICE, Topic
from shoal.health import store
from shoal.health.record import HealthRecord
from shoal.health.status import Status
from shoal.health.worker import HealthHandler
from shoal.storage.database import Database
from shoal.stream.log import Record
from shoal.stream.worker import Batch
from tests.harness.databases import fresh_url
from tests.harness.races import needs_two_writers, overtaken
from tests.harness.voices import Voice

pytestmark = needs_two_writers

NOON: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def handled(
    *events: Any, topic: Topic = DEVICE, partition: int = 0, watermark: datetime = NOON
) -> Callable[[Database], Awaitable[None]]:
    """A batch of the worker, in a transaction of its own."""
    records = [(Record(topic.name, partition, n, event.key, watermark, b""), event) for n, event in enumerate(events)]

    async def run(database: Database) -> None:
        async with database.transaction() as tx:
            await HealthHandler().handle(tx, Batch(topic, partition, records, watermark, is_caught_up=True))

    return run


async def records(url: str, *devices: str) -> dict[str, HealthRecord]:
    database = await Database.open(url, migrate=False)
    async with database.transaction() as tx:
        found = await store.load(tx, devices)
    await database.close()
    return {device: record for device, (record, _) in found.items()}


async def begun(url: str, *voices: Voice) -> None:
    """Devices that report every five seconds."""
    database = await Database.open(url, migrate=False)
    for voice in voices:
        await handled(
            voice.profiled(NOON, report_every_s=5, grace_s=15),
            voice.registered(NOON, lifetime_s=30),
            partition=0,
        )(database)
    await database.close()


async def test_what_a_device_and_its_update_tell_at_once_is_both_written_down() -> None:
    url, voice = fresh_url(), Voice("dev-1")
    await begun(url, voice)
    update = UpdateChanged(
        id="upd-1-1",
        time=NOON,
        update="upd-1",
        tenant="ten-1",
        farm="frm-1",
        device="dev-1",
        artifact="art-1",
        name="firmware",
        version="2.0",
        state="downloading",
        was="queued",
    )

    await overtaken(
        url,
        handled(voice.reported(NOON + timedelta(seconds=1), {"/3/0/9": 80})),
        handled(update, topic=CAMPAIGN, partition=3),
    )

    record = (await records(url, "dev-1"))["dev-1"]
    assert record.update is not None
    assert (record.update.state, record.vitals.battery_percent) == ("downloading", 80)


async def test_a_device_that_begins_while_somebody_looks_for_it_stays() -> None:
    url, old, new = fresh_url(), Voice("dev-2"), Voice("dev-1")
    await begun(url, old)

    # The second waits for what both tell of; when it may go on, the new device is there that it did not find.
    await overtaken(
        url,
        handled(new.profiled(NOON), old.reported(NOON + timedelta(seconds=1), {"/3/0/9": 80})),
        handled(new.intruded(NOON), old.intruded(NOON), partition=1),
    )

    assert set(await records(url, "dev-1", "dev-2")) == {"dev-1", "dev-2"}


async def test_timers_of_a_device_that_somebody_holds_fire_later_and_make_nobody_wait() -> None:
    url, held, free = fresh_url(), Voice("dev-1"), Voice("dev-2")
    await begun(url, held, free)
    later = NOON + timedelta(minutes=10)

    await overtaken(
        url,
        handled(held.intruded(NOON), partition=1),
        handled(watermark=later),
    )

    found = await records(url, "dev-1", "dev-2")
    assert [found[name].status for name in ("dev-1", "dev-2")] == [Status.HEALTHY, Status.SILENT]
    database = await Database.open(url, migrate=False)
    await handled(watermark=later)(database)
    await database.close()
    assert (await records(url, "dev-1"))["dev-1"].status is Status.SILENT
