"""Requests from outside: what is asked, whether the key is there, and nothing beyond that."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from shoal.authority.issuing import Curve, Signer, device_certificate, intermediate, new_key, root
from shoal.authority.request import (
    NAME_CHARACTERS_MAX,
    REQUEST_BYTES_MAX,
    check_names,
    parse_chain,
    parse_name,
    parse_request,
    parse_server_names,
    parse_uris,
)
from shoal.errors import Rejected
from tests.harness.requests import request, request_on, request_with_anothers_key

NOW = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
YEAR = timedelta(days=365)
GOOD = request("oxy-0417", names=[x509.UniformResourceIdentifier("urn:dev:ops:1-2")])


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_a_request_says_which_key_and_which_names(encoding: Encoding) -> None:
    key = new_key()
    found = parse_request(
        request("oxy-0417", key, names=[x509.UniformResourceIdentifier("urn:dev:ops:1-2")], encoding=encoding)
    )

    assert (found.common_name, found.uris) == ("oxy-0417", ("urn:dev:ops:1-2",))
    assert found.key == key.public_key()
    check_names(found, "oxy-0417", ["urn:dev:ops:1-2"])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not a PKCS #10"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "not a PKCS #10"),
        (b"\x30" * (REQUEST_BYTES_MAX + 1), "at most"),
        (request_with_anothers_key("oxy-0417"), "does not prove"),
        (request_on(ec.SECP521R1(), "oxy-0417"), "P-256 or P-384"),
        (request_on(ec.SECP256K1(), "oxy-0417"), "P-256 or P-384"),
        (request("oxy", more=[x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nordvik")]), "common name and nothing"),
        (request("oxy", more=[x509.NameAttribute(NameOID.COMMON_NAME, "other")]), "common name and nothing"),
        (request("oxy", names=[x509.DNSName("gw.example")]), "URIs and nothing else"),
        (request("oxy", names=[x509.UniformResourceIdentifier("https://x.example")]), "urn:"),
        (request(" oxy"), "cannot be seen"),
    ],
)
def test_what_is_no_request_of_a_device_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        parse_request(raw)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.integers(0, len(GOOD)))
def test_no_damage_to_a_request_does_more_than_have_it_refused(place: int, change: int, end: int) -> None:
    damaged = bytearray(GOOD)
    damaged[place] ^= change
    for raw in (bytes(damaged), GOOD[:end] if end < len(GOOD) else GOOD + b"\0"):
        with pytest.raises(Rejected):
            parse_request(raw)


@given(st.binary(max_size=300))
def test_noise_is_refused(raw: bytes) -> None:
    with pytest.raises(Rejected):
        parse_request(raw)


def test_a_further_name_of_somebody_else_is_refused_and_ones_own_is_not() -> None:
    own = parse_request(request("urn:imei:1", names=[x509.UniformResourceIdentifier("urn:imei:1")]))
    other = parse_request(request("oxy-0417", names=[x509.UniformResourceIdentifier("urn:imei:1")]))

    check_names(own, "urn:imei:1", ())
    check_names(other, "oxy-0417", ["urn:imei:1"])
    with pytest.raises(Rejected, match="not a name of this device"):
        check_names(other, "oxy-0417", ())
    with pytest.raises(Rejected, match="endpoint name"):
        check_names(own, "oxy-0417", ())


def test_names_have_bounds() -> None:
    assert parse_name("x" * NAME_CHARACTERS_MAX)
    assert parse_uris(["urn:a:1", "urn:a:1"]) == ("urn:a:1",)
    assert parse_server_names(["gw.example", "10.0.0.7", "::1", "*.example"]) == (
        "gw.example",
        ip_address("10.0.0.7"),
        ip_address("::1"),
        "*.example",
    )
    for wrong in ("", "x" * 65, "a\nb", "a\u202eb"):
        with pytest.raises(Rejected):
            parse_name(wrong)
    for uris in (["urn:a:1"] * 5, ["urn:å"], ["urn:a b"], ["urn:" + "x" * 252], ["a"]):
        with pytest.raises(Rejected):
            parse_uris(uris)
    for names in ([], ["a"] * 17, [""], ["a..b"], ["a_b"], ["-a"], ["x" * 254], ["gw.example/x"]):
        with pytest.raises(Rejected):
            parse_server_names(names)


def pem(*certificates: x509.Certificate) -> str:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates).decode()


def key_pem(signer: Signer) -> str:
    return signer.key.private_bytes(
        Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_an_authority_from_elsewhere_is_taken_with_its_chain_and_key() -> None:

    top = root("Top", "aut-1", Curve.P256, YEAR, NOW)
    site = intermediate(top, "Site", "aut-2", YEAR, NOW)
    chain, key = parse_chain(pem(site.certificate, top.certificate), key_pem(site))
    leaf = device_certificate(site, site.key.public_key(), "oxy", (), YEAR, NOW)

    assert chain == [site.certificate, top.certificate]
    assert key.public_key() == site.key.public_key()
    for certificates, private, reason in (
        (pem(site.certificate, top.certificate), key_pem(top), "another certificate"),
        (pem(top.certificate, site.certificate), key_pem(top), "has not issued"),
        (pem(leaf, site.certificate), key_pem(site), "may not sign"),
        (pem(*[top.certificate] * 5), key_pem(top), "at most 4"),
        ("", key_pem(top), "can be read"),
        (pem(top.certificate), "", "can be read"),
        (pem(top.certificate), "x" * 20_000, "at most"),
    ):
        with pytest.raises(Rejected, match=reason):
            parse_chain(certificates, private)
