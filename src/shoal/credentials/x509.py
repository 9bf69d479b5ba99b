"""Certificates (RFC 5280) as operators give them: one at a time, in PEM, on a curve that the gateway takes."""

import hashlib
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from shoal.errors import Rejected
from shoal.storage.directory import CertificateFacts

# The longest certificate that fits into a message of the handshake (`dtls::CHAIN_BYTES_MAX`), in base64, with its lines.
PEM_CHARACTERS_MAX: Final = 8_192
DER_BYTES_MAX: Final = 4_000  # the same, in bytes
# What people look at; a name may be as long as its author likes.
NAME_CHARACTERS_MAX: Final = 512
# RFC 5280 §4.1.2.1: what a version is tagged with, in all but the first.
_VERSION: Final = 0xA0


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was read: `subject_digest` and `issuer_digest` are SHA-256 over the names as they stand in it."""

    facts: CertificateFacts
    der: bytes
    subject_digest: bytes
    issuer_digest: bytes
    # Of the subject's name and the public key: two certificates of one authority have the same.
    authority_digest: bytes
    parsed: x509.Certificate


def parse_certificate(pem: str) -> Certificate:
    """The one certificate in a PEM text.

    Raises:
        Rejected: none or several, damaged, too long, or with a key that is not on P-256 or P-384.
    """
    if len(pem) > PEM_CHARACTERS_MAX:
        raise Rejected("certificate", f"longer than {PEM_CHARACTERS_MAX} characters")
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Rejected("certificate", "no certificate in PEM can be read in it") from error
    if len(found) != 1:
        raise Rejected("certificate", f"{len(found)} certificates, expected 1")
    return read_certificate(found[0])


def read_certificate(certificate: x509.Certificate) -> Certificate:
    """What we need of a certificate.

    Raises:
        Rejected: as `parse_certificate`.
    """
    der = certificate.public_bytes(Encoding.DER)
    if len(der) > DER_BYTES_MAX:
        raise Rejected("certificate", f"{len(der)} bytes, at most {DER_BYTES_MAX}")
    try:
        key = certificate.public_key()
        subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
        issuer_der, subject_der, key_der = _fields(certificate.tbs_certificate_bytes)
    except (ValueError, IndexError) as error:
        raise Rejected("certificate", "it cannot be read") from error
    except UnsupportedAlgorithm as error:
        raise Rejected("certificate", "its key is not on P-256 or P-384") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        raise Rejected("certificate", "its key is not on P-256 or P-384")
    return Certificate(
        facts=CertificateFacts(
            subject=subject[:NAME_CHARACTERS_MAX],
            issuer=issuer[:NAME_CHARACTERS_MAX],
            serial=f"{certificate.serial_number:x}",
            fingerprint=hashlib.sha256(der).hexdigest(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
        ),
        der=der,
        subject_digest=hashlib.sha256(subject_der).digest(),
        issuer_digest=hashlib.sha256(issuer_der).digest(),
        authority_digest=hashlib.sha256(subject_der + key_der).digest(),
        parsed=certificate,
    )


def check_authority(certificate: Certificate) -> None:
    """Whether it may issue others (RFC 5280 §4.2.1.9, §4.2.1.3).

    Raises:
        Rejected: it may not.
    """
    extensions = certificate.parsed.extensions
    try:
        is_authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = next((one.value for one in extensions if isinstance(one.value, x509.KeyUsage)), None)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise Rejected("certificate", "it may not issue others") from error
    if not is_authority or (usage is not None and not usage.key_cert_sign):
        raise Rejected("certificate", "it may not issue others")


def common_name(certificate: Certificate) -> str | None:
    """The subject's common name, if it has exactly one."""
    names = certificate.parsed.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else None


def _fields(tbs: bytes) -> tuple[bytes, bytes, bytes]:
    """Issuer, subject and public key as they stand in the signed part, byte for byte: names are compared so (RFC 5280 §4.1)."""
    _, body, _ = _element(tbs, 0)
    fields, at = [], body
    while at < len(tbs):
        _, _, end = _element(tbs, at)
        fields.append(tbs[at:end])
        at = end
    if fields[0][0] == _VERSION:
        fields.pop(0)
    _serial, _algorithm, issuer, _validity, subject, key = fields[:6]
    return issuer, subject, key


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, begin of the content and end of the DER element at this place (X.690 §8.1)."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(der[begin : begin + count])
        begin += count
    return tag, begin, begin + length
