"""What devices are let in by, for the gateway: keys as they lie in the database, still encrypted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from shoal.credentials.credential import LIVING, Mode, State
from shoal.ids import CredentialId
from shoal.storage.database import Database
from shoal.storage.directory import credentials

_MATTERS: Final = credentials.c.state.in_(sorted({*LIVING, State.WAITING}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A credential as the gateway needs it: it lives, or `is_waiting` for approval. The key is still encrypted."""

    id: CredentialId
    mode: Mode
    identity: str
    key_encrypted: bytes | None
    pin: bytes | None
    is_waiting: bool = False


async def proofs_of(database: Database, devices: Sequence[str]) -> dict[str, list[Proof]]:
    """What these devices are let in by, or would be if somebody approved them, for the gateway."""
    columns = credentials.c
    query = select(
        columns.device_id, columns.id, columns.mode, columns.identity, columns.key_encrypted, columns.pin, columns.state
    ).where(columns.device_id.in_(devices), _MATTERS)
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
                    is_waiting=row.state == State.WAITING.value,
                )
            )
    return found
