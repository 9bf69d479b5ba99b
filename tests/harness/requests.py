"""Requests for certificates as devices make them, and as somebody makes them who wants more than is theirs."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from shoal.authority.issuing import PrivateKey, new_key


def request(
    endpoint: str,
    key: PrivateKey | None = None,
    *,
    names: Sequence[x509.GeneralName] = (),
    more: Sequence[x509.NameAttribute[str]] = (),
    encoding: Encoding = Encoding.DER,
) -> bytes:
    """A PKCS #10 request for that common name, signed by its key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, endpoint), *more])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key or new_key(), hashes.SHA256()).public_bytes(encoding)


def request_with_anothers_key(endpoint: str) -> bytes:
    """A request that names a key which whoever signed it does not have."""
    mine, theirs = new_key(), new_key()
    der = request(endpoint, mine)
    spki = _spki(mine.public_key())
    assert spki in der
    return der.replace(spki, _spki(theirs.public_key()))


def request_on(curve: ec.EllipticCurve, endpoint: str) -> bytes:
    """A request whose key is on that curve."""
    return request(endpoint, ec.generate_private_key(curve))


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
