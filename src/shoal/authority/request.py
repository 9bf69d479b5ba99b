"""A request for a certificate (PKCS #10, RFC 2986) as it came from outside: parsed, bounded, its key proved to be there."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from shoal.authority.issuing import PrivateKey, PublicKey, ServerName, curve_of
from shoal.errors import Rejected

# One with a key on P-384 and a few names has 600; the rest is for what devices add that we pass over.
REQUEST_BYTES_MAX: Final = 4 * 1024
# RFC 5280 appendix A: ub-common-name, in characters.
NAME_CHARACTERS_MAX: Final = 64
# A device has a serial number, and perhaps another for its modem.
URIS_MAX: Final = 4
# As `urn:dev:` names with a long number, in characters.
URI_CHARACTERS_MAX: Final = 255
# A server is known by a name and an address for each way to it.
SERVER_NAMES_MAX: Final = 16
# RFC 1035 §2.3.4: a name, in bytes.
_HOST_CHARACTERS_MAX: Final = 253
# Certificates above a device's own, as devices carry them in a small memory.
CHAIN_MAX: Final = 4
# Of PEM text with a chain or a key in it.
PEM_BYTES_MAX: Final = 16 * 1024

# What the library says of bytes that are no request, or one that it cannot read.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.InvalidVersion,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What somebody asks to have signed: a key, which they have proved to hold, and names."""

    key: PublicKey
    common_name: str
    uris: tuple[str, ...]
    subject: x509.Name


def parse_request(raw: bytes) -> SigningRequest:
    """A request in DER or PEM.

    Raises:
        Rejected: too long, not a request, a key on another curve, a signature that does not prove the key, or names that
            we do not put into certificates.
    """
    if len(raw) > REQUEST_BYTES_MAX:
        raise Rejected("request", f"{len(raw)} bytes, at most {REQUEST_BYTES_MAX}")
    try:
        load = x509.load_pem_x509_csr if raw.lstrip().startswith(b"-----") else x509.load_der_x509_csr
        return _checked(load(raw))
    except _UNREADABLE as error:
        raise Rejected("request", "not a PKCS #10 request that can be read") from error


def _checked(found: x509.CertificateSigningRequest) -> SigningRequest:
    key = found.public_key()
    curve_of(key)
    # RFC 2986 §3: the signature over the request is what proves that whoever asks holds the key.
    if not found.is_signature_valid:
        raise Rejected("request", "its signature does not prove that the key is there")
    if isinstance(found.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
        raise Rejected("request", "signed with a digest that can be forged")
    parts = list(found.subject)
    if [part.oid for part in parts] != [NameOID.COMMON_NAME]:
        raise Rejected("subject", "expected a common name and nothing else")
    name = parts[0].value
    return SigningRequest(
        key=key,  # type: ignore[arg-type]  # curve_of has looked
        common_name=parse_name(name if isinstance(name, str) else name.decode()),
        uris=_uris(found),
        subject=found.subject,
    )


def _uris(found: x509.CertificateSigningRequest) -> tuple[str, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != len(names):
        raise Rejected("subject alternative name", "expected URIs and nothing else")
    return parse_uris(uris)


def check_names(request: SigningRequest, endpoint: str, uris: Collection[str]) -> None:
    """Nothing when a request is for this device and no other: a further name would let it in as somebody else.

    Raises:
        Rejected: names somebody else, or more than these.
    """
    if request.common_name != endpoint:
        raise Rejected("subject", "the common name is not the endpoint name of the device")
    if not set(request.uris) <= {*uris, endpoint}:
        raise Rejected("subject alternative name", "not a name of this device")


def parse_name(raw: str) -> str:
    """A common name: an endpoint name, or what people call an authority.

    Raises:
        Rejected: empty, too long for a certificate, or with characters that nobody can see.
    """
    if not 1 <= len(raw) <= NAME_CHARACTERS_MAX:
        raise Rejected("name", f"{len(raw)} characters, expected 1 to {NAME_CHARACTERS_MAX}")
    if any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in raw) or raw != raw.strip():
        raise Rejected("name", "holds characters that cannot be seen")
    return raw


def parse_uris(raw: Collection[str]) -> tuple[str, ...]:
    """Further names of a device, such as `urn:dev:ops:32473-Shoal-0417`.

    Raises:
        Rejected: too many, too long, or not URNs in ASCII.
    """
    if len(raw) > URIS_MAX:
        raise Rejected("uris", f"{len(raw)}, at most {URIS_MAX}")
    for uri in raw:
        is_visible = uri.isascii() and uri.isprintable() and " " not in uri
        if not uri.lower().startswith("urn:") or not is_visible or len(uri) > URI_CHARACTERS_MAX:
            raise Rejected("uris", f"expected urn:... in at most {URI_CHARACTERS_MAX} characters")
    return tuple(dict.fromkeys(raw))


def parse_server_names(raw: Collection[str]) -> tuple[ServerName, ...]:
    """DNS names and IP addresses of a server, in the order given.

    Raises:
        Rejected: none, too many, or neither a name nor an address.
    """
    if not 1 <= len(raw) <= SERVER_NAMES_MAX:
        raise Rejected("names", f"{len(raw)}, expected 1 to {SERVER_NAMES_MAX}")
    return tuple(dict.fromkeys(_server_name(name) for name in raw))


def _server_name(raw: str) -> ServerName:
    try:
        return ip_address(raw)
    except ValueError:
        pass
    labels = raw.removeprefix("*.").split(".")
    is_name = all(label and label.replace("-", "").isalnum() and not label.startswith("-") for label in labels)
    if not is_name or not raw.isascii() or len(raw) > _HOST_CHARACTERS_MAX:
        raise Rejected("names", f"{raw[:NAME_CHARACTERS_MAX]!r} is neither a DNS name nor an IP address")
    return raw


def parse_chain(pem: str, key_pem: str) -> tuple[list[x509.Certificate], PrivateKey]:
    """An authority made elsewhere: its certificate, those above it, and its key.

    Raises:
        Rejected: not PEM, not an authority that may sign, the key of another, or a chain that does not hold together.
    """
    if len(pem) > PEM_BYTES_MAX or len(key_pem) > PEM_BYTES_MAX:
        raise Rejected("certificate", f"at most {PEM_BYTES_MAX} bytes")
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        _check_chain(chain)
        is_its_own = key.public_key() == chain[0].public_key()
    except _UNREADABLE as error:
        raise Rejected("certificate", "not a certificate and its key that can be read, in PEM") from error
    curve_of(key)
    if not is_its_own:
        raise Rejected("key", "belongs to another certificate")
    return chain, key  # type: ignore[return-value]  # curve_of has looked


def _check_chain(chain: list[x509.Certificate]) -> None:
    if len(chain) > CHAIN_MAX:
        raise Rejected("certificate", f"{len(chain)} in the chain, at most {CHAIN_MAX}")
    for certificate in chain:
        curve_of(certificate.public_key())
        constraints, usage = _extensions(certificate)
        if not constraints.ca or (usage is not None and not usage.key_cert_sign):
            raise Rejected("certificate", "may not sign others")
    for certificate, issuer in pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise Rejected("certificate", "the next one in the chain has not issued it") from error


def _extensions(certificate: x509.Certificate) -> tuple[x509.BasicConstraints, x509.KeyUsage | None]:
    found = certificate.extensions
    try:
        constraints = found.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    try:
        return constraints, found.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return constraints, None
