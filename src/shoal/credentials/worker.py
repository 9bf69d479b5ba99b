"""Sees which credential a device registered with, and ends those whose time is over."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from shoal.credentials.store import Credentials, Use
from shoal.credentials.x509 import CertificateFacts
from shoal.errors import Unavailable
from shoal.events.device import DeviceRegistered
from shoal.events.topics import DEVICE, Topic
from shoal.storage.database import Database, Transaction
from shoal.stream.worker import Batch

log = logging.getLogger(__name__)

GROUP: Final = "credentials"
SWEEP_EVERY: Final = timedelta(seconds=1)
# Ended in one transaction: a few milliseconds in which no device is changed.
ENDED_PER_ROUND_MAX: Final = 200


class CredentialHandler:
    """Group `credentials` on the topic of devices: the first use of a new credential is the end of the old one."""

    group: str = GROUP
    topics: Sequence[Topic] = (DEVICE,)
    timed: Sequence[Topic] = ()

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Writes what was used; of several uses of one credential the last."""
        uses = {
            event.credential: Use(device=event.device, at=event.time, certificate=_facts(event))
            for _, event in batch.events
            if isinstance(event, DeviceRegistered) and event.credential and event.device
        }
        if uses:
            await self._credentials.used(tx, uses)


class Expiry:
    """Looks for credentials whose time is over, every second."""

    def __init__(self, credentials: Credentials, database: Database) -> None:
        self._credentials = credentials
        self._database = database

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                log.warning("credentials.expiry_waits", extra={"neighbour": error.neighbour, "reason": error.reason})
            await asyncio.sleep(SWEEP_EVERY.total_seconds())

    async def sweep(self) -> int:
        """Ends all that is due now; how many those were."""
        ended = 0
        while await self._credentials.has_due():
            async with self._database.transaction() as tx:
                ended += await self._credentials.sweep(tx, ENDED_PER_ROUND_MAX)
        return ended


def _facts(event: DeviceRegistered) -> CertificateFacts | None:
    """What the event tells of the certificate: its names are those of the credential."""
    seen = event.certificate
    if seen is None:
        return None
    try:
        begins, ends = (datetime.fromtimestamp(at, UTC) for at in (seen.not_before, seen.not_after))
    except (ValueError, OverflowError, OSError):
        return None  # valid until a year that no calendar of ours has
    return CertificateFacts(
        subject=f"CN={event.endpoint}",
        issuer="",
        serial=seen.serial,
        fingerprint=seen.fingerprint,
        not_before=begins,
        not_after=ends,
    )
