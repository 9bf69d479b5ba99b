"""What devices are let in by, at one moment: with the keys, still encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from shoal.credentials.credential import LIVING, Mode
from shoal.ids import CredentialId
from shoal.storage.database import Database
from shoal.storage.directory import credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A living credential with its key, which is still encrypted; None when it is lost, or there is none."""

    id: CredentialId
    mode: Mode
    identity: str
    key_encrypted: bytes | None
    pin: bytes | None


async def proofs_of(database: Database, devices: Sequence[str]) -> dict[str, list[Proof]]:
    """What these devices are let in by."""
    columns = credentials.c
    query = select(
        columns.device_id, columns.id, columns.mode, columns.identity, columns.key_encrypted, columns.pin
    ).where(columns.device_id.in_(devices), credentials.c.state.in_(sorted(LIVING)))
    found: dict[str, list[Proof]] = {}
    async with database.reading() as connection:
        for row in await connection.execute(query.order_by(columns.id)):
            found.setdefault(row.device_id, []).append(
                Proof(
                    id=row.id,
                    mode=Mode(row.mode),
                    identity=row.identity,
                    key_encrypted=row.key_encrypted,
                    pin=row.pin,
                )
            )
    return found
