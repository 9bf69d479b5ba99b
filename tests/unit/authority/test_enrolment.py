"""The rules of enrolling: whose secret, for which key, until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.authority.authority import IssuedCertificate, Reason, Usage
from shoal.authority.enrolment import (
    CERTIFICATES_PER_DAY_MAX,
    ENROLMENT_LIFETIME_MAX,
    ENROLMENT_LIFETIME_MIN,
    Enrolment,
    Unproved,
    check_rate,
    check_renewal,
    check_secret,
    check_shown,
    checked_enrolment_lifetime,
    digest_of,
    digest_of_key,
    new_secret,
)
from shoal.authority.issuing import Curve, device_certificate, new_key, root
from shoal.authority.request import parse_request
from shoal.errors import Rejected, TooMany
from shoal.ids import TenantId
from tests.harness.requests import request

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TENANT = TenantId("ten-1")
SECRET = new_secret()
KEY = new_key()
ASKED = parse_request(request("oxy", KEY))
LEAVE = Enrolment(
    id="enr-1",
    tenant=TENANT,
    endpoint="oxy",
    secret_digest=digest_of(SECRET),
    expires_at=NOW + DAY,
    used_for=None,
    created_at=NOW,
    created_by=None,
)
URI = x509.UniformResourceIdentifier("urn:imei:1")
DER = device_certificate(
    root("Nordlaks", "aut-1", Curve.P256, 30 * DAY, NOW), KEY.public_key(), "oxy", [URI.value], DAY, NOW
).public_bytes(Encoding.DER)
SHOWN = IssuedCertificate(
    id="crt-1",
    tenant=TENANT,
    authority="aut-1",
    usage=Usage.DEVICE,
    subject="oxy",
    names=(URI.value,),
    serial="1",
    fingerprint="",
    der=DER,
    not_before=NOW,
    not_after=NOW + DAY,
    issued_at=NOW,
    issued_by=None,
)


def test_a_secret_lets_one_key_in_and_again_the_same_key() -> None:
    assert check_secret(LEAVE, SECRET, ASKED, NOW) is LEAVE
    used = replace(LEAVE, used_for=digest_of_key(ASKED.key))

    assert check_secret(used, SECRET, ASKED, NOW) is used
    with pytest.raises(Unproved, match="another key"):
        check_secret(used, SECRET, parse_request(request("oxy")), NOW)


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET.upper(), "é", "x" * 1_000])
def test_a_wrong_secret_and_an_unknown_device_are_not_told_apart(secret: str) -> None:
    for known in (LEAVE, None):
        with pytest.raises(Unproved, match=r"^enrolment: wrong endpoint name or secret$"):
            check_secret(known, secret, ASKED, NOW)
    assert secret == "" or secret not in repr(LEAVE)


def test_a_secret_has_an_end() -> None:
    assert check_secret(LEAVE, SECRET, ASKED, NOW + DAY - timedelta(seconds=1))
    with pytest.raises(Unproved, match="out of date"):
        check_secret(LEAVE, SECRET, ASKED, NOW + DAY)


def test_a_certificate_proves_a_device_of_its_tenant_while_it_counts() -> None:
    assert check_shown(SHOWN, TENANT, NOW) is SHOWN
    for wrong, reason in (
        (None, "not of a device"),
        (replace(SHOWN, tenant=TenantId("ten-2")), "not of a device"),
        (replace(SHOWN, usage=Usage.SERVER), "not of a device"),
        (replace(SHOWN, revoked_at=NOW, reason=Reason.KEY_COMPROMISE), "revoked"),
        (replace(SHOWN, not_after=NOW), "expired"),
    ):
        with pytest.raises(Unproved, match=reason):
            check_shown(wrong, TENANT, NOW)


def test_a_renewal_asks_for_the_names_that_are_there_and_no_others() -> None:
    other = x509.UniformResourceIdentifier("urn:imei:2")
    check_renewal(SHOWN, parse_request(request("oxy", names=[URI])))
    for wrong in (request("oxy"), request("oxy", names=[other]), request("oxy", names=[URI, other]), request("abc")):
        with pytest.raises(Rejected):
            check_renewal(SHOWN, parse_request(wrong))


def test_a_device_that_asks_again_and_again_has_to_wait() -> None:
    check_rate(CERTIFICATES_PER_DAY_MAX - 1)
    with pytest.raises(TooMany):
        check_rate(CERTIFICATES_PER_DAY_MAX)


def test_how_long_a_secret_is_good_has_bounds() -> None:
    assert checked_enrolment_lifetime(ENROLMENT_LIFETIME_MAX) == ENROLMENT_LIFETIME_MAX
    for wrong in (timedelta(), ENROLMENT_LIFETIME_MIN - timedelta(seconds=1), ENROLMENT_LIFETIME_MAX + DAY):
        with pytest.raises(Rejected):
            checked_enrolment_lifetime(wrong)


def test_no_two_secrets_are_the_same() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
