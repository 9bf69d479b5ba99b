"""EST over CoAPs (RFC 9148) with libcoap as the device: DTLS proves who it is, blocks go both ways, answers come late."""

import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from shoal.authority.issuing import new_key
from tests.harness.coap_peers import LIBCOAP_OPENSSL, libcoap
from tests.harness.requests import request, request_with_anothers_key
from tests.harness.site import Site, site

KEY = b"sixteen-byte-key"


class Peer:
    """libcoap with the key of one device."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.folder = folder

    async def ask(self, method: str, path: str, *more: str, payload: bytes = b"") -> tuple[bytes, str]:
        """What was answered, and what libcoap says about it."""
        out = self.folder / "answer"
        out.unlink(missing_ok=True)
        uri = f"{self.site.gateway.addresses[0]}{path}"
        given = ("-u", "oxy", "-k", KEY.decode(), "-o", str(out), *more)
        said = await libcoap(uri, method, *given, payload=payload, program=LIBCOAP_OPENSSL)
        return out.read_bytes() if out.exists() else b"", said


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    async with site(tmp_path) as running:
        shoal = running.shoal
        device = await shoal.create_device(running.tenant, "oxy")
        async with shoal.database.transaction() as tx:
            await shoal.credentials.create(tx, running.tenant, device.id, identity="oxy", key=KEY.hex())
            top = await shoal.authorities.create(tx, running.tenant, "Nordlaks")
            await shoal.authorities.create(tx, running.tenant, "Site", under=top.id)
        await running.gateway.roster.follow()
        yield Peer(running, tmp_path)


async def test_a_device_fetches_authorities_and_a_certificate_in_blocks(peer: Peer) -> None:
    key = new_key()

    fetched, _ = await peer.ask("get", "/.well-known/est/crts", "-b", "256")
    enrolled, said = await peer.ask("post", "/est/sen", "-t", "286", "-b", "128", payload=request("oxy", key))
    renewed, _ = await peer.ask("post", "/est/sren", "-t", "286", "-A", "287", payload=request("oxy", key))

    authorities = pkcs7.load_der_pkcs7_certificates(fetched)
    certificates = pkcs7.load_der_pkcs7_certificates(enrolled)
    alone = x509.load_der_x509_certificate(renewed)
    assert len(authorities) == 2
    assert [one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value for one in certificates] == ["oxy", "Site"]
    for one in (certificates[0], alone):
        one.verify_directly_issued_by(certificates[1])
        assert one.public_key() == key.public_key()
    assert "Block1" in said
    assert "2.04" in said


async def test_a_request_for_somebody_else_is_refused_and_the_operator_sees_it(peer: Peer) -> None:
    for wrong, reason in (
        (request("other"), "endpoint name"),
        (request_with_anothers_key("oxy"), "does not prove"),
        (b"nonsense", "PKCS #10"),
    ):
        _, said = await peer.ask("post", "/est/sen", "-t", "286", payload=wrong)
        assert re.search(r"4\.00", said), said
        assert reason in said
    events = [event for event in await peer.site.shoal.events() if getattr(event, "reason", None) == "not_enrolled"]

    assert len(events) == 3
    assert await peer.site.shoal.certificates.several(peer.site.tenant) == []


async def test_which_key_to_make_is_said_in_the_format_of_est(peer: Peer) -> None:
    fetched, _ = await peer.ask("get", "/.well-known/est/att")

    assert base64.b16encode(fetched).startswith(b"3021")
