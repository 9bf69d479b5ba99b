"""The listener for EST: TLS that asks for client certificates, and believes those that our authorities issued."""

import asyncio
import contextlib
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from shoal.api.est import CLIENT_CERTIFICATE
from shoal.authority.store import Authorities
from shoal.authority.tables import authorities as authorities_table
from shoal.errors import Rejected, Unavailable
from shoal.storage.database import Database
from shoal.storage.poke import Poke

# An authority that another process of this machine made over SQLite is not told of: it is looked for.
LOOK_EVERY: Final = timedelta(seconds=5)


class Anchors:
    """A TLS context that comes to know the authorities of all tenants.

    One that is retired stays in it: whether a certificate still counts is asked of the database when it is shown.
    """

    def __init__(self, authorities: Authorities, database: Database, cert: Path, key: Path) -> None:
        self._authorities = authorities
        self._known: set[bytes] = set()
        self._poke = Poke()
        database.on(authorities_table.name, self._poke)
        self.context: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # RFC 7030 §3.3.1 asks for 1.1 at least; RFC 8996 did away with that.
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Whoever has no certificate yet comes with a secret.
        self.context.verify_mode = ssl.CERT_OPTIONAL
        # An intermediate is an authority of its own: what it signed is believed though its root is kept elsewhere.
        self.context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
        try:
            self.context.load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            raise Rejected("tls_cert", f"{cert} and {key} are no certificate and key: {error}") from error

    async def follow(self) -> None:
        """Takes in the authorities that are new."""
        for der in await self._authorities.trusted_everywhere():
            if der not in self._known:
                self.context.load_verify_locations(cadata=der)
                self._known.add(der)

    async def run(self) -> None:
        """Follows until it is cancelled."""
        while True:
            # Away for a moment: the handshakes of devices of new authorities wait.
            with contextlib.suppress(Unavailable):
                await self.follow()
            await self._poke.wait(LOOK_EVERY)


class ShowsCertificate(H11Protocol):
    """Leaves the certificate that a client proved to hold where the application finds it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called when the handshake is done."""
        tls = transport.get_extra_info("ssl_object")
        self.app_state = {**self.app_state, CLIENT_CERTIFICATE: tls.getpeercert(binary_form=True)}
        super().connection_made(transport)
