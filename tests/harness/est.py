"""EST as a device speaks it (RFC 7030), with httpx over real TLS; and a listener for it over the rooms of an installation."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from shoal.api.est import EstRooms, create_application
from shoal.app.est import Anchors
from shoal.app.web import WebServer, listen, url_of
from shoal.audit.store import Audit
from shoal.authority.certificate_store import Issued
from shoal.authority.issuing import PrivateKey
from tests.harness.authority import Authority
from tests.harness.installation import Installation


@dataclass
class EstDevice:
    """A device with a TLS stack. `settled`: the listener knows all authorities that there are."""

    url: str
    ca: Path
    folder: Path
    settled: Callable[[], Awaitable[None]]

    def at(self, label: str) -> "EstDevice":
        """The same device, with another label in its settings."""
        return replace(self, url=f"{self.url.rpartition('/')[0]}/{label}")

    async def get(self, operation: str) -> httpx.Response:
        async with self.client() as client:
            return await client.get(f"{self.url}/{operation}")

    async def post(
        self,
        operation: str,
        request: bytes,
        *,
        basic: tuple[str, str] | None = None,
        shows: tuple[Path, Path] | None = None,
        kind: str = "application/pkcs10",
    ) -> httpx.Response:
        """Asks for a certificate, with a secret or with the certificate that it has."""
        async with self.client(shows) as client:
            return await client.post(
                f"{self.url}/{operation}",
                content=base64.encodebytes(request),
                headers={"Content-Type": kind},
                auth=None if basic is None else httpx.BasicAuth(*basic),
            )

    def client(self, shows: tuple[Path, Path] | None = None) -> httpx.AsyncClient:
        context = ssl.create_default_context(cafile=str(self.ca))
        if shows is not None:
            context.load_cert_chain(*shows)
        return httpx.AsyncClient(verify=context, trust_env=False)

    def keep(self, name: str, answer: httpx.Response, key: PrivateKey) -> tuple[Path, Path]:
        """Puts what was answered where the TLS stack reads it."""
        return self._write(name, b"".join(one.public_bytes(Encoding.PEM) for one in certificates(answer)), key)

    def hold(self, issued: Issued, key: PrivateKey) -> tuple[Path, Path]:
        """Puts what was issued otherwise where the TLS stack reads it."""
        return self._write(issued.certificate.id, issued.pem.encode(), key)

    def _write(self, name: str, pem: bytes, key: PrivateKey) -> tuple[Path, Path]:
        cert, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(pem)
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return cert, key_file


def certificates(answer: httpx.Response) -> Sequence[x509.Certificate]:
    """What an answer carries, the own one first."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-transfer-encoding"] == "base64"
    assert answer.headers["content-type"].startswith("application/pkcs7-mime")
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))


@contextlib.asynccontextmanager
async def est(shoal: Installation, folder: Path, label: str) -> AsyncIterator[EstDevice]:
    """A listener on loopback; and a device that trusts it and uses this label."""
    tls = Authority(folder / "tls")
    own = tls.certificate("localhost")
    anchors = Anchors(shoal.authorities, shoal.database, own.cert, own.key)
    await anchors.follow()
    application = create_application(
        EstRooms(
            database=shoal.database,
            clock=shoal.clock,
            audit=Audit(shoal.database),
            authorities=shoal.authorities,
            certificates=shoal.certificates,
            enrolments=shoal.enrolments,
        )
    )
    address = listen("127.0.0.1:0")
    running = [
        asyncio.create_task(WebServer(application, address, trusted_proxies=(), mutual=anchors.context).run()),
        asyncio.create_task(anchors.run()),
    ]
    try:
        yield EstDevice(f"{url_of(address, 'https')}/.well-known/est/{label}", tls.ca, folder, anchors.follow)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        address.close()
