"""A key is shown once, lies encrypted in the database, and is where the gateway looks for it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.credentials.credential import Credential, Rotation, State, Until
from shoal.credentials.proofs import proofs_of
from shoal.credentials.store import DEVICES_PER_QUERY_MAX, Use
from shoal.credentials.worker import Expiry
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.ids import CredentialId, DeviceId, TenantId
from shoal.inventory.device import Security
from shoal.storage import directory
from shoal.storage.directory import DirectoryEntry
from shoal.storage.secrets import Vault
from tests.harness.authority import Authority
from tests.harness.databases import looks_into_files
from tests.harness.installation import Installation


async def entry(shoal: Installation, device: DeviceId) -> DirectoryEntry:
    async with shoal.database.transaction() as tx:
        found = await directory.find(tx, device)
    assert found is not None
    return found


async def keys(shoal: Installation, device: DeviceId) -> dict[str, str]:
    """What the gateway lets the device in by: identities and keys."""
    return {
        proof.identity: shoal.vault.decrypt(proof.key_encrypted, device).hex()
        for proof in (await proofs_of(shoal.database, [device])).get(device, [])
        if proof.key_encrypted is not None
    }


async def states(shoal: Installation, tenant: TenantId, device: DeviceId) -> list[str]:
    """Newest first."""
    return [one.state.value for one in await shoal.credentials.of_device(tenant, device)]


async def use(shoal: Installation, credential: Credential) -> None:
    shoal.clock.advance(timedelta(minutes=1))
    seen = Use(device=credential.device, at=shoal.clock.now(), certificate=None)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.used(tx, {credential.id: seen})


async def test_a_generated_key_opens_what_the_gateway_was_given(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    before = await entry(shoal, device.id)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id, by="usr-1")

    after = await entry(shoal, device.id)

    assert (made.credential.identity, made.credential.mode, made.credential.created_by) == (device.id, "psk", "usr-1")
    assert after.version > before.version
    assert made.key is not None
    assert await keys(shoal, device.id) == {device.id: made.key}
    assert len(bytes.fromhex(made.key)) == 16


@looks_into_files
async def test_the_plain_key_is_nowhere_in_the_database(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
    assert made.key is not None
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

    [shown] = await shoal.credentials.of_device(tenant, device.id)

    assert shown == made.credential
    assert made.key is not None
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
    assert await keys(shoal, device.id) == {"sn-4711": made.key}


async def test_a_new_key_goes_beside_the_old_one_until_the_device_used_it(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        old = await shoal.credentials.create(tx, tenant, device.id)
    shoal.clock.advance(timedelta(minutes=1))
    seen = (await entry(shoal, device.id)).version
    async with shoal.database.transaction() as tx:
        new = await shoal.credentials.create(tx, tenant, device.id)

    assert (await entry(shoal, device.id)).version > seen
    assert new.credential.identity == new.credential.id
    assert await keys(shoal, device.id) == {device.id: old.key, new.credential.id: new.key}
    assert await states(shoal, tenant, device.id) == ["next", "retiring"]
    await use(shoal, old.credential)
    assert await states(shoal, tenant, device.id) == ["next", "retiring"]
    seen = (await entry(shoal, device.id)).version

    await use(shoal, new.credential)

    assert await states(shoal, tenant, device.id) == ["current", "revoked"]
    assert await keys(shoal, device.id) == {new.credential.id: new.key}
    assert (await entry(shoal, device.id)).version > seen


async def test_the_old_one_ends_with_the_overlap_whether_the_device_came_or_not(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    rotation = Rotation(overlap=timedelta(days=2), until=Until.END)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id)
    shoal.clock.advance(timedelta(hours=1))
    async with shoal.database.transaction() as tx:
        new = await shoal.credentials.create(tx, tenant, device.id, rotation=rotation)

    await use(shoal, new.credential)
    assert await states(shoal, tenant, device.id) == ["current", "retiring"]
    expiry = Expiry(shoal.credentials, shoal.database)
    assert await expiry.sweep() == 0
    shoal.clock.advance(timedelta(days=2))
    # What is due counts no more, even before anybody has swept.
    assert await states(shoal, tenant, device.id) == ["current", "expired"]

    assert (await expiry.sweep(), await expiry.sweep()) == (1, 0)
    assert await keys(shoal, device.id) == {new.credential.id: new.key}


async def test_two_keys_do_not_go_by_one_identity(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        old = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
        with pytest.raises(Rejected, match="identity"):
            await shoal.credentials.create(
                tx, tenant, device.id, identity="sn-4711", rotation=Rotation(overlap=timedelta(days=1))
            )
        shoal.clock.advance(timedelta(minutes=1))
        new = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")

    assert old.key != new.key
    assert await keys(shoal, device.id) == {"sn-4711": new.key}
    assert await states(shoal, tenant, device.id) == ["current", "revoked"]


async def test_a_device_has_four_at_most_and_remembers_some_that_are_over(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        for _ in range(4):
            await shoal.credentials.create(tx, tenant, device.id)
        with pytest.raises(Conflict, match="revoke one"):
            await shoal.credentials.create(tx, tenant, device.id)
        for _ in range(12):
            shoal.clock.advance(timedelta(minutes=1))
            await shoal.credentials.create(tx, tenant, device.id, rotation=Rotation(overlap=timedelta()))

    assert await states(shoal, tenant, device.id) == ["current"] + ["revoked"] * 8


async def test_whoever_revokes_the_next_one_has_the_one_before_again(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        old = await shoal.credentials.create(tx, tenant, device.id)
        shoal.clock.advance(timedelta(minutes=1))
        new = await shoal.credentials.create(tx, tenant, device.id)
        await shoal.credentials.revoke(tx, tenant, device.id, new.credential.id)
        await shoal.credentials.revoke(tx, tenant, device.id, new.credential.id)

        with pytest.raises(Conflict, match="last one"):
            await shoal.credentials.revoke(tx, tenant, device.id, old.credential.id)
    [revoked, current] = await shoal.credentials.of_device(tenant, device.id)
    assert (revoked.state, current.state, current.expires_at) == (State.REVOKED, State.CURRENT, None)

    async with shoal.database.transaction() as tx:
        await shoal.credentials.revoke(tx, tenant, device.id, old.credential.id, even_last=True)
        with pytest.raises(NotFound):
            await shoal.credentials.revoke(tx, tenant, device.id, CredentialId("crd-NOBODY00"))

    assert await keys(shoal, device.id) == {}


async def test_two_who_rotate_at_once_both_get_a_key_that_works(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)

    async def rotate() -> str | None:
        async with shoal.database.transaction() as tx:
            return (await shoal.credentials.create(tx, tenant, device.id)).key

    given = await asyncio.gather(*(rotate() for _ in range(3)))

    assert sorted((await keys(shoal, device.id)).values()) == sorted(key or "" for key in given)


async def test_a_pinned_certificate_is_one_devices_of_a_tenant_and_ends_with_its_time(
    shoal: Installation, tmp_path: Path
) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    device, other = await shoal.create_device(ours, "a"), await shoal.create_device(ours, "b")
    foreign = await shoal.create_device(theirs, "a")
    authority = Authority(tmp_path)
    pem, expired = authority.certificate("cam-7").cert.read_text(), authority.certificate("x", expired=True).cert
    shoal.clock.advance(datetime.now(UTC) - shoal.clock.now())
    async with shoal.database.transaction() as tx:
        made = await shoal.credentials.admit(tx, ours, device.id, certificate=pem)
        with pytest.raises(Conflict, match="another device"):
            await shoal.credentials.admit(tx, ours, other.id, certificate=pem)
        # Another tenant's authority did not issue it: it is worth nothing to them, and they learn nothing.
        await shoal.credentials.admit(tx, theirs, foreign.id, certificate=pem)
        for wrong in (expired.read_text(), pem + pem, "", authority.certificate("y").key.read_text()):
            with pytest.raises(Rejected, match="certificate"):
                await shoal.credentials.admit(tx, ours, other.id, certificate=wrong)

    [proof] = (await proofs_of(shoal.database, [device.id]))[device.id]
    assert made.key is None
    assert made.credential.certificate is not None
    assert proof.pin == bytes.fromhex(made.credential.certificate.fingerprint)
    assert made.credential.expires_at == made.credential.certificate.not_after
    page = await shoal.credentials.ending(ours, before=None, state=None, after=None, limit=10)
    assert [one.id for one in page] == [made.credential.id]


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

    assert changed.device_id == device.id
    assert await keys(shoal, device.id) == {}
    assert await shoal.credentials.of_device(tenant, device.id) == []
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

    assert await shoal.credentials.of_device(theirs, device.id) == []
    assert await states(shoal, ours, device.id) == ["current"]
    with pytest.raises(Rejected):
        await shoal.credentials.credentials_for(TenantId(ours), [DeviceId("x")] * (DEVICES_PER_QUERY_MAX + 1))


async def test_a_database_without_its_master_key_gives_no_key_away(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id)
    [proof] = (await proofs_of(shoal.database, [device.id]))[device.id]
    stored = proof.key_encrypted
    assert stored is not None

    with pytest.raises(Unavailable):
        Vault(bytes(32)).decrypt(stored, device.id)
    with pytest.raises(Unavailable):
        shoal.vault.decrypt(stored, "dev-ANOTHER0")
