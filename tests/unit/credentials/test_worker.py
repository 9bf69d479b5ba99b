"""A registration tells which credential a device used: the first use of the next one ends the one before."""

from datetime import timedelta

from shoal.credentials.credential import State
from shoal.credentials.worker import CredentialHandler
from shoal.events.device import CertificateUsed, DeviceRegistered
from shoal.ids import CredentialId, DeviceId, TenantId
from shoal.stream.worker import Worker
from tests.harness.installation import Installation


def registered(
    shoal: Installation, device: DeviceId, credential: CredentialId, certificate: CertificateUsed | None = None
) -> DeviceRegistered:
    shoal.clock.advance(timedelta(minutes=1))
    now = shoal.clock.now()
    return DeviceRegistered(
        id=f"{device}-{now.timestamp()}",
        time=now,
        device=device,
        endpoint="oxy-0101",
        registration="00",
        version="1.1",
        lifetime_s=300,
        binding="U",
        queue_mode=False,
        secure=True,
        address="192.0.2.1:5684",
        credential=credential,
        certificate=certificate,
    )


async def hear(shoal: Installation, *events: DeviceRegistered) -> None:
    await shoal.hear(*events)
    await Worker(shoal.log, shoal.database, CredentialHandler(shoal.credentials), shoal.clock).drain()


async def device_with_two(shoal: Installation) -> tuple[TenantId, DeviceId, CredentialId, CredentialId]:
    tenant = await shoal.create_tenant()
    device = (await shoal.create_device(tenant)).id
    async with shoal.database.transaction() as tx:
        old = (await shoal.credentials.create(tx, tenant, device)).credential.id
        shoal.clock.advance(timedelta(minutes=1))
        new = (await shoal.credentials.admit(tx, tenant, device)).credential.id
    return tenant, device, old, new


async def test_the_first_registration_with_the_new_one_is_the_end_of_the_old_one(shoal: Installation) -> None:
    tenant, device, old, new = await device_with_two(shoal)
    seen = CertificateUsed(fingerprint="ab" * 32, serial="07", not_before=1_700_000_000, not_after=1_900_000_000)

    await hear(shoal, registered(shoal, device, old))
    [following, retiring] = await shoal.credentials.of_device(tenant, device)
    assert (following.state, retiring.state) == (State.NEXT, State.RETIRING)
    assert (following.last_used_at, retiring.last_used_at) == (None, shoal.clock.now())
    await hear(shoal, registered(shoal, device, new, seen))

    [current, over] = await shoal.credentials.of_device(tenant, device)
    assert (current.state, over.state) == (State.CURRENT, State.REVOKED)
    assert current.last_used_at == shoal.clock.now()
    assert current.certificate is not None
    assert current.certificate.fingerprint == "ab" * 32
    # The next certificate of that name is as good: the end of this one ends nothing.
    assert current.expires_at is None


async def test_what_is_said_of_another_devices_credential_or_of_none_changes_nothing(shoal: Installation) -> None:
    tenant, device, _, new = await device_with_two(shoal)
    other = (await shoal.create_device(tenant, "oxy-0102")).id
    never = CertificateUsed(fingerprint="00", serial="00", not_before=0, not_after=1 << 62)

    await hear(
        shoal,
        registered(shoal, other, new),
        registered(shoal, device, CredentialId("crd-NOBODY00")),
        registered(shoal, device, CredentialId("")),
    )
    assert (await shoal.credentials.of_device(tenant, device))[0].state is State.NEXT
    await hear(shoal, registered(shoal, device, new, never))

    assert (await shoal.credentials.of_device(tenant, device))[0].certificate is None
