"""Certificates on the side of the gateway: its own, read again when it changes, and the authorities of all tenants."""

import asyncio
import json
import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from shoal.authority.certificate_store import revoked
from shoal.authority.tables import issued_certificates
from shoal.clock import Clock
from shoal.credentials import anchor_store
from shoal.credentials.tables import trust_anchors
from shoal.errors import Rejected, Unavailable
from shoal.lwm2m.certificates import load_chain
from shoal.lwm2m.dataplane import DataPlane
from shoal.storage.database import Database
from shoal.storage.poke import Poke

log = logging.getLogger(__name__)

# Another process may write without telling us; and files say nothing when they change.
LOOK_EVERY: Final = timedelta(seconds=1)
# What was taken back is told at once; a command line beside a file cannot tell, and the query may be a large one.
REVOKED_LOOK_EVERY: Final = timedelta(seconds=5)
# As many as the core keeps.
REVOKED_MAX: Final = 100_000


class Trust:
    """The core's own certificate and its copy of the trust anchors."""

    def __init__(self, core: DataPlane, database: Database, clock: Clock, own: tuple[Path, Path] | None) -> None:
        self._core = core
        self._database = database
        self._clock = clock
        self._own = own
        self._shown: tuple[int, int] | None = None
        self._version = -1
        self._trusted: list[str] = []
        # When the first of them expires.
        self._good_until: datetime | None = None
        self._poke = Poke()
        database.on(trust_anchors.name, self._poke)
        self._revoked: list[bytes] = []
        # When the database is asked again; at once when somebody was revoked.
        self._revoked_until: datetime | None = None
        database.on(issued_certificates.name, self._look_at_revoked)

    def start(self) -> None:
        """Shows our own certificate, if there is one.

        Raises:
            Unavailable: its files cannot be read, or do not belong together.
        """
        if self._own is not None:
            try:
                self._show(*self._own)
            except (OSError, ValueError, Rejected) as error:
                raise Unavailable(
                    "certificate for devices", str(error), "Look at device_cert and device_key"
                ) from error

    async def follow(self) -> None:
        """Takes over what changed since the last call, and lets go of what has expired meanwhile.

        Raises:
            Unavailable: the database is away.
        """
        self._show_again()
        await self._follow_revoked()
        version, now = await anchor_store.version_of(self._database), self._clock.now()
        if version == self._version and (self._good_until is None or now < self._good_until):
            return
        found = [one for one in await anchor_store.authorities(self._database) if one.not_after > now]
        ids = [str(one.id) for one in found]
        if ids != self._trusted:
            given = [
                (one.tenant, one.der, f'"tenant":{json.dumps(one.tenant)},"anchor":{json.dumps(one.id)}')
                for one in found
            ]
            for place, reason in await asyncio.to_thread(self._core.put_authorities, given):
                log.error("trust.refused", extra={"anchor": ids[place], "reason": reason})
        self._version, self._trusted = version, ids
        self._good_until = min((one.not_after for one in found), default=None)

    def _look_at_revoked(self) -> None:
        self._revoked_until = None
        self._poke()

    async def _follow_revoked(self) -> None:
        now = self._clock.now()
        if self._revoked_until is not None and now < self._revoked_until:
            return
        self._revoked_until = now + REVOKED_LOOK_EVERY
        try:
            found = await revoked(self._database, now, REVOKED_MAX + 1)
        except Unavailable:
            self._revoked_until = None
            raise
        left_out, found = found[REVOKED_MAX:], found[:REVOKED_MAX]
        if found != self._revoked:
            if left_out:
                # Those that were taken back first come in again: somebody has to roll an authority over.
                log.error("trust.too_many_revoked", extra={"kept": REVOKED_MAX})
            self._core.put_revoked(found)
            self._revoked = found

    async def run(self) -> None:
        """Follows until it is cancelled."""
        while True:
            try:
                await self.follow()
            except Unavailable as error:
                log.warning("trust.waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await self._poke.wait(LOOK_EVERY)

    def _show(self, certificate: Path, key: Path) -> None:
        # Before it is read: who changes it while we read is seen next time.
        self._shown = certificate.stat().st_mtime_ns, key.stat().st_mtime_ns
        self._core.set_certificate(*load_chain(certificate, key))

    def _show_again(self) -> None:
        """A renewed certificate is shown from the next handshake on; one that cannot be read leaves the old one."""
        if self._own is None:
            return
        certificate, key = self._own
        try:
            if (certificate.stat().st_mtime_ns, key.stat().st_mtime_ns) != self._shown:
                self._show(certificate, key)
                log.info("trust.own_certificate", extra={"file": str(certificate)})
        except (OSError, ValueError, Rejected) as error:
            log.error("trust.own_certificate_refused", extra={"file": str(certificate), "reason": str(error)})
