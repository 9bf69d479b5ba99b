"""What a device proves itself with at the bootstrap server, and what it gets for it."""

import pytest

from shoal.credentials.credential import State
from shoal.errors import Conflict, NotFound, Rejected
from shoal.inventory.device import Security
from shoal.storage import sealed
from shoal.storage.secrets import KEY_BYTES, Vault
from tests.harness.installation import Installation


async def test_a_key_of_its_own_is_shown_once_and_lies_encrypted(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id)
        made = await shoal.bootstraps.create(tx, tenant, device.id, by="usr-1")

    [applicant] = await shoal.bootstraps.changed(0, 10)
    shown = await shoal.bootstraps.credential(tenant, device.id)

    [operating] = await shoal.credentials.of_device(tenant, device.id)

    assert (applicant.identity, operating.identity) == (device.id, device.id), "each server has its own"
    assert applicant.key_encrypted is not None
    assert bytes.fromhex(made.key) not in applicant.key_encrypted
    assert shoal.bootstraps.key_of(applicant) == bytes.fromhex(made.key)
    assert shown == made.credential
    assert made.key not in repr(made)


async def test_a_bootstrap_makes_a_fresh_key_beside_the_old_one_and_voids_one_that_never_arrived(
    shoal: Installation,
) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        before = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
        await shoal.bootstraps.create(tx, tenant, device.id)

    made = []
    for _ in range(6):
        async with shoal.database.transaction() as tx:
            new, entry = await shoal.bootstraps.hand_out(tx, device.id)
        made.append(new)

    living = {one.id: one.state for one in await shoal.credentials.of_device(tenant, device.id) if one.state.is_living}
    assert len({one.key for one in (before, *made)}) == 7
    assert (made[-1].credential.created_by, entry.endpoint) == (None, device.endpoint)
    assert made[-1].credential.is_from_bootstrap
    assert living == {before.credential.id: State.RETIRING, made[-1].credential.id: State.NEXT}


async def test_a_key_of_a_person_who_is_called_bootstrap_outlives_a_bootstrap(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id, identity="sn-4711")
        await shoal.bootstraps.create(tx, tenant, device.id)
        by_hand = await shoal.credentials.create(tx, tenant, device.id, identity="sn-4712", by="bootstrap")
        handed_out, _ = await shoal.bootstraps.hand_out(tx, device.id)

    states = {one.id: one.state for one in await shoal.credentials.of_device(tenant, device.id)}
    assert states[by_hand.credential.id] is State.RETIRING, "it goes on until the device comes with the new one"
    assert states[handed_out.credential.id] is State.NEXT
    assert not by_hand.credential.is_from_bootstrap


async def test_who_follows_hears_of_new_keys_of_removed_ones_and_of_moves(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    [before] = await shoal.bootstraps.changed(0, 10)
    async with shoal.database.transaction() as tx:
        await shoal.bootstraps.create(tx, tenant, device.id, identity="sn")
    [made] = await shoal.bootstraps.changed(before.entry.version, 10)
    async with shoal.database.transaction() as tx:
        assert await shoal.bootstraps.remove(tx, tenant, device.id)
        assert not await shoal.bootstraps.remove(tx, tenant, device.id)
    [removed] = await shoal.bootstraps.changed(made.entry.version, 10)

    assert (before.identity, made.identity, removed.identity) == (None, "sn", None)
    assert shoal.bootstraps.key_of(removed) is None


async def test_what_cannot_be_is_refused(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    device = await shoal.create_device(tenant)
    second = await shoal.create_device(tenant, "oxy-0102")
    plain = await shoal.create_device(tenant, "oxy-0103", security=Security.NONE)
    async with shoal.database.transaction() as tx:
        await shoal.bootstraps.create(tx, tenant, device.id, identity="sn")
        with pytest.raises(Conflict):
            await shoal.bootstraps.create(tx, tenant, second.id, identity="sn")
        with pytest.raises(Conflict):
            await shoal.bootstraps.create(tx, tenant, plain.id)
        with pytest.raises(NotFound):
            await shoal.bootstraps.create(tx, other, device.id)
        with pytest.raises(Rejected):
            await shoal.bootstraps.create(tx, tenant, device.id, key="00")
        with pytest.raises(NotFound):
            await shoal.bootstraps.hand_out(tx, "dev-none")  # type: ignore[arg-type]  # none of ours


async def test_another_master_key_takes_it_along(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        made = await shoal.bootstraps.create(tx, tenant, device.id)
    fresh = Vault(b"x" * KEY_BYTES, bytes(range(KEY_BYTES)))

    await sealed.reencrypt(shoal.database, fresh)

    [applicant] = await shoal.bootstraps.changed(0, 10)
    assert applicant.key_encrypted is not None
    assert Vault(b"x" * KEY_BYTES).decrypt(applicant.key_encrypted, device.id) == bytes.fromhex(made.key)
