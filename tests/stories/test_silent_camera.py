"""A camera loses its power: it is late, then silent with a cause, people are told, and told when it is back."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.alerting.alert import AlertState
from shoal.events.severity import Severity
from shoal.events.topics import DEAD
from shoal.health.status import Status
from shoal.inventory.device import Kind
from shoal.notifications.delivery import DeliveryState
from tests.harness import farm as harness
from tests.harness.farm import QUICK, STEP, Farm


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    async with harness.farm(tmp_path) as running:
        yield running


async def test_a_camera_without_power_is_late_then_silent_and_its_return_resolves_the_alert(farm: Farm) -> None:
    pen = await farm.enclosure("Pen 6")
    camera = await farm.device("cam-0601", pen)
    neighbour = await farm.device("cam-0602", pen)
    await farm.pass_time(timedelta(minutes=1))
    assert (await farm.health_of(camera)).status is Status.HEALTHY

    # It says that its supply is off, then nothing more.
    await farm.hear(camera.voice.reported(farm.clock.now(), {"/3/0/11/0": 2}, path="/3/0/11"))
    camera.is_alive = False
    went_at = farm.clock.now()
    await farm.pass_time(timedelta(seconds=20))

    late = await farm.health_of(camera)
    assert late.is_late
    assert late.status is Status.DEGRADED

    await farm.pass_time(timedelta(seconds=30))

    silent = await farm.health_of(camera)
    assert silent.status is Status.SILENT
    assert silent.cause == "supply_lost"
    assert silent.last_heard_at == went_at
    assert (await farm.health_of(neighbour)).status is Status.HEALTHY
    [alert, supply] = sorted((await farm.alerts.list(farm.tenant)).items, key=lambda one: one.condition != "silent")
    assert (alert.condition, alert.severity, alert.state) == ("silent", Severity.HIGH, AlertState.OPEN)
    assert alert.verdict.cause == "supply_lost"
    assert alert.enclosure == pen
    assert supply.condition == "supply_lost"
    [coverage] = await farm.health.coverage(farm.tenant, enclosure=pen)
    assert (coverage.alive, coverage.expected) == (1, 2)

    # Somebody takes it, brings a fuse, and the camera boots.
    await farm.alerts.acknowledge(farm.tenant, alert.id, "Kari", "I take the boat")
    await farm.alerts.acknowledge(farm.tenant, supply.id, "Kari")
    # What happens at the same moment has no order on a timeline.
    await farm.pass_time(STEP)
    await farm.hear(camera.voice.registered(farm.clock.now(), lifetime_s=QUICK.lifetime_s, is_again=True))
    await farm.hear(camera.voice.reported(farm.clock.now(), {}, path="/3/0/11"))
    camera.is_alive = True
    await farm.pass_time(timedelta(seconds=20))

    assert (await farm.health_of(camera)).status is Status.HEALTHY
    assert {one.state for one in (await farm.alerts.list(farm.tenant)).items} == {AlertState.RESOLVED}
    about_silence = [subject for subject in farm.mail.subjects if f"#{alert.code}" in subject]
    assert about_silence == [
        f"Warning: cam-0601 is late: reports are missing (#{alert.code})",
        f"High: cam-0601 is silent (#{alert.code})",
        f"Taken: cam-0601 is silent (#{alert.code})",
        f"Resolved: cam-0601 is silent (#{alert.code})",
    ]
    assert len({mail["Message-ID"] for mail in farm.mail.mails}) == len(farm.mail.mails)
    lines = await farm.history.timeline(camera.device.id, None, 100, ["condition", "alert", "status"])
    told = [line.says for line in reversed(lines)]
    assert [says for says in told if says.startswith("Now")] == [
        "Now healthy, was new",
        "Now degraded, was healthy",
        "Now silent, was degraded",
        "Now degraded, was silent",
        "Now healthy, was degraded",
    ]
    assert "Silent (high): It reported that its power supply is off." in told
    assert await farm.events(DEAD) == []


async def test_it_is_silent_within_a_minute(farm: Farm) -> None:
    camera = await farm.device("cam-0601", await farm.enclosure("Pen 6"))
    await farm.pass_time(timedelta(seconds=30))

    camera.is_alive = False
    await farm.pass_time(timedelta(seconds=40))
    assert (await farm.health_of(camera)).status is Status.DEGRADED
    await farm.pass_time(timedelta(seconds=10))

    assert (await farm.health_of(camera)).status is Status.SILENT
    assert (await farm.health_of(camera)).verdict is not None


@pytest.mark.parametrize("away", [timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=20)])
async def test_a_restart_of_shoal_makes_no_device_look_dead(farm: Farm, away: timedelta) -> None:
    pen = await farm.enclosure("Pen 6")
    residents = [await farm.device(f"cam-060{n}", pen) for n in range(5)]
    await farm.pass_time(timedelta(minutes=1))

    farm.start_workers()
    await farm.skip(away)
    stale = await farm.health_of(residents[0])
    await farm.pass_time(timedelta(seconds=75))

    assert stale.status is Status.HEALTHY
    assert stale.is_stale == (away > timedelta(minutes=1))
    assert (await farm.alerts.list(farm.tenant)).items == []
    assert farm.mail.mails == []
    assert [(await farm.health_of(one)).status for one in residents] == [Status.HEALTHY] * 5


async def test_a_gateway_that_is_down_freezes_presence_and_who_died_meanwhile_is_found_after_it(farm: Farm) -> None:
    pen = await farm.enclosure("Pen 6")
    dies, lives = [await farm.device(f"cam-060{n}", pen) for n in range(2)]
    await farm.pass_time(timedelta(minutes=1))

    dies.is_alive = False
    await farm.skip(timedelta(minutes=10))
    frozen = await farm.health_of(dies)
    since = await farm.health.delayed_since()
    await farm.pass_time(timedelta(seconds=15))
    soon_after = await farm.health_of(dies)
    await farm.pass_time(timedelta(minutes=1))

    assert frozen.is_stale
    assert frozen.status is Status.HEALTHY
    assert since is not None
    assert soon_after.status is Status.HEALTHY
    assert (await farm.health_of(dies)).status is Status.SILENT
    assert (await farm.health_of(lives)).status is Status.HEALTHY
    assert [alert.endpoint for alert in (await farm.alerts.list(farm.tenant)).items] == [dies.device.endpoint]
    assert await farm.health.delayed_since() is None


async def test_a_pipeline_that_was_behind_judges_by_what_was_heard_then(farm: Farm) -> None:
    pen = await farm.enclosure("Pen 6")
    resident = await farm.device("cam-0601", pen)
    await farm.pass_time(timedelta(minutes=1))

    # The gateway goes on writing while no worker runs.
    workers, farm._workers = farm._workers, []
    await farm.pass_time(timedelta(minutes=15))
    farm._workers = workers
    await farm.settle()

    assert (await farm.health_of(resident)).status is Status.HEALTHY
    assert (await farm.alerts.list(farm.tenant)).items == []


async def test_a_sensor_that_sleeps_as_planned_is_not_silent(farm: Farm) -> None:
    pen = await farm.enclosure("Pen 6")
    sensor = await farm.device(
        "sal-0602", pen, kind=Kind.SENSOR, values={"/3327/0/5700": 31.2}, sleeps=True, every=timedelta(seconds=15)
    )
    # Ten seconds after its last report, and it listens for six.
    await farm.pass_time(timedelta(seconds=90))

    health = await farm.health_of(sensor)
    assert (health.status, health.is_asleep, health.is_late) == (Status.HEALTHY, True, False)
    assert (await farm.alerts.list(farm.tenant)).items == []

    sensor.is_alive = False
    await farm.pass_time(timedelta(minutes=1))

    gone = await farm.health_of(sensor)
    assert (gone.status, gone.cause) == (Status.SILENT, "missed_wake_up")


async def test_mail_waits_while_the_mail_server_is_away_and_goes_out_later_once(farm: Farm) -> None:
    camera = await farm.device("cam-0601", await farm.enclosure("Pen 6"))
    await farm.pass_time(timedelta(seconds=30))
    farm.mail.stop()

    camera.is_alive = False
    await farm.pass_time(timedelta(minutes=1))

    waiting = await farm.notifications.list(farm.tenant, states=[DeliveryState.WAITING])
    assert [(one.channel, one.address, one.about) for one in waiting] == [("email", "kari@farm.example", "opened")] * 2
    assert (await farm.notifications.counts(farm.tenant))[DeliveryState.WAITING] == 2
    assert "the mail server is away" in waiting[-1].note
    assert farm.mail.mails == []

    farm.mail.start()
    await farm.pass_time(timedelta(seconds=90))

    assert [subject.split(":")[0] for subject in farm.mail.subjects] == ["Warning", "High"]
    assert (await farm.notifications.counts(farm.tenant))[DeliveryState.WAITING] == 0


async def test_the_same_events_twice_tell_nobody_twice(farm: Farm) -> None:
    camera = await farm.device("cam-0601", await farm.enclosure("Pen 6"))
    report = camera.voice.reported(farm.clock.now(), {"/26242/0/0": 25.0})
    await farm.hear(report)
    camera.is_alive = False
    await farm.pass_time(timedelta(minutes=1))
    told = len(farm.mail.mails)

    # All that the device ever said comes again, as after a crash of the gateway between log and acknowledgement.
    await farm.hear(report, camera.voice.expired(farm.clock.now()), report)
    await farm.pass_time(timedelta(seconds=30))

    assert told == 2
    assert len(farm.mail.mails) == told
    assert (await farm.health_of(camera)).status is Status.SILENT


async def test_a_record_that_nobody_can_read_is_buried_and_the_camera_is_watched_on(farm: Farm) -> None:
    camera = await farm.device("cam-0601", await farm.enclosure("Pen 6"))

    await farm.hear(b'{"type":"readings","id":"\xff"}', b'{"type":"nonsense"}')
    camera.is_alive = False
    await farm.pass_time(timedelta(minutes=1))

    groups = ["health", "history", "inventory"]
    dead = await farm.events(DEAD)
    assert sorted(event.group for event in dead) == sorted(groups * 2)  # type: ignore[union-attr]
    assert (await farm.health_of(camera)).status is Status.SILENT
