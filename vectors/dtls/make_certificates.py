"""Makes certificates.json again: authorities, devices and servers, good and bad. Keys are new each time."""

import datetime
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DEVICE = "urn:shoal:camera-1"
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
ALWAYS = (2015, 2060)
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuers: tuple[x509.Certificate, ...] = ()

    def entry(self, name: str) -> dict[str, object]:
        chain = [each.public_bytes(serialization.Encoding.DER).hex() for each in (self.certificate, *self.issuers)]
        key = self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"name": name, "source": "own, RFC 5280", "chain": chain, "key": key.hex()}


def day(year: int) -> datetime.datetime:
    return datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)


def usage(*, signs_certificates: bool, signs: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs and not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def make(
    common_name: str,
    issuer: Issued | None = None,
    *,
    is_authority: bool = False,
    curve: ec.EllipticCurve | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    years: tuple[int, int] = (2025, 2035),
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    names: tuple[x509.GeneralName, ...] = (),
    signs: bool = True,
) -> Issued:
    key = key or ec.generate_private_key(curve or ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(
        issuer_name=issuer.certificate.subject if issuer else subject,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=day(years[0]),
        not_valid_after=day(years[1]),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    builder = builder.add_extension(usage(signs_certificates=is_authority, signs=signs), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signer = issuer.key if issuer else key
    hash_by_curve = hashes.SHA384() if signer.curve.key_size == 384 else hashes.SHA256()
    certificate = builder.sign(signer, hash_by_curve)
    is_below_another = issuer is not None and issuer.certificate.issuer != issuer.certificate.subject
    issuers = (issuer.certificate, *issuer.issuers) if issuer and is_below_another else ()
    return Issued(certificate, key, issuers)


def below(anchor: Issued, intermediates: int) -> Issued:
    for number in range(intermediates):
        anchor = make(f"Line {number}", anchor, is_authority=True)
    return anchor


def all_of_them() -> dict[str, Issued]:
    anchor = make("Farm devices", is_authority=True)
    changed = make("Farm devices", is_authority=True, years=(2030, 2045))
    other_farm = make("Farm devices", is_authority=True)
    anchor_384 = make("Farm devices 384", is_authority=True, curve=ec.SECP384R1())
    rogue = make("Rogue", is_authority=True)
    for_servers = make("Servers", is_authority=True, years=ALWAYS)
    uri = (x509.UniformResourceIdentifier(DEVICE), x509.DNSName("camera-1.example"))
    host = (x509.DNSName("lwm2m.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))

    def device(issuer: Issued, **more: object) -> Issued:
        return make(DEVICE, issuer, **{"purposes": CLIENT, "names": uri, **more})  # type: ignore[arg-type]

    def server(issuer: Issued, **more: object) -> Issued:
        return make("lwm2m.example", issuer, **{"purposes": SERVER, "names": host, "years": ALWAYS, **more})  # type: ignore[arg-type]

    return {
        "anchor": anchor,
        "anchor, renewed with the same key": make(
            "Farm devices", is_authority=True, key=anchor.key, years=(2030, 2045)
        ),
        "anchor, changed": changed,
        "anchor of another farm with the same name": other_farm,
        "anchor on P-384": anchor_384,
        "anchor of servers": for_servers,
        "anchor that may not issue": make("Farm devices"),
        "anchor on P-521": make("Farm devices 521", is_authority=True, curve=ec.SECP521R1()),
        "device": device(anchor),
        "device until 2045": device(anchor, years=(2025, 2045)),
        "device of the changed anchor": device(changed, years=(2030, 2045)),
        "device of another farm": device(other_farm),
        "device on P-384": device(anchor_384, curve=ec.SECP384R1()),
        "device on P-521": device(anchor, curve=ec.SECP521R1()),
        "device below 3 intermediates": device(below(anchor, 3)),
        "device below 4 intermediates": device(below(anchor, 4)),
        "device of nobody we know": device(rogue),
        "device below somebody who may not issue": device(make("Line", anchor)),
        "device for servers": device(anchor, purposes=SERVER),
        "device that may not sign": device(anchor, signs=False),
        "device without usages": device(anchor, purposes=()),
        "server": server(for_servers),
        "server on P-384": server(for_servers, curve=ec.SECP384R1()),
        "server with another name": server(for_servers, names=(x509.DNSName("other.example"),)),
        "server of nobody we know": server(rogue),
    }


if __name__ == "__main__":
    entries = [issued.entry(name) for name, issued in all_of_them().items()]
    Path(__file__).with_name("certificates.json").write_text(json.dumps(entries, indent=1) + "\n")
