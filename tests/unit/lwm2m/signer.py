"""Whoever signs certificates of devices in these stories, at a time that the story says."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, pkcs7
from cryptography.x509.oid import NameOID

from shoal.lwm2m.renewal import Pair, new_key

URN = "urn:dev:ops:32473-9"


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Signer:
    """An authority in memory."""

    def __init__(self, name: str = "Nordlaks") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)

    def certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, life: timedelta, *names: str
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + life)
        )
        if names:
            found = [x509.UniformResourceIdentifier(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def pair(self, endpoint: str, begins: datetime, life: timedelta, *names: str) -> Pair:
        """A key and its certificate."""
        key = new_key()
        loaded = load_der_private_key(key, None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        made = self.certificate(named(endpoint), loaded.public_key(), begins, life, *names)
        return Pair(key=key, chain=(made.public_bytes(Encoding.DER),))

    def answer(self, request: bytes, begins: datetime, life: timedelta) -> bytes:
        """What EST answers to a request: certs-only, the device's certificate last, which any order may be."""
        asked = x509.load_der_x509_csr(request)
        assert asked.is_signature_valid
        key = asked.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        other = self.certificate(named("Site"), ec.generate_private_key(ec.SECP256R1()).public_key(), begins, life)
        return pkcs7.serialize_certificates([other, self.certificate(asked.subject, key, begins, life)], Encoding.DER)
