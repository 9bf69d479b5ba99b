"""Sees which credential a device registered with, and ends those whose time is over."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from shoal.credentials.anchor import ZeroTouch
from shoal.credentials.anchor_store import trusted
from shoal.credentials.store import Credentials, Use
from shoal.errors import Unavailable
from shoal.events.device import DeviceRegistered, SecurityEvent
from shoal.events.topics import DEVICE, Topic
from shoal.ids import DeviceId, TenantId, TrustAnchorId
from shoal.storage.database import Database, Transaction
from shoal.storage.directory import CertificateFacts
from shoal.stream.worker import Batch

log = logging.getLogger(__name__)

GROUP: Final = "credentials"
SWEEP_EVERY: Final = timedelta(seconds=1)
# Who is not among them tries again, as devices do that were refused.
STRANGERS_PER_BATCH_MAX: Final = 50
# Ended in one transaction: a few milliseconds in which no device is changed.
ENDED_PER_ROUND_MAX: Final = 200


# A device with that endpoint and kind, made for its certificate, and whether it is approved already; None when the tenant
# has one or it cannot be one.
MakeDevice: TypeAlias = Callable[[Transaction, TenantId, str, str, bool], Awaitable[DeviceId | None]]


class CredentialHandler:
    """Group `credentials` on the topic of devices.

    The first use of a new credential is the end of the old one; a stranger with a good certificate becomes a device,
    where its trust anchor allows that.
    """

    group: str = GROUP
    topics: Sequence[Topic] = (DEVICE,)
    timed: Sequence[Topic] = ()

    def __init__(self, credentials: Credentials, make_device: MakeDevice) -> None:
        self._credentials = credentials
        self._make_device = make_device

    async def handle(self, tx: Transaction, batch: Batch) -> None:
        """Writes what was used; of several uses of one credential the last. Strangers first: they lock devices."""
        strangers = {
            (event.tenant, event.identity): event.anchor
            for _, event in batch.events
            if isinstance(event, SecurityEvent) and event.anchor and event.tenant and event.identity
        }
        for (tenant, endpoint), anchor in list(strangers.items())[:STRANGERS_PER_BATCH_MAX]:
            await self._introduce(tx, TenantId(tenant), endpoint, TrustAnchorId(anchor))
        uses = {
            event.credential: Use(device=event.device, at=event.time, certificate=_facts(event))
            for _, event in batch.events
            if isinstance(event, DeviceRegistered) and event.credential and event.device
        }
        if uses:
            await self._credentials.used(tx, uses)

    async def _introduce(self, tx: Transaction, tenant: TenantId, endpoint: str, anchor: TrustAnchorId) -> None:
        found = await trusted(tx, tenant, anchor)
        if found is None or found.zero_touch is ZeroTouch.OFF:
            return
        is_approved = found.zero_touch is ZeroTouch.ADMIT
        device = await self._make_device(tx, tenant, endpoint, found.kind, is_approved)
        if device is not None:
            await self._credentials.introduce(tx, tenant, device, is_approved=is_approved)


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
