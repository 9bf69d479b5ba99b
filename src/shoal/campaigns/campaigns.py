"""Artifacts and updates for people: upload, start, look, cancel."""

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shoal.campaigns import rollback, store
from shoal.campaigns.artifact import Artifact, ArtifactKind, parse_kind, parse_label
from shoal.campaigns.conduct import Conductor
from shoal.campaigns.delivery import Wish, parse_wish
from shoal.campaigns.facts import DeviceFacts
from shoal.campaigns.files import ArtifactFiles
from shoal.campaigns.neighbours import Enqueue, FileServer
from shoal.campaigns.step import Progressed, cancelled, given_up, step
from shoal.campaigns.store import UpdatePage
from shoal.campaigns.update import Update, UpdateState
from shoal.clock import Clock
from shoal.errors import Gone, NotFound, Rejected
from shoal.ids import Prefix, new_id
from shoal.inventory.device import Device
from shoal.storage.database import Database

log = logging.getLogger(__name__)

# The longest watch over an update; who wants to wait longer looks at the device, not at the update.
SOAK_S_MAX: Final = 7 * 86_400
# While a device may be fetching: between two attempts, too.
_FETCHING: Final = frozenset({UpdateState.WAITING, UpdateState.RESETTING, UpdateState.DOWNLOADING})


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that a device may fetch now."""

    update: str
    path: Path
    size: int
    sha256: str


class Campaigns:
    """What screens and the API ask about artifacts and updates, and what people do with them."""

    def __init__(
        self, database: Database, clock: Clock, files: ArtifactFiles, enqueue: Enqueue, server: FileServer
    ) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._server = server
        self._conductor = Conductor(enqueue, server)

    async def add_artifact(
        self, tenant: str, *, kind: str, name: str, version: str, chunks: AsyncIterator[bytes], by: str | None = None
    ) -> Artifact:
        """Takes an artifact in. The same file under the same name and version again is the artifact that is there.

        Raises:
            Rejected: not a kind, a name or a version; an empty file or one too large.
            Conflict: this name and version belong to other bytes.
            Unavailable: the folder or the database is away.
        """
        parsed, label, number = parse_kind(kind), parse_label(name, "name"), parse_label(version, "version")
        kept = await self._files.keep(chunks)
        artifact = Artifact(
            id=new_id(Prefix.ARTIFACT),
            tenant=tenant,
            kind=parsed,
            name=label,
            version=number,
            size=kept.size,
            sha256=kept.sha256,
            created_at=self._clock.now(),
            by=by,
        )
        async with self._database.transaction() as tx:
            return await store.add_artifact(tx, artifact)

    async def artifacts(self, tenant: str, kind: ArtifactKind | None = None, limit: int = 100) -> Sequence[Artifact]:
        """Artifacts of a tenant, newest first.

        Raises:
            Unavailable: the database is away.
        """
        return await store.list_artifacts(self._database, tenant, kind, limit)

    async def artifact(self, tenant: str, artifact: str) -> Artifact:
        """One artifact.

        Raises:
            NotFound: the tenant has no such artifact.
            Unavailable: the database is away.
        """
        return await store.one_artifact(self._database, tenant, artifact)

    async def start_update(
        self,
        device: Device,
        artifact: str,
        *,
        delivery: str = Wish.AUTOMATIC,
        soak_s: float | None = None,
        by: str | None = None,
    ) -> Update:
        """Begins the update of one device; from now on it goes on by itself, also when nothing was heard of it yet.

        `soak_s` is how long the device is watched once it runs the new version; None: as its profile suggests.

        Raises:
            NotFound: the device's tenant has no such artifact, or its bytes are gone.
            Conflict: another update of this device is running, or the artifact's bytes are damaged.
            Rejected: a delivery that we do not know, or a watch that is too long.
            Unavailable: the database is away.
        """
        wish = parse_wish(delivery)
        if soak_s is not None and not 0 <= soak_s <= SOAK_S_MAX:
            raise Rejected("soak_s", f"0 to {SOAK_S_MAX} seconds")
        chosen = await self.artifact(device.tenant, artifact)
        await self._files.checked(chosen.sha256)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            facts, partition = await store.heard_of(tx, _unheard(device))
            history = await store.history_of(tx, device.id, chosen.kind)
            before = rollback.confirmed_before(history, chosen.kind, chosen.id)
            update = Update(
                id=await store.name(tx, device.id, artifact, now),
                tenant=device.tenant,
                farm=device.farm,
                enclosure=device.enclosure,
                device=device.id,
                endpoint=device.endpoint,
                artifact=chosen.id,
                kind=chosen.kind,
                name=chosen.name,
                version=chosen.version,
                size=chosen.size,
                path=chosen.path,
                by=by,
                created_at=now,
                since=now,
                wish=wish,
                soak_s=soak_s,
                previous=before.artifact if before else None,
                previous_version=before.version if before else None,
                open_before=await store.open_conditions_of(tx, device.id),
            )
            return await self._conductor.begin(tx, update, chosen, facts, partition, now)

    async def roll_back(self, tenant: str, device: str, update: str, by: str | None = None) -> Update:
        """Begins to take a device back to what it ran before an update; the update that does so.

        Raises:
            NotFound: the device has no such update, or the bytes of what it ran before are gone.
            Conflict: the update goes on, changed nothing, was replaced since, or nothing was confirmed before it.
            Unavailable: the database is away.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            undone = await store.update_of(tx, tenant, update)
            if undone.device != device:
                raise NotFound("update", "the device has no such update")
            rollback.check(undone, await store.history_of(tx, device, undone.kind))
            artifact = await store.artifact_of(tx, tenant, undone.previous or "")
            facts, partition = await store.heard_of(tx, DeviceFacts(device=device, tenant=tenant))
            if not undone.state.is_end:
                await self._conductor.carry_out(tx, undone, given_up(undone, by, now), facts, partition, now)
            return await self._conductor.undo(tx, undone, artifact, facts, partition, now, by=by)

    async def updates(
        self,
        tenant: str,
        *,
        device: str | None = None,
        farm: str | None = None,
        states: Sequence[UpdateState] = (),
        after: str | None = None,
        limit: int = 50,
    ) -> UpdatePage:
        """Updates of a tenant, newest first; `after` is the cursor of the page before.

        Raises:
            Rejected: the cursor is none of ours.
            Unavailable: the database is away.
        """
        return await store.list_updates(
            self._database, tenant, device=device, farm=farm, states=states, after=after, limit=limit
        )

    async def update(self, tenant: str, update: str) -> Update:
        """One update.

        Raises:
            NotFound: the tenant has no such update.
            Unavailable: the database is away.
        """
        return await store.one_update(self._database, tenant, update)

    async def cancel_update(self, tenant: str, update: str, by: str | None = None) -> Update:
        """Stops an update.

        Raises:
            NotFound: the tenant has no such update.
            Conflict: it is over, or the device was asked to install already.
            Unavailable: the database is away.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            known = await store.update_of(tx, tenant, update)
            facts, partition = await store.heard_of(tx, DeviceFacts(device=known.device, tenant=tenant))
            stopped = cancelled(known, by, now)
            return await self._conductor.carry_out(tx, known, stopped, facts, partition, now)

    async def download(self, update: str, file: str, expires: int, signature: str) -> Offered:
        """What a device fetches by an address of ours.

        Raises:
            Forbidden: we never made this address.
            Gone: it has expired, or the update needs the file no more.
            NotFound: the update or its bytes are not here any more.
            Unavailable: the database is away.
        """
        if self._server.links is None:
            raise NotFound("download", "nothing is served here")
        self._server.links.check(update, file, expires, signature, self._clock.now())
        known = await store.whose_ever(self._database, update)
        if known.state not in _FETCHING:
            raise Gone("download", f"the update is {known.state.value.replace('_', ' ')}")
        artifact = await self.artifact(known.tenant, known.artifact)
        path = self._files.path(artifact.sha256)
        return Offered(update=known.id, path=path, size=artifact.size, sha256=artifact.sha256)

    async def fetched(self, update: str, count: int) -> None:
        """A device has fetched so much of a file from our web server.

        Raises:
            NotFound: there is no such update any more.
            Unavailable: the database is away.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            known = await store.update_by_id(tx, update)
            if known.state not in _FETCHING:
                return
            facts, partition = await store.heard_of(tx, DeviceFacts(device=known.device, tenant=known.tenant))
            await self._conductor.carry_out(
                tx, known, step(known, facts, Progressed(count), now), facts, partition, now
            )

    async def counts(self, tenant: str) -> dict[UpdateState, int]:
        """How many updates of a tenant are in which state.

        Raises:
            Unavailable: the database is away.
        """
        return await store.counts(self._database, tenant)


def _unheard(device: Device) -> DeviceFacts:
    """What is known of a device of whose events none came here yet."""
    return DeviceFacts(
        device=device.id, tenant=device.tenant, farm=device.farm, enclosure=device.enclosure, endpoint=device.endpoint
    )
