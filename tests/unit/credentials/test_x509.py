"""Certificates as operators give them are read to the byte, and what cannot be one is refused."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.credentials.x509 import PEM_CHARACTERS_MAX, check_authority, common_name, parse_certificate
from shoal.errors import Rejected
from tests.harness.authority import Authority

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cam-7")])


def signed(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *extensions: x509.ExtensionType) -> str:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_what_a_certificate_says_and_the_digests_of_its_names(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "Nordlaks")
    pem = authority.certificate("cam-7").cert.read_text()
    read, issuer = parse_certificate(pem), parse_certificate(authority.ca.read_text())

    assert (read.facts.subject, read.facts.issuer) == ("CN=cam-7", "CN=Nordlaks")
    assert common_name(read) == "cam-7"
    assert read.facts.fingerprint == hashlib.sha256(read.der).hexdigest()
    # Written the same way here and there, so that it is the same byte for byte.
    assert read.subject_digest == hashlib.sha256(NAME.public_bytes()).digest()
    assert read.issuer_digest == issuer.subject_digest == issuer.issuer_digest
    assert read.authority_digest != issuer.authority_digest


def test_only_who_may_issue_others_is_an_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    check_authority(parse_certificate(authority.ca.read_text()))
    key = ec.generate_private_key(ec.SECP384R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    for pem in (
        authority.certificate("cam-7").cert.read_text(),
        signed(key),
        signed(key, x509.BasicConstraints(ca=False, path_length=None)),
        signed(key, x509.BasicConstraints(ca=True, path_length=None), usage),
    ):
        with pytest.raises(Rejected, match="may not issue"):
            check_authority(parse_certificate(pem))


def test_what_cannot_be_a_certificate_of_a_device_is_refused() -> None:
    whole = signed(ec.generate_private_key(ec.SECP256R1()))
    parse_certificate(whole)
    for pem in (
        "",
        "no certificate",
        whole + whole,
        whole.replace("M", "m"),
        whole[: len(whole) // 2],
        " " * (PEM_CHARACTERS_MAX + 1),
        signed(ec.generate_private_key(ec.SECP521R1())),
        signed(rsa.generate_private_key(65_537, 2_048)),
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        "\ud800",
    ):
        with pytest.raises(Rejected, match="certificate"):
            parse_certificate(pem)
