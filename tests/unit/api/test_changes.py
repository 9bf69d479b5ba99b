"""What changed, for all who watch."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from shoal.api import changes as room
from shoal.api.changes import CHANGES_MAX, Changes, Reset, Told, change_of
from shoal.errors import Unavailable
from shoal.events.condition import StatusChanged
from shoal.events.device import CommandChanged, DeviceAwake, DeviceRemoved, Reading, ReadingsReported, SecurityEvent
from tests.unit.api.company import Company

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
AT_ONCE = timedelta()


def removed(name: str, tenant: str | None = "ten-1") -> DeviceRemoved:
    return DeviceRemoved(id=name, time=NOW, device=f"dev-{name}", tenant=tenant, farm="frm-1")


def readings(device: str) -> ReadingsReported:
    return ReadingsReported(
        id="r", time=NOW, device=device, tenant="ten-1", via="send", readings=[Reading(path="/3/0/9", value=1)]
    )


def devices(messages: list[room.Message]) -> list[str]:
    return [msgspec.json.decode(one.data)["device"] for one in messages if isinstance(one, Told)]


@pytest.fixture
def changes(company: Company) -> Changes:
    return company.changes


async def test_a_watcher_sees_what_comes_from_now_on_of_its_own_tenant(changes: Changes) -> None:
    changes.tell(removed("old"))
    watcher = changes.watch("ten-1")
    changes.tell(removed("a"))
    changes.tell(removed("b", tenant="ten-2"))
    changes.tell(removed("c", tenant=None))
    changes.tell(removed("d"))

    assert devices(await watcher.next(AT_ONCE)) == ["dev-a", "dev-d"]
    assert await watcher.next(AT_ONCE) == []


async def test_who_comes_back_goes_on_after_the_last_change_it_saw(changes: Changes) -> None:
    watcher = changes.watch("ten-1")
    for name in "abc":
        changes.tell(removed(name))
    [first, *_] = await watcher.next(AT_ONCE)

    again = changes.watch("ten-1", first.id)

    assert devices(await again.next(AT_ONCE)) == ["dev-b", "dev-c"]


@pytest.mark.parametrize("after", ["1-7", "nonsense", "", "-", "9" * 60])
async def test_who_comes_from_somewhere_else_is_told_to_ask_for_everything(changes: Changes, after: str) -> None:
    changes.tell(removed("a"))

    messages, here = changes.messages("ten-1", after)

    assert messages == [Reset(changes.here)]
    assert here == changes.here


async def test_who_is_too_slow_is_told_to_ask_for_everything_and_nobody_waits(changes: Changes) -> None:
    slow, quick = changes.watch("ten-1"), changes.watch("ten-1")
    for number in range(CHANGES_MAX + 1):
        changes.tell(removed(str(number)))
        if number == CHANGES_MAX // 2:
            await quick.next(AT_ONCE)

    assert await slow.next(AT_ONCE) == [Reset(changes.here)]
    assert len(await quick.next(AT_ONCE)) == CHANGES_MAX - CHANGES_MAX // 2
    assert await slow.next(AT_ONCE) == []


async def test_a_watcher_that_waits_is_woken(changes: Changes) -> None:
    watcher = changes.watch("ten-1")
    waiting = asyncio.create_task(watcher.next(timedelta(seconds=30)))
    await asyncio.sleep(0)

    changes.tell(removed("a"))

    assert devices(await waiting) == ["dev-a"]


async def test_readings_of_a_device_are_told_once_in_a_while(changes: Changes) -> None:
    watcher = changes.watch("ten-1")
    for device in ("dev-a", "dev-b", "dev-a", "dev-a"):
        changes.tell(readings(device))

    assert devices(await watcher.next(AT_ONCE)) == ["dev-a", "dev-b"]


async def test_that_a_stranger_knocked_is_told_now_and_then_and_not_who_it_was(changes: Changes) -> None:
    watcher = changes.watch("ten-1")
    for number in range(100):
        changes.tell(SecurityEvent(id=f"s-{number}", time=NOW, reason="unknown_identity", identity="who"))
    changes.tell(SecurityEvent(id="k", time=NOW, reason="wrong_key", device="dev-a", tenant="ten-1"))
    changes.tell(SecurityEvent(id="k", time=NOW, reason="wrong_key", device="dev-b", tenant="ten-2"))

    told = [one for one in await watcher.next(AT_ONCE) if isinstance(one, Told)]

    assert [one.type for one in told] == ["security", "security"]
    assert set(msgspec.json.decode(told[0].data)) == {"type", "at"}
    assert msgspec.json.decode(told[1].data)["device"] == "dev-a"


async def test_there_is_an_end_to_how_many_watch(changes: Changes) -> None:
    changes._watchers = room.WATCHERS_MAX

    with pytest.raises(Unavailable):
        changes.watch("ten-1")


async def test_the_log_is_followed_while_somebody_watches(company: Company) -> None:
    changes = company.changes
    running = asyncio.create_task(changes.run())
    watcher = changes.watch(company.tenant)
    with changes.watching():
        async with asyncio.timeout(20):
            while not (found := await watcher.next(timedelta(milliseconds=50))):
                # Following may begin a moment after the watcher: a page asks for everything when it connects.
                await company.registered(f"oxy-{asyncio.get_running_loop().time()}")
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert all(isinstance(one, Told) for one in found)


def test_an_event_says_what_to_ask_for_again() -> None:
    status = StatusChanged(
        id="s", time=NOW, tenant="ten-1", device="dev-1", farm="frm-1", status="silent", was="healthy", cause=None
    )
    command = CommandChanged(
        id="c", time=NOW, device="dev-1", tenant="ten-1", command="cmd-1", operation="read", path="/3", state="sent"
    )

    assert change_of(status) == room.Change(type="status", at=NOW, farm="frm-1", device="dev-1", state="silent")
    assert change_of(command) == room.Change(type="command", at=NOW, device="dev-1", command="cmd-1", state="sent")
    assert change_of(DeviceAwake(id="a", time=NOW, device="dev-1", tenant="ten-1", registration="r")) is None
