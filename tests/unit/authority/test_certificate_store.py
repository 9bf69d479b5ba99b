"""Certificates: issued, renewed, revoked, listed in the order in which they end."""

from datetime import timedelta

import pytest
from cryptography import x509

from shoal.authority.authority import Reason, Standing, Usage
from shoal.authority.certificate_store import revoked
from shoal.authority.issuing import DEVICE_LIFETIME, new_key
from shoal.errors import Conflict, NotFound, Rejected
from shoal.ids import TenantId
from tests.harness.installation import Installation

DAY = timedelta(days=1)


async def founded(shoal: Installation) -> tuple[TenantId, str]:
    tenant = await shoal.create_tenant()
    async with shoal.database.transaction() as tx:
        return tenant, (await shoal.authorities.create(tx, tenant, "Nordlaks")).id


async def test_a_device_gets_a_certificate_for_the_key_that_it_keeps(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    key = new_key()
    async with shoal.database.transaction() as tx:
        issued = await shoal.certificates.issue_to_device(
            tx, tenant, authority, "oxy-0417", key.public_key(), uris=["urn:imei:1"], by="usr-1"
        )

    kept = await shoal.certificates.one(tenant, issued.certificate.id)
    async with shoal.database.transaction() as tx:
        assert await shoal.certificates.of_fingerprint(tx, kept.fingerprint) == kept
        assert await shoal.certificates.of_fingerprint(tx, "00") is None
    parsed = x509.load_pem_x509_certificate(kept.pem.encode())

    assert kept == issued.certificate
    assert (kept.usage, kept.subject, kept.names, kept.issued_by) == (
        Usage.DEVICE,
        "oxy-0417",
        ("urn:imei:1",),
        "usr-1",
    )
    assert parsed.public_key() == key.public_key()
    assert int(kept.serial, 16) == parsed.serial_number
    assert kept.not_after == shoal.clock.now() + DEVICE_LIFETIME
    assert issued.issuers == ()
    assert issued.pem == kept.pem


async def test_what_an_intermediate_issues_comes_with_its_certificate(shoal: Installation) -> None:
    tenant, top = await founded(shoal)
    async with shoal.database.transaction() as tx:
        site = await shoal.authorities.create(tx, tenant, "Site", under=top)
        issued = await shoal.certificates.issue_to_server(
            tx, tenant, site.id, ["gw.example", "10.0.0.7"], new_key().public_key()
        )

    assert issued.issuers == site.chain[:1]
    assert issued.pem.count("BEGIN") == 2
    assert issued.certificate.names == ("gw.example", "10.0.0.7")
    assert await shoal.certificates.trusted(tenant) == [*site.chain]


async def test_another_tenant_neither_sees_nor_changes_anything(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    other = await shoal.create_tenant("Another")
    key = new_key().public_key()
    async with shoal.database.transaction() as tx:
        issued = await shoal.certificates.issue_to_device(tx, tenant, authority, "oxy", key)
        id_ = issued.certificate.id
        with pytest.raises(NotFound):
            await shoal.certificates.issue_to_device(tx, other, authority, "oxy", key)
        with pytest.raises(NotFound):
            await shoal.certificates.revoke(tx, other, id_, Reason.UNSPECIFIED)
        with pytest.raises(NotFound):
            await shoal.certificates.renew(tx, other, id_)
    with pytest.raises(NotFound):
        await shoal.certificates.one(other, id_)
    with pytest.raises(NotFound):
        await shoal.certificates.revocation_list(other, authority)

    assert await shoal.certificates.several(other) == []
    assert await shoal.certificates.trusted(other) == []
    assert (await shoal.certificates.one(tenant, id_)).standing(shoal.clock.now()) is Standing.GOOD


async def test_a_renewed_one_has_the_same_key_and_names_and_a_later_end(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    key = new_key().public_key()
    async with shoal.database.transaction() as tx:
        device = await shoal.certificates.issue_to_device(tx, tenant, authority, "oxy", key, uris=["urn:imei:1"])
        server = await shoal.certificates.issue_to_server(tx, tenant, authority, ["10.0.0.7"], key)
    shoal.clock.advance(300 * DAY)
    async with shoal.database.transaction() as tx:
        successor = await shoal.authorities.roll_over(tx, tenant, authority)
        renewed = [
            (await shoal.certificates.renew(tx, tenant, old.certificate.id)).certificate for old in (device, server)
        ]

    for old, new in zip((device.certificate, server.certificate), renewed, strict=True):
        assert (new.subject, new.names, new.usage) == (old.subject, old.names, old.usage)
        assert x509.load_der_x509_certificate(new.der).public_key() == key
        assert new.not_after == old.not_after + 300 * DAY
        assert (new.authority, new.serial != old.serial) == (successor.id, True)
        assert (await shoal.certificates.one(tenant, old.id)).standing(shoal.clock.now()) is Standing.GOOD


async def test_a_revoked_one_is_on_the_list_until_it_would_have_ended_and_is_not_renewed(shoal: Installation) -> None:
    certificates = shoal.certificates
    tenant, authority = await founded(shoal)
    async with shoal.database.transaction() as tx:
        bad, good = [
            (await certificates.issue_to_device(tx, tenant, authority, name, new_key().public_key())).certificate
            for name in ("bad", "good")
        ]
        first = await certificates.revoke(tx, tenant, bad.id, Reason.KEY_COMPROMISE)
    shoal.clock.advance(DAY)
    async with shoal.database.transaction() as tx:
        again = await certificates.revoke(tx, tenant, bad.id, Reason.SUPERSEDED)
        with pytest.raises(Conflict, match="revoked"):
            await certificates.renew(tx, tenant, bad.id)
    made = x509.load_der_x509_crl(await certificates.revocation_list(tenant, authority))
    taken_back = await revoked(shoal.database, shoal.clock.now(), 10)
    shoal.clock.advance(DEVICE_LIFETIME)
    later = x509.load_der_x509_crl(await certificates.revocation_list(tenant, authority))

    entry = made.get_revoked_certificate_by_serial_number(int(bad.serial, 16))
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert made.get_revoked_certificate_by_serial_number(int(good.serial, 16)) is None
    assert again == first
    assert taken_back == [bytes.fromhex(bad.fingerprint)]
    assert await revoked(shoal.database, shoal.clock.now(), 10) == []
    assert len(later) == 0
    numbers = [one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in (made, later)]
    assert numbers[0] < numbers[1]


async def test_they_are_listed_in_the_order_in_which_they_end_page_by_page(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    key = new_key().public_key()
    async with shoal.database.transaction() as tx:
        for days, name in ((30, "c"), (10, "a"), (20, "b")):
            await shoal.certificates.issue_to_device(tx, tenant, authority, name, key, lifetime=days * DAY)
    now = shoal.clock.now()

    first = await shoal.certificates.several(tenant, limit=2)
    second = await shoal.certificates.several(tenant, after=(first[-1].not_after, first[-1].id), limit=2)
    soon = await shoal.certificates.several(tenant, expires_before=now + 15 * DAY)

    assert [one.subject for one in (*first, *second)] == ["a", "b", "c"]
    assert [one.subject for one in soon] == ["a"]
    assert [one.subject for one in await shoal.certificates.several(tenant, expires_after=now + 15 * DAY)] == ["b", "c"]
    assert [one.subject for one in await shoal.certificates.several(tenant, subject="b", authority=authority)] == ["b"]
    assert await shoal.certificates.several(tenant, authority="aut-0") == []
    with pytest.raises(Rejected):
        await shoal.certificates.several(tenant, limit=0)


async def test_what_cannot_be_issued_leaves_nothing(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    key = new_key().public_key()
    async with shoal.database.transaction() as tx:
        for name, more in (("", {}), ("oxy", {"uris": ["x"]}), ("oxy", {"lifetime": timedelta()})):
            with pytest.raises(Rejected):
                await shoal.certificates.issue_to_device(tx, tenant, authority, name, key, **more)  # type: ignore[arg-type]
        with pytest.raises(Rejected):
            await shoal.certificates.issue_to_server(tx, tenant, authority, [], key)

    assert await shoal.certificates.several(tenant) == []
