"""Enrolling against real tables: a secret becomes a certificate, a certificate the next one."""

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509

from shoal.authority.authority import Reason
from shoal.authority.enrolment import CERTIFICATES_PER_DAY_MAX, ENROLMENT_LIFETIME, Unproved
from shoal.authority.issuing import new_key
from shoal.authority.request import parse_request
from shoal.errors import NotFound, Rejected, TooMany
from tests.harness.installation import Installation
from tests.harness.requests import request
from tests.unit.authority.test_certificate_store import founded


async def test_a_device_enrols_with_its_secret_once_and_renews_with_its_certificate(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    first, second = new_key(), new_key()
    async with shoal.database.transaction() as tx:
        leave = await shoal.enrolments.create(tx, tenant, "oxy-0417", by="usr-1")
    async with shoal.database.transaction() as tx:
        issued = await shoal.enrolments.by_secret(
            tx, tenant, authority, "oxy-0417", leave.secret, parse_request(request("oxy-0417", first))
        )
    async with shoal.database.transaction() as tx:
        with pytest.raises(Unproved, match="used already"):
            await shoal.enrolments.by_secret(
                tx, tenant, authority, "oxy-0417", leave.secret, parse_request(request("oxy-0417"))
            )
        again = await shoal.enrolments.by_secret(
            tx, tenant, authority, "oxy-0417", leave.secret, parse_request(request("oxy-0417", first))
        )
    async with shoal.database.transaction() as tx:
        renewed = await shoal.enrolments.by_certificate(
            tx, tenant, authority, issued.certificate.fingerprint, parse_request(request("oxy-0417", second))
        )

    assert leave.secret not in repr(leave)
    assert (issued.certificate.issued_by, renewed.certificate.issued_by) == (leave.enrolment.id, issued.certificate.id)
    assert again.certificate.serial != issued.certificate.serial
    assert x509.load_der_x509_certificate(renewed.certificate.der).public_key() == second.public_key()
    assert [one.used_for is not None for one in await shoal.enrolments.several(tenant)] == [True]


async def test_what_is_not_ones_own_is_refused_and_the_secret_stays_good(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    other = await shoal.create_tenant("Another")
    async with shoal.database.transaction() as tx:
        leave = await shoal.enrolments.create(tx, tenant, "oxy")
    good = parse_request(request("oxy"))
    async with shoal.database.transaction() as tx:
        with pytest.raises(Rejected, match="endpoint name"):
            await shoal.enrolments.by_secret(tx, tenant, authority, "oxy", leave.secret, parse_request(request("abc")))
        with pytest.raises(Unproved):
            await shoal.enrolments.by_secret(tx, tenant, authority, "abc", leave.secret, parse_request(request("abc")))
        with pytest.raises(Unproved):
            await shoal.enrolments.by_secret(tx, other, None, "oxy", leave.secret, good)
        uri = x509.UniformResourceIdentifier("urn:imei:1")
        with pytest.raises(Rejected, match="not a name of this device"):
            await shoal.enrolments.by_secret(
                tx, tenant, authority, "oxy", leave.secret, parse_request(request("oxy", names=[uri]))
            )
        issued = await shoal.enrolments.by_secret(tx, tenant, authority, "oxy", leave.secret, good)

    assert issued.certificate.subject == "oxy"


async def test_a_revoked_or_expired_certificate_renews_nothing(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    asked = parse_request(request("oxy"))
    async with shoal.database.transaction() as tx:
        bad, old = [
            (await shoal.certificates.issue_to_device(tx, tenant, authority, "oxy", new_key().public_key())).certificate
            for _ in range(2)
        ]
        await shoal.enrolments.by_certificate(tx, tenant, authority, bad.fingerprint, asked)
        await shoal.certificates.revoke(tx, tenant, bad.id, Reason.KEY_COMPROMISE)
        with pytest.raises(Unproved, match=r"^certificate: revoked$"):
            await shoal.enrolments.by_certificate(tx, tenant, authority, bad.fingerprint, asked)
        await shoal.enrolments.by_certificate(tx, tenant, authority, old.fingerprint, asked)
    shoal.clock.advance(timedelta(days=366))
    async with shoal.database.transaction() as tx:
        with pytest.raises(Unproved, match=r"^certificate: expired$"):
            await shoal.enrolments.by_certificate(tx, tenant, authority, old.fingerprint, asked)


async def test_a_new_secret_makes_the_old_one_void_and_one_may_be_taken_back(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    asked = parse_request(request("oxy"))
    async with shoal.database.transaction() as tx:
        old = await shoal.enrolments.create(tx, tenant, "oxy")
        new = await shoal.enrolments.create(tx, tenant, "oxy")
        with pytest.raises(Unproved):
            await shoal.enrolments.by_secret(tx, tenant, authority, "oxy", old.secret, asked)
        await shoal.enrolments.remove(tx, tenant, new.enrolment.id)
        with pytest.raises(NotFound):
            await shoal.enrolments.remove(tx, tenant, new.enrolment.id)
        with pytest.raises(Unproved):
            await shoal.enrolments.by_secret(tx, tenant, authority, "oxy", new.secret, asked)
        await shoal.enrolments.create(tx, tenant, "abc")
    assert [one.endpoint for one in await shoal.enrolments.several(tenant)] == ["abc"]

    shoal.clock.advance(ENROLMENT_LIFETIME)

    assert await shoal.enrolments.several(tenant) == []


async def test_of_two_keys_at_once_a_secret_lets_one_in(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    async with shoal.database.transaction() as tx:
        leave = await shoal.enrolments.create(tx, tenant, "oxy")

    async def enrol() -> None:
        async with shoal.database.transaction() as tx:
            await shoal.enrolments.by_secret(tx, tenant, authority, "oxy", leave.secret, parse_request(request("oxy")))

    outcomes = await asyncio.gather(enrol(), enrol(), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Unproved, type(None)}
    assert len(await shoal.certificates.several(tenant)) == 1


async def test_a_device_gets_no_more_than_so_many_in_a_day(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    asked = parse_request(request("oxy"))
    async with shoal.database.transaction() as tx:
        for _ in range(CERTIFICATES_PER_DAY_MAX):
            await shoal.enrolments.of_device(tx, tenant, authority, "oxy", asked, by="dev-1")
        with pytest.raises(TooMany):
            await shoal.enrolments.of_device(tx, tenant, authority, "oxy", asked, by="dev-1")
    shoal.clock.advance(timedelta(days=1, seconds=1))
    async with shoal.database.transaction() as tx:
        assert await shoal.enrolments.of_device(tx, tenant, authority, "oxy", asked, by="dev-1")


async def test_a_device_that_has_proved_itself_elsewhere_keeps_the_names_of_what_it_renews(shoal: Installation) -> None:
    tenant, authority = await founded(shoal)
    urn = "urn:dev:ops:32473-1"
    renewal = parse_request(request("oxy", names=[x509.UniformResourceIdentifier(urn)]))
    async with shoal.database.transaction() as tx:
        with pytest.raises(Rejected, match="not a name of this device"):
            await shoal.enrolments.of_device(tx, tenant, authority, "oxy", renewal, by="dev-1")
        first = await shoal.certificates.issue_to_device(
            tx, tenant, authority, "oxy", new_key().public_key(), uris=[urn]
        )
        issued = await shoal.enrolments.of_device(tx, tenant, authority, "oxy", renewal, by="dev-1")
        for one in (first, issued):
            await shoal.certificates.revoke(tx, tenant, one.certificate.id, Reason.KEY_COMPROMISE)
        with pytest.raises(Rejected, match="not a name of this device"):
            await shoal.enrolments.of_device(tx, tenant, authority, "oxy", renewal, by="dev-1")

    assert issued.certificate.names == (urn,)
