"""Devices with certificates: let in by what their tenant trusts and has proved, and only as long as it does."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shoal.authority.authority import Reason, pem_of
from shoal.authority.issuing import new_key
from shoal.credentials.anchor import TrustAnchor, ZeroTouch
from shoal.credentials.credential import State
from shoal.errors import Unavailable
from shoal.events.device import SecurityEvent
from shoal.gateway.trust import Trust
from shoal.ids import DeviceId, TenantId
from shoal.inventory.device import Security
from shoal.lwm2m import Certificate, Device
from tests.harness.authority import Authority
from tests.harness.site import Site

WAIT = timedelta(seconds=20)


@pytest.fixture
def authority(site: Site, tmp_path: Path) -> Authority:
    # Certificates are judged by the true time.
    site.shoal.clock.advance(datetime.now(UTC) - site.shoal.clock.now())
    return Authority(tmp_path / "farm", "Nordlaks")


async def trust(
    site: Site, authority: Authority, tenant: TenantId | None = None, zero_touch: ZeroTouch = ZeroTouch.OFF
) -> TrustAnchor:
    """The tenant takes an authority in and proves it; the gateway hears of it."""
    owner = tenant or site.tenant
    async with site.shoal.database.transaction() as tx:
        made = await site.shoal.trust_anchors.create(
            tx, owner, name="Makers", certificate=authority.ca.read_text(), zero_touch=zero_touch
        )
        assert made.challenge is not None
        signature = authority.sign(made.challenge)
        proved = await site.shoal.trust_anchors.prove(tx, owner, made.id, signature=signature)
    await site.gateway.trust.follow()
    return proved


async def camera(site: Site, endpoint: str = "cam-7", tenant: TenantId | None = None) -> DeviceId:
    owner = tenant or site.tenant
    device = await site.shoal.create_device(owner, endpoint, security=Security.X509)
    async with site.shoal.database.transaction() as tx:
        await site.shoal.credentials.admit(tx, owner, device.id)
    await site.gateway.roster.follow()
    return device.id


@asynccontextmanager
async def connected(client: Device) -> AsyncIterator[Device]:
    async with client:
        await client.registered(WAIT)
        yield client


async def refused(client: Device) -> bool:
    async with client:
        with pytest.raises(Unavailable):
            await client.registered(timedelta(seconds=2))
    return True


async def test_a_device_is_let_in_by_a_proved_anchor_and_goes_with_it(site: Site, authority: Authority) -> None:
    device = await camera(site)
    async with site.shoal.database.transaction() as tx:
        await site.shoal.trust_anchors.create(tx, site.tenant, name="Unproved", certificate=authority.ca.read_text())
    await site.gateway.trust.follow()
    assert await refused(site.client_with(authority, "cam-7"))
    [unproved] = await site.shoal.trust_anchors.anchors(site.tenant)
    assert unproved.challenge is not None
    async with site.shoal.database.transaction() as tx:
        signature = authority.sign(unproved.challenge)
        await site.shoal.trust_anchors.prove(tx, site.tenant, unproved.id, signature=signature)
    await site.gateway.trust.follow()

    async with connected(site.client_with(authority, "cam-7")):
        [registered] = await site.until(lambda: site.heard(device, "registered"))
        assert isinstance(registered["certificate"], dict)
        async with site.shoal.database.transaction() as tx:
            await site.shoal.trust_anchors.retire(tx, site.tenant, unproved.id)
        await site.gateway.trust.follow()
        assert site.gateway.core.stats()["sessions"] == 0
    await site.shoal.settle()

    [used] = await site.shoal.credentials.of_device(site.tenant, device)
    assert (used.id, used.state) == (registered["credential"], State.CURRENT)
    assert used.certificate is not None
    assert used.certificate.fingerprint == registered["certificate"]["fingerprint"]


async def test_another_tenants_authority_lets_nobody_in(site: Site, authority: Authority) -> None:
    device = await camera(site)
    theirs = await site.shoal.create_tenant("Theirs")
    # Of the very same name, and good for their own device of that name.
    await trust(site, Authority(Path(authority.ca.parent) / "theirs", "Nordlaks"), theirs)
    await trust(site, authority, await site.shoal.create_tenant("Third"))
    other = await camera(site, tenant=theirs)

    assert await refused(site.client_with(authority, "cam-7"))

    assert await site.heard(device, "registered") == []
    assert await site.heard(other, "registered") == []


async def test_two_tenants_with_authorities_of_one_name_each_have_their_own_device(
    site: Site, authority: Authority
) -> None:
    theirs = await site.shoal.create_tenant("Theirs")
    second = Authority(authority.ca.parent / "theirs", "Nordlaks")
    await trust(site, second, theirs)
    await trust(site, authority)
    devices = {authority: await camera(site), second: await camera(site, tenant=theirs)}

    for whose, device in devices.items():
        async with connected(site.client_with(whose, "cam-7")):
            assert await site.until(lambda device=device: site.heard(device, "registered"))


async def test_a_key_is_replaced_while_the_device_is_connected(site: Site) -> None:
    device = await site.device()
    async with connected(site.client()):
        async with site.shoal.database.transaction() as tx:
            new = await site.shoal.credentials.create(tx, site.tenant, device.id, identity="oxy-next")
        await site.gateway.roster.follow()
        assert site.gateway.core.stats()["sessions"] == 1, "the old one goes on"
        assert new.key is not None
        later = Device("oxy-0101", site.gateway.addresses[0], identity="oxy-next", key=bytes.fromhex(new.key))
    async with connected(later):
        await site.until(lambda: site.heard(device.id, "registered"))
        await site.shoal.settle()
        await site.gateway.roster.follow()
        assert site.gateway.core.stats()["sessions"] == 1
        assert await refused(site.client())

        async with site.shoal.database.transaction() as tx:
            await site.shoal.credentials.revoke(tx, site.tenant, device.id, new.credential.id, even_last=True)
        await site.gateway.roster.follow()
        assert site.gateway.core.stats()["sessions"] == 0


@pytest.mark.parametrize("zero_touch", [ZeroTouch.OFF, ZeroTouch.APPROVE, ZeroTouch.ADMIT])
async def test_a_device_that_nobody_made_comes_as_its_anchor_allows(
    site: Site, authority: Authority, zero_touch: ZeroTouch
) -> None:
    await trust(site, authority, zero_touch=zero_touch)
    async with site.client_with(authority, "cam-9") as client:
        assert await site.until(lambda: told_of_strangers(site))
        await site.shoal.settle()
        found = (await site.shoal.inventory.devices(site.tenant)).items
        if zero_touch is ZeroTouch.OFF:
            assert found == []
            return
        [device] = found
        assert (device.endpoint, device.security, device.enclosure) == ("cam-9", Security.X509, None)
        if zero_touch is ZeroTouch.APPROVE:
            [waiting] = await site.shoal.credentials.of_device(site.tenant, device.id)
            assert waiting.state is State.WAITING
            await site.gateway.roster.follow()
            assert await refused(site.client_with(authority, "cam-9"))
            async with site.shoal.database.transaction() as tx:
                await site.shoal.credentials.approve(tx, site.tenant, device.id, waiting.id)
        await site.gateway.roster.follow()

    async with connected(site.client_with(authority, "cam-9")):
        assert await site.until(lambda: site.heard(device.id, "registered"))
    del client


async def test_a_stranger_takes_over_no_device_that_there_is(site: Site, authority: Authority) -> None:
    await trust(site, authority, zero_touch=ZeroTouch.ADMIT)
    device = await site.device("oxy-0101")

    async with site.client_with(authority, "oxy-0101"):
        assert await site.until(lambda: told_of_strangers(site))
        await site.shoal.settle()

    assert [one.mode.value for one in await site.shoal.credentials.of_device(site.tenant, device.id)] == ["psk"]


async def told_of_strangers(site: Site) -> bool:
    events = await site.shoal.events()
    return any(getattr(event, "anchor", None) for event in events)


async def test_our_own_certificate_is_read_again_and_a_broken_one_leaves_the_old(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    shown, other = authority.certificate("gateway"), authority.certificate("other")
    own = Trust(site.gateway.core, site.shoal.database, site.shoal.clock, (shown.cert, shown.key))
    own.start()
    good = shown.cert.read_bytes()
    shown.cert.write_bytes(other.cert.read_bytes())
    os.utime(shown.cert, ns=(1, 1))
    await own.follow()  # another's certificate: told in the log, and nothing else
    shown.cert.write_bytes(good)

    with pytest.raises(Unavailable, match="certificate for devices"):
        Trust(site.gateway.core, site.shoal.database, site.shoal.clock, (shown.cert, other.key)).start()
    with pytest.raises(Unavailable, match="certificate for devices"):
        Trust(site.gateway.core, site.shoal.database, site.shoal.clock, (tmp_path / "none", shown.key)).start()


async def test_a_certificate_of_our_own_authority_lets_a_device_in_until_it_is_revoked(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    del authority  # it has set the clock
    await camera(site)
    key = new_key()
    async with site.shoal.database.transaction() as tx:
        ours = await site.shoal.authorities.create(tx, site.tenant, "Ours")
        issued = await site.shoal.certificates.issue_to_device(tx, site.tenant, ours.id, "cam-7", key.public_key())
    await site.gateway.trust.follow()
    chain, secret = tmp_path / "cam-7.pem", tmp_path / "cam-7.key"
    chain.write_text(pem_of(issued.certificate.der))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    shown = Certificate.load(chain, secret, site.servers.ca)
    address = site.gateway.addresses[0]

    async with connected(Device("cam-7", address, certificate=shown)):
        async with site.shoal.database.transaction() as tx:
            await site.shoal.certificates.revoke(tx, site.tenant, issued.certificate.id, Reason.KEY_COMPROMISE)

        async def has_ended() -> bool:
            return site.gateway.core.stats()["sessions"] == 0

        await site.until(has_ended)
    assert await refused(Device("cam-7", address, certificate=shown))

    reasons = {event.reason for event in await site.shoal.events() if isinstance(event, SecurityEvent)}
    assert reasons == {"certificate_revoked"}


async def test_more_revoked_certificates_than_are_kept_are_told_in_the_log(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del authority  # it has set the clock
    monkeypatch.setattr("shoal.gateway.trust.REVOKED_MAX", 1)
    await camera(site)
    async with site.shoal.database.transaction() as tx:
        ours = await site.shoal.authorities.create(tx, site.tenant, "Ours")

    async def revoke_one() -> None:
        key = new_key().public_key()
        site.shoal.clock.advance(timedelta(seconds=1))
        async with site.shoal.database.transaction() as tx:
            issued = await site.shoal.certificates.issue_to_device(tx, site.tenant, ours.id, "cam-7", key)
            await site.shoal.certificates.revoke(tx, site.tenant, issued.certificate.id, Reason.SUPERSEDED)
        await site.gateway.trust.follow()

    async def is_told() -> bool:
        return any(record.message == "trust.too_many_revoked" for record in caplog.records)

    await revoke_one()
    assert not await is_told()
    await revoke_one()
    assert await site.until(is_told)
