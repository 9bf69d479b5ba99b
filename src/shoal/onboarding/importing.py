"""Many devices of a file: looked at first, all of them, and made only when the whole file is right, or that is not asked for.

The same file again changes nothing: a device that is there and is as the row says is passed over. One that is there and is
another is an error; nothing that exists is ever changed by a file. Devices are made in pieces, each in a transaction: what
was interrupted goes on with the same file.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeAlias

from shoal.access.decision import EVERYWHERE, Place, Reach
from shoal.credentials.credential import Mode
from shoal.credentials.proofs import Proof, proofs_of
from shoal.credentials.psk import parse_key
from shoal.credentials.store import Credentials
from shoal.errors import Conflict, NotFound, Rejected, Unavailable
from shoal.ids import DeviceId, EnclosureId, MistypedId, TenantId
from shoal.inventory.device import Device, Security
from shoal.inventory.place import Enclosure
from shoal.inventory.store import Inventory
from shoal.onboarding.adding import Added, WantedDevice, add
from shoal.onboarding.file import Row
from shoal.storage.database import Database, Transaction
from shoal.storage.secrets import Vault

# Looked up with one question each; a page of the rooms.
ROWS_PER_LOOK: Final = 500
# Made in one transaction: on SQLite others wait for it, for a fraction of a second.
DEVICES_PER_TRANSACTION: Final = 50
# Wrong rows that are told one by one; who has more of them has made one mistake many times.
FAULTS_TOLD_MAX: Final = 100


class Stores(Protocol):
    """What importing asks."""

    @property
    def database(self) -> Database: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def inventory(self) -> Inventory: ...
    @property
    def credentials(self) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Why nothing can come of a row."""

    line: int
    endpoint: str
    says: str

    def __str__(self) -> str:
        return f"line {self.line}{f' ({self.endpoint})' if self.endpoint else ''}: {self.says}"


@dataclass(slots=True)
class Report:
    """What a file means: devices that are new, those that are there already, and rows that are wrong.

    `keys`: how many of the new ones get a key that is made here. `faults` are the first of the wrong rows.
    """

    new: int = 0
    there: int = 0
    wrong: int = 0
    keys: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.new + self.there + self.wrong


@dataclass(frozen=True, slots=True)
class _Known:
    """What is there of what some rows speak of. `keys` are the living ones of those devices, by identity; None is lost."""

    devices: dict[str, Device]
    keys: dict[DeviceId, dict[str, bytes | None]]
    enclosures: dict[EnclosureId, Enclosure]
    holders: dict[str, DeviceId]


