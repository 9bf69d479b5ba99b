"""Answers that are kept for whoever asks again with the same Idempotency-Key, because the first answer was lost.

A key is claimed before anything is done. That it was done is written in the same transaction as what was done; the answer
is kept afterwards. A process that dies in between leaves one of two states, and both are told apart: nothing was done, and
the next one may do it; or it was done, and only the answer is lost.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import msgspec
from sqlalchemy import Boolean, Column, Index, String, Table, delete, func, select, update

from shoal.errors import Conflict
from shoal.storage.database import Database, Transaction, upsert
from shoal.storage.secrets import Secret, Vault
from shoal.storage.tables import Timestamp, metadata

# As long as somebody repeats a request whose answer got lost.
KEPT: Final = timedelta(hours=24)
# Longer than any request takes, waiting for a device and an upload over a poor link included.
WORKED_ON_MAX: Final = timedelta(minutes=5)
# Of one caller within a day: one request every four seconds. Older ones are forgotten first.
ANSWERS_PER_OWNER_MAX: Final = 20_000
# Deleted in one transaction, so that others get their turn.
FORGOTTEN_PER_ROUND_MAX: Final = 1_000

# Nobody works on it any more.
_NOBODY: Final = ""

kept_answers: Final = Table(
    "kept_answers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(16), nullable=False),
    # Who works on it: of two that take a dead one's place only one goes on.
    Column("claim", String(32), nullable=False),
    Column("claimed_at", Timestamp, nullable=False),
    Column("is_done", Boolean, nullable=False),
    Column("answer_encrypted", Secret("id", "answers kept for a repeated request")),
    Index("ix_kept_answers_owner", "owner", "claimed_at"),
    Index("ix_kept_answers_claimed_at", "claimed_at"),
)


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it was sent, and the digest of the request that it answered."""

    request: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The key is ours: do it."""

    id: str
    claim: str


@dataclass(frozen=True, slots=True)
class WorkedOn:
    """Somebody is doing it at this moment."""


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """It was done, and the answer is not there: the process died, or the answer was too long to keep."""

    at: datetime


Claimed: TypeAlias = Claim | KeptAnswer | WorkedOn | AnswerLost


async def claim(database: Database, vault: Vault, id_: str, owner: str, now: datetime) -> Claimed:
    """Claims a key, or says what is known of it.

    Raises:
        Unavailable: the database is away.
    """
    mine = secrets.token_hex(16)
    new = {"id": id_, "owner": owner, "claim": mine, "claimed_at": now, "is_done": False, "answer_encrypted": None}
    async with database.transaction() as tx:
        await upsert(tx, kept_answers, [new], ["id"], update=[])
        [row] = await tx.rows(select(kept_answers).where(kept_answers.c.id == id_).with_for_update())
        if row.claim == mine:
            return Claim(id_, mine)
        is_over = now - row.claimed_at >= KEPT
        if not is_over and row.answer_encrypted is not None:
            return msgspec.msgpack.decode(vault.decrypt(row.answer_encrypted, id_), type=KeptAnswer)
        is_worked_on = row.claim != _NOBODY and now - row.claimed_at < WORKED_ON_MAX
        if not is_over and is_worked_on:
            return WorkedOn()
        if not is_over and row.is_done:
            return AnswerLost(row.claimed_at)
        await tx.execute(update(kept_answers).where(kept_answers.c.id == id_).values(new))
        return Claim(id_, mine)


async def mark_done(tx: Transaction, claimed: Claim) -> None:
    """What this transaction changes is done under the key.

    Raises:
        Conflict: we took so long that another one does it now: this transaction must not be kept.
    """
    marked = await tx.execute(
        update(kept_answers)
        .where(kept_answers.c.id == claimed.id, kept_answers.c.claim == claimed.claim)
        .values(is_done=True)
    )
    if not marked.rowcount:
        raise Conflict("Idempotency-Key", "this took too long: another request with the same key took its place")


async def keep(database: Database, vault: Vault, claimed: Claim, answer: KeptAnswer | None) -> None:
    """Keeps the answer; without one, the key is known to be done, and what was answered is not."""
    encrypted = None if answer is None else vault.encrypt(msgspec.msgpack.encode(answer), claimed.id)
    async with database.transaction() as tx:
        await tx.execute(
            update(kept_answers)
            .where(kept_answers.c.id == claimed.id, kept_answers.c.claim == claimed.claim)
            .values(is_done=True, answer_encrypted=encrypted, claim=_NOBODY)
        )


async def release(database: Database, claimed: Claim) -> None:
    """Nothing was done under the key: it may be used again, also for something else."""
    async with database.transaction() as tx:
        await tx.execute(
            delete(kept_answers).where(
                kept_answers.c.id == claimed.id,
                kept_answers.c.claim == claimed.claim,
                kept_answers.c.is_done.is_(False),
            )
        )


async def forget(database: Database, now: datetime) -> int:
    """Deletes one piece of what is too old or too much; how many rows. 0: nothing is left to delete."""
    newest_first = func.row_number().over(partition_by=kept_answers.c.owner, order_by=kept_answers.c.claimed_at.desc())
    numbered = select(kept_answers.c.id, newest_first.label("number")).subquery()
    too_many = select(numbered.c.id).where(numbered.c.number > ANSWERS_PER_OWNER_MAX).limit(FORGOTTEN_PER_ROUND_MAX)
    too_old = select(kept_answers.c.id).where(kept_answers.c.claimed_at <= now - KEPT).limit(FORGOTTEN_PER_ROUND_MAX)
    async with database.reading() as connection:
        gone = {row.id for query in (too_old, too_many) for row in await connection.execute(query)}
    if gone:
        async with database.transaction() as tx:
            await tx.execute(delete(kept_answers).where(kept_answers.c.id.in_(gone)))
    return len(gone)
