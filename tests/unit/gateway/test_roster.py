"""Who may connect follows the directory: created, changed, removed."""

from datetime import timedelta
from typing import NoReturn

import pytest
from sqlalchemy import update

from shoal.errors import Unavailable
from shoal.gateway.roster import context
from shoal.lwm2m.path import Path
from shoal.storage import directory
from shoal.storage.directory import DirectoryEntry, credentials
from tests.harness.site import Site


async def test_a_device_may_connect_as_soon_as_it_has_a_key_and_not_before(site: Site) -> None:
    device = await site.shoal.create_device(site.tenant, "oxy-0101")
    await site.gateway.roster.follow()
    key = bytes(range(16))
    async with site.client(key=key) as client:
        with pytest.raises(Unavailable):
            await client.registered(timedelta(seconds=1))

    async with site.shoal.database.transaction() as tx:
        await site.shoal.credentials.create(tx, site.tenant, device.id, identity="oxy-0101", key=key.hex())
    await site.gateway.roster.follow()

    async with site.client(key=key) as client:
        await client.registered(timedelta(seconds=20))


async def test_a_removed_device_is_let_go_and_its_registration_with_it(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(timedelta(seconds=20))

        async with site.shoal.database.transaction() as tx:
            await directory.remove(tx, device.id)
        await site.gateway.roster.follow()

        stats = site.gateway.core.stats()
        assert stats["devices"] == 0
        assert stats["registrations"] == 0


async def test_a_new_key_ends_what_the_old_one_opened(site: Site) -> None:
    device = await site.device()
    async with site.client() as client:
        await client.registered(timedelta(seconds=20))
        async with site.shoal.database.transaction() as tx:
            await site.shoal.credentials.create(tx, site.tenant, device.id, identity="oxy-0101")
        await site.gateway.roster.follow()

        assert site.gateway.core.stats()["sessions"] == 0


async def test_one_key_that_cannot_be_read_keeps_nobody_else_out(site: Site) -> None:
    broken = await site.device("oxy-0101")
    async with site.shoal.database.transaction() as tx:
        stolen = site.shoal.vault.encrypt(b"0" * 16, "another device")
        await tx.execute(update(credentials).where(credentials.c.device_id == broken.id).values(key_encrypted=stolen))
        await directory.touch(tx, [broken.id])
    await site.device("oxy-0102")

    async with site.client("oxy-0102") as client:
        await client.registered(timedelta(seconds=20))
    assert list(site.gateway.roster.refused) == [broken.id]
    assert "damaged" in site.gateway.roster.refused[broken.id]


async def test_what_somebody_says_of_one_path_reaches_the_device_and_what_it_does_comes_back(site: Site) -> None:
    device = await site.device()
    path = Path.parse("/3303/0/5700")

    async def say(*, is_wanted: bool) -> None:
        async with site.shoal.database.transaction() as tx:
            await site.shoal.inventory.observe(
                tx, site.tenant, device.id, path, is_wanted=is_wanted, attributes={"pmin": 1}, by="Ida"
            )
        await site.gateway.roster.follow()

    async def told(state: str, attributes: str = "") -> bool:
        events = await site.heard(device.id, "observation")
        wanted = (str(path), state, attributes)
        return any((one["path"], one["state"], one.get("attributes") or "") == wanted for one in events)

    async with site.client() as client:
        client.set(str(path), 9.2)
        await client.registered(timedelta(seconds=20))
        await say(is_wanted=True)
        await site.until(lambda: told("established", "pmin=1"))
        await say(is_wanted=False)
        await site.until(lambda: told("cancelled"))


async def test_the_roster_says_when_the_database_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> NoReturn:
        raise Unavailable("database", "away")

    monkeypatch.setattr(site.shoal.database, "reading", away)

    with pytest.raises(Unavailable):
        await site.gateway.roster.follow()


def test_what_events_carry_of_a_device_is_a_piece_of_json_with_what_is_known() -> None:
    entry = DirectoryEntry(
        device_id="dev-1",
        tenant_id="ten-1",
        farm_id="frm-1",
        enclosure_id=None,
        endpoint='Sjø "7"',
        kind="sensor",
        security="psk",
    )

    assert context(entry) == '"tenant":"ten-1","farm":"frm-1","endpoint":"Sjø \\"7\\""'
