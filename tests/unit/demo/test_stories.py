"""What happens by itself on the demo farm, in which order, and that it is put right again."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta

import pytest

from shoal.clock import FakeClock
from shoal.demo import farm, stories
from shoal.demo.devices import Inhabited
from shoal.demo.farm import inhabitants
from shoal.lwm2m import Device

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)


class Toy(Device):
    """A device that only remembers what it was made to do."""

    def __init__(self, endpoint: str, deeds: list[str]) -> None:
        super().__init__(endpoint, "coap://127.0.0.1:5683")
        self._deeds = deeds

    def lose_power(self) -> None:
        self._deeds.append("loses power")

    def power_on(self) -> None:
        self._deeds.append("comes back")

    def claim(self, enclosure: str | None) -> None:
        self._deeds.append(f"claims {enclosure}")


class Stage:
    """Time passes only when a story waits; each story ends after some waits."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.deeds: list[str] = []
        self.waits = 0
        self._left: dict[object, int] = {}

    def actor(self, endpoint: str) -> Inhabited:
        who = next(each for each in inhabitants() if each.endpoint == endpoint)
        return Inhabited(who, Toy(endpoint, self.deeds), self.clock.now)

    async def wait(self, span: timedelta) -> None:
        story = asyncio.current_task()
        left = self._left.get(story, self.waits)
        if left == 0:
            raise asyncio.CancelledError
        self._left[story] = left - 1
        self.clock.advance(span)

    async def play(self, story: Awaitable[None], waits: int) -> None:
        self.waits = waits
        self._left.clear()
        with pytest.raises(asyncio.CancelledError):
            await story


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    monkeypatch.setattr(stories, "_wait", made.wait)
    return made


def level(actor: Inhabited) -> object:
    actor.measure()
    return actor.device._values["/3/0/9"]


async def test_a_battery_runs_low_within_two_minutes_and_is_changed_later(stage: Stage) -> None:
    actor = stage.actor(farm.BATTERY_RUNS_LOW)

    await stage.play(stories.battery_runs_low(actor), waits=1)
    at_the_start = level(actor)
    stage.clock.advance(timedelta(seconds=15))
    low = level(actor)
    stage.clock.advance(timedelta(seconds=100))
    empty = level(actor)
    await stage.play(stories.battery_runs_low(actor), waits=2)

    assert (at_the_start, low, empty) == (30, 24, 7)
    assert level(actor) == 100


async def test_a_camera_goes_silent_and_comes_back(stage: Stage) -> None:
    await stage.play(stories.camera_goes_silent(stage.actor(farm.GOES_SILENT)), waits=3)

    assert stage.deeds == ["loses power", "comes back", "loses power"]
    assert stage.clock.now() == NOW + stories.SILENCE_STARTS + stories.SILENT_FOR + stories.QUIET_BETWEEN


async def test_a_sensor_claims_the_neighbouring_pen_and_is_hung_back(stage: Stage) -> None:
    story = stories.sensor_claims_another_enclosure(stage.actor(farm.CLAIMS_ANOTHER_ENCLOSURE), "enc-2", "enc-3")

    await stage.play(story, waits=3)

    assert stage.deeds == ["claims enc-3", "claims enc-2", "claims enc-3"]


@pytest.mark.parametrize("start", [stories.BATTERY_STARTS, stories.CLAIM_STARTS, stories.SILENCE_STARTS])
def test_a_visitor_sees_each_within_two_minutes(start: timedelta) -> None:
    assert timedelta() < start < timedelta(minutes=2)


async def test_all_stories_are_cast_on_devices_of_the_farm(stage: Stage) -> None:
    cast = {who.endpoint: stage.actor(who.endpoint) for who in inhabitants()}
    enclosures = {layout.enclosure: f"enc-{layout.enclosure}" for layout in farm.LAYOUT}
    stage.waits = 1

    playing = stories.play(cast, enclosures)
    await asyncio.gather(*playing, return_exceptions=True)

    assert cast[farm.UPDATE_FAILS].update_goes_wrong
    assert [actor.who.endpoint for actor in cast.values() if actor.update_goes_wrong] == [farm.UPDATE_FAILS]
    assert sorted(stage.deeds) == ["claims enc-Pen 3", "loses power"]
    assert all(task.cancelled() for task in playing)
