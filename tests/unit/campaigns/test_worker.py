"""Updates move by what devices say and by time, once, however often they hear it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from shoal.campaigns import store
from shoal.campaigns.store import device_facts
from shoal.campaigns.update import Update, UpdateState
from shoal.commands.command import trigger_for
from shoal.commands.store import Mark
from shoal.events.device import (
    DeviceEvent,
    DeviceRegistered,
    DownloadProgressed,
    Reading,
    ReadingsReported,
    Scalar,
)
from shoal.events.topics import DEAD, DEVICE
from shoal.ids import TenantId
from shoal.inventory.device import Device, Kind
from shoal.stream.log import Record
from shoal.stream.worker import Batch
from tests.harness.installation import Installation


class Bench:
    """One camera with an update that has just begun."""

    shoal: Installation
    tenant: TenantId
    device: Device
    update: Update
    numbers = 0

    def place(self) -> dict[str, str | None]:
        Bench.numbers += 1
        device = self.device
        return {
            "id": f"{device.id}-{Bench.numbers}",
            "device": device.id,
            "tenant": device.tenant,
            "farm": device.farm,
            "enclosure": device.enclosure,
            "endpoint": device.endpoint,
        }

    def registered(self) -> DeviceRegistered:
        return DeviceRegistered(
            time=self.shoal.clock.now(),
            **self.place(),  # type: ignore[arg-type]
            registration=f"reg-{Bench.numbers}",
            version="1.1",
            lifetime_s=300,
            binding="U",
            queue_mode=False,
            secure=True,
            address="192.0.2.1:5684",
            objects=[("/3/0", None), ("/5/0", None)],
        )

    def says(self, **values: Scalar) -> ReadingsReported:
        paths = {
            "state": "/5/0/3",
            "result": "/5/0/5",
            "version": "/5/0/7",
            "battery": "/3/0/9",
            "water": "/3303/0/5700",
        }
        return ReadingsReported(
            time=self.shoal.clock.now(),
            **self.place(),  # type: ignore[arg-type]
            via="read",
            readings=[Reading(path=paths[name], value=value) for name, value in values.items()],
        )

    def fetched(self, count: int, path: str) -> DownloadProgressed:
        return DownloadProgressed(
            time=self.shoal.clock.now(),
            **self.place(),  # type: ignore[arg-type]
            path=path,
            bytes=count,
            size=7,
        )

    async def hears(self, *events: DeviceEvent) -> Update:
        await self.shoal.hear(*events)
        await self.shoal.settle()
        return await self.look()

    async def look(self) -> Update:
        return await self.shoal.campaigns.update(self.tenant, self.update.id)

    async def answer(self, path: str, outcome: str = "answered", code: str = "2.04") -> Update:
        """The device answers the latest command on that path."""
        command = next(
            each for each in await self.shoal.commands.of_device(self.tenant, self.device.id) if each.path == path
        )
        async with self.shoal.database.transaction() as tx:
            mark = Mark(number=command.number, trigger=trigger_for(outcome), at=self.shoal.clock.now(), code=code)
            await self.shoal.commands.mark(tx, mark)
        await self.shoal.settle()
        return await self.look()


@pytest.fixture
async def bench(shoal: Installation) -> Bench:
    made = Bench()
    made.shoal = shoal
    made.tenant = await shoal.create_tenant()
    pen = await shoal.create_enclosure(made.tenant, await shoal.create_farm(made.tenant))
    made.device = await shoal.create_device(made.tenant, "cam-1", pen, Kind.CAMERA)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"weights"

    artifact = await shoal.campaigns.add_artifact(
        made.tenant, kind="model", name="fish-count", version="2.1.0", chunks=chunks()
    )
    await shoal.hear(made.registered())
    await shoal.settle()
    shoal.clock.advance(timedelta(seconds=1))
    made.update = await shoal.campaigns.start_update(made.device, artifact.id)
    await shoal.settle()
    shoal.clock.advance(timedelta(seconds=1))
    return made


async def test_what_the_device_says_moves_its_update(bench: Bench) -> None:
    update = await bench.hears(bench.says(state=0, result=0, version="2.0.3"))

    assert (update.state, update.from_version) == (UpdateState.DOWNLOADING, "2.0.3")


async def test_the_same_words_twice_move_it_once(bench: Bench) -> None:
    words = bench.says(state=0, result=0, version="2.0.3")
    once = await bench.hears(words)
    asked = len(await bench.shoal.commands.of_device(bench.tenant, bench.device.id))

    twice = await bench.hears(words, words)

    assert twice == once
    assert len(await bench.shoal.commands.of_device(bench.tenant, bench.device.id)) == asked


@pytest.mark.parametrize("slash", ["/", ""])
async def test_progress_counts_from_what_we_served(bench: Bench, slash: str) -> None:
    await bench.hears(bench.says(state=0, result=0, version="2.0.3"))

    other = await bench.hears(bench.fetched(5, "/fw/another"))
    update = await bench.hears(bench.fetched(6, slash + bench.update.path.lstrip("/")))

    assert (other.bytes, update.bytes) == (0, 6)


async def test_an_answer_counts_only_for_the_update_that_asked(bench: Bench) -> None:
    await bench.hears(bench.says(state=0, result=0, version="2.0.3"))

    update = await bench.answer("/5/0/1", "refused", "4.04")

    assert (update.state, update.reason) == (UpdateState.FAILED, "it refused the address: 4.04")


async def test_a_command_that_was_only_sent_is_no_answer(bench: Bench) -> None:
    await bench.hears(bench.says(state=0, result=0, version="2.0.3"))

    sent = await bench.answer("/5/0/1", "sent")
    answered = await bench.answer("/5/0/1")

    assert sent.asked_at is None
    assert answered.asked_at == bench.shoal.clock.now()


async def test_deadlines_fire_without_a_word_of_the_device(bench: Bench) -> None:
    await bench.shoal.advance(timedelta(hours=23))
    waiting = await bench.look()
    await bench.shoal.advance(timedelta(hours=2))
    over = await bench.look()

    assert waiting.state is UpdateState.WAITING
    assert over.state is UpdateState.FAILED
    assert over.reason.startswith("not ready in time")


async def test_timers_wait_for_the_gateway_to_have_been_there(bench: Bench) -> None:
    """The device may have spoken while we were away: without a heartbeat nothing is overdue."""
    bench.shoal.clock.advance(timedelta(days=3))
    await bench.shoal.settle()

    assert (await bench.look()).state is UpdateState.WAITING


async def test_a_device_that_goes_takes_its_update_and_its_facts_with_it(bench: Bench) -> None:
    async with bench.shoal.database.transaction() as tx:
        await bench.shoal.inventory.delete_device(tx, bench.tenant, bench.device.id)
        # What is called back is told after the device is gone.
        await bench.shoal.commands.cancel_all(tx, bench.tenant, bench.device.id)
    await bench.shoal.settle()

    ended = await bench.look()
    assert (ended.state, ended.reason) == (UpdateState.FAILED, "the device was removed")
    async with bench.shoal.database.transaction() as tx:
        assert await store.load_facts(tx, [bench.device.id]) == {}


async def test_a_whole_life_in_one_batch_ends_as_it_would_have_in_many(bench: Bench) -> None:
    shoal, story = bench.shoal, []
    for words in (
        lambda: bench.says(state=0, result=0, version="2.0.3"),
        lambda: bench.says(state=1, result=0),
        lambda: bench.says(state=2, result=0),
        lambda: bench.says(state=3, result=0),
        bench.registered,
        lambda: bench.says(state=0, result=1, version="2.1.0"),
    ):
        story.append(words())
        shoal.clock.advance(timedelta(seconds=1))

    update = await bench.hears(*story)

    assert (update.state, update.reason) == (UpdateState.TRIAL, "it reports 2.1.0")
    assert await shoal.events(DEAD) == []
    await bench.hears(bench.registered())
    await shoal.advance(timedelta(minutes=31))
    assert (await bench.look()).state is UpdateState.CONFIRMED


async def test_a_device_that_says_the_same_all_day_costs_no_write(bench: Bench) -> None:
    await bench.shoal.campaigns.cancel_update(bench.tenant, bench.update.id)
    await bench.hears(bench.says(state=0, battery=80))

    async def written() -> object:
        async with bench.shoal.database.reading() as connection:
            return (await connection.execute(select(device_facts.c.facts))).scalars().all()

    before = await written()
    bench.shoal.clock.advance(timedelta(minutes=1))
    await bench.hears(bench.says(state=0, battery=80), bench.says(water=8.4))
    same = await written()
    await bench.hears(bench.says(battery=79))

    assert same == before
    assert await written() != before


async def test_facts_are_there_before_the_first_update(bench: Bench) -> None:
    async with bench.shoal.database.transaction() as tx:
        [(facts, partition)] = (await store.load_facts(tx, [bench.device.id])).values()

    assert (facts.is_registered, facts.has_firmware_object, facts.report_every_s) == (True, True, 60)
    assert (facts.endpoint, partition) == ("cam-1", 0)


async def test_the_timers_of_a_device_are_judged_where_it_is_heard(bench: Bench) -> None:
    """Also when its update began before anything was heard of it."""
    shoal, now = bench.shoal, bench.shoal.clock.now()
    bench.device = await shoal.create_device(bench.tenant, "cam-2", kind=Kind.CAMERA)
    update = await shoal.campaigns.start_update(bench.device, bench.update.artifact)
    registered = bench.registered()
    record = Record(DEVICE.name, 3, 0, registered.key, now, b"")

    async with shoal.database.transaction() as tx:
        before = await store.due(tx, 0, now + timedelta(days=1))
        await shoal.campaign_handler.handle(tx, Batch(DEVICE, 3, [(record, registered)], now, is_caught_up=True))
        after = await store.due(tx, 3, now + timedelta(days=1))
        [(_, partition)] = (await store.load_facts(tx, [bench.device.id])).values()

    assert update.id in {one.id for one in before}
    assert [one.id for one in after] == [update.id]
    assert partition == 3
