"""What stands in our certificates; and that OpenSSL, which knows nothing of us, takes them for what they are."""

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from shoal.authority.authority import is_root
from shoal.authority.issuing import (
    BACKDATED,
    LIFETIME_MAX,
    LIFETIME_MIN,
    LIST_LIFETIME,
    ROOT_LIFETIME,
    Curve,
    Signer,
    certs_only,
    checked_lifetime,
    curve_of,
    device_certificate,
    intermediate,
    new_key,
    revocation_list,
    root,
    server_certificate,
)
from shoal.errors import Rejected

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
YEAR = timedelta(days=365)


def an_authority(curve: Curve = Curve.P256, now: datetime = NOW) -> Signer:
    return root("Nordvik", "aut-1", curve, ROOT_LIFETIME, now)


def openssl(*arguments: str | Path, given: bytes = b"") -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], input=given, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode()


def kept(folder: Path, name: str, *certificates: x509.Certificate) -> Path:
    file = folder / name
    file.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    return file


@pytest.mark.parametrize("curve", Curve)
def test_a_device_has_what_the_profile_for_devices_asks_for(curve: Curve) -> None:
    authority = an_authority(curve)
    made = device_certificate(authority, new_key().public_key(), "oxy-0417", ["urn:dev:ops:1-2"], YEAR, NOW)

    extensions = made.extensions

    assert made.subject.rfc4514_string() == "CN=oxy-0417"
    assert (made.not_valid_before_utc, made.not_valid_after_utc) == (NOW - BACKDATED, NOW + YEAR)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    alternative = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:dev:ops:1-2"]
    assert made.serial_number.bit_length() > 100
    made.verify_directly_issued_by(authority.certificate)


def test_no_two_serial_numbers_are_the_same() -> None:
    authority, key = an_authority(), new_key().public_key()

    assert len({device_certificate(authority, key, "a", (), YEAR, NOW).serial_number for _ in range(50)}) == 50


def test_a_certificate_ends_with_its_authority_and_nothing_is_issued_after(tmp_path: Path) -> None:
    authority, key = an_authority(), new_key().public_key()
    end = authority.certificate.not_valid_after_utc

    assert device_certificate(authority, key, "a", (), YEAR, end - LIFETIME_MIN).not_valid_after_utc == end
    with pytest.raises(Rejected, match="expired"):
        device_certificate(authority, key, "a", (), YEAR, end)


def test_what_is_signed_is_on_a_curve_that_devices_speak() -> None:
    assert curve_of(new_key(Curve.P384)) is Curve.P384
    for key in (ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 2048), None):
        with pytest.raises(Rejected, match="P-256 or P-384"):
            curve_of(key)
    with pytest.raises(Rejected):
        device_certificate(an_authority(), ec.generate_private_key(ec.SECP256K1()).public_key(), "a", (), YEAR, NOW)


def test_lifetimes_have_bounds() -> None:
    assert checked_lifetime(None, YEAR) == YEAR
    assert checked_lifetime(LIFETIME_MIN, YEAR) == LIFETIME_MIN
    for wrong in (timedelta(), -YEAR, LIFETIME_MIN - timedelta(seconds=1), LIFETIME_MAX + timedelta(seconds=1)):
        with pytest.raises(Rejected):
            checked_lifetime(wrong, YEAR)


def test_openssl_verifies_a_device_a_server_and_an_intermediate(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    top = an_authority(Curve.P384, now)
    middle = intermediate(top, "Nordvik site", "aut-2", YEAR, now)
    anchors = kept(tmp_path, "root.pem", top.certificate)
    between = kept(tmp_path, "between.pem", middle.certificate)
    device = kept(tmp_path, "device.pem", device_certificate(middle, new_key().public_key(), "oxy-0417", (), YEAR, now))
    server = kept(
        tmp_path,
        "server.pem",
        server_certificate(middle, new_key().public_key(), ["gw.example", ip_address("10.0.0.7")], YEAR, now),
    )
    verify = ("verify", "-x509_strict", "-CAfile", anchors, "-untrusted", between)

    assert openssl(*verify, "-purpose", "sslclient", device) == f"{device}: OK\n"
    assert openssl(*verify, "-purpose", "sslserver", "-verify_hostname", "gw.example", server) == f"{server}: OK\n"
    assert openssl(*verify, "-purpose", "sslserver", "-verify_ip", "10.0.0.7", server) == f"{server}: OK\n"
    # The other way round, each is refused.
    assert "error" in openssl(*verify, "-purpose", "sslserver", device)
    assert "error" in openssl(*verify, "-purpose", "sslclient", server)
    assert "error" in openssl(*verify, "-purpose", "sslserver", "-verify_hostname", "other.example", server)
    stranger = kept(tmp_path, "stranger.pem", an_authority(now=now).certificate)
    assert "error" in openssl("verify", "-CAfile", stranger, device)
    assert "TLS Web Client Authentication" in openssl("x509", "-text", "-noout", "-in", device)


def test_openssl_reads_the_list_and_refuses_what_is_on_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = an_authority(now=now)
    bad, good = (device_certificate(authority, new_key().public_key(), name, (), YEAR, now) for name in ("bad", "good"))
    revoked = [(bad.serial_number, now, "keyCompromise"), (7, now, "unspecified")]
    made = revocation_list(authority, revoked, now)
    crl = tmp_path / "crl.pem"
    crl.write_bytes(made.public_bytes(Encoding.PEM))
    anchors = kept(tmp_path, "root.pem", authority.certificate)
    verify = ("verify", "-crl_check", "-CAfile", anchors, "-CRLfile", crl)

    said = openssl("crl", "-noout", "-text", "-in", crl)

    assert "Key Compromise" in said
    assert "X509v3 CRL Number" in said
    assert made.next_update_utc is not None
    assert made.next_update_utc - made.last_update_utc == LIST_LIFETIME  # type: ignore[operator]
    assert openssl(*verify, kept(tmp_path, "good.pem", good)).endswith("OK\n")
    assert "certificate revoked" in openssl(*verify, kept(tmp_path, "bad.pem", bad))


def test_openssl_unpacks_what_est_carries(tmp_path: Path) -> None:
    authority = an_authority()
    device = device_certificate(authority, new_key().public_key(), "oxy-0417", (), YEAR, NOW)
    packed = certs_only([one.public_bytes(Encoding.DER) for one in (device, authority.certificate)])

    said = openssl("pkcs7", "-inform", "DER", "-print_certs", "-noout", given=packed)

    assert "subject=CN = oxy-0417" in said
    assert "serialNumber = aut-1" in said


def test_a_root_stands_for_itself_and_nobody_else_does() -> None:
    authority = an_authority()
    beneath = intermediate(authority, "Site", "aut-2", YEAR, NOW)

    assert is_root(authority.certificate.public_bytes(Encoding.DER))
    assert not is_root(beneath.certificate.public_bytes(Encoding.DER))
