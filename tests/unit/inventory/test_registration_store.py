"""Registrations of many devices are read and written at once, and mere signs of life cheaply."""

import re
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import event

from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Security
from shoal.inventory.presence import Registration
from shoal.inventory.registration_store import (
    count_unproven,
    ids_of_endpoints,
    keep,
    known_tenants,
    profile_for,
    tracks,
)
from shoal.inventory.tracking import Track
from tests.harness.installation import START, Installation

REGISTRATION = Registration(
    id="reg-1",
    version="1.1",
    lifetime=timedelta(seconds=300),
    binding="U",
    queue_mode=False,
    secure=True,
    address="192.0.2.1:5683",
    objects=(("/3/0", None),),
    registered_at=START,
    updated_at=START,
    last_heard_at=START,
    expires_at=START + timedelta(seconds=300),
)


def with_registration(track: Track, registration: Registration | None) -> Track:
    return replace(track, device=replace(track.device, registration=registration))


async def test_registrations_are_written_and_read_again(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    ids = {(await shoal.create_device(tenant, f"oxy-{n}")).id for n in range(3)}
    async with shoal.database.transaction() as tx:
        before = await tracks(tx, {tenant: ids})
        after = {id_: with_registration(track, REGISTRATION) for id_, track in before.items()}
        await keep(tx, before, after)

        assert await tracks(tx, {tenant: ids}) == after


async def test_a_sign_of_life_touches_two_columns_only(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = (await shoal.create_device(tenant)).id
    async with shoal.database.transaction() as tx:
        before = await tracks(tx, {tenant: {device}})
        registered = {device: with_registration(before[device], REGISTRATION)}
        await keep(tx, before, registered)
    heard = replace(REGISTRATION, last_heard_at=START + timedelta(seconds=9), expires_at=START + timedelta(seconds=309))
    statements: list[str] = []

    async with shoal.database.transaction() as tx:
        connection = tx.connection.sync_connection
        event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        after = {device: with_registration(registered[device], heard)}
        await keep(tx, registered, after)
        found = await tracks(tx, {tenant: {device}})

    written = re.findall(r"(\w+)=", statements[0])
    assert statements[0].startswith("UPDATE registrations SET ")
    assert written == ["last_heard_at", "expires_at"]
    assert found == after


async def test_nothing_is_written_when_nothing_is_different(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = (await shoal.create_device(tenant)).id
    async with shoal.database.transaction() as tx:
        before = await tracks(tx, {tenant: {device}})
        changes = tx.changes

        await keep(tx, before, dict(before))

        assert tx.changes == changes


async def test_only_the_tenants_own_devices_are_found(shoal: Installation) -> None:
    ours, theirs = await shoal.create_tenant("Ours"), await shoal.create_tenant("Theirs")
    device = (await shoal.create_device(theirs)).id
    async with shoal.database.transaction() as tx:
        assert await tracks(tx, {ours: {device}}) == {}
        assert await tracks(tx, {theirs: {device, DeviceId("dev-NOBODY00")}}) != {}
        assert await known_tenants(tx, [ours, "ten-NOBODY00"]) == {ours}


async def test_devices_without_security_are_counted_up_to_a_bound(shoal: Installation) -> None:
    tenant, other = await shoal.create_tenant(), await shoal.create_tenant("Other")
    await shoal.create_device(tenant, "secure")
    await shoal.create_device(other, "plain", security=Security.NONE)
    for number in range(3):
        await shoal.create_device(tenant, f"plain-{number}", security=Security.NONE)
    async with shoal.database.transaction() as tx:
        assert [await count_unproven(tx, tenant, most) for most in (2, 3, 9)] == [2, 3, 3]


async def test_a_device_with_a_credential_is_never_found_by_its_name(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    await shoal.create_device(tenant, "secure")
    plain = await shoal.create_device(tenant, "plain", security=Security.NONE)
    async with shoal.database.transaction() as tx:
        assert await ids_of_endpoints(tx, tenant, ["secure", "plain", "unknown"]) == {"plain": plain.id}
        assert await ids_of_endpoints(tx, TenantId("ten-NOBODY00"), ["plain"]) == {}


async def test_the_profile_of_a_device_is_found(shoal: Installation) -> None:
    tenant = await shoal.create_tenant()
    device = await shoal.create_device(tenant)
    async with shoal.database.transaction() as tx:
        track = (await tracks(tx, {tenant: {device.id}}))[device.id]

        assert (await profile_for(tx, track)).id == device.profile
