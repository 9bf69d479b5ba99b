"""Contacts in a real database: people, and the ways to them in their order."""

from collections.abc import AsyncIterator

import pytest

from shoal.clock import FakeClock
from shoal.errors import Conflict, NotFound, Outdated, Rejected
from shoal.events.severity import Severity
from shoal.notifications import contact_store, store
from shoal.notifications.channel_store import Channels
from shoal.notifications.contact_store import Contacts, mark_way
from shoal.notifications.outbound import Outbound
from shoal.notifications.store import Notifications
from shoal.storage.database import Database
from shoal.storage.secrets import Vault
from tests.harness.databases import fresh_database
from tests.harness.findings import NOON, at, due

MAIL = ("email", "kari@farm.example")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    made = await fresh_database()
    yield made
    await made.close()


@pytest.fixture
def contacts(database: Database) -> Contacts:
    return Contacts(database, FakeClock(NOON))


async def webhook(database: Database, tenant: str = "ten-1") -> str:
    channels = Channels(database, FakeClock(NOON), Vault(bytes(32)), Outbound())
    return (await channels.add(tenant, "Duty phone", "https://hooks.example/"))[0].id


async def test_contacts_are_a_tenants_own(contacts: Contacts) -> None:
    kari = await contacts.add("ten-1", "Kari", [MAIL], "high")
    await contacts.add("ten-2", "Kari", [MAIL])

    assert await contacts.all("ten-1") == [kari]
    assert await contacts.one("ten-1", kari.id) == kari
    assert kari.min_severity is Severity.HIGH
    for ask in (contacts.one("ten-2", kari.id), contacts.remove("ten-2", kari.id), contacts.change("ten-2", kari.id)):
        with pytest.raises(NotFound):
            await ask


async def test_the_ways_to_a_person_keep_their_order(database: Database, contacts: Contacts) -> None:
    hook = await webhook(database)
    kari = await contacts.add("ten-1", "Kari", [("webhook", hook.lower()), MAIL, ("dashboard", "")])
    assert [method.way for method in kari.methods] == [("webhook", hook), MAIL, ("dashboard", "")]

    changed = await contacts.change("ten-1", kari.id, methods=[MAIL, ("webhook", hook)])

    assert [method.way for method in changed.methods] == [MAIL, ("webhook", hook)]
    assert await contacts.one("ten-1", kari.id) == changed


async def test_a_webhook_that_the_tenant_does_not_have_reaches_nobody(database: Database, contacts: Contacts) -> None:
    with pytest.raises(Rejected, match="no webhook"):
        await contacts.add("ten-1", "Kari", [("webhook", await webhook(database, "ten-2"))])
    assert await contacts.all("ten-1") == []


async def test_a_mail_address_is_one_contact(contacts: Contacts) -> None:
    kari = await contacts.add("ten-1", "Kari", [MAIL])
    ola = await contacts.add("ten-1", "Ola", [("email", "ola@farm.example")])

    with pytest.raises(Conflict) as caught:
        await contacts.add("ten-1", "Again", [MAIL])
    assert caught.value.facts["contact"] == kari.id
    with pytest.raises(Conflict):
        await contacts.change("ten-1", ola.id, methods=[MAIL])
    with pytest.raises(Rejected):
        await contacts.change("ten-1", ola.id, methods=[])
    assert await contacts.one("ten-1", ola.id) == ola


async def test_the_index_refuses_a_second_one_too(contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when two processes add the same address at the same moment: neither sees the other's."""

    async def blind(*_: object) -> None:
        return None

    await contacts.add("ten-1", "Kari", [MAIL])
    monkeypatch.setattr(contact_store, "_check_ways", blind)

    with pytest.raises(Conflict):
        await contacts.add("ten-1", "Again", [MAIL])
    assert len(await contacts.all("ten-1")) == 1


async def test_a_tenant_has_a_bound_of_contacts(contacts: Contacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_store, "CONTACTS_PER_TENANT_MAX", 2)
    for number in range(2):
        await contacts.add("ten-1", "N", [("email", f"n{number}@farm.example")])

    with pytest.raises(Conflict, match="mailing list"):
        await contacts.add("ten-1", "N", [("email", "n9@farm.example")])


async def test_nobody_overwrites_what_they_have_not_seen(contacts: Contacts) -> None:
    kari = await contacts.add("ten-1", "Kari", [MAIL])
    await contacts.change("ten-1", kari.id, name="Kari N.", if_version=kari.version)

    with pytest.raises(Outdated):
        await contacts.change("ten-1", kari.id, name="Kari M.", if_version=kari.version)
    with pytest.raises(Outdated):
        await contacts.remove("ten-1", kari.id, kari.version)
    assert (await contacts.one("ten-1", kari.id)).name == "Kari N."


async def test_what_waits_goes_to_the_new_address(database: Database, contacts: Contacts) -> None:
    kari = await contacts.add("ten-1", "Kari", [MAIL])
    async with database.transaction() as tx:
        await store.lay_out(tx, due(), NOON)

    await contacts.change("ten-1", kari.id, methods=[("email", "kari@new.example")])

    rows = await Notifications(database, FakeClock(NOON)).list("ten-1")
    assert [row.address for row in rows if row.channel == "email"] == ["kari@new.example"]


async def test_a_way_remembers_what_became_of_the_last_message(database: Database, contacts: Contacts) -> None:
    kari = await contacts.add("ten-1", "Kari", [MAIL])

    async def marked(failure: str | None, seconds: float) -> tuple[object, object, str]:
        async with database.transaction() as tx:
            await mark_way(tx, kari.id, MAIL, failure, at(seconds))
        [way] = (await contacts.one("ten-1", kari.id)).methods
        return way.delivered_at, way.failed_at, way.failure

    assert await marked(None, 1) == (at(1), None, "")
    assert await marked("550 no such user", 2) == (at(1), at(2), "550 no such user")
    assert await marked(None, 3) == (at(3), None, "")
