"""Whoever proves an authority holds its key."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shoal.credentials.anchor import check_certificate, check_signature, new_challenge
from shoal.credentials.x509 import parse_certificate
from shoal.errors import Rejected
from tests.harness.authority import Authority


def test_a_challenge_is_new_and_fits_into_a_common_name() -> None:
    assert new_challenge() != new_challenge()
    assert len(new_challenge()) <= 64


def test_only_a_certificate_of_the_authority_with_that_name_is_proof(tmp_path: Path) -> None:
    authority, twin = Authority(tmp_path / "a", "Nordlaks"), Authority(tmp_path / "b", "Nordlaks")
    anchor, now, challenge = parse_certificate(authority.ca.read_text()), datetime.now(UTC), new_challenge()
    proof = parse_certificate(authority.certificate(challenge).cert.read_text())

    check_certificate(anchor, challenge, proof, now)
    for wrong in (
        authority.certificate("another").cert.read_text(),
        authority.certificate(challenge, expired=True).cert.read_text(),
        # The same name, another key.
        twin.certificate(challenge).cert.read_text(),
        authority.ca.read_text(),
    ):
        with pytest.raises(Rejected, match="certificate"):
            check_certificate(anchor, challenge, parse_certificate(wrong), now)
    with pytest.raises(Rejected, match="not valid now"):
        check_certificate(anchor, challenge, proof, now + timedelta(days=9))


def test_only_a_signature_by_its_key_over_the_challenge_is_proof(tmp_path: Path) -> None:
    authority, twin = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    anchor, challenge = parse_certificate(authority.ca.read_text()), new_challenge()
    signature = authority.sign(challenge)

    check_signature(anchor, challenge, f" {signature[:40]}\n{signature[40:]}\n")
    for wrong in (authority.sign("another"), twin.sign(challenge), "", "!", "AAAA", signature[:-8]):
        with pytest.raises(Rejected, match="signature"):
            check_signature(anchor, challenge, wrong)