class _Seen:
    """Names that stand in the file already, each at its line."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], int] = {}

    def once(self, column: str, name: str, line: int) -> None:
        before = self._lines.setdefault((column, name), line)
        if before != line:
            raise Rejected(column, f"stands in line {before} already")


# Raises when whoever imports may not make a device there.
MayAdd: TypeAlias = Callable[[Place], None]
Progress: TypeAlias = Callable[[int], None]
# Keeps the keys that are made, which nobody can be shown again: in the transaction, so that no device is there whose key was
# lost. Of devices that were kept and did not come to be, a key opens nothing.
Keep: TypeAlias = Callable[[Sequence[Added]], None]
# Writes into the transaction who made it.
Tell: TypeAlias = Callable[[Transaction, Added], Awaitable[None]]


class Import:
    """One file into one tenant. `read` reads it from its beginning, each time that it is called.

    `reach` is where whoever imports may read: of what lies elsewhere nothing is told.
    """

    def __init__(
        self,
        stores: Stores,
        tenant: TenantId,
        read: Callable[[], Iterable[Row]],
        *,
        may_add: MayAdd = lambda _: None,
        reach: Reach = EVERYWHERE,
        progress: Progress = lambda _: None,
    ) -> None:
        self._stores = stores
        self._tenant = tenant
        self._read = read
        self._may_add = may_add
        self._reach = reach
        self._progress = progress

    async def check(self) -> Report:
        """What the file means; nothing is changed.

        Raises:
            Rejected: the file as a whole is none.
        """
        report = Report()
        async for _ in self._new(report):
            pass
        return report

    async def write(self, keep: Keep, tell: Tell, *, by: str, skips_wrong: bool = False) -> Report:
        """Makes what is new in it. What it did before an error stays, and is passed over the next time.

        Raises:
            Rejected: a row is wrong and `skips_wrong` is not said, or somebody made the same a moment ago.
        """
        report = Report()
        stores = self._stores
        async for rows in self._new(report):
            if report.wrong and not skips_wrong:
                raise Rejected(str(report.faults[0]), "the file, or what is there, has changed meanwhile")
            for begin in range(0, len(rows), DEVICES_PER_TRANSACTION):
                async with stores.database.transaction() as tx:
                    made: list[Added] = []
                    for row, wanted in rows[begin : begin + DEVICES_PER_TRANSACTION]:
                        try:
                            one = await add(tx, stores.inventory, stores.credentials, self._tenant, wanted, by=by)
                        except Rejected as error:
                            raise Rejected(f"line {row.line} ({row.endpoint})", error.reason) from error
                        await tell(tx, one)
                        made.append(one)
                    keep(made)
        return report

    async def _new(self, report: Report) -> AsyncIterator[list[tuple[Row, WantedDevice]]]:
        """What is new in each piece of the file; the report is written on the way."""
        seen = _Seen()
        rows = iter(self._read())
        while piece := list(islice(rows, ROWS_PER_LOOK)):
            known = await self._look(piece)
            new: list[tuple[Row, WantedDevice]] = []
            for row in piece:
                try:
                    wanted = self._judged(row, known, seen)
                except Rejected as error:
                    report.wrong += 1
                    if len(report.faults) < FAULTS_TOLD_MAX:
                        report.faults.append(Fault(row.line, row.endpoint, await self._says(error)))
                    continue
                if wanted is None:
                    report.there += 1
                    continue
                report.new += 1
                report.keys += wanted.proof.mode is Security.PSK and wanted.proof.key is None
                new.append((row, wanted))
            yield new
            self._progress(report.rows)

    async def _look(self, piece: Sequence[Row]) -> _Known:
        wanted = [row.wanted for row in piece if row.wanted is not None]
        stores = self._stores
        devices = await stores.inventory.devices_named(self._tenant, [one.endpoint for one in wanted])
        keys: dict[DeviceId, dict[str, bytes | None]] = {}
        for id_, proofs in (await proofs_of(stores.database, sorted(one.id for one in devices.values()))).items():
            keys[DeviceId(id_)] = {
                proof.identity: self._decrypted(proof, id_) for proof in proofs if proof.mode is Mode.PSK
            }
        enclosures = sorted({one.enclosure for one in wanted if one.enclosure is not None})
        identities = sorted({one.proof.identity for one in wanted if one.proof.identity is not None})
        return _Known(
            devices=devices,
            keys=keys,
            enclosures=await stores.inventory.enclosures_for(self._tenant, enclosures, self._reach),
            holders=await stores.credentials.holders(identities),
        )

    def _decrypted(self, proof: Proof, device: str) -> bytes | None:
        """The key, None when it is lost."""
        try:
            return None if proof.key_encrypted is None else self._stores.vault.decrypt(proof.key_encrypted, device)
        except Unavailable:
            return None

    def _judged(self, row: Row, known: _Known, seen: _Seen) -> WantedDevice | None:
        """The device that is to be made; None when it is there already. Raises Rejected: nothing can come of the row."""
        if row.fault is not None:
            raise row.fault
        wanted = row.wanted
        assert wanted is not None  # noqa: S101  # a row is one or the other
        enclosure = None if wanted.enclosure is None else known.enclosures.get(wanted.enclosure)
        if wanted.enclosure is not None and enclosure is None:
            raise NotFound(wanted.enclosure, "no such enclosure")
        farm = None if enclosure is None else enclosure.farm
        self._may_add(Place(tenant=self._tenant, farm=farm, enclosure=wanted.enclosure))
        seen.once("endpoint", wanted.endpoint, row.line)
        if wanted.proof.identity is not None:
            seen.once("identity", wanted.proof.identity, row.line)
        device = known.devices.get(wanted.endpoint)
        if device is not None and not self._reach.covers(device.farm, device.enclosure, device.id):
            raise Conflict("endpoint", "another device has this endpoint")
        if device is not None:
            differing = _differing(device, wanted, known.keys.get(device.id, {}))
            if differing:
                raise Conflict("endpoint", f"is there already as {device.id}, with another {' and '.join(differing)}")
            return None
        if wanted.proof.identity in known.holders:
            # Whose it is may be another tenant's business.
            raise Conflict("identity", "another device has this identity")
        return wanted

    async def _says(self, error: Rejected) -> str:
        meant = error.meant if isinstance(error, MistypedId) and self._reach.is_everywhere else ()
        there = await self._stores.inventory.existing(self._tenant, meant) if meant else ()
        return f"{error}; did you mean {' or '.join(there)}?" if there else str(error)


def _differing(device: Device, wanted: WantedDevice, keys: Mapping[str, bytes | None]) -> list[str]:
    """In what a device is not as a row says; what the row does not say does not matter."""
    proof = wanted.proof
    said: list[tuple[str, bool]] = [
        ("kind", device.kind is wanted.kind),
        ("enclosure", wanted.enclosure in {None, device.enclosure}),
        ("name", wanted.name in {None, device.name}),
        ("mode", proof.mode is device.security),
        ("identity", proof.identity is None or proof.identity in keys),
        ("key", proof.key is None or keys.get(proof.identity or "") == parse_key(proof.key)),
    ]
    return [name for name, is_same in said if not is_same]
