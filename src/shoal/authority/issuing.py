"""Certificates as devices and their servers need them (RFC 5280, RFC 7925 §4.4): who signs, what stands in them, until when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shoal.errors import Rejected

# A root lives as long as the devices that carry it: they are changed every ten years.
ROOT_LIFETIME: Final = timedelta(days=7_305)
# Twice as long: nobody can say how good today's curves are then.
ROOT_LIFETIME_MAX: Final = timedelta(days=14_610)
DEVICE_LIFETIME: Final = timedelta(days=365)
# For a device that nobody can reach to renew it, over all of its life.
LIFETIME_MAX: Final = timedelta(days=3_653)
# A device that renews by itself does so at two thirds of it, and is asleep for minutes.
LIFETIME_MIN: Final = timedelta(hours=1)
# The clock of a device that has just been switched on may be behind ours.
BACKDATED: Final = timedelta(hours=1)
# Who fetches the list daily may miss six times before it is out of date.
LIST_LIFETIME: Final = timedelta(days=7)

PublicKey: TypeAlias = ec.EllipticCurvePublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey
ServerName: TypeAlias = str | IPv4Address | IPv6Address


class Curve(StrEnum):
    """The curves that our core and devices in the field speak."""

    P256 = "P-256"
    P384 = "P-384"


_CURVES: Final[dict[Curve, ec.EllipticCurve]] = {Curve.P256: ec.SECP256R1(), Curve.P384: ec.SECP384R1()}
# A digest as strong as the curve that signs it.
_DIGESTS: Final[dict[Curve, hashes.SHA256 | hashes.SHA384]] = {Curve.P256: hashes.SHA256(), Curve.P384: hashes.SHA384()}


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority with its key."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)


def curve_of(key: object) -> Curve:
    """The curve of a key.

    Raises:
        Rejected: not on a curve that devices speak.
    """
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        for name, curve in _CURVES.items():
            if key.curve.name == curve.name:
                return name
    raise Rejected("key", "not on P-256 or P-384")


def new_key(curve: Curve = Curve.P256) -> PrivateKey:
    """A key that nobody can guess."""
    return ec.generate_private_key(_CURVES[curve])


def root(name: str, id_: str, curve: Curve, lifetime: timedelta, now: datetime) -> Signer:
    """A root that may have one level of intermediates beneath it."""
    key = new_key(curve)
    subject = _authority_name(name, id_)
    builder = _dated(subject, subject, key.public_key(), now - BACKDATED, now + lifetime)
    return Signer(_as_authority(builder, key.public_key(), key.public_key(), levels=1).sign(key, _DIGESTS[curve]), key)


def intermediate(signer: Signer, name: str, id_: str, lifetime: timedelta, now: datetime) -> Signer:
    """An authority on the same curve beneath another: it signs devices and servers, and nothing that signs."""
    curve = curve_of(signer.key)
    key = new_key(curve)
    builder = _beneath(signer, _authority_name(name, id_), key.public_key(), lifetime, now)
    builder = _as_authority(builder, key.public_key(), signer.key.public_key(), levels=0)
    return Signer(builder.sign(signer.key, _DIGESTS[curve]), key)


def device_certificate(
    signer: Signer, key: PublicKey, endpoint: str, uris: Sequence[str], lifetime: timedelta, now: datetime
) -> x509.Certificate:
    """For a device: its common name is the endpoint name, `uris` are further names of it.

    It ends with the authority's own certificate at the latest.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, endpoint)])
    builder = _as_end(_beneath(signer, subject, key, lifetime, now), signer, key, ExtendedKeyUsageOID.CLIENT_AUTH)
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer.key, _DIGESTS[curve_of(signer.key)])


def server_certificate(
    signer: Signer, key: PublicKey, names: Sequence[ServerName], lifetime: timedelta, now: datetime
) -> x509.Certificate:
    """For a server that devices connect to: `names` are those they know it by; the first is the common name, too."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0]))])
    builder = _as_end(_beneath(signer, subject, key, lifetime, now), signer, key, ExtendedKeyUsageOID.SERVER_AUTH)
    shown = [x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name) for name in names]
    builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    return builder.sign(signer.key, _DIGESTS[curve_of(signer.key)])


def revocation_list(
    signer: Signer, revoked: Iterable[tuple[int, datetime, str]], now: datetime
) -> x509.CertificateRevocationList:
    """The list of what an authority takes back (RFC 5280 §5): serial number, since when, and a reason of §5.3.1.

    Its number is the time in milliseconds, so that it rises whoever makes it.
    """
    key = signer.key.public_key()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now)
        .next_update(now + LIST_LIFETIME)
        .add_extension(x509.CRLNumber(int(now.timestamp() * 1_000)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key), critical=False)
    )
    for serial, since, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        # RFC 5280 §5.3.1: unspecified is said by saying nothing.
        if reason != x509.ReasonFlags.unspecified.value:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, _DIGESTS[curve_of(signer.key)])


def certs_only(certificates: Sequence[bytes]) -> bytes:
    """Certificates as EST carries them (RFC 7030 §4.1.3): PKCS #7 without a signature, in DER."""
    return pkcs7.serialize_certificates([x509.load_der_x509_certificate(der) for der in certificates], Encoding.DER)


def checked_lifetime(wanted: timedelta | None, usual: timedelta, at_most: timedelta = LIFETIME_MAX) -> timedelta:
    """How long a certificate is to be good for.

    Raises:
        Rejected: shorter than anybody could renew it, or longer than anybody can answer for.
    """
    lifetime = usual if wanted is None else wanted
    if not LIFETIME_MIN <= lifetime <= at_most:
        raise Rejected("lifetime", f"{lifetime}, expected 1 hour to {at_most.days} days")
    return lifetime


def _authority_name(name: str, id_: str) -> x509.Name:
    # With the id no two authorities have the same subject, whatever people call them: nobody's can stand before another's.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.SERIAL_NUMBER, id_)])


def _beneath(
    signer: Signer, subject: x509.Name, key: PublicKey, lifetime: timedelta, now: datetime
) -> x509.CertificateBuilder:
    """Within the time of the authority, whose word is worth nothing before or after.

    Raises:
        Rejected: that time is over.
    """
    issuer = signer.certificate
    begins = max(now - BACKDATED, issuer.not_valid_before_utc)
    ends = min(now + lifetime, issuer.not_valid_after_utc)
    if ends <= now:
        raise Rejected("authority", "its own certificate has expired")
    return _dated(subject, issuer.subject, key, begins, ends)


def _dated(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        # 159 random bits: whoever asks for a certificate cannot know what will be signed.
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder, key: PublicKey, signs: PublicKey, *, levels: int
) -> x509.CertificateBuilder:
    if key != signs:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signs), critical=False)
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=levels), critical=True).add_extension(
        _usage(is_authority=True), critical=True
    )


def _as_end(
    builder: x509.CertificateBuilder, signer: Signer, key: PublicKey, usage: x509.ObjectIdentifier
) -> x509.CertificateBuilder:
    curve_of(key)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(identifier, critical=False)
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
