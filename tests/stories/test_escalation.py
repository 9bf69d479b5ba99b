"""A camera goes silent at night: who is told, when, and by what, until somebody takes it and it is over."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from shoal.alerting.alert import Alert, AlertState
from shoal.alerting.policy import Policy, Step
from shoal.events.severity import Severity
from tests.harness import farm as harness
from tests.harness.farm import Farm
from tests.harness.hook import HookServer

MINUTE = timedelta(minutes=1)


class Night:
    """The farm, with Ola on duty after Kari. Kari has mail and a phone behind a webhook, Ola has mail."""

    def __init__(self, farm: Farm, phone: HookServer) -> None:
        self.farm = farm
        self.phone = phone

    async def begin(self) -> None:
        farm = self.farm
        webhook, _ = await farm.channels.add(farm.tenant, "Phone", self.phone.url)
        [kari] = await farm.contacts.all(farm.tenant)
        ways = [("email", "kari@farm.example"), ("webhook", webhook.id)]
        await farm.contacts.change(farm.tenant, kari.id, methods=ways)
        ola = await farm.contacts.add(farm.tenant, "Ola", [("email", "ola@farm.example")])
        steps = [
            Step(after=timedelta(), contacts=[kari.id]),
            Step(after=5 * MINUTE, contacts=[ola.id]),
        ]
        await farm.policies.add(
            Policy(id="", tenant=farm.tenant, name="Night", steps=steps, places=[farm.farm], resolve=30 * MINUTE)
        )
        self.camera = await farm.device("cam-0601", await farm.enclosure("Pen 6"))

    async def silence(self) -> Alert:
        """The camera says nothing any more: it is late, which is told, and then silent, which is told again."""
        self.camera.is_alive = False
        while True:
            await self.farm.pass_time(timedelta(seconds=10))
            alerts = (await self.farm.alerts.list(self.farm.tenant)).items
            if alerts and alerts[0].severity is Severity.HIGH:
                return alerts[0]

    def mails(self, to: str) -> list[str]:
        """The first words of the subjects of somebody's mails."""
        return [str(mail["Subject"]).split(":")[0] for mail in self.farm.mail.mails if mail["To"] == to]

    async def state(self, alert: Alert) -> AlertState:
        return (await self.farm.alerts.one(self.farm.tenant, alert.id)).state


@pytest.fixture
async def night(tmp_path: Path) -> AsyncIterator[Night]:
    phone = HookServer()
    await phone.start()
    async with harness.farm(tmp_path) as farm:
        made = Night(farm, phone)
        await made.begin()
        yield made
    await phone.stop()


async def test_nobody_takes_it_and_the_next_one_is_told_and_both_hear_how_it_ends(night: Night) -> None:
    alert = await night.silence()
    await night.farm.pass_time(4 * MINUTE)
    assert (night.mails("kari@farm.example"), night.mails("ola@farm.example")) == (["Warning", "High"], [])

    await night.farm.pass_time(2 * MINUTE)
    assert night.mails("ola@farm.example") == ["High"]
    await night.farm.alerts.acknowledge(night.farm.tenant, alert.id, "Ola")
    await night.farm.pass_time(20 * MINUTE)
    night.camera.is_alive = True
    await night.farm.hear(night.camera.voice.registered(night.farm.clock.now(), lifetime_s=30, queue_mode=False))
    await night.farm.pass_time(5 * MINUTE)

    assert await night.state(alert) is AlertState.RESOLVED
    assert night.mails("kari@farm.example") == ["Warning", "High", "Taken", "Resolved"]
    assert night.mails("ola@farm.example") == ["High", "Taken", "Resolved"]
    assert night.phone.posted == []


async def test_a_mail_server_that_refuses_leads_to_the_phone_before_the_next_step(night: Night) -> None:
    night.farm.mail.answers["kari@farm.example"] = "550 no such user"

    alert = await night.silence()

    assert night.phone.kinds == ["opened", "opened"]
    assert night.mails("ola@farm.example") == []
    await night.farm.alerts.acknowledge(night.farm.tenant, alert.id, "Kari")
    await night.farm.settle()
    assert night.phone.kinds == ["opened", "opened", "acknowledged"]


async def test_what_was_taken_and_not_resolved_in_time_calls_again_and_tells_who_had_it(night: Night) -> None:
    alert = await night.silence()
    await night.farm.alerts.acknowledge(night.farm.tenant, alert.id, "Kari")

    await night.farm.pass_time(31 * MINUTE)

    assert await night.state(alert) is AlertState.OPEN
    assert night.mails("kari@farm.example") == ["Warning", "High", "Taken", "High again"]
    assert night.mails("ola@farm.example") == ["High again"]


async def test_a_restart_in_the_middle_tells_nobody_twice_and_forgets_nobody(night: Night) -> None:
    await night.silence()
    night.farm.start_workers()
    # Shoal was away when Ola's time came, and for long after.
    await night.farm.skip(timedelta(hours=1))
    night.farm.start_workers()
    await night.farm.settle()

    assert night.mails("kari@farm.example") == ["Warning", "High"]
    assert night.mails("ola@farm.example") == ["High"]
