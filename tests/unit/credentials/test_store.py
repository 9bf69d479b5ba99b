"""A key is shown once, lies encrypted in the database, and is where the gateway looks for it."""

from pathlib import Path

import pytest

from shoal.credentials.store import DEVICES_PER_QUERY_MAX
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Security
from shoal.storage import directory
from shoal.storage.directory import DirectoryEntry
from shoal.storage.secrets import Vault
from tests.harness.databases import looks_into_files
from tests.harness.installation import Installation


async def entry(shoal: Installation, device: DeviceId) -> DirectoryEntry:
    async with shoal.database.transaction() as tx:
        found = await directory.find(tx, device)
    assert found is not None
    return found


async def test_a_generated_key_opens_what_the_gateway_was_given(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    before = await entry(shoal, device.id)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id, by="usr-1")

    after = await entry(shoal, device.id)

    assert (made.credential.identity, made.credential.mode, made.credential.created_by) == (device.id, "psk", "usr-1")
    assert after.version > before.version
    assert after.identity == device.id
    assert after.key_encrypted is not None
    assert shoal.vault.decrypt(after.key_encrypted, device.id) == bytes.fromhex(made.key)
    assert len(bytes.fromhex(made.key)) == 16


@looks_into_files
async def test_the_plain_key_is_nowhere_in_the_database(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
    key = bytes.fromhex(made.key)

    files = [path.read_bytes() for path in Path(shoal.database.where).parent.iterdir()]

    assert any(b"sn-4711" in content for content in files)
    assert not any(key in content for content in files)
    assert not any(made.key.encode() in content.lower() for content in files)


async def test_a_key_is_never_shown_again_and_not_in_a_log(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id)

    shown = await shoal.credentials.credential(tenant, device.id)

    assert shown == made.credential
    assert made.key not in repr(made)
    assert made.key not in repr(shown)


async def test_a_key_that_somebody_has_already_is_taken_over(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711", key="00:11 22" + "33" * 13)
        for identity, key in (("sn", "zz"), ("", "00" * 16), (" sn", None)):
            with pytest.raises(Rejected):
                await shoal.credentials.create(tx, tenant, device.id, identity=identity, key=key)

    assert made.key == "001122" + "33" * 13
    stored = (await entry(shoal, device.id)).key_encrypted
    assert stored is not None
    assert shoal.vault.decrypt(stored, device.id).hex() == made.key


async def test_a_new_key_makes_the_old_one_void(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        old = await shoal.credentials.create(tx, tenant, device.id)
    seen = (await entry(shoal, device.id)).version
    async with shoal.database.transaction() as tx:
        new = await shoal.credentials.create(tx, tenant, device.id)

    [changed] = await directory.changed(shoal.database, seen, 10)

    assert new.key != old.key
    assert changed.key_encrypted is not None
    assert shoal.vault.decrypt(changed.key_encrypted, device.id).hex() == new.key


async def test_an_identity_is_one_devices_in_the_whole_installation(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    first, second = await shoal.create_device(ours, "a"), await shoal.create_device(theirs, "a")
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, ours, first.id, identity="sn-4711")

        with pytest.raises(Conflict) as caught:
            await shoal.credentials.create(tx, theirs, second.id, identity="sn-4711")
        await shoal.credentials.create(tx, ours, first.id, identity="sn-4711")

    # Whose it is may be another tenant's business.
    assert first.id not in str(caught.value)
    assert first.id not in str(caught.value.facts)


async def test_only_a_device_of_the_tenant_that_is_to_speak_securely_gets_a_key(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    device = await shoal.create_device(ours, "a")
    plain = await shoal.create_device(ours, "b", security=Security.NONE)
    async with shoal.database.transaction() as tx:
        with pytest.raises(NotFound):
            await shoal.credentials.create(tx, theirs, device.id)
        with pytest.raises(NotFound):
            await shoal.credentials.create(tx, ours, DeviceId("dev-NOBODY00"))
        with pytest.raises(Conflict):
            await shoal.credentials.create(tx, ours, plain.id)
        await shoal.inventory.delete_device(tx, ours, device.id)
        with pytest.raises(NotFound):
            await shoal.credentials.create(tx, ours, device.id)


async def test_a_removed_key_is_gone_for_the_gateway_and_its_identity_is_free(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device, other = await shoal.create_device(tenant, "a"), await shoal.create_device(tenant, "b")
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
    seen = (await entry(shoal, device.id)).version
    async with shoal.database.transaction() as tx:
        await shoal.credentials.remove(tx, tenant, device.id)
        await shoal.credentials.remove(tx, tenant, other.id)

    [changed] = await directory.changed(shoal.database, seen, 10)

    assert (changed.device_id, changed.identity, changed.key_encrypted) == (device.id, None, None)
    assert await shoal.credentials.credential(tenant, device.id) is None
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, other.id, identity="sn-4711")


async def test_a_device_goes_with_its_key(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant, "a")
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
        await shoal.inventory.delete_device(tx, tenant, device.id)
        await shoal.credentials.remove(tx, tenant, device.id)

    assert (await entry(shoal, device.id)).removed
    again = await shoal.create_device(tenant, "a")
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, again.id, identity="sn-4711")


async def test_another_tenant_learns_and_removes_nothing(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    device = await shoal.create_device(ours)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, ours, device.id)
        await shoal.credentials.remove(tx, theirs, device.id)

    assert await shoal.credentials.credential(theirs, device.id) is None
    assert await shoal.credentials.credential(ours, device.id) is not None
    with pytest.raises(Rejected):
        await shoal.credentials.credentials_for(TenantId(ours), [DeviceId("x")] * (DEVICES_PER_QUERY_MAX + 1))


async def test_a_database_without_its_master_key_gives_no_key_away(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id)
    stored = (await entry(shoal, device.id)).key_encrypted
    assert stored is not None

    with pytest.raises(Unavailable):
        Vault(bytes(32)).decrypt(stored, device.id)
    with pytest.raises(Unavailable):
        shoal.vault.decrypt(stored, "dev-ANOTHER0")
