"""Webhooks in a real database: the secret is shown once, and lies there encrypted."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from shoal.clock import FakeClock
from shoal.errors import Conflict, NotFound, Outdated, Rejected, Unavailable
from shoal.notifications import channel_store
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts
from shoal.notifications.outbound import Outbound
from shoal.notifications.tables import channels as table
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON

VAULT = Vault(bytes(range(32)))
URL = "https://hooks.example/x"


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await fresh_database()
    yield made
    await made.close()


@pytest.fixture
def channels(database: Database) -> Channels:
    return Channels(database, FakeClock(NOON), VAULT, Outbound())


async def test_a_secret_is_shown_once_and_lies_encrypted(database: Database, channels: Channels) -> None:
    webhook, secret = await channels.add("ten-1", "Duty phone", URL)

    async with database.reading() as connection:
        stored = (await connection.execute(select(table.c.secret))).scalar_one()
    assert secret.encode() not in stored
    assert secret not in repr(await channels.one("ten-1", webhook.id))
    assert (await channels.endpoint(webhook.id)).secret == secret
    with pytest.raises(Unavailable, match="master key"):
        await Channels(database, FakeClock(NOON), Vault(bytes(32)), Outbound()).endpoint(webhook.id)


async def test_a_new_secret_takes_the_place_of_the_old_one(channels: Channels) -> None:
    webhook, old = await channels.add("ten-1", "Duty phone", URL)

    changed, new = await channels.rotate("ten-1", webhook.id, webhook.version)

    assert new != old
    assert (await channels.endpoint(webhook.id)).secret == new
    assert changed.version == webhook.version + 1


async def test_a_webhook_is_a_tenants_own_and_changed_by_who_has_seen_it(channels: Channels) -> None:
    webhook, _ = await channels.add("ten-1", "Duty phone", URL)
    changed = await channels.change("ten-1", webhook.id, name="Night phone", if_version=1)

    assert await channels.all("ten-1") == [changed]
    assert (changed.name, changed.url) == ("Night phone", URL)
    with pytest.raises(Outdated):
        await channels.change("ten-1", webhook.id, name="Mine", if_version=1)
    for ask in (
        channels.one("ten-2", webhook.id),
        channels.change("ten-2", webhook.id, name="Mine"),
        channels.rotate("ten-2", webhook.id),
        channels.remove("ten-2", webhook.id),
    ):
        with pytest.raises(NotFound):
            await ask


async def test_what_must_not_be_called_is_never_stored(channels: Channels) -> None:
    webhook, _ = await channels.add("ten-1", "Duty phone", URL)

    with pytest.raises(Rejected):
        await channels.add("ten-1", "Inside", "https://10.0.0.1/")
    with pytest.raises(Rejected):
        await channels.change("ten-1", webhook.id, url="http://hooks.example/")
    assert [each.url for each in await channels.all("ten-1")] == [URL]


async def test_a_webhook_by_which_somebody_is_reached_stays(database: Database, channels: Channels) -> None:
    webhook, _ = await channels.add("ten-1", "Duty phone", URL)
    contacts = Contacts(database, FakeClock(NOON))
    kari = await contacts.add("ten-1", "Kari", [("webhook", webhook.id)])

    with pytest.raises(Conflict, match="Kari is reached by it"):
        await channels.remove("ten-1", webhook.id)
    await contacts.remove("ten-1", kari.id)
    await channels.remove("ten-1", webhook.id)

    with pytest.raises(NotFound):
        await channels.endpoint(webhook.id)


async def test_a_tenant_has_a_bound_of_webhooks(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_store, "CHANNELS_PER_TENANT_MAX", 1)
    await channels.add("ten-1", "Duty phone", URL)

    with pytest.raises(Conflict):
        await channels.add("ten-1", "Another", URL)
