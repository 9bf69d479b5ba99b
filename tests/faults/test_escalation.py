"""Alerts reach people though mail is refused and the power is cut: the product, a real mail server, a real webhook."""

import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from shoal.lwm2m import Device
from tests.harness.hook import HookServer, Posted
from tests.harness.mail import MailServer
from tests.harness.product import Product, product

pytestmark = pytest.mark.timeout(300)

KEY = bytes(range(16))
# The second step comes this long after the first: long enough to cut the power in between.
SECOND_STEP_S = 8


@dataclass
class Duty:
    """A running Shoal with Kari (mail, then the phone) and after her Ola (the phone)."""

    shoal: Product
    mail: MailServer
    phone: HookServer
    secret: str

    def is_signed(self, posted: Posted) -> bool:
        moment, signed = (part.partition("=")[2] for part in posted.headers["shoal-signature"].split(","))
        expected = hmac.new(self.secret.encode(), f"{moment}.".encode() + posted.body, hashlib.sha256).hexdigest()
        return hmac.compare_digest(signed, expected)

    async def alert(self) -> None:
        """A sensor says that it hangs in another pen than it was put into."""
        farm = (await self.shoal.post("/farms", {"name": "Storholmen"}))["id"]
        pens = [(await self.shoal.post(f"/farms/{farm}/enclosures", {"name": f"Pen {n}"}))["id"] for n in (1, 2)]
        security = {"mode": "psk", "identity": "oxy-1", "key": KEY.hex()}
        await self.shoal.post("/devices", {"endpoint": "oxy-1", "enclosure": pens[0], "security": security})
        async with Device(
            "oxy-1", self.shoal.coaps, identity="oxy-1", key=KEY, enclosure=pens[1], enclosure_via="query"
        ) as device:
            await device.registered(timedelta(seconds=60))
            await self.posts(1)

    async def posts(self, count: int) -> None:
        async def arrived() -> bool:
            return len(self.phone.posted) >= count

        await self.shoal.until(arrived)


@pytest_asyncio.fixture
async def duty(tmp_path: Path) -> AsyncIterator[Duty]:
    mail, phone = MailServer(), HookServer()
    mail.answers["kari@farm.example"] = "550 no such user"
    mail.start()
    await phone.start()
    settings = {
        "smtp_host": '"127.0.0.1"',
        "smtp_port": mail.port,
        "smtp_security": '"none"',
        "allow_private_webhooks": "true",
    }
    (tmp_path / "shoal.toml").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    async with product(tmp_path / "data", "--config", str(tmp_path / "shoal.toml")) as shoal:
        webhook = await shoal.post("/channels", {"name": "Phone", "url": phone.url})
        way = {"channel": "webhook", "address": webhook["id"]}
        ways = [{"channel": "email", "address": "kari@farm.example"}, way]
        kari = await shoal.post("/contacts", {"name": "Kari", "methods": ways})
        ola = await shoal.post("/contacts", {"name": "Ola", "methods": [way]})
        steps = [{"contacts": [kari["id"]]}, {"after_s": SECOND_STEP_S, "contacts": [ola["id"]]}]
        await shoal.post("/escalation-policies", {"name": "Night", "steps": steps})
        yield Duty(shoal, mail, phone, webhook["secret"])
    mail.stop()
    await phone.stop()


async def test_refused_mail_and_a_power_cut_lose_nobody_and_wake_nobody_twice(duty: Duty) -> None:
    await duty.alert()
    assert duty.mail.mails == []

    duty.shoal.kill()
    await duty.shoal.start()
    await duty.posts(2)
    alert = (await duty.shoal.get("/alerts"))["items"][0]["id"]

    async def both_are_told() -> bool:
        told = (await duty.shoal.get(f"/alerts/{alert}"))["told"]
        return Counter((line["to"], line["channel"], line["state"]) for line in told) == Counter(
            [("Kari", "email", "failed"), ("Kari", "webhook", "sent"), ("Ola", "webhook", "sent")]
        )

    await duty.shoal.until(both_are_told)
    keys = {posted.headers["idempotency-key"] for posted in duty.phone.posted}
    assert len(keys) == 2
    assert all(duty.is_signed(posted) for posted in duty.phone.posted)

    await duty.shoal.post(f"/alerts/{alert}:acknowledge", {"note": "on my way"}, expected=200)
    # Both were reached by the phone, and hear there that it is taken.
    await duty.posts(len(duty.phone.posted) + 2)
    assert duty.phone.kinds[-2:] == ["acknowledged", "acknowledged"]
