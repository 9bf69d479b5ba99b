"""What may become of an authority, and what a certificate is worth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.authority.authority import (
    TRANSITIONS,
    Authority,
    IssuedCertificate,
    Standing,
    State,
    Trigger,
    Usage,
    after,
    fingerprint_of,
    pem_of,
)
from shoal.authority.issuing import Curve, intermediate, root
from shoal.errors import Conflict
from shoal.ids import TenantId

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
TOP = root("Top", "aut-1", Curve.P256, YEAR, NOW)
SITE = intermediate(TOP, "Site", "aut-2", YEAR, NOW)
DERS = tuple(one.certificate.public_bytes(Encoding.DER) for one in (SITE, TOP))


def authority(state: State) -> Authority:
    return Authority(
        id="aut-2",
        tenant=TenantId("ten-1"),
        name="Site",
        state=state,
        chain=DERS,
        has_key=True,
        succeeds=None,
        created_at=NOW,
        created_by=None,
    )


@pytest.mark.parametrize(("state", "trigger"), list(product(State, Trigger)))
def test_an_authority_only_ever_counts_less(state: State, trigger: Trigger) -> None:
    worth = list(State)
    if (state, trigger) in TRANSITIONS:
        assert worth.index(after(authority(state), trigger)) > worth.index(state)
    else:
        with pytest.raises(Conflict, match=state.value):
            after(authority(state), trigger)


def test_the_holder_of_a_certificate_shows_what_is_between_it_and_the_root() -> None:
    assert authority(State.CURRENT).issuers == DERS[:1]
    assert pem_of(*DERS).count("BEGIN CERTIFICATE") == 2
    assert fingerprint_of(DERS[0]) != fingerprint_of(DERS[1])


def test_a_certificate_is_good_until_it_ends_or_is_taken_back() -> None:
    certificate = IssuedCertificate(
        id="crt-1",
        tenant=TenantId("ten-1"),
        authority="aut-2",
        usage=Usage.DEVICE,
        subject="oxy",
        names=(),
        serial="1",
        fingerprint="",
        der=b"",
        not_before=NOW,
        not_after=NOW + YEAR,
        issued_at=NOW,
        issued_by=None,
    )

    assert certificate.standing(NOW + YEAR - timedelta(seconds=1)) is Standing.GOOD
    assert certificate.standing(NOW + YEAR) is Standing.EXPIRED
    assert replace(certificate, revoked_at=NOW).standing(NOW + YEAR) is Standing.REVOKED
