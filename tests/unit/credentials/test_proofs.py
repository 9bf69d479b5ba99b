"""What devices are let in by is what lives, with the key as it lies in the database."""

from datetime import timedelta

from shoal.credentials.credential import Mode, Rotation
from shoal.credentials.proofs import proofs_of
from tests.harness.installation import Installation


async def test_only_what_lives_lets_a_device_in(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device, other = await shoal.create_device(tenant, "a"), await shoal.create_device(tenant, "b")
    async with shoal.database.transaction() as tx:
        await shoal.credentials.create(tx, tenant, device.id, identity="old")
        at_once = Rotation(overlap=timedelta())
        new = await shoal.credentials.create(tx, tenant, device.id, identity="new", rotation=at_once)

    found = await proofs_of(shoal.database, [device.id, other.id])

    [proof] = found[device.id]
    assert other.id not in found
    assert (proof.mode, proof.identity, proof.pin) == (Mode.PSK, "new", None)
    assert proof.key_encrypted is not None
    assert shoal.vault.decrypt(proof.key_encrypted, device.id).hex() == new.key
